"""Starting the service as a process, and ending it."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from tests.support import wait_until
from tools.dapr.processes import free_port

ROOT = Path(__file__).parents[2]
MAIN = (sys.executable, "main.py")
BOUND = 60.0
"""Seconds within which anything here happens; a busy machine is slow, a broken service never gets there."""


def uvicorn(port: int, *options: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "uvicorn", "main:app", "--port", str(port), *options)


def started_as(kind: str) -> dict[str, Any]:
    """Return the options for one of the two ways of starting: ``main.py`` or ``uvicorn``."""
    port = free_port()
    return {"command": MAIN if kind == "main.py" else uvicorn(port), "port": port}


class Service:
    """One process of the service, its log in a file."""

    def __init__(
        self,
        log: Path,
        *,
        command: Sequence[str] = MAIN,
        root: Path = ROOT,
        port: int | None = None,
        **environment: str,
    ) -> None:
        self.port = port or free_port()
        self._log = log
        # What the one who runs the tests has set must not reach the service.
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        with log.open("ab") as sink:
            self.process = subprocess.Popen(
                command,
                cwd=root,
                env=kept | {"PORT": str(self.port), "LOG_FORMAT": "json"} | environment,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.splitlines()]

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=BOUND, trust_env=False)

    async def ready(self) -> None:
        """Return once it can be called; fail with its log if it ends instead."""

        async def answers() -> bool:
            assert self.process.poll() is None, self.log
            with contextlib.suppress(httpx.TransportError):
                async with self.client() as client:
                    return (await client.get("/readyz")).status_code == 200
            return False

        await wait_until(answers, description=f"the service on port {self.port} is ready", within=BOUND)

    async def ended(self, *, within: float = BOUND) -> int:
        """Return its exit status."""
        await wait_until(lambda: self.process.poll() is not None, description="the process has ended", within=within)
        return self.process.returncode

    async def fails(self) -> str:
        """Return what it says; it must end with an error by itself."""
        assert await self.ended() != 0, self.log
        return self.log

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextlib.asynccontextmanager
async def started(log: Path, **options: Any) -> AsyncIterator[Service]:
    """Run the service; whatever happens, no process is left."""
    service = Service(log, **options)
    try:
        yield service
    finally:
        service.kill()


@contextlib.asynccontextmanager
async def serving(log: Path, **options: Any) -> AsyncIterator[tuple[Service, httpx.AsyncClient]]:
    """Run the service, and yield it with a client once it is ready."""
    async with started(log, **options) as service:
        await service.ready()
        async with service.client() as client:
            yield service, client


def state_in(folder: Path) -> Mapping[str, str]:
    return {"STATE_FILE": str(folder / "state" / "multi-actor.db")}
