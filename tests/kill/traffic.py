"""Users who talk to a service that keeps dying, and what they know of it."""

import asyncio
from dataclasses import dataclass, field
from random import Random

import httpx

from tests.kill.service import Service

USERS = {"ada": 1, "ben": 1, "cleo": 1, "dan": 2, "eve": 2, "fay": 3}
"""Each user, and how many conversations that user has at once."""
_REPEATED = 0.1
_GIVEN_UP = 0.05


@dataclass(frozen=True)
class Turn:
    """One answered message."""

    key: str
    said: str
    reply: str


@dataclass
class Figures:
    answered: int = 0
    retries: int = 0
    given_up: int = 0
    repeated: int = 0


@dataclass
class Lane:
    """One conversation of a user: the next message follows the answer to the last."""

    user: str
    name: str
    turns: list[Turn] = field(default_factory=list)


class Traffic:
    """Every lane talks until ``close``; each message is sent under one key until it is answered."""

    def __init__(self, service: Service, client: httpx.AsyncClient, random: Random) -> None:
        self.figures = Figures()
        self.lanes = [Lane(user, f"{user}-{number}") for user, lanes in USERS.items() for number in range(lanes)]
        self._service = service
        self._client = client
        self._random = random
        self._closed = False
        self._answer = asyncio.Condition()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for lane in self.lanes:
                group.create_task(self._talk(lane))

    def close(self) -> None:
        """Let each lane end with the answer that it waits for."""
        self._closed = True

    async def answers(self, number: int) -> None:
        """Return as soon as that many more turns are answered."""
        goal = self.figures.answered + number
        async with asyncio.timeout(60), self._answer:
            await self._answer.wait_for(lambda: self.figures.answered >= goal)

    def of_user(self, user: str) -> list[Turn]:
        return [turn for lane in self.lanes if lane.user == user for turn in lane.turns]

    async def ask(self, user: str, key: str, said: str) -> str:
        """Send one message until it is answered; return the reply."""
        while True:
            # A client that goes away while its request runs is one more thing that dies.
            patience = self._random.uniform(0, 0.02) if self._random.random() < _GIVEN_UP else None
            try:
                async with asyncio.timeout(patience):
                    answer = await self._client.post(
                        f"{self._service.url}/chat/{user}",
                        json={"role": "user", "content": said},
                        headers={"Idempotency-Key": key},
                    )
            except TimeoutError:
                self.figures.given_up += 1
                continue
            except httpx.TransportError:
                answer = None
            if answer is None or answer.status_code == 503:
                self.figures.retries += 1
                await asyncio.sleep(self._random.uniform(0, 0.2))
                continue
            assert answer.status_code == 200, answer.text
            reply: str = answer.json()["response"]["content"]
            return reply

    async def _talk(self, lane: Lane) -> None:
        while not self._closed:
            key = said = f"{lane.name}-{len(lane.turns)}"
            turn = Turn(key, said, await self.ask(lane.user, key, said))
            lane.turns.append(turn)
            self.figures.answered += 1
            async with self._answer:
                self._answer.notify_all()
            if self._random.random() < _REPEATED:
                assert await self.ask(lane.user, turn.key, turn.said) == turn.reply
                self.figures.repeated += 1
