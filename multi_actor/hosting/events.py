"""The envelope of what is published, as both hosts write it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from multi_actor.logs import correlation_id


def cloud_event(data: Mapping[str, Any], *, event_id: str, source: str, **more: str) -> dict[str, Any]:
    """Return a CloudEvent with the type that Dapr gives its own, and the id of the request that caused it.

    https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
    """
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": source,
        "type": "com.dapr.event.sent",
        "datacontenttype": "application/json",
        "time": datetime.now(UTC).isoformat(),
        **more,
        "correlationid": correlation_id.get(),
        "data": data,
    }
