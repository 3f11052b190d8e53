"""One agent publishes what it was sent; another one, which is subscribed, receives it."""

import asyncio
from dataclasses import dataclass

from multi_actor.messaging import (
    AgentId,
    AgentRuntime,
    MessageContext,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    TopicId,
    message_handler,
    type_subscription,
)


@dataclass
class Message:
    """Some text."""

    content: str


class BroadcastingAgent(RoutedAgent):
    """Publishes what it is sent, with its own key as the topic's source."""

    @message_handler
    async def on_my_message(self, message: Message, ctx: MessageContext) -> None:
        """Publish."""
        topic = TopicId("default", self.id.key)
        await self.publish_message(Message(f"Publishing a message: {message.content}!"), topic_id=topic)


@type_subscription("default")
class ReceivingAgent(RoutedAgent):
    """Prints what is published on ``default``."""

    @message_handler
    async def on_my_message(self, message: Message, ctx: MessageContext) -> None:
        """Print."""
        print(f"Received a message: {message.content}")


async def main(runtime: AgentRuntime, *, stop_when_idle: bool = True) -> None:
    """Broadcast once; ``stop`` delivers what was published, too."""
    await BroadcastingAgent.register(runtime, "broadcasting_agent", lambda: BroadcastingAgent("Broadcasting Agent"))
    await ReceivingAgent.register(runtime, "receiving_agent", lambda: ReceivingAgent("Receiving Agent"))
    runtime.start()
    await runtime.send_message(Message("Hello, World!"), AgentId("broadcasting_agent", "default"))
    if stop_when_idle:
        await runtime.stop_when_idle()
    else:
        await runtime.stop()


if __name__ == "__main__":
    asyncio.run(main(SingleThreadedAgentRuntime()))
