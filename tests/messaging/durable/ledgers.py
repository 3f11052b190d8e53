"""Agents that keep books, as a program of its own that a test feeds, kills and starts again.

``python -m tests.messaging.durable.ledgers embedded STATE_FILE`` or ``… dapr PORT``, beside a sidecar. A line in is a
JSON command with an id; a line out is that id and the result, as JSON, once it is durable. The result is left out
where there is none now, and asking again may help.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn

from multi_actor.errors import RetryableError
from multi_actor.hosting.abc import ActorHost
from multi_actor.hosting.dapr import DaprHost
from multi_actor.hosting.embedded import EmbeddedHost
from multi_actor.hosting.sidecar import SidecarAddress
from multi_actor.hosting.stores import SqliteStore
from multi_actor.messaging import (
    AgentId,
    AgentRuntime,
    DaprAgentRuntime,
    MessageContext,
    RoutedAgent,
    TopicId,
    event,
    message_handler,
    rpc,
    type_subscription,
)
from multi_actor.sidecar_app import sidecar_app
from tests.support import wait_until


@dataclass
class Number:
    number: int


@dataclass
class Doubled:
    number: int


class Ledger(RoutedAgent):
    """Keeps every number that it gets, in the order of their coming."""

    def __init__(self) -> None:
        super().__init__("keeps numbers")
        self.numbers: list[int] = []

    async def save_state(self) -> Mapping[str, Any]:
        return {"numbers": self.numbers}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        self.numbers = list(state["numbers"])


class Entry(Ledger):
    """Publishes what it is sent; a number that is sent again, because nobody heard of the first time, once."""

    @rpc
    async def on_number(self, message: Number, ctx: MessageContext) -> int:
        if message.number not in self.numbers:
            self.numbers.append(message.number)
            await self.publish_message(message, TopicId("numbers", self.id.key))
        return len(self.numbers)


@type_subscription("numbers")
class First(Ledger):
    """Publishes the double of what it gets."""

    @event
    async def on_number(self, message: Number, ctx: MessageContext) -> None:
        self.numbers.append(message.number)
        await self.publish_message(Doubled(2 * message.number), TopicId("doubled", self.id.key))


@type_subscription("numbers")
class Second(Ledger):
    """Gets the same numbers as the first."""

    @event
    async def on_number(self, message: Number, ctx: MessageContext) -> None:
        self.numbers.append(message.number)


@type_subscription("doubled")
class Third(Ledger):
    """Gets what the first makes of them."""

    @message_handler
    async def on_doubled(self, message: Doubled, ctx: MessageContext) -> None:
        self.numbers.append(message.number)


LEDGERS: dict[str, type[Ledger]] = {"entry": Entry, "first": First, "second": Second, "third": Third}


async def register(runtime: AgentRuntime) -> None:
    """Register each kind of ledger under its name."""
    for name, ledger in LEDGERS.items():
        await ledger.register(runtime, name, ledger)


async def obey(runtime: DaprAgentRuntime, command: dict[str, Any]) -> Any:
    """Do what a line asks."""
    key, number = command["key"], command.get("number", 0)
    match command["do"]:
        case "send":
            return await runtime.send_message(Number(number), AgentId("entry", key))
        case "publish":
            topic = TopicId("numbers", key)
            await runtime.publish_message(Number(number), topic, message_id=command["message_id"])
            return None
        case "look":
            return {name: (await runtime.agent_save_state(AgentId(name, key)))["numbers"] for name in LEDGERS}


def tell(command: str, *result: Any) -> None:
    sys.stdout.write(json.dumps([command, *result]) + "\n")
    sys.stdout.flush()


async def serve(runtime: DaprAgentRuntime) -> None:
    """Obey until the end of the input; most tests do not wait for that."""

    async def answer(line: bytes) -> None:
        command = json.loads(line)
        try:
            tell(command["id"], await obey(runtime, command))
        except RetryableError:
            tell(command["id"])

    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    async with asyncio.TaskGroup() as group:
        tell("ready", None)
        async for line in commands:
            group.create_task(answer(line))


@asynccontextmanager
async def ledgers(host: ActorHost) -> AsyncIterator[DaprAgentRuntime]:
    """Run agents on a host."""
    runtime = DaprAgentRuntime(host)
    await register(runtime)
    async with runtime:
        yield runtime


async def on_embedded(path: str) -> None:
    async with ledgers(EmbeddedHost(SqliteStore(path))) as runtime:
        await serve(runtime)


def on_dapr(port: str) -> None:
    host = DaprHost(SidecarAddress.from_environment(), turn_timeout=10.0)

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        async with ledgers(host) as runtime:

            async def serve_when_ready() -> None:
                await wait_until(lambda: host.ready, description="the sidecar hosts actors", within=60)
                await serve(runtime)

            serving = asyncio.create_task(serve_when_ready())
            yield
            serving.cancel()

    uvicorn.run(sidecar_app(host, lifespan=lifespan), port=int(port), log_level="warning", access_log=False)


if __name__ == "__main__":
    match sys.argv[1:]:
        case "embedded", path:
            asyncio.run(on_embedded(path))
        case "dapr", port:
            on_dapr(port)
