"""Tracing: a message's way is spans of one trace, by the names that autogen-core gave them."""

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind

from multi_actor.messaging import DefaultInterventionHandler, MessageContext
from tests.messaging.harness import Do, Harness, Probe
from tests.messaging.spans import RecordingProvider


@pytest.fixture
def spans() -> RecordingProvider:
    return RecordingProvider()


async def test_a_direct_message_is_one_trace(harness: Harness, spans: RecordingProvider) -> None:
    """Created, sent, processed, and its reply acknowledged."""
    await harness.start("a", tracer_provider=spans)
    await harness.do("a/1", text="secret")
    await harness.idle()
    assert spans.names() == [
        "autogen process a.(1)-A",
        "autogen send a.(1)-A",
        "autogen ack",
        "autogen create a.(1)-A",
    ]
    process, send, ack, create = spans.ended
    assert create.parent is None
    assert [ack.parent, send.parent, process.parent] == [create.id, create.id, send.id]
    assert {span.trace_id for span in spans.ended} == {create.trace_id}
    assert [span.kind for span in spans.ended] == [SpanKind.CONSUMER, SpanKind.PRODUCER] * 2
    assert create.attributes == {
        "messaging.operation": "create",
        "messaging.destination": "a.(1)-A",
        "messaging.message.type": "Do",
    }
    assert process.attributes["recipient_agent_class"] == "Probe"
    assert "secret" not in str([span.attributes for span in spans.ended])


async def test_a_published_message_is_one_trace(harness: Harness, spans: RecordingProvider) -> None:
    """Created, published, and processed by each receiver."""
    await harness.start("a", "b", topics=[("news", "a"), ("news", "b")], tracer_provider=spans)
    await harness.tell("news/1")
    await harness.idle()
    assert sorted(spans.names()) == [
        "autogen create news.(1)-T",
        "autogen process a.(1)-A",
        "autogen process b.(1)-A",
        "autogen publish news.(1)-T",
    ]
    publish = spans.named("autogen publish news.(1)-T")
    assert publish.parent == spans.named("autogen create news.(1)-T").id
    assert {span.parent for span in spans.ended if "process" in span.name} == {publish.id}
    assert spans.ended[-1] is publish


async def test_what_a_handler_causes_belongs_to_its_trace(harness: Harness, spans: RecordingProvider) -> None:
    """Spans of its own, messages that it sends, messages that it publishes, and all that comes of those."""

    @harness.can
    async def cause(probe: Probe, message: Do, ctx: MessageContext) -> None:
        with spans.get_tracer().start_as_current_span("its own"):
            await probe.do("b/1", "nothing")
        await probe.tell("news/1", "nothing")

    await harness.start("a", "b", "c", topics=[("news", "c")], tracer_provider=spans)
    with spans.get_tracer().start_as_current_span("the caller's"):
        await harness.do("a/1", "cause")
    await harness.idle()
    assert len({span.trace_id for span in spans.ended}) == 1
    assert spans.named("autogen create a.(1)-A").parent == spans.named("the caller's").id
    assert spans.named("its own").parent == spans.named("autogen process a.(1)-A").id
    assert spans.named("autogen create b.(1)-A").parent == spans.named("its own").id
    assert spans.named("autogen create news.(1)-T").parent == spans.named("autogen process a.(1)-A").id
    assert spans.named("autogen process c.(1)-A").attributes["sender_agent_type"] == "a"


async def test_an_error_is_recorded(harness: Harness, spans: RecordingProvider) -> None:
    """On each span that it passes."""

    @harness.can
    async def fail(probe: Probe, message: Do, ctx: MessageContext) -> None:
        raise ValueError("no")

    await harness.start("a", tracer_provider=spans)
    with pytest.raises(ValueError, match="no"):
        await harness.do("a/1", "fail")
    assert [type(span.errors[0]) for span in spans.ended] == [ValueError] * 3


async def test_interventions_have_spans(harness: Harness, spans: RecordingProvider) -> None:
    """By the name of the handler's class."""
    await harness.start("a", tracer_provider=spans, intervention_handlers=[DefaultInterventionHandler()])
    await harness.do("a/1")
    assert spans.names().count("autogen intercept DefaultInterventionHandler") == 2


async def test_a_topic_of_nobodys_leaves_no_span_open(harness: Harness, spans: RecordingProvider) -> None:
    """Publishing ends there."""
    await harness.start("a", tracer_provider=spans)
    await harness.tell("nobody/1")
    await harness.idle()
    assert "autogen create nobody.(1)-T" in spans.names()
    assert len(spans.ended) == spans.begun


async def test_the_global_tracer_is_used_if_none_is_given(
    harness: Harness, spans: RecordingProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is when the runtime starts."""
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: spans)
    await harness.start("a")
    await harness.do("a/1")
    assert len(spans.ended) == 4
