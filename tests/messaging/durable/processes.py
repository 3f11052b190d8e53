"""The program of ledgers, killed and started again by a test."""

import asyncio
import json
import os
import secrets
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

from tests.dapr.shared import SharedRuntime, Wanted
from tests.messaging.durable.ledgers import LEDGERS
from tools.dapr.parts import environment
from tools.dapr.processes import free_port

ROOT = Path(__file__).parents[3]


class UnansweredError(Exception):
    """The process died before it answered, or could not do what was asked just then."""


class Process:
    """One state file, and one process of ledgers after the other on it."""

    KILLS = 12
    COMPLETE_WITHIN = 90.0
    """Seconds in which all that was taken has arrived."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._answers: dict[str, asyncio.Future[Any]] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._next = 0

    def _options(self) -> tuple[str, ...]:
        return "embedded", str(self._folder / "state.db")

    def _environment(self) -> Mapping[str, str]:
        return os.environ

    @property
    def output(self) -> str:
        return (self._folder / "errors.log").read_text(errors="replace")

    async def start(self) -> None:
        """Return once it takes commands."""
        with (self._folder / "errors.log").open("ab") as errors:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.messaging.durable.ledgers", *self._options()),
                cwd=ROOT,
                env=self._environment(),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
            )
        ready = self._answers["ready"] = asyncio.get_running_loop().create_future()
        self._reading = asyncio.create_task(self._read(self._process))
        async with asyncio.timeout(90):
            try:
                await ready
            except UnansweredError:
                raise AssertionError(self.output) from None

    async def ask(self, **command: Any) -> Any:
        """Return the answer; raises ``UnansweredError`` if there will be none."""
        self._next += 1
        answer = self._answers[str(self._next)] = asyncio.get_running_loop().create_future()
        assert self._process
        assert self._process.stdin
        if self._process.returncode is not None:
            raise UnansweredError
        with suppress(ConnectionError):
            self._process.stdin.write(json.dumps({**command, "id": str(self._next)}).encode() + b"\n")
        async with asyncio.timeout(60):
            return await answer

    async def strike(self, random: Random) -> None:  # where there is a choice
        """Kill something without which nothing goes on until `start`."""
        await self._kill()

    async def _kill(self) -> None:
        """End it as `kill -9` does."""
        if self._process and self._reading:
            if self._process.returncode is None:
                self._process.kill()
            await self._process.wait()
            await self._reading

    async def close(self) -> None:
        """Leave nothing running."""
        await self._kill()

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout
        async for line in process.stdout:
            command, *result = json.loads(line)
            answer = self._answers.pop(command, None)
            if answer and not answer.done():
                if result:
                    answer.set_result(result[0])
                else:
                    answer.set_exception(UnansweredError())
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(UnansweredError())
        self._answers.clear()


class BesideSidecar(Process):
    """One process after the other beside a sidecar, which may be killed as well; what both know is in Redis."""

    KILLS = 6
    COMPLETE_WITHIN = 120.0

    def __init__(self, folder: Path, runtime: SharedRuntime) -> None:
        super().__init__(folder)
        self._port = free_port()
        # With all the retries of the project's components, and time for as many of them as a new start takes: nothing
        # may become a dead letter.
        wanted = Wanted("ledgers", (*LEDGERS, "numbers", "doubled"), retries=14, processing=40)
        resources = runtime.resources(wanted)
        self._sidecar = runtime.plane.sidecar(
            app_port=self._port, resources=resources, namespace=f"ledgers-{secrets.token_hex(4)}"
        )

    def _options(self) -> tuple[str, ...]:
        return "dapr", str(self._port)

    def _environment(self) -> Mapping[str, str]:
        return environment(self._sidecar.env())

    async def start(self) -> None:
        if not self._sidecar.running:
            await self._sidecar.start()
        if self._process is None or self._process.returncode is not None:
            await super().start()

    async def strike(self, random: Random) -> None:
        if random.random() < 0.6:
            await self._kill()
        else:
            self._sidecar.kill()

    async def close(self) -> None:
        await super().close()
        self._sidecar.kill()
