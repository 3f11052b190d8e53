"""Composition root: settings → host → application. ``python main.py`` and ``uvicorn main:app`` both start it."""

import gc
import importlib
import os
import sys

import uvicorn

from multi_actor.actors.responder import Responder, TemplateResponder
from multi_actor.app import create_app
from multi_actor.contracts import APP_ID, PUBSUB
from multi_actor.errors import SeveralWorkersError, StartupError
from multi_actor.hosting.abc import ActorHost
from multi_actor.hosting.dapr import DaprHost
from multi_actor.hosting.embedded import EmbeddedHost
from multi_actor.hosting.sidecar import SidecarAddress
from multi_actor.hosting.stores import SqliteStore
from multi_actor.settings import Settings

GRACEFUL_SECONDS = 7
DRAIN_SECONDS = 2.0  # for turns that outlive their requests: the server has let those end by then


def build_host(settings: Settings) -> ActorHost:
    """Return the host that the settings, or the presence of a sidecar, ask for."""
    sidecar = "DAPR_HTTP_PORT" in os.environ or "DAPR_GRPC_PORT" in os.environ
    if settings.actor_host == "dapr" or (settings.actor_host == "auto" and sidecar):
        return DaprHost(
            SidecarAddress.from_environment(),
            app_id=APP_ID,
            pubsub=PUBSUB,
            turn_timeout=settings.request_timeout_seconds,
            drain_timeout=DRAIN_SECONDS,
        )
    store = SqliteStore(settings.state_file, sync=settings.state_sync)
    return EmbeddedHost(
        store,
        app_id=APP_ID,
        pubsub=PUBSUB,
        turn_timeout=settings.request_timeout_seconds,
        drain_timeout=DRAIN_SECONDS,
    )


def build_responder(name: str) -> Responder:
    """Return the responder ``template``, or what ``package.module:factory`` makes.

    Raises:
        StartupError: there is no such factory.
    """
    if name == "template":
        return TemplateResponder()
    module, _, factory = name.partition(":")
    try:
        responder: Responder = getattr(importlib.import_module(module), factory)()
    except Exception as error:  # whatever a factory of somebody else's raises
        raise StartupError(
            f"RESPONDER: {name!r} is neither 'template' nor 'package.module:factory': {error}"
        ) from error
    if not callable(getattr(responder, "respond", None)):
        raise StartupError(f"RESPONDER: what {name!r} makes has no method 'respond'")
    return responder


def serve() -> None:
    """Serve until SIGINT or SIGTERM."""
    if os.environ.get("WEB_CONCURRENCY", "1") != "1":  # uvicorn's own variable
        sys.exit(f"multi-actor cannot start: WEB_CONCURRENCY: {SeveralWorkersError()}")
    uvicorn.run(
        app,
        host=settings.listen,
        port=settings.port,
        log_config=None,
        access_log=False,
        proxy_headers=False,  # nothing here depends on the client's address
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
    )


try:
    settings = Settings.from_environment()
    app = create_app(settings, build_host(settings), build_responder(settings.responder))
except StartupError as error:
    sys.exit(f"multi-actor cannot start: {error}")

# The database's thread asks for the interpreter after each commit. At Python's 5 ms it mostly had to wait until the
# event loop had nothing left to do, and then the loop waited for it.
sys.setswitchinterval(0.0005)
# What was imported stays; garbage of a turn is freed by reference counts. With Python's thresholds the collector took
# a quarter of a turn.
gc.freeze()
gc.set_threshold(50_000, 20, 100)

if __name__ == "__main__":
    serve()
