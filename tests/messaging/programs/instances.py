"""Agents that the program makes itself, async factories, and the context of making one."""

import asyncio
from dataclasses import dataclass

from autogen_core import (
    AgentId,
    AgentInstantiationContext,
    DefaultTopicId,
    MessageContext,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    TopicId,
    default_subscription,
    message_handler,
)


@dataclass
class Message:
    text: str


@default_subscription
class Agent(RoutedAgent):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name
        self.seen: list[str] = []

    @message_handler
    async def on_message_(self, message: Message, ctx: MessageContext) -> str:
        self.seen.append(message.text)
        return f"{self.name} {self.id}: {message.text}"


async def make() -> Agent:
    await asyncio.sleep(0)
    print(AgentInstantiationContext.is_in_factory_call(), AgentInstantiationContext.current_agent_id())
    return Agent("made")


async def main() -> None:
    runtime = SingleThreadedAgentRuntime()
    one, two = Agent("one"), Agent("two")
    await one.register_instance(runtime, AgentId("given", "one"))
    await two.register_instance(runtime, AgentId("given", "two"))
    await Agent.register(runtime, "made", make)
    runtime.start()
    print(await runtime.send_message(Message("hi"), AgentId("given", "one")))
    print(await runtime.send_message(Message("hi"), AgentId("made", "x")))
    await runtime.publish_message(Message("to two"), TopicId("given:", "two"))
    await runtime.publish_message(Message("to all"), DefaultTopicId())
    await runtime.stop_when_idle()
    print(one.seen, two.seen)
    print(AgentInstantiationContext.is_in_factory_call())
    try:
        await Agent.register(runtime, "made", make)
    except ValueError:
        print("registered already")
    await runtime.close()


asyncio.run(main())
