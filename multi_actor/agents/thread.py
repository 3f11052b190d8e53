"""A thread that does blocking work, one piece after the other."""

import asyncio
import contextlib
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")
_Job = tuple[asyncio.AbstractEventLoop, "asyncio.Future[Any]", Callable[[], Any]]


class WorkThread:
    """Unlike an executor's, it keeps nobody from ending: what hangs in it ends with the process."""

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread = Thread(target=self._serve, name=name, daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self) -> None:
        """End after what has been asked for."""
        self._jobs.put(None)

    async def do(self, work: Callable[[], T]) -> T:
        """Return what ``work`` returns, or raise what it raises; it is done whether its caller stays or not."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        self._jobs.put((loop, done, work))
        return await done

    def _serve(self) -> None:
        while job := self._jobs.get():
            loop, done, work = job
            try:
                call, outcome = done.set_result, work()
            except BaseException as error:  # noqa: BLE001  # it is its caller's
                call, outcome = done.set_exception, error
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_settle, done, call, outcome)


def _settle(done: "asyncio.Future[Any]", call: Callable[[Any], None], outcome: object) -> None:
    if not done.done():
        call(outcome)
