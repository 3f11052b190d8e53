"""Deadlines of many tasks by one timer.

A timer per task (``asyncio.timeout``) costs as much as a whole actor call in this process; the tasks watched here
nearly always end in time, so one timer for the earliest of them is enough.
"""

import asyncio
from typing import Any


class Deadline:
    """The deadline of one ``task``: ``when`` in the event loop's seconds, and whether it has ``expired``."""

    __slots__ = ("expired", "task", "when")
    task: "asyncio.Task[Any]"

    def __init__(self, when: float) -> None:
        self.when = when
        self.expired = False


class Deadlines:
    """Cancels each watched task once its deadline passes; ``expired`` tells it from other cancellations."""

    def __init__(self) -> None:
        self._watched: set[Deadline] = set()
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, deadline: Deadline) -> None:
        """Keep this deadline until ``forget``."""
        self._watched.add(deadline)
        if self._timer is None or deadline.when < self._timer.when():
            self._set_timer(deadline.when)

    def forget(self, deadline: Deadline) -> None:
        """Its task has ended."""
        self._watched.discard(deadline)

    def bring_forward(self, latest: float) -> None:
        """Have no deadline later than ``latest``."""
        for deadline in self._watched:
            deadline.when = min(deadline.when, latest)
        self._wait_for_earliest()

    def tasks(self) -> "list[asyncio.Task[Any]]":
        """Return the tasks that are watched."""
        return [deadline.task for deadline in self._watched]

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
