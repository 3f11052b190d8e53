"""The clock of the machine."""

import asyncio
import time
from collections.abc import Callable

from multi_actor.hosting.abc import Cancellable


class SystemClock:
    """Wall-clock time; waits are the running event loop's."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def call_later(self, seconds: float, call: Callable[[], object]) -> Cancellable:
        """Call from the running event loop after ``seconds``."""
        return asyncio.get_running_loop().call_later(max(seconds, 0.0), call)
