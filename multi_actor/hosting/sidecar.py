"""The sidecar's HTTP API, over a pool of connections that are kept alive."""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlsplit

import httptools

from multi_actor.deadlines import TimeLimit
from multi_actor.errors import SidecarUnavailableError
from multi_actor.serialization import read_json

_JSON = {"content-type": "application/json"}
_ERROR = 300  # no redirects: what is not 2xx is an error


@dataclass(frozen=True, slots=True)
class SidecarAddress:
    """Where the sidecar listens, and the token that it asks for."""

    url: str
    token: str | None = field(default=None, repr=False)

    @classmethod
    def from_environment(cls) -> Self:
        """Read what ``dapr run`` and the Kubernetes injector set.

        https://docs.dapr.io/reference/environment/
        """
        host, port = os.environ.get("DAPR_RUNTIME_HOST", "127.0.0.1"), os.environ.get("DAPR_HTTP_PORT") or "3500"
        url = os.environ.get("DAPR_HTTP_ENDPOINT") or f"http://{host}:{port}"
        return cls(url.rstrip("/"), os.environ.get("DAPR_API_TOKEN") or None)


class SidecarAnswerError(SidecarUnavailableError):
    """The sidecar answered with an error; ``status`` is HTTP's, ``code`` and ``message`` are Dapr's."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        try:
            answer = read_json(body)
            self.code, self.message = str(answer["errorCode"]), str(answer["message"])
        except (ValueError, TypeError, KeyError):
            self.code, self.message = "", body[:1000].decode(errors="replace")
        super().__init__(f"{status} {self.code}: {self.message}")


class _Connection(asyncio.Protocol):
    """One connection, with one request at a time on it."""

    def __init__(self) -> None:
        self.alive = False
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.alive = True
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.alive = False
        self._fail(str(exc or "it closed the connection"))

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, AttributeError) as error:  # no HTTP, or no request was made
            self._fail(f"its answer is not HTTP: {error}")
            self.close()

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Return the answer's status and body; raises ``SidecarUnavailableError``."""
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)  # type: ignore[attr-defined]  # a stream's transport
        try:
            return await self._answer
        except asyncio.CancelledError:
            self.close()  # so that the sidecar lets go of the call as well
            raise

    def close(self) -> None:
        """Cut the connection."""
        self.alive = False
        self._transport.abort()  # type: ignore[attr-defined]  # a stream's transport

    def _fail(self, reason: str) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_exception(SidecarUnavailableError(reason))

    # -- what the parser calls

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        self.alive = self.alive and self._parser.should_keep_alive()
        if self._answer and not self._answer.done():
            self._answer.set_result((self._parser.get_status_code(), b"".join(self._body)))


class Sidecar:
    """Requests to the sidecar, while entered; ``timeout`` (seconds) bounds each.

    A turn on Dapr makes eight of them, each over a connection that is kept alive; with aiohttp they were a third of
    the application's time.
    """

    def __init__(self, address: SidecarAddress, *, timeout: float) -> None:
        url = urlsplit(address.url)
        self._secure = url.scheme == "https"
        self._host, self._port = url.hostname or "127.0.0.1", url.port or (443 if self._secure else 80)
        self._path = f"{url.path}/v1.0/"
        token = f"dapr-api-token: {address.token}\r\n" if address.token else ""
        self._head = f"host: {url.netloc}\r\n{token}"
        self._time = TimeLimit(timeout)
        self._idle: list[_Connection] = []
        self._open = False

    async def __aenter__(self) -> Self:
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        while self._idle:
            self._idle.pop().close()

    async def ask(
        self, method: str, *path: str, body: bytes | None = None, headers: Mapping[str, str] = _JSON
    ) -> bytes:
        """Send a request to ``/v1.0/{path}``, each part of which is quoted, and return the answer's body.

        Raises:
            SidecarUnavailableError: there was no answer, or, as its ``SidecarAnswerError``, one that is an error.
        """
        if not self._open:
            raise SidecarUnavailableError("its client is closed")
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        parts = "/".join([quote(part, safe="") for part in path])
        head = (
            f"{method} {self._path}{parts} HTTP/1.1\r\n{self._head}{lines}content-length: {len(body or b'')}\r\n\r\n"
        )
        try:
            status, answer = await self._time.keep(self._exchange(head.encode("latin-1") + (body or b"")))
        except (OSError, TimeoutError) as error:
            raise SidecarUnavailableError(str(error) or "no answer in time") from None
        if status >= _ERROR:
            raise SidecarAnswerError(status, answer)
        return answer

    async def _exchange(self, request: bytes) -> tuple[int, bytes]:
        while self._idle:
            connection = self._idle.pop()
            if connection.alive:
                break
        else:
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(_Connection, self._host, self._port, ssl=self._secure or None)
        answer = await connection.ask(request)
        if connection.alive and self._open:
            self._idle.append(connection)
        return answer
