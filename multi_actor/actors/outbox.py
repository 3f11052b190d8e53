"""The outbox: an event is saved in the transaction of the turn that it tells of, and published after it.

https://microservices.io/patterns/data/transactional-outbox.html; Dapr's own outbox covers its state API only, not
actor state. An event is dropped from the outbox when its consumer's *watermark* covers it, not when the broker has
taken it: a broker may lose what it took.
"""

import asyncio
import logging
import time
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextvars import Context
from datetime import timedelta
from typing import Any, TypedDict

from dapr.actor import ActorId
from dapr.actor.runtime.context import ActorRuntimeContext

from multi_actor.actors.transactional import TransactionalActor
from multi_actor.logs import correlation_id

_log = logging.getLogger(__name__)

REMINDER = "outbox"
PERIOD = timedelta(seconds=15)
"""An event that was lost is published again within two periods."""
ASK_EVERY = 16
"""Events that wait before the consumer is asked for its watermark: the reply path stays free of it."""

Publish = Callable[[Mapping[str, Any], str], Awaitable[None]]
"""Publishes one event under an id; returns once the broker has it."""


class Pending(TypedDict):
    """An event that waits in the outbox, with the id of the request that caused it."""

    event: Mapping[str, Any]
    correlation_id: str


class Publisher:
    """Publishes off the reply path, in tasks that ``flush`` waits for."""

    def __init__(self, publish: Publish) -> None:
        self.publish = publish
        self._tasks: set[asyncio.Task[None]] = set()

    def soon(self, work: Coroutine[Any, Any, None]) -> None:
        """Do ``work`` after this turn; it belongs to no turn and no call chain, so its context is a new one."""
        task = asyncio.get_running_loop().create_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def flush(self) -> None:
        """Return once all that was begun has ended."""
        while self._tasks:
            await asyncio.wait(self._tasks)


