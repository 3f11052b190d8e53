"""A token cancels what is linked to it, through an agent that passes it on."""

import asyncio
from dataclasses import dataclass

from autogen_core import (
    AgentId,
    CancellationToken,
    MessageContext,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    message_handler,
)

seen: list[str] = []


@dataclass
class Ask:
    text: str


class Slow(RoutedAgent):
    def __init__(self) -> None:
        super().__init__("slow")

    @message_handler
    async def on_ask(self, message: Ask, ctx: MessageContext) -> Ask:
        seen.append("slow called")
        sleep = asyncio.ensure_future(asyncio.sleep(100))
        ctx.cancellation_token.link_future(sleep)
        try:
            await sleep
            return message
        except asyncio.CancelledError:
            seen.append("slow cancelled")
            raise


class Nesting(RoutedAgent):
    def __init__(self, inner: AgentId) -> None:
        super().__init__("nesting")
        self.inner = inner

    @message_handler
    async def on_ask(self, message: Ask, ctx: MessageContext) -> Ask:
        seen.append("nesting called")
        try:
            return await self.send_message(message, self.inner, cancellation_token=ctx.cancellation_token)
        except asyncio.CancelledError:
            seen.append("nesting cancelled")
            raise


async def main() -> None:
    runtime = SingleThreadedAgentRuntime()
    await Slow.register(runtime, "slow", Slow)
    await Nesting.register(runtime, "nesting", lambda: Nesting(AgentId("slow", "default")))
    runtime.start()
    token = CancellationToken()
    asked = asyncio.create_task(
        runtime.send_message(Ask("x"), AgentId("nesting", "default"), cancellation_token=token)
    )
    while len(seen) < 2:
        await asyncio.sleep(0.01)
    print(token.is_cancelled())
    token.cancel()
    try:
        await asked
    except asyncio.CancelledError:
        print("cancelled", token.is_cancelled())
    await asyncio.sleep(0.1)
    print(sorted(seen))
    await runtime.stop()


asyncio.run(main())
