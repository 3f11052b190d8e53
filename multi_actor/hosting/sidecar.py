"""The sidecar's HTTP API, over one pool of connections."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import quote

import aiohttp
from yarl import URL

from multi_actor.errors import SidecarUnavailableError
from multi_actor.serialization import read_json

_JSON = {"content-type": "application/json"}


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


class SidecarAnswerError(Exception):
    """The sidecar answered with an error; ``status`` is HTTP's, ``code`` and ``message`` are Dapr's."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        try:
            answer = read_json(body)
            self.code, self.message = str(answer["errorCode"]), str(answer["message"])
        except (ValueError, TypeError, KeyError):
            self.code, self.message = "", body[:1000].decode(errors="replace")
        super().__init__(f"{status} {self.code}: {self.message}")


class Sidecar:
    """One pool of connections to the sidecar, open while entered; ``timeout`` (seconds) bounds each request."""

    def __init__(self, address: SidecarAddress, *, timeout: float) -> None:
        self._address = address
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            # As many connections as there are calls under way: a call chain holds three of them while it waits.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
            timeout=aiohttp.ClientTimeout(total=self._timeout),
            headers={"dapr-api-token": self._address.token} if self._address.token else None,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session:
            session, self._session = self._session, None
            await session.close()

    async def ask(
        self, method: str, *path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> bytes:
        """Send a request to ``/v1.0/{path}``, each part of which is quoted, and return the answer's body.

        Raises:
            SidecarUnavailableError: there was no answer.
            SidecarAnswerError: the answer is an error.
        """
        if self._session is None:
            raise SidecarUnavailableError("its client is closed")
        url = URL(f"{self._address.url}/v1.0/{'/'.join(quote(part, safe='') for part in path)}", encoded=True)
        try:
            async with self._session.request(
                method, url, data=body, headers={**_JSON, **headers} if headers else _JSON
            ) as answer:
                content = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise SidecarUnavailableError(str(error) or type(error).__name__) from None
        if answer.status >= 300:  # noqa: PLR2004
            raise SidecarAnswerError(answer.status, content)
        return content
