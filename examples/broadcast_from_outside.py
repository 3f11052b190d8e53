"""The runtime publishes; of the two subscribed agents one publishes in its turn, and does not hear itself."""

import asyncio
from dataclasses import dataclass

from multi_actor.messaging import (
    AgentRuntime,
    DefaultTopicId,
    MessageContext,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    default_subscription,
    message_handler,
)


@dataclass
class Message:
    """Some text."""

    content: str


@default_subscription
class BroadcastingAgent(RoutedAgent):
    """Publishes what it receives, on the topic of its own key."""

    @message_handler
    async def on_my_message(self, message: Message, ctx: MessageContext) -> None:
        """Publish."""
        await self.publish_message(Message(f"Publishing a message: {message.content}!"), DefaultTopicId())


@default_subscription
class ReceivingAgent(RoutedAgent):
    """Prints what is published."""

    @message_handler
    async def on_my_message(self, message: Message, ctx: MessageContext) -> None:
        """Print."""
        print(f"Received a message: {message.content}")


async def main(runtime: AgentRuntime) -> None:
    """Publish one message from outside of any agent."""
    await BroadcastingAgent.register(runtime, "broadcasting_agent", lambda: BroadcastingAgent("Broadcasting Agent"))
    await ReceivingAgent.register(runtime, "receiving_agent", lambda: ReceivingAgent("Receiving Agent"))
    runtime.start()
    await runtime.publish_message(Message("Hello, World! From the runtime!"), topic_id=DefaultTopicId())
    await runtime.stop_when_idle()


if __name__ == "__main__":
    asyncio.run(main(SingleThreadedAgentRuntime()))
