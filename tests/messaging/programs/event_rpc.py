"""Handlers of events, of requests, of both, with and without match."""

import asyncio
from dataclasses import dataclass

from autogen_core import (
    AgentId,
    MessageContext,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    TopicId,
    TypeSubscription,
    event,
    message_handler,
    rpc,
)

seen: list[str] = []


@dataclass
class Task:
    kind: str


@dataclass
class Plain:
    text: str


class Worker(RoutedAgent):
    def __init__(self) -> None:
        super().__init__("worker")

    @event
    async def on_event(self, message: Task, ctx: MessageContext) -> None:
        seen.append(f"event {message.kind}")

    @rpc(match=lambda message, ctx: message.kind == "special")
    async def on_a_special(self, message: Task, ctx: MessageContext) -> str:
        return "special"

    @rpc(match=lambda message, ctx: message.kind.startswith("s"))
    async def on_b_some(self, message: Task, ctx: MessageContext) -> str:
        return "some"

    @rpc
    async def on_c_other(self, message: Task, ctx: MessageContext) -> str:
        return "other"

    @message_handler(match=lambda message, ctx: message.text != "no", strict=False)
    async def on_both(self, message: Plain, ctx: MessageContext) -> str:
        seen.append(f"both {message.text} {ctx.is_rpc}")
        return "both"

    async def on_unhandled_message(self, message: object, ctx: MessageContext) -> None:
        seen.append(f"unhandled {message} {ctx.is_rpc}")


async def main() -> None:
    runtime = SingleThreadedAgentRuntime()
    await Worker.register(runtime, "worker", lambda: Worker())
    await runtime.add_subscription(TypeSubscription("tasks", "worker"))
    runtime.start()
    worker = AgentId("worker", "1")
    for kind in ("special", "some", "x"):
        print(kind, await runtime.send_message(Task(kind), worker))
    print(await runtime.send_message(Plain("yes"), worker))
    print(await runtime.send_message(Plain("no"), worker))
    await runtime.publish_message(Task("special"), TopicId("tasks", "1"))
    await runtime.publish_message(Plain("yes"), TopicId("tasks", "1"))
    await runtime.publish_message(Plain("no"), TopicId("tasks", "1"))
    await runtime.stop_when_idle()
    print("\n".join(sorted(seen)))


asyncio.run(main())
