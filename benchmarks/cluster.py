"""Turns that must not get lost: several users chat through a disturbance, then what is kept is held against it.

Start it where the Service can be reached (docs/operations.md, "Trying it out"), and delete a pod, restart the
deployment or take Redis away meanwhile:

    kubectl exec --stdin client -- python - http://multi-actor:8000 --turns 50 <benchmarks/cluster.py

It asks again, with the same idempotency key, whenever the answer is 503 or none, as a client should. It fails if
afterwards a count, a history or a memory is not that of the turns which were answered.
"""

import argparse
import asyncio
import sys
import time
from collections import Counter
from typing import Any

import aiohttp

PATIENCE = 120.0  # seconds for one turn with all of its attempts
HISTORY, MEMORY = 5, 3  # HISTORY_LIMIT and MEMORY_LIMIT


class Conversation:
    """One user, whose turns follow each other."""

    def __init__(self, session: aiohttp.ClientSession, base: str, user: str) -> None:
        self.session, self.base, self.user = session, base, user
        self.requests: list[float] = []  # seconds each
        self.turns: list[float] = []  # seconds each, attempts and pauses together
        self.retries: Counter[str] = Counter()
        self.messages: list[dict[str, str]] = []

    async def get(self, path: str) -> Any:
        try:
            async with self.session.get(f"{self.base}{path}") as answer:
                return await answer.json()
        except (aiohttp.ClientError, TimeoutError) as error:
            return repr(error)

    async def turn(self, number: int) -> None:
        message = {"role": "user", "content": f"turn {number} of {self.user}"}
        began = time.perf_counter()
        while True:
            asked = time.perf_counter()
            pause = 0.1
            try:
                async with self.session.post(
                    f"{self.base}/chat/{self.user}",
                    json=message,
                    headers={"Idempotency-Key": f"{self.user}-{number}"},
                ) as answer:
                    body = await answer.json()
                    self.requests.append(time.perf_counter() - asked)
                    if answer.status == 200:
                        self.turns.append(time.perf_counter() - began)
                        self.messages += [message, body["response"]]
                        return
                    if answer.status != 503:
                        raise RuntimeError(f"{answer.status}: {body}")
                    self.retries["503"] += 1
                    pause = float(answer.headers["Retry-After"])
            except (aiohttp.ClientError, TimeoutError) as error:
                self.requests.append(time.perf_counter() - asked)
                self.retries[type(error).__name__] += 1
            if time.perf_counter() - began > PATIENCE:
                raise TimeoutError(f"turn {number} of {self.user}")
            await asyncio.sleep(pause)

    async def differences(self) -> list[str]:
        """Return what the service keeps other than what it answered; memory follows its events within seconds."""
        expected: dict[str, Any] = {
            f"/response/{self.user}/count": {"count": len(self.turns)},
            f"/chat/{self.user}/history": {"history": self.messages[-HISTORY:]},
            f"/memory/{self.user}": {"memory": self.messages[-MEMORY:]},
        }
        give_up = time.perf_counter() + PATIENCE
        while True:
            found = {path: await self.get(path) for path in expected}
            if found == expected or time.perf_counter() > give_up:
                return [f"{path}: {found[path]}" for path in expected if found[path] != expected[path]]
            await asyncio.sleep(0.2)


async def run(base: str, users: int, turns: int, rate: float) -> int:
    mark = f"{time.time():.0f}"
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        conversations = [Conversation(session, base, f"cluster-{mark}-{number}") for number in range(users)]

        async def chat(conversation: Conversation) -> None:
            for number in range(turns):
                await conversation.turn(number)
                if rate:
                    await asyncio.sleep(users / rate)

        began = time.perf_counter()
        await asyncio.gather(*map(chat, conversations))
        took = time.perf_counter() - began
        began = time.perf_counter()
        differences = [found for one in conversations for found in await one.differences()]
        settled = time.perf_counter() - began
    retries = sum((conversation.retries for conversation in conversations), Counter[str]())
    requests = sorted(seconds for conversation in conversations for seconds in conversation.requests)
    longest = max(seconds for conversation in conversations for seconds in conversation.turns)
    print(f"{users * turns} turns of {users} users in {took:.1f} s, {len(requests)} requests")
    print(f"asked again: {dict(retries) or 'never'}")
    print(f"a request: median {requests[len(requests) // 2] * 1e3:.0f} ms, longest {requests[-1]:.2f} s")
    print(f"longest turn, attempts and pauses together: {longest:.2f} s")
    print(f"count, history and memory compared {settled:.1f} s later: {differences or 'all agree'}")
    return 1 if differences else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", help="where the service is, such as http://localhost:8000")
    parser.add_argument("--users", type=int, default=10)
    parser.add_argument("--turns", type=int, default=50, help="of each user (default: 50)")
    parser.add_argument("--rate", type=float, default=0, help="turns a second, about; 0 is as fast as they come")
    options = parser.parse_args()
    sys.exit(asyncio.run(run(options.base, options.users, options.turns, options.rate)))
