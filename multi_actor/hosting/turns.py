"""Turns: one at a time per actor, in order of arrival, each held until it has really ended."""

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from dapr.actor.runtime.config import ActorReentrancyConfig

from multi_actor.deadlines import Deadlines
from multi_actor.errors import (
    HostStoppingError,
    ReentrancyTooDeepError,
    RetryableError,
    TurnCancelledError,
    TurnTimeoutError,
    WaitsForItselfError,
)
from multi_actor.hosting.abc import ActorCallError, ActorKey
from multi_actor.hosting.turn import HERE, Origin, Turn, current_turn, enter

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_NO_REENTRANCY = ActorReentrancyConfig(enabled=False)


class Turns:
    """The turn queues of one process.

    ``timeout`` is in seconds, for a whole chain of calls: at its end the turn that runs is cancelled and every
    caller that waits gets ``TurnTimeoutError``, so that two chains which wait for each other end as well.
    """

    def __init__(self, *, timeout: float) -> None:
        self._timeout = timeout
        # Whose turn runs, and who waits for it, first come first served; an actor that rests costs nothing.
        self._queues: dict[ActorKey, deque[asyncio.Future[None]] | None] = {}
        # The reentrancy id of the turn that runs: a call from another process is let in by it.
        self._holders: dict[ActorKey, str | None] = {}
        self._running = Deadlines[Turn]()
        self._open = False

    async def run(
        self,
        key: ActorKey,
        method: str,
        work: Callable[[Turn], Awaitable[_T]],
        *,
        reentrancy: ActorReentrancyConfig = _NO_REENTRANCY,
        origin: Origin = HERE,
    ) -> _T:
        """Wait for the actor's turn, do ``work`` in it and return its result.

        ``origin`` is where the call began, if that was in another process.

        A caller that is cancelled while its turn waits takes it back; a turn that runs goes on to its end, and
        the next one waits for that.

        Raises:
            HostStoppingError: no new turns are taken (calls made from a running turn still are).
            WaitsForItselfError: the actor waits for this call already, and reentrancy is off.
            ReentrancyTooDeepError: it is on, and the chain is in this actor too often.
            TurnTimeoutError: the chain's deadline passed.
        """
        loop = asyncio.get_running_loop()
        caller = current_turn()  # a task that outlived its turn starts a chain of its own
        if not self._open and caller is None and not origin.chain:
            raise HostStoppingError
        # The caller waits for this, not for the task: if it leaves, the turn goes on.
        result: asyncio.Future[_T] = loop.create_future()
        turn = Turn(key, method, caller, result, caller.when if caller else loop.time() + self._timeout)
        if origin is not HERE:
            self._continue_chain(turn, origin)
        elif caller is not None or reentrancy.enabled:
            self._enter_chain(turn, reentrancy)
        turn.task = loop.create_task(self._take(turn, work))
        self._running.watch(turn)
        try:
            return await result
        except asyncio.CancelledError:
            if not (turn.started or turn.ended):
                turn.task.cancel()
            raise

    def _continue_chain(self, turn: Turn, origin: Origin) -> None:
        """Go on with what began in another process; there the chain was looked at for itself, and its depth."""
        turn.origin = origin
        if origin.seconds_left is not None:
            turn.when = min(turn.when, asyncio.get_running_loop().time() + origin.seconds_left)
        turn.reentrancy_id = origin.reentrancy_id
        turn.reentrant = origin.reentrancy_id is not None and self._holders.get(turn.key) == origin.reentrancy_id

    @staticmethod
    def _enter_chain(turn: Turn, reentrancy: ActorReentrancyConfig) -> None:
        depth = 0
        outer = turn.caller
        while outer is not None:
            depth += outer.key == turn.key and not outer.ended
            outer = outer.caller
        if not reentrancy.enabled:
            if depth:
                raise WaitsForItselfError(turn.names())
            return
        if depth >= reentrancy.max_stack_depth:
            raise ReentrancyTooDeepError(turn.names(), reentrancy.max_stack_depth)
        turn.reentrant = depth > 0
        turn.reentrancy_id = turn.reentrancy_id or str(uuid.uuid4())

    async def _take(self, turn: Turn, work: Callable[[Turn], Awaitable[Any]]) -> None:
        enter(turn)
        value: Any = None
        failure: Exception | None = None
        try:
            if turn.reentrant:
                turn.started = True
                value = await work(turn)
            else:
                await self._wait(turn.key)
                self._holders[turn.key] = turn.reentrancy_id
                try:
                    turn.started = True
                    value = await work(turn)
                finally:
                    self._pass_on(turn.key)
        except asyncio.CancelledError:
            # An error for the caller, who was not cancelled: it would take that for its own end.
            if turn.expired:
                failure = TurnTimeoutError(turn.names(), self._timeout)
            else:
                failure = TurnCancelledError(turn.names()) if self._open else HostStoppingError()
            if turn.started:
                _log.warning("%s.%s failed: %s", turn.key, turn.method, failure)
        except Exception as error:  # noqa: BLE001  # it goes to the caller
            failure = error
            self._report(turn, error)
        turn.ended = True
        self._running.forget(turn)
        del turn.task  # it holds its context, and that this turn: a cycle, which reference counts do not free
        if turn.result.done():  # the caller has left
            return
        if failure is None:
            turn.result.set_result(value)
        else:
            turn.result.set_exception(failure)

    async def _wait(self, key: ActorKey) -> None:
        """Wait for the actor's turn; ``asyncio.Lock`` does the same at twice the price."""
        if key not in self._queues:
            self._queues[key] = None
            return
        waiting = self._queues[key]
        if waiting is None:
            waiting = self._queues[key] = deque()
        mine = asyncio.get_running_loop().create_future()
        waiting.append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if not mine.cancelled():  # the turn was passed on to it at the same moment
                self._pass_on(key)
            raise

    def _pass_on(self, key: ActorKey) -> None:
        waiting = self._queues[key]
        while waiting:
            following = waiting.popleft()
            if not following.done():
                following.set_result(None)
                return
        del self._queues[key], self._holders[key]

    @staticmethod
    def _report(turn: Turn, error: Exception) -> None:
        """Log a failed turn once, where it failed: its callers only pass the error on."""
        if isinstance(error, ActorCallError):
            return
        if isinstance(error, RetryableError):
            _log.warning("%s.%s failed: %s", turn.key, turn.method, error, exc_info=error.__cause__)
        else:
            _log.error("%s.%s failed", turn.key, turn.method, exc_info=error)

    def cancel(self, key: ActorKey) -> None:
        """Cancel what runs and what waits in an actor that is taken away; its callers get ``TurnCancelledError``.

        A sidecar has given up those callers before it deactivates the actor. When actors move, it also holds up every
        call to their types until that is answered: a turn that waits for one of those would never end, and after 8 s
        of it 1.18 may hold them up for good.
        """
        for turn in self._running.watched():
            if turn.key == key:
                turn.task.cancel()

    def is_busy(self, key: ActorKey) -> bool:
        """Whether a turn of this actor runs or waits."""
        return key in self._queues

    def open(self) -> None:
        """Take turns from now on."""
        self._open = True

    async def close(self, *, within: float) -> None:
        """Take no new turns; give those that run ``within`` seconds to end, then cancel them."""
        self._open = False
        for cancel in (False, True):
            running = [turn.task for turn in self._running.watched()]
            if not running:
                break
            if cancel:
                _log.warning("%d turns did not end within %g s: cancelled", len(running), within)
                for task in running:
                    task.cancel()
            await asyncio.wait(running, timeout=within)
        self._running.close()
