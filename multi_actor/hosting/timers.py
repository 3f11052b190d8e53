"""Timers: ticks that live as long as the actor's activation."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from contextvars import Context
from dataclasses import dataclass
from typing import Any

from multi_actor.hosting.abc import ActorKey
from multi_actor.hosting.clock import Cancellable, Clock
from multi_actor.hosting.schedule import Schedule, read_registration


@dataclass(slots=True, eq=False)
class _Armed:
    schedule: Schedule
    body: bytes
    due: float
    fired: int = 0
    handle: Cancellable | None = None


class Timers:
    """The timers of one activation. ``fire`` gets the actor, the timer's name and its registration."""

    def __init__(self, key: ActorKey, clock: Clock, fire: Callable[[ActorKey, str, bytes], Awaitable[None]]) -> None:
        self._key = key
        self._clock = clock
        self._fire = fire
        self._armed: dict[str, _Armed] = {}
        self._firing: set[asyncio.Task[Any]] = set()

    def register(self, name: str, data: bytes) -> None:
        """Start a timer, in place of one of the same name.

        Raises:
            InvalidDurationError: its due time, period or ttl cannot be read.
        """
        body = read_registration(data)
        schedule = Schedule.of(body, now=self._clock.now())
        self.unregister(name)
        self._armed[name] = armed = _Armed(schedule, json.dumps(body).encode(), schedule.due)
        self._wait(name, armed)

    def unregister(self, name: str) -> None:
        """Stop a timer; no error if there is none."""
        armed = self._armed.pop(name, None)
        if armed and armed.handle:
            armed.handle.cancel()

    def clear(self) -> None:
        """Stop them all."""
        for name in list(self._armed):
            self.unregister(name)

    def _wait(self, name: str, armed: _Armed) -> None:
        armed.handle = self._clock.call_later(armed.due - self._clock.now(), lambda: self._tick(name, armed))

    def _tick(self, name: str, armed: _Armed) -> None:
        task = asyncio.get_running_loop().create_task(self._try(name, armed), context=Context())
        self._firing.add(task)
        task.add_done_callback(self._firing.discard)

    async def _try(self, name: str, armed: _Armed) -> None:
        if armed.schedule.is_over(now=self._clock.now()):
            self.unregister(name)
            return
        with contextlib.suppress(Exception):  # the turn has logged it; a timer goes on with its next tick
            await self._fire(self._key, name, armed.body)
        if self._armed.get(name) is not armed:
            return
        armed.fired += 1
        due = armed.schedule.next_due(armed.due, armed.fired, now=self._clock.now())
        if due is None:
            self.unregister(name)
        else:
            armed.due = due
            self._wait(name, armed)
