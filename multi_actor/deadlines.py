"""Deadlines of many tasks by one timer.

A timer per task (``asyncio.timeout``) costs as much as a whole actor call in this process; the tasks watched here
nearly always end in time, so one timer for the earliest of them is enough.
"""

import asyncio
import math
from collections.abc import Awaitable
from typing import Any, Generic, TypeVar

_T = TypeVar("_T")


class Deadline:
    """The deadline of one ``task``: ``when`` in the event loop's seconds, and whether it has ``expired``."""

    __slots__ = ("expired", "task", "when")
    task: "asyncio.Task[Any]"

    def __init__(self, when: float) -> None:
        self.when = when
        self.expired = False


_D = TypeVar("_D", bound=Deadline)


class Deadlines(Generic[_D]):
    """Cancels each watched task once its deadline passes; ``expired`` tells it from other cancellations."""

    def __init__(self) -> None:
        self._watched: set[_D] = set()
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, deadline: _D) -> None:
        """Keep this deadline until ``forget``."""
        self._watched.add(deadline)
        if self._timer is None or deadline.when < self._timer.when():
            self._set_timer(deadline.when)

    def forget(self, deadline: _D) -> None:
        """Its task has ended."""
        self._watched.discard(deadline)

    def bring_forward(self, latest: float) -> None:
        """Have no deadline later than ``latest``."""
        for deadline in self._watched:
            deadline.when = min(deadline.when, latest)
        self._wait_for_earliest()

    def watched(self) -> tuple[_D, ...]:
        """Return what was not forgotten yet."""
        return tuple(self._watched)

    def close(self) -> None:
        """Let the timer go."""
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _set_timer(self, when: float) -> None:
        self.close()
        loop = asyncio.get_running_loop()
        # A little late rather than early: a timer that fires before its time would find nothing to do.
        self._timer = loop.call_at(when + 0.001, self._expire)

    def _wait_for_earliest(self) -> None:
        if waiting := [deadline.when for deadline in self._watched if not deadline.expired]:
            self._set_timer(min(waiting))

    def _expire(self) -> None:
        now = asyncio.get_running_loop().time()
        self._timer = None
        for deadline in self._watched:
            if deadline.when <= now and not deadline.expired:
                deadline.expired = True
                deadline.task.cancel()
        self._wait_for_earliest()


class TimeLimit:
    """Gives each work that is awaited here ``seconds``; ``asyncio.timeout`` for many at the price of a few."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._latest = math.inf
        self._running = Deadlines[Deadline]()

    async def keep(self, work: Awaitable[_T]) -> _T:
        """Await ``work`` in the caller's task; raises ``TimeoutError`` when its time is up."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # what awaits is a task
        deadline = Deadline(min(asyncio.get_running_loop().time() + self._seconds, self._latest))
        deadline.task = task
        self._running.watch(deadline)
        try:
            return await work
        except asyncio.CancelledError:
            if deadline.expired and not task.uncancel():
                raise TimeoutError from None
            raise
        finally:
            self._running.forget(deadline)

    def end_within(self, seconds: float) -> None:
        """Bring the end of what runs forward, and of what still comes: none later than ``seconds`` from now."""
        self._latest = asyncio.get_running_loop().time() + seconds
        self._running.bring_forward(self._latest)
