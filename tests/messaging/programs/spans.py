"""The spans of a delivery, by their names, kinds and attributes."""

import asyncio
from dataclasses import dataclass
from typing import Any

from autogen_core import (
    AgentId,
    DefaultTopicId,
    MessageContext,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    default_subscription,
    message_handler,
)
from opentelemetry import trace
from opentelemetry.trace import INVALID_SPAN_CONTEXT, NonRecordingSpan

ended: list[str] = []


class Span(NonRecordingSpan):
    def __init__(self, name: str, kind: trace.SpanKind, attributes: Any) -> None:
        super().__init__(INVALID_SPAN_CONTEXT)
        told = {name: value for name, value in attributes.items() if name.startswith("messaging.")}
        self.text = f"{name.rstrip()} {kind.name} {told}"

    def end(self, end_time: int | None = None) -> None:
        ended.append(self.text)


class Tracer(trace.Tracer):
    def start_span(self, name, context=None, kind=None, attributes=None, *_, **__) -> Span:  # type: ignore
        return Span(name, kind, attributes)

    @trace._agnosticcontextmanager
    def start_as_current_span(self, name, context=None, kind=None, attributes=None, *_, **__):  # type: ignore
        with trace.use_span(self.start_span(name, context, kind, attributes), end_on_exit=True) as span:
            yield span


class Provider(trace.TracerProvider):
    def get_tracer(self, *_: Any, **__: Any) -> Tracer:
        return Tracer()


@dataclass
class Message:
    text: str


@default_subscription
class Agent(RoutedAgent):
    @message_handler
    async def on_message_(self, message: Message, ctx: MessageContext) -> Message | None:
        return message if ctx.is_rpc else None


class Outer(RoutedAgent):
    @message_handler
    async def on_message_(self, message: Message, ctx: MessageContext) -> Message:
        return await self.send_message(message, AgentId("agent", self.id.key))


async def main() -> None:
    runtime = SingleThreadedAgentRuntime(tracer_provider=Provider())
    await Agent.register(runtime, "agent", lambda: Agent("agent"))
    await Outer.register(runtime, "outer", lambda: Outer("outer"))
    runtime.start()
    await runtime.send_message(Message("hi"), AgentId("outer", "1"))
    await runtime.stop_when_idle()
    print("\n".join(sorted(ended)))
    ended.clear()
    runtime.start()
    await runtime.publish_message(Message("hi"), DefaultTopicId())
    await runtime.stop_when_idle()
    print("\n".join(ended))


asyncio.run(main())
