"""Users who talk to a service that keeps dying, and what they know of it."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

import httpx

USERS = {"ada": 1, "ben": 1, "cleo": 1, "dan": 2, "eve": 2, "fay": 3}
"""Each user, and how many conversations that user has at once."""
_REPEATED = 0.1
_GIVEN_UP = 0.05


class Place(Protocol):
    """Where to send the next request: it may be somewhere else each time."""

    @property
    def url(self) -> str: ...


@dataclass(frozen=True)
class Turn:
    """One answered message."""

    key: str
    said: str
    reply: str


@dataclass
class Figures:
    answered: int = 0
    refused: int = 0
    """Requests answered with 503."""
    cut: int = 0
    """Requests without an answer: no connection, or one that broke."""
    given_up: int = 0
    repeated: int = 0
    longest: float = 0.0
    """Seconds that the longest request took, whatever came of it."""

    @property
    def retries(self) -> int:
        return self.refused + self.cut


@dataclass
class Lane:
    """One conversation of a user: the next message follows the answer to the last."""

    user: str
    name: str
    turns: list[Turn] = field(default_factory=list)


class Traffic:
    """Every lane talks until ``close``; each message is sent under one key until it is answered.

    A request that takes longer than ``deadline`` fails the test; up to ``pause`` lies between two messages of a lane
    (both in seconds).
    """

    def __init__(
        self,
        place: Place,
        client: httpx.AsyncClient,
        random: Random,
        *,
        users: Mapping[str, int] = USERS,
        deadline: float = 60.0,
        pause: float = 0.0,
    ) -> None:
        self.figures = Figures()
        self.users = tuple(users)
        self.lanes = [Lane(user, f"{user}-{number}") for user, lanes in users.items() for number in range(lanes)]
        self._place = place
        self._client = client
        self._random = random
        self._deadline = deadline
        self._pause = pause
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
        async with asyncio.timeout(120), self._answer:
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
                    answer = await self._post(user, key, said)
            except TimeoutError:
                self.figures.given_up += 1
                continue
            if answer is None or answer.status_code == 503:
                self.figures.cut += answer is None
                self.figures.refused += answer is not None
                await asyncio.sleep(self._random.uniform(0, 0.2))
                continue
            assert answer.status_code == 200, answer.text
            reply: str = answer.json()["response"]["content"]
            return reply

    async def _post(self, user: str, key: str, said: str) -> httpx.Response | None:
        since = time.monotonic()
        try:
            return await self._client.post(
                f"{self._place.url}/chat/{user}",
                json={"role": "user", "content": said},
                headers={"Idempotency-Key": key},
            )
        except httpx.TimeoutException:
            raise AssertionError(f"no answer to {key} within {time.monotonic() - since:.1f} s") from None
        except httpx.TransportError:
            return None
        finally:
            took = time.monotonic() - since
            self.figures.longest = max(self.figures.longest, took)
            assert took <= self._deadline, f"{key} took {took:.1f} s"

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
            if self._pause:
                await asyncio.sleep(self._random.uniform(0, self._pause))
