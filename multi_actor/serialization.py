"""Plain JSON between and inside actors.

The SDK's default serializer guesses types from text: ``"5m"`` comes back as a timedelta, ``"2024-01-15"`` as a
datetime. Here text stays text; what JSON lacks (times, durations, bytes) is written as text and comes back as text.
"""

import base64
import json
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from dapr.serializers import Serializer
from dapr.serializers.util import convert_to_dapr_duration
from pydantic_core import PydanticSerializationError, from_json, to_json


def _other(value: object) -> str:
    if isinstance(value, timedelta):
        return str(convert_to_dapr_duration(value))
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not JSON")


# Reads and writes what the fast codec does not: Go durations and lone surrogates.
_encode = json.JSONEncoder(separators=(",", ":"), default=_other).encode


def write_json(value: object) -> bytes:
    """Write UTF-8 JSON, four to eight times as fast as ``json.dumps``.

    Raises:
        TypeError: ``value`` holds something that has no JSON form.
    """
    # A timer's or reminder's registration is the one document whose durations Dapr reads: it wants Go's.
    if not (isinstance(value, dict) and "dueTime" in value):
        try:
            return to_json(value, bytes_mode="base64")
        except PydanticSerializationError:
            pass
    return _encode(value).encode()


def read_json(data: bytes | str) -> Any:
    """Read JSON as Python's own types.

    Raises:
        ValueError: ``data`` is not JSON.
    """
    try:
        return from_json(data)
    except ValueError:
        return json.loads(data)


def read_object(data: object) -> dict[str, Any] | None:
    """Return a JSON object, which may come as its text; None of whatever else there is."""
    if isinstance(data, bytes | str):
        try:
            data = read_json(data)
        except (ValueError, RecursionError):
            return None
    return data if isinstance(data, dict) else None


class PlainJSONSerializer(Serializer):
    """JSON and nothing else; timedeltas are written as Go durations, bytes as base64, for timers and reminders."""

    def serialize(self, obj: object, custom_hook: Callable[[object], bytes] | None = None) -> bytes:
        """As ``write_json``."""
        return write_json(custom_hook(obj) if custom_hook else obj)

    def deserialize(
        self,
        data: bytes,
        data_type: type | None = object,  # noqa: ARG002  # the SDK's signature; types are never coerced
        custom_hook: Callable[[bytes], object] | None = None,
    ) -> Any:
        """As ``read_json``."""
        value = read_json(data)
        return custom_hook(value) if custom_hook else value
