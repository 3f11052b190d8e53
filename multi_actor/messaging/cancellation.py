"""Cancelling what was asked for."""

import asyncio
from collections.abc import Callable
from typing import Any


class CancellationToken:
    """Cancels everything that was linked to it, once; it may be used from any thread.

    A message that was sent with a token and waits for its turn is taken back; the sender gets ``CancelledError`` in
    any case. A handler that runs ends early only where it links what it awaits to ``ctx.cancellation_token``.
    """

    __slots__ = ("_callbacks", "_cancelled")

    def __init__(self) -> None:
        self._cancelled = False
        # Without a lock: whoever takes a callback out, which only one can, calls it.
        self._callbacks: dict[Callable[[], object], None] = {}

    def cancel(self) -> None:
        """Cancel what is linked, and what will be."""
        self._cancelled = True
        for callback in list(self._callbacks):
            self._call(callback)

    def is_cancelled(self) -> bool:
        """Whether ``cancel`` was called."""
        return self._cancelled

    def add_callback(self, callback: Callable[[], object]) -> None:
        """Have ``callback`` called by ``cancel``; now, if that has been called."""
        self._callbacks[callback] = None
        if self._cancelled:
            self._call(callback)

    def link_future(self, future: asyncio.Future[Any]) -> asyncio.Future[Any]:
        """Have ``future`` cancelled by ``cancel``, and return it."""
        loop = future.get_loop()

        def cancel() -> None:
            if asyncio._get_running_loop() is loop:  # noqa: SLF001  # the public one raises where none runs
                future.cancel()
            else:
                loop.call_soon_threadsafe(future.cancel)

        self.add_callback(cancel)
        # A token that outlives a thousand messages must not hold a thousand futures.
        future.add_done_callback(lambda _: self._callbacks.pop(cancel, None))
        return future

    def _call(self, callback: Callable[[], object]) -> None:
        if self._callbacks.pop(callback, callback) is None:
            callback()
