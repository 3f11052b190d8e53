"""Fixtures that every test may use."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import pytest
from dapr.actor import ActorRuntime
from dapr.actor.runtime.config import ActorRuntimeConfig

from multi_actor.actors.responder import Responder, TemplateResponder
from multi_actor.app import create_app
from multi_actor.hosting.abc import ActorHost
from multi_actor.hosting.embedded import EmbeddedHost
from multi_actor.hosting.stores import SqliteStore
from multi_actor.settings import Settings

Serve = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture(autouse=True)
def _fresh_actor_runtime() -> None:
    """The SDK's registry is global: each test registers afresh."""
    ActorRuntime._actor_managers.clear()
    ActorRuntime.set_actor_config(ActorRuntimeConfig())


@pytest.fixture
def serve() -> Serve:
    """Run the whole application in this process; yields a client of it. Keyword arguments are settings."""

    @asynccontextmanager
    async def run(
        *, responder: Responder | None = None, host: ActorHost | None = None, **values: Any
    ) -> AsyncIterator[httpx.AsyncClient]:
        settings = Settings(**{"state_file": ":memory:", "log_format": "json", **values})
        host = host or EmbeddedHost(
            SqliteStore(settings.state_file, sync=settings.state_sync), turn_timeout=settings.request_timeout_seconds
        )
        app = create_app(settings, host, responder or TemplateResponder())
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                yield client

    return run


@pytest.fixture
async def client(serve: Serve) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application with its default settings, in memory."""
    async with serve() as client:
        yield client


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the quick tests first."""
    items.sort(key=lambda item: "kill" in item.nodeid)
