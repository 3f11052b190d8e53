"""Topics of the embedded host: durable, at least once, with growing delays and a dead letter topic."""

import asyncio
from collections.abc import Mapping
from typing import Any

from multi_actor.hosting.abc import Subscriber, TopicStatus
from multi_actor.hosting.clock import Clock
from multi_actor.hosting.events import cloud_event
from multi_actor.hosting.queue import Queue, RetryPolicy, Subscription
from multi_actor.hosting.state_store import StateStore
from multi_actor.serialization import write_json


class Broker:
    """Keeps what is published once for each subscriber of its topic, in a queue of the subscriber's own.

    The queue of a subscriber without a name has the topic's name in the store, that of another ``topic/name``.
    """

    def __init__(
        self,
        store: StateStore,
        clock: Clock,
        *,
        source: str,
        pubsub: str,
        retry: RetryPolicy | None = None,
        keep_dead: int = 10_000,
    ) -> None:
        self._store = store
        self._clock = clock
        self._source = source
        self._pubsub = pubsub
        self._retry = retry or RetryPolicy()
        self._keep_dead = keep_dead
        self._topics: dict[str, list[Queue]] = {}

    def subscribe(
        self,
        topic: str,
        subscriber: Subscriber,
        dead_letters: Subscriber | None,
        *,
        name: str = "",
        at_once: int = 32,
        background: bool = False,
    ) -> None:
        """Deliver ``topic`` to this subscriber from the start on, ``at_once`` events side by side."""
        to = Subscription(subscriber, dead_letters, 2 if background else at_once, background)
        stored_as = f"{topic}/{name}" if name else topic
        queue = Queue(stored_as, to, self._store, self._clock, retry=self._retry, keep_dead=self._keep_dead)
        others = [each for each in self._topics.get(topic, []) if each.name != queue.name]
        self._topics[topic] = [*others, queue]

    def subscribers(self, topic: object) -> list[Subscriber]:
        """Return who subscribes to a topic."""
        return [queue.subscriber for queue in self._topics.get(topic, [])] if isinstance(topic, str) else []

    async def publish(self, topic: str, data: Mapping[str, Any], *, event_id: str) -> None:
        """Return once the event is durable; a topic without a subscriber keeps it until there is one.

        Raises:
            StoreUnavailableError: it could not be kept.
        """
        envelope = cloud_event(data, event_id=event_id, source=self._source, pubsubname=self._pubsub, topic=topic)
        body = write_json(envelope).decode()
        queues = self._topics.get(topic, [])
        # At once: what published it will not do so again when only some have it.
        try:
            stored = await self._store.append(body, *([queue.name for queue in queues] or [topic]))
        except BaseException:  # a publisher that left, perhaps: the store may have taken it all the same
            for queue in queues:
                queue.look_again()
            raise
        for queue, event in zip(queues, stored, strict=False):
            queue.add(event)

    async def start(self) -> None:
        """Take up what the store still holds, oldest first."""
        for topic, queues in self._topics.items():
            if all(queue.name != topic for queue in queues):
                await self._hand_on(topic, [queue.name for queue in queues])
        counts = await self._store.count_events()
        for queue in self._queues:
            queue.start(counts.get(queue.name, TopicStatus(0, 0)))

    async def _hand_on(self, topic: str, names: list[str]) -> None:
        """Give what was published before there was a subscriber to those that there are now."""
        while page := await self._store.events(topic):
            for event in page:
                await self._store.append(event.body, *names)
                await self._store.acknowledge(event)

    async def stop(self) -> None:
        """Deliver no more and wait for the deliveries under way; what is left waits in the store."""
        await asyncio.gather(*(queue.stop() for queue in self._queues))

    async def status(self) -> dict[str, TopicStatus]:
        """Return the backlog and the dead letters of each queue."""
        stored = await self._store.count_events()
        return stored | {queue.name: queue.status for queue in self._queues}

    @property
    def _queues(self) -> list[Queue]:
        return [queue for queues in self._topics.values() for queue in queues]
