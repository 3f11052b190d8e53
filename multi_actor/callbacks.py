"""What the sidecar calls to reach an actor: its methods, reminders, timers and deactivation.

The paths are Dapr's (https://docs.dapr.io/reference/api/actors_api/#dapr-calling-to-user-service-code). The SDK's own
routes for them would do, but they tell no fault that may pass from a bug, know no call chain, and take FastAPI's long
way: four of a turn's six requests come in here.
"""

import asyncio
import math
from collections.abc import Mapping
from typing import Protocol, runtime_checkable
from urllib.parse import unquote

from dapr.actor import ActorRuntime
from dapr.serializers import DefaultJSONSerializer
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from multi_actor.errors import RetryableError, UnknownActorTypeError
from multi_actor.hosting.abc import ActorCallError, ActorKey
from multi_actor.serialization import write_json

PREFIX = "/actors/"
CONFIG = "/dapr/config"  # which a sidecar asks for when it starts, and only then
HEALTH = "/healthz"  # which it asks for every second
KUBELET = b"kube-probe/"  # which looks at the same path, and must not pass for the sidecar
MISSED_SECONDS = 1.5
"""Between two of those there was one without an answer.

A few of them, however far apart (1.18), and the sidecar has this application's actors go elsewhere. It does not say
so: what it takes for unhealthy it does not ask to deactivate anything. From the next answer on they may come back, and
what is remembered here of their state is old.
"""


def actor_config() -> bytes:
    """Return what a sidecar is told at ``CONFIG``: the registered types and their settings, as the SDK writes them."""
    config: bytes = DefaultJSONSerializer().serialize(ActorRuntime.get_actor_config())
    return config


@runtime_checkable
class Called(Protocol):
    """A host whose actors are called from outside this process."""

    async def invoke(self, key: ActorKey, method: str, data: bytes, *, headers: Mapping[str, str]) -> bytes:
        """Call a method in a turn of the actor."""

    async def remind(self, key: ActorKey, name: str, body: bytes) -> None:
        """Have a reminder tick."""

    async def tick(self, key: ActorKey, name: str, body: bytes) -> None:
        """Have a timer tick."""

    async def deactivate(self, key: ActorKey) -> None:
        """Deactivate an actor."""

    def start_over(self) -> None:
        """Take no actor for active any more."""


class ActorCallbacks:
    """ASGI middleware that answers for ``/actors/…`` and passes on everything else.

    A fault that may pass is 503, a bug 500, an actor type or path that there is not 404.
    """

    def __init__(self, app: ASGIApp, *, host: Called) -> None:
        self._app = app
        self._host = host
        self._asked_at = math.inf

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            self._notice(scope)
            await self._app(scope, receive, send)
            return
        status, body = await self._answer(scope, await Request(scope, receive).body())
        await Response(body, status, media_type="application/json")(scope, receive, send)

    def _notice(self, scope: Scope) -> None:
        """Tell from what the sidecar asks whether actors may have been elsewhere."""
        path = scope.get("path")
        if path == CONFIG:
            self._host.start_over()
        elif path == HEALTH and not dict(scope["headers"]).get(b"user-agent", b"").startswith(KUBELET):
            now = asyncio.get_running_loop().time()
            if now - self._asked_at > MISSED_SECONDS:
                self._host.start_over()
            self._asked_at = now

    async def _answer(self, scope: Scope, body: bytes) -> tuple[int, bytes]:
        # Undecoded, so that an id may hold a slash.
        path = scope["raw_path"].decode("ascii").removeprefix(scope.get("root_path", "")).partition("?")[0]
        actor_type, *rest = map(unquote, path.removeprefix(PREFIX).split("/"))
        try:
            match scope["method"], *rest:
                case "PUT", actor_id, "method", "remind", name:
                    await self._host.remind(ActorKey(actor_type, actor_id), name, body)
                case "PUT", actor_id, "method", "timer", name:
                    await self._host.tick(ActorKey(actor_type, actor_id), name, body)
                case "PUT", actor_id, "method", method:
                    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
                    return 200, await self._host.invoke(ActorKey(actor_type, actor_id), method, body, headers=headers)
                case "DELETE", actor_id:
                    await self._host.deactivate(ActorKey(actor_type, actor_id))
                case _:
                    return 404, write_json({"detail": "Not Found"})
        except UnknownActorTypeError as error:
            return 404, write_json({"detail": str(error)})
        except (ActorCallError, RetryableError) as error:
            return 503 if error.retryable else 500, write_json({"detail": str(error)})
        return 200, b"{}"
