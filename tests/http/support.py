"""What the tests of the HTTP surface share: faults to switch on, and the log as its readers get it."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import httpx

from multi_actor.actors.responder import TemplateResponder
from multi_actor.contracts import Message, Remembered
from multi_actor.errors import StoreUnavailableError
from multi_actor.hosting.abc import ActorKey
from multi_actor.hosting.state_store import StoredEvent
from multi_actor.hosting.stores import SqliteStore
from multi_actor.logs import JsonFormatter
from tests.dapr.shared import ServedTransport


async def nothing(*_: object) -> None:
    """No fault."""


class FaultyStore(SqliteStore):
    """A store in memory; a test may put a fault before its reads, its writes or its topics."""

    def __init__(self) -> None:
        super().__init__(":memory:")
        self.before_get: Callable[[ActorKey], Awaitable[None]] = nothing
        self.before_transact: Callable[[ActorKey], Awaitable[None]] = nothing
        self.before_append: Callable[[str], Awaitable[None]] = nothing

    async def get(self, key: ActorKey, name: str, *, now: float) -> bytes | None:
        await self.before_get(key)
        return await super().get(key, name, now=now)

    async def transact(self, key: ActorKey, operations: bytes, *, now: float) -> None:
        await self.before_transact(key)
        await super().transact(key, operations, now=now)

    async def append(self, body: str, *topics: str) -> list[StoredEvent]:
        await self.before_append(topics[0])
        return await super().append(body, *topics)


def refuses(actor_type: str) -> Callable[[ActorKey], Awaitable[None]]:
    """Return a fault: the store is out of order for this type of actor."""

    async def refuse(key: ActorKey) -> None:
        if key.actor_type == actor_type:
            raise StoreUnavailableError("state.db", "disk I/O error")

    return refuse


async def refuses_topics(_: str) -> None:
    """A fault: the broker takes nothing."""
    raise StoreUnavailableError("state.db", "disk I/O error")


async def fails(_: object) -> None:
    """A fault: it raises what nobody expects."""
    raise RuntimeError


class FaultyResponder:
    """Writes the usual reply; a test may put a fault before it."""

    def __init__(self) -> None:
        self.before: Callable[[Message], Awaitable[None]] = nothing
        self.asked: list[str] = []

    def hang(self) -> asyncio.Event:
        """Have it wait before each reply, until the event that this returns is set."""
        go_on = asyncio.Event()

        async def wait(_: Message) -> None:
            await go_on.wait()

        self.before = wait
        return go_on

    async def respond(self, message: Message, memory: list[Remembered], number: int) -> str:
        self.asked.append(message["content"])
        await self.before(message)
        return await TemplateResponder().respond(message, memory, number)


class Log(logging.Handler):
    """The log of the application, in the form that collectors get."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self._written: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._written.append(self.format(record))

    @property
    def text(self) -> str:
        return "\n".join(self._written)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._written]

    def messages(self, *, levels: Iterable[str] = (), of: str | None = None) -> list[str]:
        """Return the messages of these levels (all, if none is named), and of one correlation id if it is given."""
        wanted = set(levels)
        return [
            line["message"]
            for line in self.lines
            if (not wanted or line["level"] in wanted) and of in (None, line["correlation_id"])
        ]


def event(user: str = "user1", sequence: Any = 1, **changes: Any) -> dict[str, Any]:
    """Return a ConversationUpdated event."""
    return {
        "event_id": f"{user}-{sequence}",
        "sequence": sequence,
        "actor_id": user,
        "history_key": f"history-{user}",
        "actor_type": "ChatAgent",
        "event_type": "ConversationUpdated",
        "input": {"role": "user", "content": f"question {sequence}"},
        "output": {"role": "assistant", "content": f"answer {sequence}"},
        **changes,
    }


def cloud_event(data: object, **changes: Any) -> dict[str, Any]:
    """Return the CloudEvent that a broker sends around ``data``."""
    return {
        "specversion": "1.0",
        "id": "cloud-1",
        "source": "multi-actor",
        "type": "com.dapr.event.sent",
        "topic": "user-chat",
        "datacontenttype": "application/json",
        "data": data,
        **changes,
    }


async def send_by_hand(
    client: httpx.AsyncClient, method: str, path: str, chunks: Iterable[bytes], headers: Iterable[tuple[bytes, bytes]]
) -> tuple[int, int]:
    """Send a request straight into the application; return its status and how many of the chunks it read."""
    transport = client._transport
    assert isinstance(transport, httpx.ASGITransport | ServedTransport)
    waiting = list(chunks)
    total = len(waiting)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"test"), *headers],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    await transport.app(scope, receive, send)
    return int(sent[0]["status"]), total - len(waiting)
