"""One subscriber's events on the embedded host: taken from the store, delivered, tried again, given up."""

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine
from contextvars import Context
from dataclasses import dataclass
from typing import Any

from multi_actor.errors import RetryableError
from multi_actor.hosting.abc import CloudEvent, Delivery, Subscriber, TopicStatus
from multi_actor.hosting.clock import Clock
from multi_actor.hosting.events import ask
from multi_actor.hosting.state_store import StateStore, StoredEvent
from multi_actor.logs import correlation_id
from multi_actor.serialization import read_object

_log = logging.getLogger(__name__)
_PASSES = 100  # of the event loop, before a delivery in the background: moments when idle, a second under load
_PAGE = 1000  # events read at once; as many wait in memory, the others in the store


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


@dataclass(frozen=True, slots=True)
class Subscription:
    """Who gets a topic's events, ``at_once`` side by side; in the ``background`` everything else goes first."""

    subscriber: Subscriber
    dead_letters: Subscriber | None
    at_once: int
    background: bool = False


class Queue:
    """Delivers the events that the store holds under ``name``.

    An event that waits for its next attempt takes no place, so one that keeps failing holds up no other; at a
    thousand that do, the next ones stay in the store. The newest ``keep_dead`` dead letters are kept there too.
    """

    def __init__(
        self, name: str, to: Subscription, store: StateStore, clock: Clock, *, retry: RetryPolicy, keep_dead: int
    ) -> None:
        self.name = name
        self._to = to
        self._store = store
        self._clock = clock
        self._retry = retry
        self._keep_dead = keep_dead
        self._ready: deque[tuple[StoredEvent, int]] = deque()  # each with its failures so far
        self._held: set[int] = set()  # ids of those in memory: ready, under way, or waiting for an attempt
        self._last = 0  # the highest id that was ever held
        self._left_out = 0  # the highest id that was left in the store, for want of room
        self._more = True  # whether the store may hold later ones
        self._reading = False
        self._delivering = 0
        self._backlog = 0
        self._dead = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = False

    @property
    def subscriber(self) -> Subscriber:
        """Who gets the events."""
        return self._to.subscriber

    @property
    def status(self) -> TopicStatus:
        """How many events wait, and how many were given up."""
        return TopicStatus(self._backlog, self._dead)

    def start(self, status: TopicStatus) -> None:
        """Take up what the store holds, which is ``status``; oldest first."""
        self._backlog, self._dead = status.backlog, status.dead_letters
        self._ready.clear()
        self._held.clear()
        self._last = self._left_out = 0
        self._more = True
        self._open = True
        self._go_on()

    async def stop(self) -> None:
        """Deliver no more and wait for the deliveries under way, however long; what is left waits in the store."""
        self._open = False
        if self._tasks:
            await asyncio.wait(self._tasks)

    def add(self, event: StoredEvent) -> None:
        """Take in an event that has just been stored; ids grow. Before the start it is left to that."""
        if not self._open:
            return
        self._backlog += 1
        if event.id > self._last and (self._more or len(self._held) >= _PAGE):
            self._more = True
            self._left_out = max(self._left_out, event.id)
        else:
            self._hold(event)
        self._go_on()

    def look_again(self) -> None:
        """Look into the store: an event may be there that was not added."""
        self._more = True
        self._go_on()

    def _hold(self, event: StoredEvent) -> None:
        if event.id not in self._held:
            self._held.add(event.id)
            self._last = max(self._last, event.id)
            self._ready.append((event, 0))

    def _go_on(self) -> None:
        while self._open and self._ready and self._delivering < self._to.at_once:
            event, failures = self._ready.popleft()
            self._delivering += 1
            self._spawn(self._deliver(event, failures))
        if self._open and self._more and not self._ready and not self._reading and len(self._held) < _PAGE:
            self._reading = True
            self._spawn(self._read())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        # A context of its own: a delivery belongs to no call chain of its publisher.
        task = asyncio.get_running_loop().create_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _read(self) -> None:
        try:
            page = await self._store.events(self.name, after=self._last, limit=_PAGE)
        except Exception:  # noqa: BLE001  # the delivery loop
            _log.exception("the events of %s cannot be read", self.name)
            self._clock.call_later(self._retry.longest, self._read_again)
            return
        for event in page:
            self._hold(event)
        self._more = len(page) == _PAGE or self._left_out > self._last
        self._read_again()

    def _read_again(self) -> None:
        self._reading = False
        self._go_on()

    async def _deliver(self, event: StoredEvent, failures: int) -> None:
        try:
            if self._to.background:
                for _ in range(_PASSES):
                    await asyncio.sleep(0)
            envelope: CloudEvent = read_object(event.body) or {}
            correlation_id.set(str(envelope.get("correlationid", "-")))
            answer = await ask(self._to.subscriber, envelope) if envelope else Delivery.DROP
            if answer is Delivery.SUCCESS:
                await self._store.acknowledge(event)
                self._done(event)
            elif answer is Delivery.RETRY and failures + 1 < self._retry.attempts:
                self._try_later(event, failures + 1, self._retry.delay(failures + 1))
            else:
                await self._store.bury(event, keep=self._keep_dead)
                self._done(event)
                self._dead = min(self._dead + 1, self._keep_dead)
                _log.warning("event %s of %s is a dead letter: %s", envelope.get("id"), self.name, answer.value)
                if self._to.dead_letters:
                    await ask(self._to.dead_letters, envelope)
        except RetryableError as error:  # it is still in the store, so it is delivered once more
            _log.warning("the outcome of event %d of %s was not kept: %s", event.id, self.name, error)
            self._try_later(event, failures, self._retry.longest)
        finally:
            self._delivering -= 1
            self._go_on()

    def _done(self, event: StoredEvent) -> None:
        self._held.discard(event.id)
        self._backlog -= 1

    def _try_later(self, event: StoredEvent, failures: int, seconds: float) -> None:
        def again() -> None:
            self._ready.append((event, failures))
            self._go_on()

        self._clock.call_later(seconds, again)
