"""A writer and a reviewer who work on a task until the reviewer approves."""

import asyncio
from dataclasses import dataclass, field

from autogen_core import (
    DefaultTopicId,
    MessageContext,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    TopicId,
    default_subscription,
    message_handler,
)


@dataclass
class Task:
    text: str


@dataclass
class Draft:
    session: str
    text: str
    versions: list[str] = field(default_factory=list)


@dataclass
class Review:
    session: str
    approved: bool
    text: str


@dataclass
class Result:
    text: str
    versions: int


results: list[str] = []


@default_subscription
class Writer(RoutedAgent):
    def __init__(self) -> None:
        super().__init__("A writer.")
        self._versions: dict[str, list[str]] = {}

    @message_handler
    async def handle_task(self, message: Task, ctx: MessageContext) -> None:
        session = f"session {message.text}"
        self._versions[session] = [message.text]
        await self.publish_message(Draft(session, message.text), topic_id=DefaultTopicId())

    @message_handler
    async def handle_review(self, message: Review, ctx: MessageContext) -> None:
        versions = self._versions[message.session]
        if message.approved:
            await self.publish_message(Result(versions[-1], len(versions)), topic_id=DefaultTopicId())
            return
        versions.append(f"{versions[-1]}!")
        await self.publish_message(Draft(message.session, versions[-1], versions), topic_id=DefaultTopicId())


@default_subscription
class Reviewer(RoutedAgent):
    def __init__(self) -> None:
        super().__init__("A reviewer.")

    @message_handler
    async def handle_draft(self, message: Draft, ctx: MessageContext) -> None:
        review = Review(message.session, message.text.endswith("!!!"), message.text)
        await self.publish_message(review, topic_id=DefaultTopicId())


@default_subscription
class Output(RoutedAgent):
    @message_handler
    async def handle_result(self, message: Result, ctx: MessageContext) -> None:
        results.append(f"{message.text} after {message.versions} for {ctx.sender}")


async def main() -> None:
    runtime = SingleThreadedAgentRuntime()
    await Writer.register(runtime, "writer", lambda: Writer())
    await Reviewer.register(runtime, "reviewer", lambda: Reviewer())
    await Output.register(runtime, "output", lambda: Output("Output"))
    runtime.start()
    for number in range(3):
        await runtime.publish_message(Task(f"task {number}"), TopicId("default", f"user{number}"))
    await runtime.stop_when_idle()
    print("\n".join(sorted(results)))


asyncio.run(main())
