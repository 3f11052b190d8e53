"""A closure brings results out of the runtime."""

import asyncio
from dataclasses import dataclass

from autogen_core import (
    AgentId,
    ClosureAgent,
    ClosureContext,
    DefaultTopicId,
    MessageContext,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    TopicId,
    TypeSubscription,
    default_subscription,
    message_handler,
)


@dataclass
class Question:
    text: str


@dataclass
class Result:
    text: str


@default_subscription
class Answering(RoutedAgent):
    def __init__(self) -> None:
        super().__init__("answering")

    @message_handler
    async def on_question(self, message: Question, ctx: MessageContext) -> None:
        await self.publish_message(Result(message.text.upper()), TopicId("results", self.id.key))


async def main() -> None:
    results: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    async def collect(agent: ClosureContext, message: Result, ctx: MessageContext) -> None:
        await results.put((str(agent.id), message.text))

    async def echo(agent: ClosureContext, message: Result | Question, ctx: MessageContext) -> str:
        return f"{message.text} {message.text}"

    runtime = SingleThreadedAgentRuntime()
    await Answering.register(runtime, "answering", Answering)
    await ClosureAgent.register_closure(
        runtime, "collect", collect, subscriptions=lambda: [TypeSubscription("results", "collect")]
    )
    await ClosureAgent.register_closure(runtime, "echo", echo, unknown_type_policy="error")
    runtime.start()
    for text in ("a", "b", "c"):
        await runtime.publish_message(Question(text), DefaultTopicId())
    print(await runtime.send_message(Question("twice"), AgentId("echo", "x")))
    await runtime.stop_when_idle()
    print(sorted([results.get_nowait() for _ in range(3)]))


asyncio.run(main())
