"""One instance of the service on a real runtime: the application and its sidecar."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx

from tests.kill.service import KEPT_MESSAGES
from tests.support import wait_until
from tools.dapr.local import ControlPlane
from tools.dapr.parts import environment
from tools.dapr.processes import LOOPBACK, Process, free_port

ROOT = Path(__file__).parents[2]
DEADLINE = 8.0
"""REQUEST_TIMEOUT_SECONDS, where whole conversations are compared."""
MARGIN = 4.0
"""Seconds that a busy machine may add to it."""
WHOLE_CONVERSATIONS = {
    "HISTORY_LIMIT": str(KEPT_MESSAGES),
    "MEMORY_LIMIT": str(KEPT_MESSAGES),
    "RESPONDER": "tests.kill.responder:BriefResponder",
    "REQUEST_TIMEOUT_SECONDS": str(DEADLINE),
}
UP_WITHIN = 60.0  # seconds


class Instance:
    """An application started from ``main.py`` (or another program) and a sidecar, each of which can die alone."""

    def __init__(
        self,
        plane: ControlPlane,
        *,
        program: Sequence[str] = ("main.py",),
        app_api_token: str | None = None,
        dapr_api_token: str | None = None,
        resources: Path | None = None,
        **settings: str,
    ) -> None:
        port = free_port()
        self.url = f"http://{LOOPBACK}:{port}"
        self.sidecar = plane.sidecar(
            app_port=port, app_api_token=app_api_token, dapr_api_token=dapr_api_token, resources=resources
        )
        self.app = Process(
            "app",
            [sys.executable, *program],
            log=plane.folder / "logs" / f"app-{port}.log",
            environment=environment(
                self.sidecar.env()
                | {
                    "ACTOR_HOST": "auto",
                    "PORT": str(port),
                    "LOG_FORMAT": "json",
                    "LOG_DATABASE_URL": f"sqlite:///{plane.folder / 'conversation-log.db'}",
                }
                | settings
            ),
            folder=ROOT,
        )

    @property
    def lines(self) -> list[dict[str, Any]]:
        """What the application has logged."""
        return [json.loads(line) for line in self.app.output.splitlines() if line.startswith("{")]

    async def start(self) -> None:
        """Start what does not run; returns before actors can be called."""
        await asyncio.gather(*(part.start() for part in (self.sidecar, self.app) if not part.running))

    def kill(self) -> None:
        self.app.kill()
        self.sidecar.kill()

    async def stop(self) -> None:
        """End both in good order."""
        await asyncio.gather(self.app.stop(), self.sidecar.stop())

    async def ready(self, client: httpx.AsyncClient, *, within: float = UP_WITHIN) -> None:
        """Return once actors can be called; fail if the application has ended instead."""

        async def answers() -> bool:
            assert self.app.running, self.app.output[-4000:]
            with contextlib.suppress(httpx.TransportError):
                return (await client.get(f"{self.url}/readyz")).status_code == 200
            return False

        await wait_until(answers, description=f"the service is ready; logs: {self.app.log.parent}", within=within)


@contextlib.asynccontextmanager
async def instance(plane: ControlPlane, client: httpx.AsyncClient, **options: Any) -> AsyncIterator[Instance]:
    """Run an instance, ready; whatever happens, its application is not left running."""
    one = Instance(plane, **options)
    try:
        await one.start()
        await one.ready(client)
        yield one
    finally:
        await one.stop()


async def read(client: httpx.AsyncClient, url: str) -> Any:
    answer = await client.get(url)
    assert answer.status_code == 200, f"{url}: {answer.status_code} {answer.text}"
    return answer.json()
