"""Reminders: durable ticks, which outlive the actor's activation and the process."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from contextvars import Context
from dataclasses import dataclass, replace
from typing import Any, Self

from multi_actor.errors import RetryableError
from multi_actor.hosting.abc import ActorKey
from multi_actor.hosting.clock import Cancellable, Clock
from multi_actor.hosting.schedule import Schedule, read_registration, seconds_of
from multi_actor.hosting.state_store import StateStore, StoredReminder

_log = logging.getLogger(__name__)
_FIRING_AT_ONCE = 64  # after a long stop everything is due at the same moment


@dataclass(frozen=True, slots=True)
class _FailurePolicy:
    """Seconds between attempts at one tick, and how often it is tried again (None: until it works)."""

    interval: float = 1.0
    retries: int | None = 3

    @classmethod
    def of(cls, body: dict[str, Any]) -> Self:
        """Read Dapr's ``failurePolicy``; its default is three more attempts, a second apart."""
        policy = body.get("failurePolicy") or {}
        if "drop" in policy:
            return cls(retries=0)
        if "constant" in policy:
            constant = policy["constant"]
            return cls(seconds_of(constant.get("interval") or "0"), constant.get("maxRetries"))
        return cls()


@dataclass(slots=True, eq=False)
class _Armed:
    reminder: StoredReminder
    schedule: Schedule
    policy: _FailurePolicy
    attempts: int = 0
    handle: Cancellable | None = None


class Reminders:
    """Fires each reminder when it is due, at least once, and again as its failure policy says.

    ``fire`` gets the actor, the reminder's name and the body that Dapr sends with a tick. A tick that was missed
    while nothing ran fires once, at the start.
    """

    def __init__(
        self, store: StateStore, clock: Clock, fire: Callable[[ActorKey, str, bytes], Awaitable[None]]
    ) -> None:
        self._store = store
        self._clock = clock
        self._fire = fire
        self._armed: dict[tuple[ActorKey, str], _Armed] = {}
        self._firing: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(_FIRING_AT_ONCE)
        self._open = False

    def __len__(self) -> int:
        return len(self._armed)

    async def start(self) -> None:
        """Take up the reminders that the store holds."""
        self._open = True
        for reminder in await self._store.reminders():
            body = json.loads(reminder.body)
            schedule = replace(Schedule.of(body, now=self._clock.now()), expires=reminder.expires)
            self._arm(_Armed(reminder, schedule, _FailurePolicy.of(body)))

    async def stop(self) -> None:
        """Fire no more, and wait for the ticks under way."""
        self._open = False
        for armed in self._armed.values():
            if armed.handle:
                armed.handle.cancel()
        self._armed.clear()
        if self._firing:
            await asyncio.wait(self._firing)

    async def register(self, key: ActorKey, name: str, data: bytes) -> None:
        """Keep a reminder, in place of one of the same name; returns once it is durable.

        Raises:
            InvalidDurationError: its due time, period or ttl cannot be read.
        """
        body = read_registration(data)
        schedule = Schedule.of(body, now=self._clock.now())
        policy = _FailurePolicy.of(body)
        reminder = StoredReminder(key, name, data.decode(), schedule.due, schedule.expires)
        before = self._disarm(key, name)
        try:
            await self._store.save_reminder(reminder)
        except BaseException:
            self._arm_again(before)
            raise
        self._arm(_Armed(reminder, schedule, policy))

    async def unregister(self, key: ActorKey, name: str) -> None:
        """Forget a reminder; no error if there is none."""
        before = self._disarm(key, name)
        try:
            await self._store.delete_reminder(key, name)
        except BaseException:
            self._arm_again(before)
            raise

    def _disarm(self, key: ActorKey, name: str) -> _Armed | None:
        """Take a reminder back at once: a tick of it that still runs must not write over what follows."""
        armed = self._armed.pop((key, name), None)
        if armed and armed.handle:
            armed.handle.cancel()
        return armed

    def _arm_again(self, armed: _Armed | None) -> None:
        if armed and (armed.reminder.key, armed.reminder.name) not in self._armed:
            self._arm(armed)

    def _arm(self, armed: _Armed) -> None:
        self._disarm(armed.reminder.key, armed.reminder.name)
        self._armed[armed.reminder.key, armed.reminder.name] = armed
        self._wait(armed, armed.reminder.due - self._clock.now())

    def _wait(self, armed: _Armed, seconds: float) -> None:
        armed.handle = self._clock.call_later(seconds, lambda: self._tick(armed))

    def _tick(self, armed: _Armed) -> None:
        if self._open:
            # A context of its own: the tick belongs to no request and no call chain.
            task = asyncio.get_running_loop().create_task(self._try(armed), context=Context())
            self._firing.add(task)
            task.add_done_callback(self._firing.discard)

    async def _try(self, armed: _Armed) -> None:
        reminder = armed.reminder
        if armed.schedule.is_over(now=self._clock.now()):
            await self._forget(armed)
            return
        body = json.loads(reminder.body)
        tick = {name: body.get(name) for name in ("data", "dueTime", "period")}
        if body.get("ttl"):
            tick["ttl"] = body["ttl"]
        try:
            async with self._room:
                await self._fire(reminder.key, reminder.name, json.dumps(tick).encode())
        except Exception as error:  # noqa: BLE001  # the turn has logged it; the policy decides what follows
            if self._is_current(armed) and (armed.policy.retries is None or armed.attempts < armed.policy.retries):
                armed.attempts += 1
                self._wait(armed, armed.policy.interval)
                return
            _log.warning("reminder %s of %s: this tick is given up: %s", reminder.name, reminder.key, error)
        try:
            await self._advance(armed)
        except RetryableError as error:  # the store still holds this tick: a restart fires it once more
            _log.warning("reminder %s of %s was not kept: %s", reminder.name, reminder.key, error)

    async def _forget(self, armed: _Armed) -> None:
        if self._is_current(armed):
            try:
                await self.unregister(armed.reminder.key, armed.reminder.name)
            except RetryableError as error:  # a restart finds it over once more
                _log.warning("reminder %s of %s was not forgotten: %s", armed.reminder.name, armed.reminder.key, error)

    def _is_current(self, armed: _Armed) -> bool:
        """Whether nobody replaced it, took it back or stopped the host since."""
        return self._open and self._armed.get((armed.reminder.key, armed.reminder.name)) is armed

    async def _advance(self, armed: _Armed) -> None:
        if not self._is_current(armed):
            return
        reminder = armed.reminder
        fired = reminder.fired + 1
        due = armed.schedule.next_due(reminder.due, fired, now=self._clock.now())
        if due is None:
            await self.unregister(reminder.key, reminder.name)
            return
        armed.reminder = replace(reminder, due=due, fired=fired)
        armed.attempts = 0
        self._wait(armed, due - self._clock.now())
        await self._store.save_reminder(armed.reminder)
