"""State saved from one runtime and loaded into another."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autogen_core import AgentId, MessageContext, RoutedAgent, SingleThreadedAgentRuntime, message_handler


@dataclass
class Add:
    number: int


class Sum(RoutedAgent):
    def __init__(self) -> None:
        super().__init__("sum")
        self.total = 0

    @message_handler
    async def on_add(self, message: Add, ctx: MessageContext) -> int:
        self.total += message.number
        return self.total

    async def save_state(self) -> Mapping[str, Any]:
        return {"total": self.total}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        self.total = state["total"]


async def start() -> SingleThreadedAgentRuntime:
    runtime = SingleThreadedAgentRuntime()
    await Sum.register(runtime, "sum", Sum)
    runtime.start()
    return runtime


async def main() -> None:
    runtime = await start()
    for key, number in (("a", 1), ("b", 2), ("a", 3)):
        print(key, await runtime.send_message(Add(number), AgentId("sum", key)))
    state = await runtime.save_state()
    print(state, await runtime.agent_save_state(AgentId("sum", "b")))
    await runtime.stop()
    other = await start()
    await other.load_state(state)
    print(await other.send_message(Add(10), AgentId("sum", "a")))
    await other.agent_load_state(AgentId("sum", "b"), {"total": 100})
    print(await other.send_message(Add(10), AgentId("sum", "b")))
    await other.stop_when_idle()


asyncio.run(main())
