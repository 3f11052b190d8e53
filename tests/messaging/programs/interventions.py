"""Messages changed and dropped on their way; a runtime that stops when a handler has seen enough."""

import asyncio
from dataclasses import dataclass
from typing import Any

from autogen_core import (
    AgentId,
    DefaultInterventionHandler,
    DefaultTopicId,
    DropMessage,
    MessageContext,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    default_subscription,
    message_handler,
)
from autogen_core.exceptions import MessageDroppedException


@dataclass
class Message:
    content: str


@dataclass
class Termination:
    reason: str


class Handler(DefaultInterventionHandler):
    def __init__(self) -> None:
        self.reason: str | None = None

    async def on_send(self, message: Any, *, message_context: MessageContext, recipient: AgentId) -> Any:
        if message.content == "secret":
            return DropMessage
        return Message(message.content.upper())

    async def on_response(self, message: Any, *, sender: AgentId, recipient: AgentId | None) -> Any:
        return DropMessage() if message.content == "HIDDEN" else Message(f"{message.content} (seen)")

    async def on_publish(self, message: Any, *, message_context: MessageContext) -> Any:
        if isinstance(message, Termination):
            self.reason = f"{message.reason} by {message_context.sender}"
        return message

    @property
    def has_terminated(self) -> bool:
        return self.reason is not None


@default_subscription
class Agent(RoutedAgent):
    def __init__(self) -> None:
        super().__init__("agent")
        self.received = 0

    @message_handler
    async def on_message_(self, message: Message, ctx: MessageContext) -> Message | None:
        if ctx.is_rpc:
            return message
        self.received += 1
        if self.received == 3:
            await self.publish_message(Termination("enough"), DefaultTopicId())
        return None


async def main() -> None:
    handler = Handler()
    runtime = SingleThreadedAgentRuntime(intervention_handlers=[handler])
    await Agent.register(runtime, "agent", Agent)
    runtime.start()
    agent = AgentId("agent", "default")
    print(await runtime.send_message(Message("hello"), agent))
    for text in ("secret", "hidden"):
        try:
            await runtime.send_message(Message(text), agent)
        except MessageDroppedException as error:
            print(text, type(error).__name__)
    for number in range(3):
        await runtime.publish_message(Message(f"{number}"), DefaultTopicId())
    await runtime.stop_when(lambda: handler.has_terminated)
    print(handler.reason)


asyncio.run(main())
