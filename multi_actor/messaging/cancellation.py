"""Cancelling what was asked for."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any


class CancellationToken:
    """Cancels everything that was linked to it, once; it may be used from any thread.

    A message that was sent with a token and waits for its turn is taken back; the sender gets ``CancelledError`` in
    any case. A handler that runs ends early only where it links what it awaits to ``ctx.cancellation_token``.
    """

    __slots__ = ("_callbacks", "_cancelled", "_lock")

    def __init__(self) -> None:
        self._cancelled = False
        self._callbacks: dict[Callable[[], object], None] = {}
        self._lock = threading.Lock()

    def cancel(self) -> None:
        """Cancel what is linked, and what will be."""
        with self._lock:
            callbacks, self._callbacks = self._callbacks, {}
            self._cancelled = True
        for callback in callbacks:
            callback()

    def is_cancelled(self) -> bool:
        """Whether ``cancel`` was called."""
        return self._cancelled

    def add_callback(self, callback: Callable[[], None]) -> None:
        """Have ``callback`` called by ``cancel``; now, if that has been called."""
        self._add(callback)

    def link_future(self, future: asyncio.Future[Any]) -> asyncio.Future[Any]:
        """Have ``future`` cancelled by ``cancel``, and return it."""
        loop = future.get_loop()

        def cancel() -> None:
            if asyncio._get_running_loop() is loop:  # noqa: SLF001  # the public one raises where none runs
                future.cancel()
            else:
                loop.call_soon_threadsafe(future.cancel)

        if self._add(cancel):
            future.add_done_callback(lambda _: self._forget(cancel))
        return future

    def _add(self, callback: Callable[[], object]) -> bool:
        with self._lock:
            waits = not self._cancelled
            if waits:
                self._callbacks[callback] = None
        if not waits:
            callback()
        return waits

    def _forget(self, callback: Callable[[], object]) -> None:
        # A token that outlives a thousand messages must not hold a thousand futures.
        with self._lock:
            self._callbacks.pop(callback, None)
