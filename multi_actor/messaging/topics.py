"""What one process publishes and receives through an actor host's broker."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from multi_actor.hosting.abc import ActorHost, CloudEvent, Delivery
from multi_actor.messaging.exceptions import RemoteHandlerError, UnavailableError
from multi_actor.messaging.ids import AgentId, TopicId
from multi_actor.messaging.mailbox import Post
from multi_actor.messaging.registry import Registry
from multi_actor.messaging.subscriptions import TypeSubscription
from multi_actor.messaging.tracing import Tracing, carried, carry
from multi_actor.messaging.wire import Envelope, Packed, is_envelope
from multi_actor.serialization import read_object

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message made of an event that no agent published; ``message_id`` is the same each time the event comes."""

    message: Any
    topic_id: TopicId
    message_id: str


Translator = Callable[[CloudEvent], Incoming | None]
"""Makes a message of what others publish on a topic; None of an event that is theirs to understand."""


@dataclass(frozen=True, slots=True)
class TopicOptions:
    """How topics are carried, as ``DaprAgentRuntime`` takes it."""

    patience: float
    background: bool
    translators: Mapping[str, Translator]


def topic_name(topic_type: str) -> str:
    """Return the Dapr topic that carries a topic type: the part before its first colon."""
    return topic_type.partition(":")[0]


class Topics:
    """Carries published messages to the agents that are subscribed in this process.

    ``pack`` makes JSON of a message, ``call`` hands it to an agent; ``settled`` is called with each message of this
    process that has arrived, or will not be waited for: one that did not arrive within ``patience`` seconds may have
    arrived at another replica.
    """

    def __init__(
        self,
        host: ActorHost,
        registry: Registry,
        tracing: Tracing,
        pack: Callable[[Any], Packed],
        call: Callable[[AgentId, Envelope], Awaitable[Packed]],
        settled: Callable[[Post], None],
        options: TopicOptions,
    ) -> None:
        self._host = host
        self._registry = registry
        self._tracing = tracing
        self._pack = pack
        self._call = call
        self._settled = settled
        self._options = options
        self._names: set[str] = set()
        self._underway: dict[str, tuple[float, Post]] = {}

    def subscribe(self) -> None:
        """Have the host deliver every topic that a subscription needs."""
        subscriptions = self._registry.subscriptions.all
        self._names = {topic_name(each.topic_type) for each in subscriptions if isinstance(each, TypeSubscription)}
        for name in sorted(self._names):
            self._host.subscribe(
                name, self.receive, dead_letters=self.bury, name="agents", background=self._options.background
            )

    @property
    def underway(self) -> int:
        """How many messages of this process have not arrived yet."""
        return len(self._underway)

    def expect(self, post: Post, topic_id: TopicId) -> None:
        """Wait for a message of this process to arrive, if its topic comes to this process at all."""
        self._registry.subscribers(topic_id)  # warns if there are none
        now = time.monotonic()
        for message_id, (since, _) in list(self._underway.items()):
            if now - since < self._options.patience:
                break
            self.settle(message_id)
        if topic_name(topic_id.type) in self._names:
            self._underway[post.id] = now, post
        else:
            self._settled(post)

    def settle(self, message_id: str) -> None:
        """Wait for this message no more."""
        expected = self._underway.pop(message_id, None)
        if expected:
            self._settled(expected[1])

    async def publish(self, event: Mapping[str, Any], event_id: str) -> None:
        """Return when the broker has it; raises ``RetryableError`` if it does not take it."""
        await self._host.publish(topic_name(event["topic"].partition("/")[0]), event, event_id=event_id)

    async def receive(self, event: CloudEvent) -> Delivery:
        """Hand a published message to every agent that is subscribed."""
        try:
            envelope = self._open(event)
            if envelope is None:
                return Delivery.SUCCESS
            topic_id = TopicId.from_str(envelope["topic"] or "")
            trace = carried(envelope["trace"])
        except (AttributeError, KeyError, TypeError, ValueError):
            _log.warning("event %a of %a dropped: it is no message of an agent", event.get("id"), event.get("topic"))
            return Delivery.DROP
        agents = [agent for agent in self._registry.subscribers(topic_id) if str(agent) != envelope["sender"]]
        with self._tracing.span("publish", topic_id, trace, current=False) as context:
            envelope = {**envelope, "trace": carry(context)}
            done = await asyncio.gather(*(self._hand_over(agent, envelope) for agent in agents))
        if not all(done):
            return Delivery.RETRY
        self.settle(envelope["event_id"])
        return Delivery.SUCCESS

    def _open(self, event: CloudEvent) -> Envelope | None:
        data = read_object(event.get("data"))
        if is_envelope(data):
            return data
        incoming = self._options.translators[event["topic"]](event)
        if incoming is None:
            return None
        return Envelope(
            event_id=incoming.message_id,
            message=self._pack(incoming.message),
            sender=None,
            topic=str(incoming.topic_id),
            chain=[],
            trace={},
        )

    async def bury(self, event: CloudEvent) -> Delivery:
        """Give a message up that could not be handled, time and again."""
        _log.error("message %a on %a is a dead letter", event.get("id"), event.get("topic"))
        self.settle(str(event.get("id")))
        return Delivery.SUCCESS

    async def _hand_over(self, agent_id: AgentId, envelope: Envelope) -> bool:
        """Return whether the agent is done with the message, for good or bad.

        What its handler raised is an answer. Any other error is the host's: the message comes again, and in the end
        it is a dead letter.
        """
        try:
            return "error" not in await self._call(agent_id, envelope)
        except UnavailableError as error:
            _log.warning("a published message did not reach %s: %s", agent_id, error)
            return False
        except RemoteHandlerError:
            _log.exception("%s cannot take a published message", agent_id)
            return False
