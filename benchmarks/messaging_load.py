"""Load on one messaging library; ``messaging.py`` starts it for each, and asks for one measurement per input line.

``messaging_load.py autogen_core|multi_actor.messaging|floor [traced]``. A line in is a scenario's name and how many
messages; a line out is seconds, and seconds of CPU.
"""

import asyncio
import importlib
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

Scenario = Callable[[int], Awaitable[None]]


@dataclass
class Message:
    content: str


class Floor:
    """An asyncio queue with a future per message: the least that a request and its reply can cost."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[tuple[Message, asyncio.Future[Message]]] = asyncio.Queue()
        self._worker = asyncio.create_task(self._work())

    async def _work(self) -> None:
        while True:
            message, reply = await self._queue.get()
            reply.set_result(message)

    async def send(self) -> Message:
        reply: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait((Message("hello"), reply))
        return await reply


class Load:
    """A library with the names of autogen-core, its runtime and the scenarios that it goes through."""

    def __init__(self, library: str, *, traced: bool) -> None:
        self._library: Any = importlib.import_module(library)
        options = {"tracer_provider": _provider()} if traced else {}
        self._runtime = self._library.SingleThreadedAgentRuntime(**options)
        self.scenarios: dict[str, Scenario] = {
            "in sequence": lambda number: in_sequence(number, self._send),
            "1,000 at once": lambda number: at_once(number, self._send),
            **{f"publish to {subscribers}": partial(self._publish, subscribers) for subscribers in (1, 10, 100)},
        }

    async def start(self) -> None:
        library = self._library

        async def echo(self: Any, message: Message, ctx: Any) -> Message:  # noqa: ARG001
            return message

        async def sink(self: Any, message: Message, ctx: Any) -> None:
            pass

        echoing = type("Echo", (library.RoutedAgent,), {"echo": library.message_handler(echo)})
        sinking = type("Sink", (library.RoutedAgent,), {"sink": library.message_handler(sink)})
        await echoing.register(self._runtime, "echo", lambda: echoing("echo"))  # type: ignore[attr-defined]
        for subscribers in (1, 10, 100):
            for number in range(subscribers):
                name = f"sink{subscribers}-{number}"
                await sinking.register(self._runtime, name, lambda: sinking("sink"))  # type: ignore[attr-defined]
                await self._runtime.add_subscription(library.TypeSubscription(f"to{subscribers}", name))
        self._runtime.start()

    async def _send(self) -> Any:
        return await self._runtime.send_message(Message("hello"), self._library.AgentId("echo", "1"))

    async def _publish(self, subscribers: int, number: int) -> None:
        for _ in range(number // subscribers):
            topic_id = self._library.TopicId(f"to{subscribers}", "1")
            await self._runtime.publish_message(Message("hello"), topic_id)
        await self._runtime.stop_when_idle()
        self._runtime.start()


async def in_sequence(number: int, send: Callable[[], Awaitable[Any]]) -> None:
    for _ in range(number):
        await send()


async def at_once(number: int, send: Callable[[], Awaitable[Any]]) -> None:
    for _ in range(number // 1000):
        await asyncio.gather(*(send() for _ in range(1000)))


def _provider() -> Any:
    sdk = importlib.import_module("opentelemetry.sdk.trace")
    export = importlib.import_module("opentelemetry.sdk.trace.export")

    nowhere = type("Nowhere", (export.SpanExporter,), {"export": lambda *_: export.SpanExportResult.SUCCESS})
    provider = sdk.TracerProvider()
    provider.add_span_processor(export.BatchSpanProcessor(nowhere(), max_queue_size=100_000))
    return provider


async def main(library: str, *, traced: bool) -> None:
    if library == "floor":
        floor = Floor()
        scenarios: dict[str, Scenario] = {
            "in sequence": lambda number: in_sequence(number, floor.send),
            "1,000 at once": lambda number: at_once(number, floor.send),
        }
    else:
        load = Load(library, traced=traced)
        await load.start()
        scenarios = load.scenarios
    for line in sys.stdin:
        name, number = line.rsplit(maxsplit=1)
        began, cpu = time.perf_counter(), time.process_time()
        await scenarios[name](int(number))
        print(time.perf_counter() - began, time.process_time() - cpu, flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], traced="traced" in sys.argv))
