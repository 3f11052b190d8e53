"""The load that the benchmarks make: keep-alive HTTP/1.1 connections that cost little beside what they measure."""

import asyncio
import json
import time
from collections.abc import Callable

Request = Callable[[int, int], bytes]  # (client, number of its request) → the bytes to send


class Connection(asyncio.Protocol):
    """One keep-alive HTTP/1.1 connection that knows just enough to read a JSON answer."""

    def __init__(self) -> None:
        self._data = b""
        self._answer: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            return
        at = self._data.lower().find(b"content-length: ")
        length = int(self._data[at + 16 : self._data.index(b"\r", at)])
        if len(self._data) >= end + 4 + length and self._answer:
            answer, self._data = self._data, b""
            self._answer.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("closed"))

    async def ask(self, request: bytes) -> bytes:
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        answer = await self._answer
        if not answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(answer.decode())
        return answer


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: b\r\n\r\n".encode()


def turn(user: str, *, route: str = "chat") -> bytes:
    body = json.dumps({"role": "user", "content": "How are you today?"})
    head = f"POST /{route}/{user} HTTP/1.1\r\nhost: b\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n{body}".encode()


async def load(port: int, clients: int, seconds: float, request: Request) -> tuple[float, list[float]]:
    """Return requests per second while all clients were at it, and each request's milliseconds.

    Requests that end after ``seconds`` count by the part of them that lay before.
    """
    loop = asyncio.get_running_loop()
    times: list[float] = []
    done = 0.0

    async def client(number: int) -> None:
        nonlocal done
        _, connection = await loop.create_connection(Connection, "127.0.0.1", port)
        asked = 0
        while (began := time.perf_counter()) < end:
            await connection.ask(request(number, asked))
            took = time.perf_counter() - began
            times.append(took * 1e3)
            done += min(1, (end - began) / took)
            asked += 1
        connection._transport.close()

    end = time.perf_counter() + seconds
    await asyncio.gather(*(client(number) for number in range(clients)))
    return done / seconds, times


async def first_answer(port: int) -> None:
    for _ in range(3000):
        try:
            _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", port)
            await connection.ask(turn("first"))
        except OSError:
            await asyncio.sleep(0.01)
        else:
            connection._transport.close()
            return
    raise RuntimeError("the service did not start")
