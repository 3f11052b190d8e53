"""OpenTelemetry spans of a message's way, with the names that autogen-core gave them: dashboards go on working."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TypeAlias

from opentelemetry import trace
from opentelemetry.context import Context, get_current
from opentelemetry.trace import NoOpTracerProvider, ProxyTracerProvider, Span, SpanKind, TracerProvider

from multi_actor.messaging.ids import AgentId, TopicId

Destination: TypeAlias = AgentId | TopicId | str | None
_PRODUCING = {"create", "send", "publish"}
_OPERATION_TYPES = {"send": "publish", "intercept": "receive", "ack": "receive"}


class Tracing:
    """Makes the spans of one runtime; off, and nearly free, while no tracer is configured.

    That is looked up when the runtime starts: the given provider, else OpenTelemetry's global one.
    """

    def __init__(self, provider: TracerProvider | None) -> None:
        self._provider = provider
        self._tracer: trace.Tracer | None = None

    def start(self) -> bool:
        """Look for a tracer; return whether there is one."""
        provider = self._provider or trace.get_tracer_provider()
        nobody = isinstance(provider, ProxyTracerProvider | NoOpTracerProvider)
        self._tracer = None if nobody else provider.get_tracer("multi_actor.messaging")
        return not nobody

    def begin(
        self,
        operation: str,
        destination: Destination,
        parent: Context | None = None,
        attributes: Mapping[str, str] | None = None,
    ) -> Span | None:
        """Return a span that the caller ends; None while tracing is off."""
        if self._tracer is None:
            return None
        name = _name(destination)
        kind = SpanKind.PRODUCER if operation in _PRODUCING else SpanKind.CONSUMER
        operation_type = _OPERATION_TYPES.get(operation, operation)
        told = {"messaging.operation": operation_type, "messaging.destination": name, **(attributes or {})}
        return self._tracer.start_span(f"autogen {operation} {name}".rstrip(), parent, kind, told)

    @contextmanager
    def span(
        self,
        operation: str,
        destination: Destination,
        parent: Context | None = None,
        attributes: Mapping[str, str] | None = None,
    ) -> Iterator[Context | None]:
        """Do what is done inside in a span; yields the context for what it causes elsewhere."""
        span = self.begin(operation, destination, parent, attributes)
        if span is None:
            yield None
            return
        with trace.use_span(span, end_on_exit=True):
            yield get_current()

    @contextmanager
    def handling(
        self, agent_id: AgentId, agent_class: str, sender: AgentId | None, parent: Context | None, *, direct: bool
    ) -> Iterator[None]:
        """Have a message handled inside; ``parent`` is the context of its sending."""
        attributes = {"recipient_agent_type": agent_id.type, "recipient_agent_class": agent_class}
        if sender is not None:
            attributes["sender_agent_type"] = sender.type
        with (
            self.span("send", agent_id, parent) if direct else nullcontext(parent) as parent_of_all,
            self.span("process", agent_id, parent_of_all, attributes),
        ):
            yield


def type_of(message: object) -> dict[str, str]:
    """Return the attribute that tells a message's type; what it says is not for traces."""
    return {"messaging.message.type": type(message).__name__}


def _name(destination: Destination) -> str:
    if isinstance(destination, AgentId):
        return f"{destination.type}.({destination.key})-A"
    if isinstance(destination, TopicId):
        return f"{destination.type}.({destination.source})-T"
    return destination or ""
