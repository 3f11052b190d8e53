"""Events on both hosts: the envelope that they are published in, and how subscribers are asked."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from multi_actor.hosting.abc import CloudEvent, Delivery, Subscriber
from multi_actor.logs import correlation_id

_log = logging.getLogger(__name__)
_SECONDS = 5.0


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


async def ask(subscriber: Subscriber, event: CloudEvent) -> Delivery:
    """Return a subscriber's answer; it is ``RETRY`` where the subscriber raised."""
    try:
        return await subscriber(event)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task and task.cancelling():
            raise
        return Delivery.RETRY  # something that the subscriber awaited was cancelled, not the delivery
    except Exception:  # noqa: BLE001  # the delivery loop
        _log.exception("a subscriber of %a failed on event %a", event.get("topic"), event.get("id"))
        return Delivery.RETRY


async def _ask_within(seconds: float, subscriber: Subscriber, event: CloudEvent) -> Delivery:
    try:
        async with asyncio.timeout(seconds):
            return await ask(subscriber, event)
    except TimeoutError:
        _log.warning("a subscriber of %a took over %g s for event %a", event.get("topic"), seconds, event.get("id"))
        return Delivery.RETRY


async def ask_all(subscribers: Iterable[Subscriber], event: CloudEvent) -> Delivery:
    """Ask every subscriber, one after the other, for one answer: ``RETRY`` or else ``DROP`` where one says so.

    Each but the last has five seconds, then it is ``RETRY`` and the next one's turn. An event without subscribers is
    dropped.
    """
    asked = list(subscribers)
    answers = [await _ask_within(_SECONDS, subscriber, event) for subscriber in asked[:-1]]
    answers += [await ask(subscriber, event) for subscriber in asked[-1:]]
    if not answers:
        _log.warning("event %a dropped: nobody subscribes to its topic %a", event.get("id"), event.get("topic"))
        return Delivery.DROP
    return next((worst for worst in (Delivery.RETRY, Delivery.DROP) if worst in answers), Delivery.SUCCESS)
