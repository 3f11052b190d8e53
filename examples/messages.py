"""One agent with a handler for each of two message types."""

import asyncio
from dataclasses import dataclass

from multi_actor.messaging import (
    AgentId,
    AgentRuntime,
    MessageContext,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    message_handler,
)


@dataclass
class TextMessage:
    """What somebody said."""

    content: str
    source: str


@dataclass
class ImageMessage:
    """A picture that somebody sent."""

    url: str
    source: str


class MyAgent(RoutedAgent):
    """Greets whoever sends it something."""

    @message_handler
    async def on_text_message(self, message: TextMessage, ctx: MessageContext) -> None:
        """Greet somebody who said something."""
        print(f"Hello, {message.source}, you said {message.content}!")

    @message_handler
    async def on_image_message(self, message: ImageMessage, ctx: MessageContext) -> None:
        """Greet somebody who sent a picture."""
        print(f"Hello, {message.source}, you sent me {message.url}!")


async def main(runtime: AgentRuntime) -> None:
    """Send one message of each type."""
    await runtime.register("my_agent", lambda: MyAgent("My Agent"))
    runtime.start()
    agent = AgentId("my_agent", "default")
    await runtime.send_message(TextMessage(content="Hello, World!", source="User"), agent)
    await runtime.send_message(ImageMessage(url="https://example.com/image.jpg", source="User"), agent)
    await runtime.stop_when_idle()


if __name__ == "__main__":
    asyncio.run(main(SingleThreadedAgentRuntime()))
