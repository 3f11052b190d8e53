"""One agent asks another one, and waits for its answer."""

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
class Message:
    """Some text."""

    content: str


class InnerAgent(RoutedAgent):
    """Answers."""

    @message_handler
    async def on_my_message(self, message: Message, ctx: MessageContext) -> Message:
        """Answer with what was said."""
        return Message(content=f"Hello from inner, {message.content}")


class OuterAgent(RoutedAgent):
    """Asks the inner agent of its own key."""

    def __init__(self, description: str, inner_agent_type: str) -> None:
        super().__init__(description)
        self.inner_agent_id = AgentId(inner_agent_type, self.id.key)

    @message_handler
    async def on_my_message(self, message: Message, ctx: MessageContext) -> None:
        """Ask, and print the answer."""
        print(f"Received message: {message.content}")
        response = await self.send_message(Message(f"Hello from outer, {message.content}"), self.inner_agent_id)
        print(f"Received inner response: {response.content}")


async def main(runtime: AgentRuntime) -> None:
    """Have the outer agent ask the inner one."""
    await runtime.register("inner_agent", lambda: InnerAgent("InnerAgent"))
    await runtime.register("outer_agent", lambda: OuterAgent("OuterAgent", "inner_agent"))
    runtime.start()
    await runtime.send_message(Message(content="Hello, World!"), AgentId("outer_agent", "default"))
    await runtime.stop_when_idle()


if __name__ == "__main__":
    asyncio.run(main(SingleThreadedAgentRuntime()))