class OutboxActor(TransactionalActor):
    """An actor that publishes what its turns did, at least once, whatever dies in between.

    Its events are numbered from 1, each under a key of its own. Those after ``covered`` up to ``sequence`` wait; of
    the others the last ``retain`` are kept, for a turn that is asked for again. A reminder is armed before an event
    is saved; while something waits it publishes again what is not covered, and it lapses when nothing does.
    """

    def __init__(
        self,
        ctx: ActorRuntimeContext,
        actor_id: ActorId,
        *,
        publisher: Publisher,
        outbox_limit: int,
        retain: int,
        ask_every: float = ASK_EVERY,
    ) -> None:
        super().__init__(ctx, actor_id)
        self._publisher = publisher
        self._outbox_limit = outbox_limit
        self._retain = retain
        self._ask_every = ask_every
        self._outbox_key = f"outbox-{actor_id.id}"
        self._heard = 0  # the highest watermark heard of: a hint, which the next turn that stages makes use of
        self._trusted_until = 0.0  # monotonic seconds; until then a reminder is taken to be armed
        self._staged: dict[str, Pending] = {}  # by the key that each is saved under
        self._ask = False  # whether so many events wait that the consumer's watermark is asked for

    # -- what a subclass says

    @abstractmethod
    async def _watermark(self) -> int:
        """Ask the consumer: every event up to this number has reached it."""

    @abstractmethod
    def _describe(self) -> str:
        """Name the events in the log."""

    # -- what a subclass calls within its turn

    async def _next_sequence(self) -> int:
        return int((await self._numbers())[1]) + 1

    async def _outbox_is_full(self) -> bool:
        """Whether one more event would be too many, the consumer's own word on it included."""
        covered, sequence = await self._numbers()
        if sequence - max(covered, self._heard) < self._outbox_limit:
            return False
        await self._ask_watermark()
        return sequence - max(covered, self._heard) >= self._outbox_limit

    async def _event(self, number: int) -> Any:
        """Return an event that waits or is retained."""
        pending: Pending = await self._get(self._event_key(number), None)
        return pending["event"]

    async def _stage(self, event: Mapping[str, Any]) -> None:
        """Have ``event`` published once this turn is saved; it takes the next number."""
        numbers = await self._numbers()
        sequence = numbers[1] + 1
        pending = Pending(event=event, correlation_id=correlation_id.get())
        key = self._event_key(sequence)
        await self._set(key, pending)
        covered = await self._advance(numbers, sequence)
        self._staged[key] = pending
        self._ask = sequence - covered >= self._ask_every
        if time.monotonic() >= self._trusted_until:
            await self.register_reminder(REMINDER, b"", PERIOD, PERIOD)
            self._trust_reminder()

    # -- the turn

    def _on_saved(self) -> None:
        if self._staged:
            staged, self._staged = self._staged, {}
            for key in staged:
                self._evict(key)
            self._publisher.soon(self._publish(list(staged.values())))

    def _on_roll_back(self) -> None:
        self._staged.clear()

    async def receive_reminder(
        self,
        name: str,  # noqa: ARG002  # the SDK's signature
        state: bytes,  # noqa: ARG002
        due_time: timedelta,  # noqa: ARG002
        period: timedelta,  # noqa: ARG002
        ttl: timedelta | None = None,  # noqa: ARG002
    ) -> None:
        """Publish again what the consumer has not seen; take the reminder back when that is nothing."""
        covered, sequence = await self._numbers()
        if sequence > covered:
            # If the consumer cannot be asked it could not be reached by an event either: this raises, and the
            # next period tries again.
            self._heard = max(self._heard, await self._watermark())
            covered = await self._advance((covered, sequence), sequence)
        if sequence > covered:
            for key in map(self._event_key, range(covered + 1, sequence + 1)):
                if (pending := await self._get(key, None)) is not None:
                    self._staged[key] = pending
                else:  # a store that lost what it had taken; the others must not wait for it
                    _log.error("%s: the store has lost the event under %s", self._describe(), key)
            self._ask = sequence - covered >= self._ask_every
            self._trust_reminder()
            return
        await self._save_state_internal()  # first: once the reminder is gone, nothing makes up for a save that failed
        await self.unregister_reminder(REMINDER)
        self._trusted_until = 0.0

    # -- the outbox

    async def _numbers(self) -> tuple[int, int]:
        covered, sequence = await self._get(self._outbox_key, (0, 0))
        return covered, sequence

    def _event_key(self, number: int) -> str:
        return f"event-{self.id.id}-{number}"

    def _trust_reminder(self) -> None:
        # It fires every period. One that has not for three is lost, and the next turn arms it anew.
        self._trusted_until = time.monotonic() + 3 * PERIOD.total_seconds()

    async def _advance(self, numbers: tuple[int, int], sequence: int) -> int:
        """Move ``covered`` up to what was heard of, and forget what neither waits nor is retained."""
        covered = min(max(numbers[0], self._heard), sequence)
        for number in range(self._floor(*numbers), self._floor(covered, sequence)):
            await self._remove(self._event_key(number + 1))
        await self._set(self._outbox_key, [covered, sequence])
        return covered

    def _floor(self, covered: int, sequence: int) -> int:
        """Return the number of the last event that is not kept any more."""
        return max(min(covered, sequence - self._retain), 0)

    def _on_published(self, event: Mapping[str, Any]) -> None:  # noqa: ARG002  # a subclass may want it
        """Take note that the broker has an event."""
        _log.info("Published event for %s", self._describe())

    async def _ask_watermark(self) -> None:
        try:
            self._heard = max(self._heard, await self._watermark())
        except Exception as error:  # noqa: BLE001  # a hint: the reminder asks again
            _log.warning("%s: the consumer of events was not reached: %s", self._describe(), error)

    async def _publish(self, staged: list[Pending]) -> None:
        for pending in staged:
            correlation_id.set(pending["correlation_id"])
            try:
                await self._publisher.publish(pending["event"], pending["event"]["event_id"])
            except Exception as error:  # noqa: BLE001  # the event is saved: the reminder publishes it
                _log.warning("event for %s was not published, it waits: %s", self._describe(), error)
            else:
                self._on_published(pending["event"])
        if self._ask:
            await self._ask_watermark()
