"""An OpenTelemetry tracer that keeps its spans where a test can read them."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags

_ids = itertools.count(1)


class RecordedSpan(NonRecordingSpan):
    """Remembers what it was told."""

    def __init__(
        self, provider: "RecordingProvider", name: str, parent: Context | None, kind: SpanKind, told: Any
    ) -> None:
        above = trace.get_current_span(parent).get_span_context()
        trace_id = above.trace_id if above.is_valid else next(_ids)
        super().__init__(SpanContext(trace_id, next(_ids), is_remote=False, trace_flags=TraceFlags(1)))
        self.provider = provider
        provider.begun += 1
        self.name = name
        self.parent = above.span_id if above.is_valid else None
        self.kind = kind
        self.attributes = dict(told or {})
        self.errors: list[BaseException] = []

    @property
    def id(self) -> int:
        return self.get_span_context().span_id

    @property
    def trace_id(self) -> int:
        return self.get_span_context().trace_id

    def is_recording(self) -> bool:
        return True

    def record_exception(self, exception: BaseException, *_: Any, **__: Any) -> None:
        self.errors.append(exception)

    def end(self, end_time: int | None = None) -> None:
        self.provider.ended.append(self)


class RecordingTracer(trace.Tracer):
    def __init__(self, provider: "RecordingProvider") -> None:
        self._provider = provider

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Any = None,
        *_: Any,
        **__: Any,
    ) -> RecordedSpan:
        return RecordedSpan(self._provider, name, context, kind, attributes)

    @contextmanager
    def _as_current(self, name: str, *args: Any, **options: Any) -> Iterator[trace.Span]:
        with trace.use_span(self.start_span(name, *args, **options), end_on_exit=True) as span:
            yield span

    start_as_current_span = _as_current  # type: ignore[assignment]


class RecordingProvider(trace.TracerProvider):
    """``ended`` are the spans, in the order of their ends; ``begun`` is how many there should be."""

    def __init__(self) -> None:
        self.ended: list[RecordedSpan] = []
        self.begun = 0

    def get_tracer(self, *_: Any, **__: Any) -> RecordingTracer:
        return RecordingTracer(self)

    def names(self) -> list[str]:
        return [span.name for span in self.ended]

    def named(self, name: str) -> RecordedSpan:
        (span,) = (span for span in self.ended if span.name == name)
        return span
