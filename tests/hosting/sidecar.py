"""A sidecar's HTTP side, in this process: it keeps what it was asked, and answers as a test says."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import httptools

from multi_actor.hosting.sidecar import SidecarAddress
from tests.support import wait_until


class Asked(NamedTuple):
    """One request as it came in; ``target`` is the undecoded path."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


Answer = Callable[[Asked], Awaitable[tuple[int, bytes]]]


async def nothing(_: Asked) -> tuple[int, bytes]:
    """Answer as Dapr does where there is nothing to say."""
    return 204, b""


@dataclass
class FakeDaprd:
    """Answers HTTP with ``answer``; None as its status cuts the connection."""

    answer: Answer = nothing
    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    left: int = 0
    """Connections that the other side closed."""
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    @property
    def address(self) -> SidecarAddress:
        return SidecarAddress(f"http://127.0.0.1:{self.port}", token="secret")  # noqa: S106

    def hang_up(self) -> None:
        """Close every connection."""
        for writer in self.writers:
            writer.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        try:
            while True:
                request = _Request()
                while not request.complete:
                    data = await reader.read(65536)
                    if not data:
                        return
                    request.feed(data)
                self.asked.append(request.asked())
                status, body = await self.answer(self.asked[-1])
                head = (
                    f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\n\r\n"
                    if status != 204
                    else "HTTP/1.1 204 X\r\n\r\n"
                )
                writer.write(head.encode() + body)
        except ConnectionError:
            pass
        finally:
            self.left += 1
            writer.close()


class _Request:
    def __init__(self) -> None:
        self.complete = False
        self._parser = httptools.HttpRequestParser(self)
        self._target, self._headers, self._body = b"", dict[str, str](), b""

    def feed(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode().lower()] = value.decode()

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self.complete = True

    def asked(self) -> Asked:
        return Asked(self._parser.get_method().decode(), self._target.decode(), self._headers, self._body)


@asynccontextmanager
async def fake_daprd(answer: Answer = nothing) -> AsyncIterator[FakeDaprd]:
    """Serve on a free port while entered."""
    daprd = FakeDaprd(answer)
    server = await asyncio.start_server(daprd.serve, "127.0.0.1", 0)
    daprd.port = server.sockets[0].getsockname()[1]
    try:
        yield daprd
    finally:
        server.close()
        daprd.hang_up()
        await wait_until(lambda: daprd.left == daprd.connections, description="every connection is closed")
