"""A turn, the chain of calls that it belongs to, and which one runs here."""

import asyncio
from contextvars import ContextVar
from typing import Any, NamedTuple

from multi_actor.deadlines import Deadline
from multi_actor.hosting.abc import ActorKey


class Origin(NamedTuple):
    """Where a call that came in from another process began."""

    chain: tuple[str, ...] = ()
    """The calls that led to it, outermost first, as ``type/id``."""
    seconds_left: float | None = None
    """Until the deadline of that chain."""
    reentrancy_id: str | None = None


HERE = Origin()


class Turn(Deadline):
    """One turn of one actor, and the turn that called for it; ``result`` is what the caller waits for."""

    __slots__ = ("caller", "ended", "key", "method", "origin", "reentrancy_id", "reentrant", "result", "started")

    def __init__(
        self, key: ActorKey, method: str, caller: "Turn | None", result: asyncio.Future[Any], when: float
    ) -> None:
        super().__init__(when)
        self.key = key
        self.method = method
        self.caller = caller
        self.origin = HERE
        self.result = result
        self.reentrancy_id: str | None = caller.reentrancy_id if caller else None
        self.reentrant = False
        self.started = False
        self.ended = False

    def names(self) -> tuple[str, ...]:
        """Return the chain of calls as ``type/id``, outermost first."""
        turn = self
        names = [str(turn.key)]
        while turn.caller:
            turn = turn.caller
            names.append(str(turn.key))
        return (*turn.origin.chain, *reversed(names))


# The turn that runs here. Calls made from it carry its chain and its deadline.
_current: ContextVar[Turn | None] = ContextVar("current_turn", default=None)


def enter(turn: Turn) -> None:
    """Have what this task does from now on be part of a turn."""
    _current.set(turn)


def current_turn() -> Turn | None:
    """Return the turn that runs here, if one does."""
    turn = _current.get()
    return None if turn is None or turn.ended else turn
