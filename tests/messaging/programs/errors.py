"""What goes wrong, and who hears of it."""

import asyncio
import logging
from dataclasses import dataclass

from autogen_core import (
    AgentId,
    MessageContext,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    TopicId,
    TypeSubscription,
    message_handler,
)
from autogen_core.exceptions import CantHandleException

logging.disable(logging.CRITICAL)


@dataclass
class Fail:
    why: str


class Failing(RoutedAgent):
    @message_handler
    async def on_fail(self, message: Fail, ctx: MessageContext) -> int:
        if message.why == "cannot":
            raise CantHandleException("cannot handle this")
        if message.why == "wrong":
            return "text"  # type: ignore
        raise ValueError(message.why)


def broken() -> Failing:
    raise RuntimeError("no such agent")


async def main() -> None:
    runtime = SingleThreadedAgentRuntime()
    await Failing.register(runtime, "failing", lambda: Failing("failing"))
    await Failing.register(runtime, "broken", broken)
    await runtime.add_subscription(TypeSubscription("fail", "failing"))
    runtime.start()
    for why in ("first", "cannot", "wrong"):
        try:
            await runtime.send_message(Fail(why), AgentId("failing", "1"))
        except CantHandleException as error:
            print("cannot handle:", error)
        except ValueError as error:
            print("value error", str(error) if why == "first" else "")
    for to in ("unknown", "broken"):
        try:
            await runtime.send_message(Fail("x"), AgentId(to, "1"))
        except Exception as error:
            print(to, isinstance(error, RuntimeError))
    await runtime.publish_message(Fail("nobody hears"), TopicId("fail", "1"))
    await asyncio.sleep(0.05)
    await runtime.stop()
    for bad in (lambda: AgentId("a b", "1"), lambda: TopicId("a b", "1"), lambda: AgentId.from_str("x")):
        try:
            bad()
        except ValueError:
            print("not an id")
    strict = SingleThreadedAgentRuntime(ignore_unhandled_exceptions=False)
    await Failing.register(strict, "failing", lambda: Failing("failing"))
    await strict.add_subscription(TypeSubscription("fail", "failing"))
    strict.start()
    await strict.publish_message(Fail("raised by the stop"), TopicId("fail", "1"))
    try:
        await strict.stop_when_idle()
    except ValueError as error:
        print(error)


asyncio.run(main())
