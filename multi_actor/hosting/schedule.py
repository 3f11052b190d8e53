"""When reminders and timers tick: due times, periods and time-to-live as Dapr reads them.

Go durations (``1h30m``, ``500ms``, ``0h0m5s0ms0μs``), ISO 8601 durations (``PT5S``) with repetitions
(``R3/PT5S``), RFC 3339 times. https://docs.dapr.io/reference/api/actors_api/#create-actor-reminder
"""

import json
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from pydantic import TypeAdapter, ValidationError

from multi_actor.errors import InvalidDurationError

_GO_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9}
_GO_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(h|ms|us|µs|μs|ns|m|s)", re.ASCII)
_REPETITIONS = re.compile(r"R(\d+)(?:/|$)", re.ASCII)
_iso_duration = TypeAdapter(timedelta)
_rfc3339 = TypeAdapter(datetime)


@dataclass(frozen=True, slots=True)
class Period:
    """Time between two ticks, in seconds, and how many ticks there are in all (None: no end)."""

    seconds: float
    repetitions: int | None = None


def seconds_of(text: str) -> float:
    """Read a duration as seconds; an empty one is 0.

    Raises:
        InvalidDurationError: neither Go's nor ISO 8601's, or negative.
    """
    if text in ("", "0"):
        return 0.0
    if text.startswith("P"):
        try:
            return _iso_duration.validate_strings(text).total_seconds()
        except ValidationError:
            raise InvalidDurationError(text) from None
    parts = _GO_PART.findall(text)
    if "".join(number + unit for number, unit in parts) != text:
        raise InvalidDurationError(text)
    return sum(float(number) * _GO_UNITS[unit] for number, unit in parts)


def moment_of(text: str | None, *, now: float) -> float:
    """Read a duration from ``now``, or an RFC 3339 time, as seconds since the epoch."""
    try:
        return now + seconds_of(text or "")
    except InvalidDurationError:
        try:
            moment = _rfc3339.validate_strings(text)
        except ValidationError:
            raise InvalidDurationError(str(text)) from None
        # Dapr wants a zone; without one the text is taken as UTC.
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def period_of(text: str | None) -> Period | None:
    """Read a period; None where there is one tick only.

    Raises:
        InvalidDurationError: it is no duration, or repeats without time between.
    """
    if not text:
        return None
    repetitions = _REPETITIONS.match(text)
    seconds = seconds_of(text[repetitions.end() :] if repetitions else text)
    if repetitions is None:
        return Period(seconds) if seconds else None
    count = int(repetitions[1])
    if count > 1 and not seconds:
        raise InvalidDurationError(text)
    return Period(seconds, count) if count > 1 else None


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a reminder or timer ticks; times are seconds since the epoch."""

    due: float
    period: Period | None
    expires: float | None

    @classmethod
    def of(cls, body: dict[str, Any], *, now: float) -> Self:
        """Read Dapr's ``dueTime``, ``period`` and ``ttl`` of a registration made ``now``.

        Raises:
            InvalidDurationError: one of them cannot be read.
        """
        return cls(
            due=moment_of(body.get("dueTime"), now=now),
            period=period_of(body.get("period")),
            expires=moment_of(body["ttl"], now=now) if body.get("ttl") else None,
        )

    def is_over(self, *, now: float) -> bool:
        """Whether no tick may come any more, a late one included."""
        return self.expires is not None and now > self.expires

    def next_due(self, due: float, fired: int, *, now: float) -> float | None:
        """Return the tick after the one that was ``due``, or None; ticks that ``now`` has passed count as one."""
        if self.period is None or (self.period.repetitions is not None and fired >= self.period.repetitions):
            return None
        missed = max(0, math.floor((now - due) / self.period.seconds))
        tick = due + (missed + 1) * self.period.seconds
        return None if self.expires is not None and tick > self.expires else tick


def read_registration(data: bytes) -> dict[str, Any]:
    """Read the JSON of a reminder's or timer's registration.

    Raises:
        ValueError: it is no JSON object.
    """
    body = json.loads(data)
    if not isinstance(body, dict):
        raise TypeError("a registration is a JSON object")
    return body
