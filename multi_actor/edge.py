"""What every HTTP request passes through: its id, the sidecar's token, the size of its body, its time."""

import hmac
import logging
import re

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from multi_actor.deadlines import TimeLimit
from multi_actor.errors import StartupError
from multi_actor.logs import correlation_id, new_id, trace_context
from multi_actor.serialization import write_json

_log = logging.getLogger(__name__)
_SANE_REQUEST_ID = re.compile(rb"[A-Za-z0-9_.:/+=@-]{1,128}")
_SIDECAR = re.compile(r"/(actors|dapr)/|/(subscribe|dead-letter)/?$")
_TRACE = (b"traceparent", b"tracestate")  # https://www.w3.org/TR/trace-context/
SIDECAR_BODY_BYTES = 4 * 1024 * 1024
RETRY_AFTER_SECONDS = 1


class Edge:
    """ASGI middleware. Errors have one shape, ``{"detail": …}``; a traceback goes to the log only."""

    def __init__(self, app: ASGIApp, *, max_body_bytes: int, time: TimeLimit, token: str | None) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._time = time
        self._token = token.encode() if token else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._request(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._app(scope, receive, _plain_failure(send))
        else:
            await self._app(scope, receive, send)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"")
        request_id = given.decode() if _SANE_REQUEST_ID.fullmatch(given) else new_id()
        correlation_id.set(request_id)
        if b"traceparent" in headers:
            trace_context.set({name.decode(): headers[name].decode("latin-1") for name in _TRACE if name in headers})
        answer = _Answer(send, request_id)
        path = scope["path"].removeprefix(scope.get("root_path", ""))  # as the router sees it
        sidecar = _SIDECAR.match(path) is not None
        if sidecar and self._token and not hmac.compare_digest(headers.get(b"dapr-api-token", b""), self._token):
            await answer.error(401, "Missing or wrong dapr-api-token")
            return
        limit = SIDECAR_BODY_BYTES if sidecar else self._max_body_bytes
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > limit:
            await answer.error(413, f"Body over {limit} bytes")
            return
        try:
            await self._time.keep(self._app(scope, _counted(receive, limit), answer.send))
        except TimeoutError:
            _log.warning("%s %s was not answered in time", scope["method"], scope["path"])
            await answer.error(503, "Not answered in time; the same request may be sent again")
        except ClientDisconnect:  # before all of its body had come: there is nobody to answer
            _log.info("%s %s: the client has left", scope["method"], scope["path"])
        except Exception:  # noqa: BLE001  # the HTTP edge
            _log.exception("%s %s failed", scope["method"], scope["path"])
            await answer.error(500, "Internal error")


class _Answer:
    """The answer under way: carries the request's id, and an error if nothing was sent yet."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self._begun = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._begun = True
            message["headers"] = [*message["headers"], (b"x-request-id", self._request_id.encode())]
        await self._send(message)

    async def error(self, status: int, detail: str) -> None:
        if self._begun:
            return
        body = write_json({"detail": detail})
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        if status == 503:  # noqa: PLR2004
            headers.append((b"retry-after", str(RETRY_AFTER_SECONDS).encode()))
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


def _counted(receive: Receive, limit: int) -> Receive:
    """Pass a body on up to ``limit`` bytes; past it the reader gets a 413 and no more is read."""
    read = 0

    async def counted() -> Message:
        nonlocal read
        message = await receive()
        if message["type"] == "http.request":
            read += len(message.get("body", b""))
            if read > limit:
                raise HTTPException(413, f"Body over {limit} bytes")
        return message

    return counted


def _plain_failure(send: Send) -> Send:
    """Have a failed start say its reason, without the stack below it."""

    async def plain(message: Message) -> None:
        if message["type"] == "lifespan.startup.failed":
            name, _, reason = message.get("message", "").strip().rsplit("\n", 1)[-1].partition(": ")
            if name.startswith(f"{StartupError.__module__}."):
                message = {**message, "message": f"multi-actor cannot start: {reason}"}
        await send(message)

    return plain
