"""Turns: one at a time per actor, in order of arrival, each held until it has really ended."""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from typing import TypeVar

from dapr.actor.runtime.config import ActorReentrancyConfig

from multi_actor.errors import (
    HostStoppingError,
    ReentrancyTooDeepError,
    RetryableError,
    TurnTimeoutError,
    WaitsForItselfError,
)
from multi_actor.hosting.abc import ActorCallError, ActorKey

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_NO_REENTRANCY = ActorReentrancyConfig(enabled=False)


class Turn:
    """One turn of one actor, and the turn that called for it."""

    __slots__ = ("caller", "deadline", "ended", "key", "method", "reentrancy_id", "reentrant", "started")

    def __init__(self, key: ActorKey, method: str, caller: "Turn | None", deadline: float) -> None:
        self.key = key
        self.method = method
        self.caller = caller
        self.deadline = deadline
        self.reentrancy_id: str | None = caller.reentrancy_id if caller else None
        self.reentrant = False
        self.started = False
        self.ended = False

    def chain(self) -> Iterator["Turn"]:
        """From this turn outwards."""
        turn: Turn | None = self
        while turn:
            yield turn
            turn = turn.caller

    def names(self) -> tuple[str, ...]:
        """Return the chain as ``type/id``, outermost first."""
        return tuple(str(turn.key) for turn in self.chain())[::-1]


# The turn that runs here. Calls made from it carry its chain and its deadline.
_current: ContextVar[Turn | None] = ContextVar("current_turn", default=None)


class _Queue(asyncio.Lock):
    """Who holds an actor's turn and who waits for it, first come first served."""

    users = 0


class Turns:
    """The turn queues of one process.

    ``timeout`` is in seconds, for a whole chain of calls: at its end the turn that runs is cancelled and every
    caller that waits gets ``TurnTimeoutError``, so that two chains which wait for each other end as well.
    """

    def __init__(self, *, timeout: float) -> None:
        self._timeout = timeout
        self._queues: dict[ActorKey, _Queue] = {}
        self._tasks: set[asyncio.Task[object]] = set()
        self._open = False

    async def run(
        self,
        key: ActorKey,
        method: str,
        work: Callable[[Turn], Awaitable[_T]],
        *,
        reentrancy: ActorReentrancyConfig = _NO_REENTRANCY,
    ) -> _T:
        """Wait for the actor's turn, do ``work`` in it and return its result.

        A caller that is cancelled while its turn waits takes it back; a turn that runs goes on to its end, and
        the next one waits for that.

        Raises:
            HostStoppingError: no new turns are taken (calls made from a running turn still are).
            WaitsForItselfError: the actor waits for this call already, and reentrancy is off.
            ReentrancyTooDeepError: it is on, and the chain is in this actor too often.
            TurnTimeoutError: the chain's deadline passed.
        """
        loop = asyncio.get_running_loop()
        caller = _current.get()
        if caller is not None and caller.ended:  # a task that outlived its turn starts a chain of its own
            caller = None
        if not self._open and caller is None:
            raise HostStoppingError
        turn = Turn(key, method, caller, caller.deadline if caller else loop.time() + self._timeout)
        if caller or reentrancy.enabled:
            self._enter_chain(turn, reentrancy)
        task = loop.create_task(self._take(turn, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not turn.started:
                task.cancel()
            raise

    def _enter_chain(self, turn: Turn, reentrancy: ActorReentrancyConfig) -> None:
        depth = sum(outer.key == turn.key and not outer.ended for outer in turn.chain()) - 1
        if not reentrancy.enabled:
            if depth:
                raise WaitsForItselfError(turn.names())
            return
        if depth >= reentrancy.max_stack_depth:
            raise ReentrancyTooDeepError(turn.names(), reentrancy.max_stack_depth)
        turn.reentrant = depth > 0
        turn.reentrancy_id = turn.reentrancy_id or str(uuid.uuid4())

    async def _take(self, turn: Turn, work: Callable[[Turn], Awaitable[_T]]) -> _T:
        _current.set(turn)
        try:
            async with asyncio.timeout_at(turn.deadline) as deadline:
                if turn.reentrant:
                    turn.started = True
                    return await work(turn)
                return await self._wait_and_work(turn, work)
        except TimeoutError as error:
            if not deadline.expired():
                self._report(turn, error)
                raise
            timed_out = TurnTimeoutError(turn.names(), self._timeout)
            _log.warning("%s", timed_out)
            raise timed_out from None
        except Exception as error:
            self._report(turn, error)
            raise
        finally:
            turn.ended = True

    async def _wait_and_work(self, turn: Turn, work: Callable[[Turn], Awaitable[_T]]) -> _T:
        queue = self._queues.get(turn.key)
        if queue is None:
            queue = self._queues[turn.key] = _Queue()
        queue.users += 1
        try:
            async with queue:
                turn.started = True
                return await work(turn)
        finally:
            queue.users -= 1
            if not queue.users:  # an actor that rests costs no queue
                del self._queues[turn.key]

    @staticmethod
    def _report(turn: Turn, error: Exception) -> None:
        """Log a failed turn once, where it failed: its callers only pass the error on."""
        if isinstance(error, ActorCallError):
            return
        if isinstance(error, RetryableError):
            _log.warning("%s.%s failed: %s", turn.key, turn.method, error, exc_info=error.__cause__)
        else:
            _log.error("%s.%s failed", turn.key, turn.method, exc_info=error)

    def open(self) -> None:
        """Take turns from now on."""
        self._open = True

    async def close(self, *, within: float) -> None:
        """Take no new turns; give those that run ``within`` seconds to end, then cancel them."""
        self._open = False
        for cancel in (False, True):
            running = [task for task in self._tasks if task is not asyncio.current_task()]
            if not running:
                return
            if cancel:
                _log.warning("%d turns did not end within %g s: cancelled", len(running), within)
                for task in running:
                    task.cancel()
            await asyncio.wait(running, timeout=within)
