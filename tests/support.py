"""What the tests share: a clock that is moved by hand, and waiting with a condition."""

import asyncio
import heapq
import itertools
import time
from collections.abc import Awaitable, Callable
from inspect import isawaitable


class ManualClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, start: float = 1_000_000.0) -> None:
        self._now = start
        self._calls: list[tuple[float, int, Callable[[], object], list[bool]]] = []
        self._order = itertools.count()

    def now(self) -> float:
        return self._now

    def call_later(self, seconds: float, call: Callable[[], object]) -> "_Handle":
        cancelled = [False]
        if seconds <= 0:
            asyncio.get_running_loop().call_soon(lambda: None if cancelled[0] else call())
        else:
            heapq.heappush(self._calls, (self._now + seconds, next(self._order), call, cancelled))
        return _Handle(cancelled)

    async def advance(self, seconds: float) -> None:
        """Move on; what falls due is called in order, and gets time to work in between."""
        end = self._now + seconds
        while self._calls and self._calls[0][0] <= end:
            when, _, call, cancelled = heapq.heappop(self._calls)
            self._now = max(self._now, when)
            if not cancelled[0]:
                call()
            await settle()
        self._now = end
        await settle()


class _Handle:
    def __init__(self, cancelled: list[bool]) -> None:
        self._cancelled = cancelled

    def cancel(self) -> None:
        self._cancelled[0] = True


async def settle() -> None:
    """Let everything that can run now do so, the store's thread included."""
    for _ in range(10):
        await asyncio.sleep(0.002)


async def wait_until(
    condition: Callable[[], bool | Awaitable[bool]], *, description: str, within: float = 20.0
) -> None:
    """Return once ``condition`` holds; fail with ``description`` if it does not within that many seconds."""
    deadline = time.monotonic() + within
    while True:
        holds = condition()
        if isawaitable(holds):
            holds = await holds
        if holds:
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within:g} s: {description}")
        await asyncio.sleep(0.01)
