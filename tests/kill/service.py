"""The service as a process of its own, which a test starts, kills and starts again."""

import asyncio
import json
import os
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.support import wait_until
from tools.dapr.processes import free_port

ROOT = Path(__file__).parents[2]
KEPT_MESSAGES = 1000
"""Messages that history and memory keep: enough to compare all that was ever said with the model."""


class Service:
    """One state file, and one process after the other on it."""

    def __init__(self, folder: Path) -> None:
        self.url = ""
        self._state_file = folder / "state.db"
        self._output = folder / "output.log"
        self._process: asyncio.subprocess.Process | None = None

    @property
    def output(self) -> str:
        return self._output.read_text(errors="replace")

    async def start(self, *program: str, **environment: str) -> None:
        """Start ``main.py``, or another program; returns before it answers."""
        port = free_port()  # anew each time: somebody else may have taken the last one
        self.url = f"http://127.0.0.1:{port}"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("DAPR_")}
        settings = {
            "ACTOR_HOST": "embedded",
            "PORT": str(port),
            "STATE_FILE": str(self._state_file),
            "LOG_LEVEL": "WARNING",
            "HISTORY_LIMIT": str(KEPT_MESSAGES),
            "MEMORY_LIMIT": str(KEPT_MESSAGES),
            "RESPONDER": "tests.kill.responder:BriefResponder",
        }
        with self._output.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *(program or ("main.py",)),
                cwd=ROOT,
                env=inherited | settings | environment,
                stdout=output,
                stderr=output,
            )

    async def ready(self, client: httpx.AsyncClient) -> None:
        """Return once actors can be called."""

        async def answers() -> bool:
            assert self._process is not None
            assert self._process.returncode is None, self.output
            try:
                return (await client.get(f"{self.url}/readyz")).status_code == 200
            except httpx.TransportError:
                return False

        await wait_until(answers, description="the service is ready", within=60)

    async def kill(self) -> None:
        """End the process as ``kill -9`` does, if it still runs."""
        if self._process:
            if self._process.returncode is None:
                self._process.kill()
            await self._process.wait()

    async def killed(self) -> None:
        """Return once the process has killed itself."""
        assert self._process is not None
        assert await self._process.wait() == -signal.SIGKILL, self.output

    async def stop(self) -> None:
        """End the process in good order."""
        assert self._process is not None
        self._process.terminate()
        # The server ends itself by the signal that it got, once it has shut down.
        assert await self._process.wait() in (0, -signal.SIGTERM), self.output

    # -- what the file holds while no process runs

    def kept(self, actor_type: str, actor_id: str, name: str) -> Any:
        with self._file() as file:
            row = file.execute(
                "SELECT value FROM state WHERE actor_type = ? AND actor_id = ? AND name = ?",
                (actor_type, actor_id, name),
            ).fetchone()
        return json.loads(row[0]) if row else None

    def count_of_memory(self, user: str) -> Any:
        """How many turns the memory actor counted, up to where all of them, and which beyond."""
        return self.kept("MemoryAgentActor", f"memory-{user}", f"memory-count-{user}")

    def events(self) -> list[str]:
        """Whom the broker holds events for, by their queues' names."""
        with self._file() as file:
            return [name for (name,) in file.execute("SELECT topic FROM event ORDER BY id")]

    @contextmanager
    def _file(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._state_file)) as connection:
            yield connection
