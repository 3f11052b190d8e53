"""The FastAPI application, from settings, a host and a responder."""

import asyncio
import contextlib
import fcntl
import logging
import multiprocessing
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from dapr.actor import ActorRuntime
from dapr.actor.runtime.config import ActorRuntimeConfig
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from multi_actor.actors.chat import ChatAgent
from multi_actor.actors.memory import MemoryAgentActor
from multi_actor.actors.outbox import Publisher
from multi_actor.actors.responder import Responder
from multi_actor.actors.response import ResponseAgent
from multi_actor.agents.broadcast import Broadcast
from multi_actor.agents.routes import agent_routes
from multi_actor.agents.turn_log import TurnLog, beside
from multi_actor.api import conversation_routes, operations_routes, retry_after, sidecar_routes
from multi_actor.callbacks import ActorCallbacks, Called
from multi_actor.contracts import USER_CHAT
from multi_actor.deadlines import TimeLimit
from multi_actor.edge import Edge
from multi_actor.errors import RetryableError, SeveralWorkersError, StartupError, may_pass
from multi_actor.hosting.abc import ActorCallError, ActorHost
from multi_actor.logs import configure_logging
from multi_actor.settings import LOOPBACK, Settings
from multi_actor.subscriptions import conversation_subscriptions

_log = logging.getLogger(__name__)
IDLE_TIMEOUT = timedelta(minutes=10)
FLUSH_SECONDS = 1.0
DRAIN_SECONDS = 5.0
"""What a request under way has left to end in, from SIGTERM on."""
READINESS_LEADS_SECONDS = 1.0
"""From the moment on at which /readyz says 503 until the server takes no more connections, on SIGTERM."""


def create_app(settings: Settings, host: ActorHost, responder: Responder) -> FastAPI:
    """Return the application; nothing starts before its lifespan does."""
    configure_logging(settings.log_level, settings.log_format)
    subscriptions = conversation_subscriptions(host.proxies)
    request_time = TimeLimit(settings.request_timeout_seconds)
    publisher = Publisher(lambda event, event_id: host.publish(USER_CHAT, event, event_id=event_id))
    log_url = settings.log_database_url
    turn_log = TurnLog(
        log_url.get_secret_value() if log_url else beside(settings.state_file), sync=settings.state_sync
    )
    broadcast = Broadcast(host, turn_log) if settings.agents == "all" else None
    token = settings.app_api_token.get_secret_value() if settings.app_api_token else None

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with _only_worker(), _on_terminate(host.drain, partial(request_time.end_within, DRAIN_SECONDS)):
            if not token and (host.kind == "dapr" or settings.listen not in LOOPBACK):
                _log.warning("APP_API_TOKEN is not set: whoever reaches this port can forge events and actor calls")
            await _register_actors(host, settings, responder, publisher)
            async with contextlib.AsyncExitStack() as started:
                if broadcast:
                    # Before the memory: an event that this has taken in is not published again, were it lost.
                    await broadcast.join()
                    await started.enter_async_context(turn_log)  # outlives the host: turns under way write to it
                for topic in subscriptions.topics():
                    host.subscribe(topic, subscriptions.deliver, dead_letters=subscriptions.bury)
                await started.enter_async_context(host)
                if broadcast:
                    await started.enter_async_context(broadcast)
                yield
                host.drain()
                with contextlib.suppress(TimeoutError):  # what is not published waits in the outbox
                    async with asyncio.timeout(FLUSH_SECONDS):
                        await publisher.flush()

    app = FastAPI(
        title="MultiAgentService",
        summary="AI agents as Dapr virtual actors: each user's conversation is held by three of them.",
        version="0.1.0",
        lifespan=lifespan,
    )
    app.include_router(conversation_routes(host, settings))
    if broadcast:
        app.include_router(agent_routes(broadcast))
    app.include_router(sidecar_routes(host, subscriptions))
    app.include_router(operations_routes(host, subscriptions))
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(ActorCallError, _failed_call)
    app.add_exception_handler(RetryableError, _failed_call)
    if isinstance(host, Called):
        app.add_middleware(ActorCallbacks, host=host)
    app.add_middleware(Edge, max_body_bytes=settings.max_body_bytes, time=request_time, token=token)
    return app


async def _register_actors(host: ActorHost, settings: Settings, responder: Responder, publisher: Publisher) -> None:
    ActorRuntime.set_actor_config(ActorRuntimeConfig(actor_idle_timeout=IDLE_TIMEOUT))
    chat = partial(
        ChatAgent,
        proxies=host.proxies,
        publisher=publisher,
        history_limit=settings.history_limit,
        outbox_limit=settings.outbox_limit,
    )
    response = partial(
        ResponseAgent,
        proxies=host.proxies,
        responder=responder,
        memory_time=TimeLimit(settings.memory_timeout_seconds),
    )
    await host.register(ChatAgent, chat)
    await host.register(ResponseAgent, response)
    await host.register(MemoryAgentActor, partial(MemoryAgentActor, memory_limit=settings.memory_limit))


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    """Name each field that is wrong, without repeating what was in it."""
    assert isinstance(error, RequestValidationError)  # noqa: S101  # what it is registered for
    problems = [{"loc": e["loc"], "msg": e["msg"], "type": e["type"]} for e in error.errors()]
    return JSONResponse({"detail": problems}, 422)


async def _failed_call(_: Request, error: Exception) -> JSONResponse:
    """Tell a fault that may pass from a bug of ours; the host has logged it where it happened."""
    if may_pass(error):
        return JSONResponse({"detail": "Not available now; the same request may be sent again"}, 503, retry_after())
    return JSONResponse({"detail": "Internal error"}, 500)


@contextlib.contextmanager
def _only_worker() -> Iterator[None]:
    """Hold what only one worker of an instance can hold: its actors live in one process.

    Raises:
        SeveralWorkersError: another worker of the same server runs.
    """
    if multiprocessing.parent_process() is None:  # not started by a server that could start a second
        yield
        return
    path = Path(tempfile.gettempdir()) / f"multi-actor-{os.getuid()}-{os.getppid()}.lock"
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise StartupError(f"{path} cannot be locked ({error.strerror}): remove it, or set TMPDIR") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise SeveralWorkersError from None
    try:
        yield
    finally:
        os.close(lock)  # the file stays: a worker that waits for it must not lock one that is gone


@contextlib.contextmanager
def _on_terminate(drain: Callable[[], None], bring_forward: Callable[[], None]) -> Iterator[None]:
    """On SIGTERM let readiness go first: the server's own handler runs a moment later.

    Whoever routes to this instance can see that it is going before connections are refused. A second signal, or
    SIGINT, is not held up.
    """
    server = signal.getsignal(signal.SIGTERM)
    if not callable(server):  # no server of ours: a test's loop, or a thread
        yield
        return
    loop = asyncio.get_running_loop()
    seen = False

    def handler(number: int, frame: FrameType | None) -> Any:
        nonlocal seen
        if seen:
            return server(number, frame)
        seen = True
        loop.call_soon_threadsafe(drain)
        loop.call_soon_threadsafe(bring_forward)
        return loop.call_soon_threadsafe(loop.call_later, READINESS_LEADS_SECONDS, server, number, frame)

    signal.signal(signal.SIGTERM, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, server)
