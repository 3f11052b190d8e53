"""Whatever is killed, whenever: every message has its effect once at each subscriber, and states agree."""

import asyncio
import json
import os
import secrets
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.messaging.durable.ledgers import LEDGERS
from tests.support import wait_until

ROOT = Path(__file__).parents[3]
KEYS = ("k0", "k1", "k 2/ü")
KILLS = 12


class KilledError(Exception):
    """The process died before it answered."""


class Process:
    """One state file, and one process of ledgers after the other on it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._answers: dict[str, asyncio.Future[Any]] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._next = 0

    @property
    def output(self) -> str:
        return (self._folder / "errors.log").read_text(errors="replace")

    async def start(self) -> None:
        """Return once it takes commands."""
        with (self._folder / "errors.log").open("ab") as errors:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.messaging.durable.ledgers", str(self._folder / "state.db")),
                cwd=ROOT,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
            )
        ready = self._answers["ready"] = asyncio.get_running_loop().create_future()
        self._reading = asyncio.create_task(self._read(self._process))
        async with asyncio.timeout(60):
            try:
                await ready
            except KilledError:
                raise AssertionError(self.output) from None

    async def ask(self, **command: Any) -> Any:
        """Return the answer; raises ``KilledError`` if there will be none."""
        self._next += 1
        answer = self._answers[str(self._next)] = asyncio.get_running_loop().create_future()
        assert self._process
        assert self._process.stdin
        if self._process.returncode is not None:
            raise KilledError
        with suppress(ConnectionError):
            self._process.stdin.write(json.dumps({**command, "id": str(self._next)}).encode() + b"\n")
        async with asyncio.timeout(60):
            return await answer

    async def kill(self) -> None:
        """End it as `kill -9` does."""
        if self._process and self._reading:
            if self._process.returncode is None:
                self._process.kill()
            await self._process.wait()
            await self._reading

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout
        async for line in process.stdout:
            command, result = json.loads(line)
            answer = self._answers.pop(command, None)
            if answer and not answer.done():
                answer.set_result(result)
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(KilledError())
        self._answers.clear()


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[Process]:
    process = Process(tmp_path)
    yield process
    await process.kill()


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
                except KilledError:
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
    """After a dozen kills under load each ledger has each number once, and every agent's state equals the model."""
    seed = os.environ.get("KILL_SEED") or secrets.token_hex(4)
    print(f"\nKILL_SEED={seed} repeats the moments of run {life}")  # noqa: T201  # a failure can be repeated by it
    random = Random(f"{seed}-{life}")
    traffic = Traffic(process, random)
    async with asyncio.TaskGroup() as group:
        for _ in range(6):
            group.create_task(traffic.lane())
        for _ in range(KILLS):
            await process.start()
            traffic.up.set()
            await traffic.until(random.randint(1, 60))
            await asyncio.sleep(random.uniform(0, 0.02))
            traffic.up.clear()
            await process.kill()
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
            states = await process.ask(do="look", key=key)
            if {name: sorted(numbers) for name, numbers in states.items()} != expected[key]:
                return False
        return True

    try:
        await wait_until(agree, description="every ledger is complete", within=90)
    except AssertionError:
        for key in KEYS:
            states = await process.ask(do="look", key=key)
            for name, numbers in states.items():
                missing = sorted(set(expected[key][name]) - set(numbers))
                twice = sorted({number for number in numbers if numbers.count(number) > 1})
                print(key, name, "missing", missing, "twice", twice)  # noqa: T201
        raise
    figures = {"kills": KILLS, "taken": traffic.acknowledged, "retries": traffic.retries}
    print(figures)  # noqa: T201  # pytest -s shows how much was tried
    for name, value in figures.items():
        record_property(name, value)
    await process.kill()
    await process.start()
    assert await agree()
