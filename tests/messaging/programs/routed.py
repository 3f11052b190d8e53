"""Two message types, two agents, metadata and proxies."""

import asyncio
from dataclasses import dataclass

from autogen_core import AgentId, AgentProxy, MessageContext, RoutedAgent, SingleThreadedAgentRuntime, message_handler
from pydantic import BaseModel


@dataclass
class TextMessage:
    content: str
    source: str


class ImageMessage(BaseModel):
    url: str
    source: str


@dataclass
class Answer:
    content: str


class MyAgent(RoutedAgent):
    def __init__(self) -> None:
        super().__init__("My Agent")
        self.name = f"agent of {self.id.key}"

    @message_handler
    async def on_text(self, message: TextMessage, ctx: MessageContext) -> Answer:
        return Answer(f"{self.name}: text {message.content} from {message.source}, rpc {ctx.is_rpc}, {ctx.topic_id}")

    @message_handler
    async def on_image(self, message: ImageMessage, ctx: MessageContext) -> Answer | None:
        return Answer(f"{self.name}: image {message.url}") if message.url else None


class Outer(RoutedAgent):
    def __init__(self, inner: str) -> None:
        super().__init__("Outer")
        self.inner = AgentId(inner, self.id.key)

    @message_handler
    async def on_text(self, message: TextMessage | ImageMessage, ctx: MessageContext) -> Answer:
        answer = await self.send_message(message, self.inner, cancellation_token=ctx.cancellation_token)
        return Answer(f"outer got: {answer.content}")


async def main() -> None:
    runtime = SingleThreadedAgentRuntime()
    agent_type = await MyAgent.register(runtime, "my_agent", lambda: MyAgent())
    await Outer.register(runtime, "outer", lambda: Outer("my_agent"))
    print(agent_type.type)
    runtime.start()
    print(await runtime.send_message(TextMessage("hello", "User"), AgentId("my_agent", "default")))
    print(await runtime.send_message(ImageMessage(url="http://x", source="User"), AgentId(agent_type, "other")))
    print(await runtime.send_message(ImageMessage(url="", source="User"), AgentId("my_agent", "default")))
    print(await runtime.send_message(TextMessage("hi", "User"), AgentId("outer", "default")))
    proxy = AgentProxy(AgentId("my_agent", "default"), runtime)
    print(sorted((await proxy.metadata).items()))
    print(await proxy.send_message(TextMessage("by proxy", "User"), sender=AgentId("outer", "default")))
    agent = await runtime.try_get_underlying_agent_instance(AgentId("my_agent", "default"), type=MyAgent)
    print(agent.name, str(agent.id), agent.type)
    print(await runtime.get("my_agent"), await runtime.get(agent_type, "k"), await runtime.get(agent.id, lazy=False))
    await runtime.stop()


asyncio.run(main())
