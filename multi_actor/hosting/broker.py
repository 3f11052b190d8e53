"""Topics of the embedded host: durable, at least once, with growing delays and a dead letter topic."""

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any

from multi_actor.errors import RetryableError
from multi_actor.hosting.abc import CloudEvent, Delivery, StateStore, StoredEvent, Subscriber, TopicStatus
from multi_actor.hosting.clock import Clock
from multi_actor.hosting.events import cloud_event
from multi_actor.logs import correlation_id
from multi_actor.serialization import read_json, write_json

_log = logging.getLogger(__name__)
_PAGE = 1000  # events read at once when a backlog is taken up


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Delays between the attempts at one event: ``initial`` seconds, doubled each time up to ``longest``.

    The defaults try for about two minutes.
    """

    initial: float = 0.1
    longest: float = 30.0
    attempts: int = 12

    def delay(self, attempt: int) -> float:
        """Seconds to wait after the ``attempt``-th failure (from 1)."""
        return min(self.initial * 2.0 ** (attempt - 1), self.longest)


@dataclass(slots=True, eq=False)
class _Topic:
    """A topic that has a subscriber here."""

    subscriber: Subscriber
    dead_letters: Subscriber | None
    ready: deque[tuple[StoredEvent, int]] = field(default_factory=deque)
    """Events to deliver now, each with its failures so far."""
    delivering: int = 0
    backlog: int = 0
    dead: int = 0


class Broker:
    """Delivers what is published, ``at_once`` events of a topic side by side.

    An event that waits for its next attempt takes no place, so one that keeps failing holds up no other. The
    newest ``keep_dead`` dead letters of a topic are kept in the store.
    """

    def __init__(
        self,
        store: StateStore,
        clock: Clock,
        *,
        source: str,
        pubsub: str,
        retry: RetryPolicy | None = None,
        at_once: int = 32,
        keep_dead: int = 10_000,
    ) -> None:
        self._store = store
        self._clock = clock
        self._source = source
        self._pubsub = pubsub
        self._retry = retry or RetryPolicy()
        self._at_once = at_once
        self._keep_dead = keep_dead
        self._topics: dict[str, _Topic] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = False

    def subscribe(self, topic: str, subscriber: Subscriber, dead_letters: Subscriber | None) -> None:
        """Deliver ``topic`` to this subscriber from the start on; one subscriber per topic, as on Dapr."""
        self._topics[topic] = _Topic(subscriber, dead_letters)

    async def publish(self, topic: str, data: Mapping[str, Any], *, event_id: str) -> None:
        """Return once the event is durable; a topic without a subscriber keeps it until there is one.

        Raises:
            StoreUnavailableError: it could not be kept.
        """
        event = cloud_event(data, event_id=event_id, source=self._source, pubsubname=self._pubsub, topic=topic)
        stored = await self._store.append(topic, write_json(event).decode())
        subscribed = self._topics.get(topic)
        if subscribed and self._open:
            subscribed.backlog += 1
            subscribed.ready.append((stored, 0))
            self._deliver_more(subscribed)

    async def start(self) -> None:
        """Take up what the store still holds, oldest first."""
        counts = await self._store.count_events()
        for name, topic in self._topics.items():
            status = counts.get(name, TopicStatus(0, 0))
            topic.dead = status.dead_letters
            last = 0
            while page := await self._store.events(name, after=last, limit=_PAGE):
                last = page[-1].id
                topic.backlog += len(page)
                topic.ready.extend((event, 0) for event in page)
        self._open = True
        for topic in self._topics.values():
            self._deliver_more(topic)

    async def stop(self) -> None:
        """Deliver no more and wait for the deliveries under way; what is left waits in the store."""
        self._open = False
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def status(self) -> dict[str, TopicStatus]:
        """Return the backlog and the dead letters of each topic."""
        stored = await self._store.count_events()
        return stored | {name: TopicStatus(topic.backlog, topic.dead) for name, topic in self._topics.items()}

    def _deliver_more(self, topic: _Topic) -> None:
        loop = asyncio.get_running_loop()
        while self._open and topic.ready and topic.delivering < self._at_once:
            event, failures = topic.ready.popleft()
            topic.delivering += 1
            # A context of its own: a delivery belongs to no call chain of its publisher.
            task = loop.create_task(self._deliver(topic, event, failures), context=Context())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _deliver(self, topic: _Topic, event: StoredEvent, failures: int) -> None:
        try:
            envelope: CloudEvent = read_json(event.body)
            correlation_id.set(envelope["correlationid"])
            answer = await self._ask(topic.subscriber, envelope)
            if answer is Delivery.SUCCESS:
                await self._store.acknowledge(event)
                topic.backlog -= 1
            elif answer is Delivery.RETRY and failures + 1 < self._retry.attempts:
                self._clock.call_later(
                    self._retry.delay(failures + 1), lambda: self._again(topic, event, failures + 1)
                )
            else:
                await self._store.bury(event, keep=self._keep_dead)
                topic.backlog -= 1
                topic.dead = min(topic.dead + 1, self._keep_dead)
                _log.warning("event %s of %s is a dead letter: %s", envelope["id"], event.topic, answer.value)
                if topic.dead_letters:
                    await self._ask(topic.dead_letters, envelope)
        except RetryableError as error:  # it is still in the store, so it is delivered once more
            _log.warning("the outcome of event %d of %s was not kept: %s", event.id, event.topic, error)
            self._clock.call_later(self._retry.longest, lambda: self._again(topic, event, failures))
        finally:
            topic.delivering -= 1
            self._deliver_more(topic)

    def _again(self, topic: _Topic, event: StoredEvent, failures: int) -> None:
        topic.ready.append((event, failures))
        self._deliver_more(topic)

    @staticmethod
    async def _ask(subscriber: Subscriber, envelope: CloudEvent) -> Delivery:
        try:
            return await subscriber(envelope)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task and task.cancelling():
                raise
            return Delivery.RETRY  # something that the subscriber awaited was cancelled, not the delivery
        except Exception:  # noqa: BLE001  # the delivery loop
            _log.exception("the subscriber of %s failed on event %s", envelope["topic"], envelope["id"])
            return Delivery.RETRY
