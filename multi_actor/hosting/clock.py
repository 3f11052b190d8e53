"""The time that hosts go by."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol


class Cancellable(Protocol):
    """A call that was scheduled."""

    def cancel(self) -> None:
        """Do not make it."""


class Clock(Protocol):
    """The time that reminders, timers, time-to-live and retries go by. Tests move it by hand."""

    def now(self) -> float:
        """Seconds since the epoch, UTC."""

    def call_later(self, seconds: float, call: Callable[[], object]) -> Cancellable:
        """Call from the event loop once that many seconds have passed."""


class SystemClock:
    """Wall-clock time; waits are the running event loop's."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def call_later(self, seconds: float, call: Callable[[], object]) -> Cancellable:
        """Call from the running event loop after ``seconds``."""
        return asyncio.get_running_loop().call_later(max(seconds, 0.0), call)
