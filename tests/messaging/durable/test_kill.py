"""Whatever is killed, whenever: every message has its effect once at each subscriber, and states agree."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import Random

import pytest

from tests.dapr.shared import SharedRuntime
from tests.messaging.durable.ledgers import LEDGERS
from tests.messaging.durable.processes import BesideSidecar, Process, UnansweredError
from tests.support import wait_until

KEYS = ("k0", "k1", "k 2/ü")


@pytest.fixture
async def process(actor_host: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Process]:
    process: Process
    if actor_host == "embedded":
        process = Process(tmp_path)
    else:
        runtime: SharedRuntime = request.getfixturevalue("shared_runtime")
        await runtime.start()
        await runtime.redis("FLUSHALL")
        process = BesideSidecar(tmp_path, runtime)
    yield process
    await process.close()


class Traffic:
    """Numbers that are sent or published, each until that was acknowledged; `taken` are those, by key."""

    def __init__(self, process: Process, random: Random) -> None:
        self.sent: dict[str, list[int]] = {key: [] for key in KEYS}
        self.published: dict[str, list[int]] = {key: [] for key in KEYS}
        self.retries = 0
        self.up = asyncio.Event()
        self._process = process
        self._random = random
        self._closed = False
        self._number = 0

    @property
    def acknowledged(self) -> int:
        return sum(map(len, [*self.sent.values(), *self.published.values()]))

    def close(self) -> None:
        """Let each lane end with the acknowledgement that it waits for."""
        self._closed = True

    async def lane(self) -> None:
        while not self._closed:
            self._number += 1
            number, key = self._number, self._random.choice(KEYS)
            do, taken = self._random.choice([("send", self.sent), ("publish", self.published)])
            while True:
                await self.up.wait()
                try:
                    await self._process.ask(do=do, key=key, number=number, message_id=f"number {number}")
                except UnansweredError:
                    self.retries += 1
                    await asyncio.sleep(self._random.uniform(0, 0.05))
                else:
                    break
            taken[key].append(number)

    async def until(self, more: int) -> None:
        goal = self.acknowledged + more
        await wait_until(lambda: self.acknowledged >= goal, description=f"{more} more numbers are taken", within=60)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("life", range(2))
async def test_kills_at_any_moment_lose_and_double_nothing(
    life: int, process: Process, record_property: Callable[[str, object], None]
) -> None:
    """After some kills under load each ledger has each number once, and every agent's state equals the model."""
    seed = os.environ.get("KILL_SEED") or secrets.token_hex(4)
    print(f"\nKILL_SEED={seed} repeats the moments of run {life}")  # noqa: T201  # a failure can be repeated by it
    random = Random(f"{seed}-{life}")
    traffic = Traffic(process, random)
    async with asyncio.TaskGroup() as group:
        for _ in range(6):
            group.create_task(traffic.lane())
        for _ in range(process.KILLS):
            await process.start()
            traffic.up.set()
            await traffic.until(random.randint(1, 60))
            await asyncio.sleep(random.uniform(0, 0.02))
            traffic.up.clear()
            await process.strike(random)
        await process.start()
        traffic.up.set()
        await traffic.until(20)
        traffic.close()
    expected = {}
    for key in KEYS:
        everything = sorted(traffic.sent[key] + traffic.published[key])
        doubled = [2 * number for number in everything]
        model = {"entry": sorted(traffic.sent[key]), "first": everything, "second": everything, "third": doubled}
        assert set(model) == set(LEDGERS)
        expected[key] = model

    async def agree() -> bool:
        for key in KEYS:
            try:
                states = await process.ask(do="look", key=key)
            except UnansweredError:
                return False
            if {name: sorted(numbers) for name, numbers in states.items()} != expected[key]:
                return False
        return True

    try:
        await wait_until(agree, description="every ledger is complete", within=process.COMPLETE_WITHIN)
    except AssertionError:
        for key in KEYS:
            states = await process.ask(do="look", key=key)
            for name, numbers in states.items():
                missing = sorted(set(expected[key][name]) - set(numbers))
                twice = sorted({number for number in numbers if numbers.count(number) > 1})
                print(key, name, "missing", missing, "twice", twice)  # noqa: T201
        print(process.output)  # noqa: T201  # dead letters are named there
        raise
    figures = {"kills": process.KILLS, "taken": traffic.acknowledged, "retries": traffic.retries}
    print(figures)  # noqa: T201  # pytest -s shows how much was tried
    for name, value in figures.items():
        record_property(name, value)
    await process.strike(random)
    await process.start()
    await wait_until(agree, description="every ledger is what it was", within=30)
