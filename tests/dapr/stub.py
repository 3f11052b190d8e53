"""The least application that a sidecar takes for one of ours."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from multi_actor.contracts import CHAT
from tools.dapr.processes import LOOPBACK, free_port


class StubApp:
    """Hosts ChatAgent, and answers each event with the next of ``answers``, then with SUCCESS."""

    def __init__(self) -> None:
        self.port = free_port()
        self.answers: list[str] = []
        self.events: list[dict[str, Any]] = []
        self.dead_letters: list[dict[str, Any]] = []

    async def config(self, _: web.Request) -> web.Response:
        return web.json_response({"entities": [CHAT]})

    async def healthz(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def subscribe(self, request: web.Request) -> web.Response:
        self.events.append(await request.json())
        return web.json_response({"status": self.answers.pop(0) if self.answers else "SUCCESS"})

    async def dead_letter(self, request: web.Request) -> web.Response:
        self.dead_letters.append(await request.json())
        return web.json_response({"status": "SUCCESS"})


@asynccontextmanager
async def stub_app() -> AsyncIterator[StubApp]:
    stub = StubApp()
    app = web.Application()
    app.add_routes(
        [
            web.get("/dapr/config", stub.config),
            web.get("/healthz", stub.healthz),
            web.post("/subscribe", stub.subscribe),
            web.post("/dead-letter", stub.dead_letter),
        ]
    )
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, LOOPBACK, stub.port).start()
        yield stub
    finally:
        await runner.cleanup()
