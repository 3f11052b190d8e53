"""The structured log."""

import asyncio
import json
import logging
from dataclasses import dataclass

from autogen_core import (
    EVENT_LOGGER_NAME,
    AgentId,
    DefaultTopicId,
    MessageContext,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    default_subscription,
    message_handler,
)
from autogen_core.logging import MessageEvent


class Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if isinstance(record.msg, MessageEvent):
            told = record.msg.kwargs
            print(json.loads(str(record.msg))["type"], told["kind"], told["delivery_stage"], told["sender"], told["receiver"])
            print(json.loads(told["payload"]) if told["payload"].startswith("{") else "-")


logger = logging.getLogger(EVENT_LOGGER_NAME)
logger.setLevel(logging.INFO)
logger.addHandler(Handler())


@dataclass
class Message:
    text: str


@default_subscription
class Agent(RoutedAgent):
    @message_handler
    async def on_message_(self, message: Message, ctx: MessageContext) -> Message | None:
        return message if ctx.is_rpc else None


async def main() -> None:
    runtime = SingleThreadedAgentRuntime()
    await Agent.register(runtime, "agent", lambda: Agent("agent"))
    runtime.start()
    await runtime.send_message(Message("hi"), AgentId("agent", "1"))
    await runtime.publish_message(Message("all"), DefaultTopicId())
    await runtime.stop_when_idle()


asyncio.run(main())
