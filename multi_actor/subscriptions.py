"""Topic → event type → model and handlers: how what comes back from the broker reaches the actors.

One subscriber answers for a topic, on either host: over ``POST /subscribe`` on Dapr, directly on the embedded host.
"""

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dapr.actor import ActorId, ActorProxy
from dapr.actor.client.proxy import ActorFactoryBase
from pydantic import BaseModel, ValidationError

from multi_actor.contracts import MEMORY, USER_CHAT, ConversationUpdated, MemoryAgentInterface
from multi_actor.hosting.abc import ActorCallError, CloudEvent, Delivery
from multi_actor.logs import correlation_id
from multi_actor.messaging.wire import is_envelope
from multi_actor.serialization import read_object

_log = logging.getLogger(__name__)

Handler = Callable[[Mapping[str, Any]], Awaitable[None]]
"""Takes one event in. When it raises the event is delivered again: a bug may be gone with the next release."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """What to do with one type of event: its shape, and who takes it in, each at least once."""

    topic: str
    event_type: str
    model: type[BaseModel]
    handlers: tuple[Handler, ...]


@dataclass(slots=True)
class Subscriptions:
    """The table, and the answer that it gives to each event."""

    table: tuple[Subscription, ...]
    dead_letters: Counter[str] = field(default_factory=Counter)
    """Dead letters received since the start, per topic; ``-`` for those of topics that are not ours."""

    def topics(self) -> frozenset[str]:
        """Return the topics to subscribe to."""
        return frozenset(row.topic for row in self.table)

    async def deliver(self, envelope: CloudEvent) -> Delivery:
        """Hand an event to its handlers; ``DROP`` what can never be processed."""
        data = event_data(envelope)
        if is_envelope(data):  # one agent's message to others on the same topic
            return Delivery.SUCCESS
        event_type = data.get("event_type") if data else None
        row = next((row for row in self.table if row.event_type == event_type), None)
        if data is None or row is None:
            _log.warning("event %s dropped: no data of a known type", _shown(envelope.get("id")))
            return Delivery.DROP
        try:
            row.model.model_validate(data)
        except ValidationError as error:
            fields = sorted({".".join(map(str, problem["loc"])) for problem in error.errors()})
            _log.warning("event %s dropped: bad %s", _shown(envelope.get("id")), ", ".join(fields))
            return Delivery.DROP
        _log.info("Received event for %s", data["actor_id"])
        try:
            for handler in row.handlers:
                await handler(data)
        except ActorCallError as error:
            _log.warning("event %s for %s failed: %s", data["event_id"], data["actor_id"], error)
            return Delivery.RETRY
        return Delivery.SUCCESS

    async def bury(self, envelope: CloudEvent) -> Delivery:
        """Log a dead letter with its ids and count it."""
        data = event_data(envelope) or {}
        topic = _shown(envelope.get("topic"))
        self.dead_letters[topic if topic in self.topics() else "-"] += 1
        _log.error(
            "dead letter %s of %s: event %s for %s",
            _shown(envelope.get("id")),
            topic,
            _shown(data.get("event_id")),
            _shown(data.get("actor_id")),
        )
        return Delivery.SUCCESS


def conversation_subscriptions(proxies: ActorFactoryBase) -> Subscriptions:
    """Return the service's table: every turn goes to its user's memory."""

    async def update_memory(event: Mapping[str, Any]) -> None:
        memory: Any = ActorProxy.create(MEMORY, ActorId(f"memory-{event['actor_id']}"), MemoryAgentInterface, proxies)
        await memory.UpdateMemory(event)

    return Subscriptions((Subscription(USER_CHAT, "ConversationUpdated", ConversationUpdated, (update_memory,)),))


def event_data(envelope: CloudEvent) -> dict[str, Any] | None:
    """Return the event, which may come as an object or as its JSON in a string."""
    return read_object(envelope.get("data"))


def read_envelope(body: bytes) -> CloudEvent | None:
    """Read a structured CloudEvent, and take over its correlation id; None if it is no JSON object."""
    envelope = read_object(body)
    if envelope is None:
        return None
    caused_by = envelope.get("correlationid")
    if isinstance(caused_by, str) and caused_by:
        correlation_id.set(_shown(caused_by))
    return envelope


def _shown(value: object) -> str:
    """Return an id of somebody else's in a form that fits a log line."""
    return ascii(value)[1:-1][:128] if isinstance(value, str) and value else "-"
