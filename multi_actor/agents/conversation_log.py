"""Every turn, in a SQL table that other programs can read."""

import logging
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from multi_actor.agents.turn_log import EXAMPLE, LoggedTurn, TurnLog
from multi_actor.contracts import USER_CHAT, ConversationUpdated
from multi_actor.errors import LogUnavailableError
from multi_actor.messaging import MessageContext, RoutedAgent, event, rpc, type_subscription

_log = logging.getLogger(__name__)
UNWRITTEN = 100
"""Turns of one user that wait for the database, at most; the next ones wait in their topic."""


class GetTurns(BaseModel):
    """Asks for the last turns of a user."""

    limit: Annotated[int, Field(ge=1)]


class Turns(BaseModel):
    """Turns of a user, oldest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"turns": [EXAMPLE]}]})

    turns: list[LoggedTurn]


class WriteNow(BaseModel):
    """Asks to write down what waits."""


@type_subscription(USER_CHAT)
class ConversationLog(RoutedAgent):
    """Writes each turn of one user, whose id is the agent's key, when it is broadcast.

    A turn that the database does not take now is kept in the agent's state, and written with the next one, before the
    log is read, or when ``WriteNow`` comes: a database that is away holds up nobody.
    """

    def __init__(self, turn_log: TurnLog) -> None:
        super().__init__("Every turn, in a SQL table")
        self._turn_log = turn_log
        self._unwritten: list[ConversationUpdated] = []

    @event
    async def on_turn(self, message: ConversationUpdated, ctx: MessageContext) -> None:
        """Write a turn down; one that is there already stays as it is."""
        waiting = [*self._unwritten, message]
        try:
            await self._turn_log.add(*waiting)
        except LogUnavailableError as error:
            if len(waiting) > UNWRITTEN:
                raise
            _log.warning("%s: a turn waits: %s", self.id, error)
            self._turn_log.owed.add(self.id.key)
            self._unwritten = waiting
        else:
            self._unwritten = []

    @rpc
    async def on_write_now(self, message: WriteNow, ctx: MessageContext) -> None:
        """Write what waits."""
        await self._write()

    @rpc
    async def on_question(self, message: GetTurns, ctx: MessageContext) -> Turns:
        """Read the last turns."""
        await self._write()
        return Turns(turns=await self._turn_log.last(self.id.key, message.limit))

    async def save_state(self) -> Mapping[str, Any]:
        """Return the turns that wait."""
        return {"unwritten": [turn.model_dump() for turn in self._unwritten]} if self._unwritten else {}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Let them wait on."""
        self._unwritten = [ConversationUpdated.model_validate(turn) for turn in state.get("unwritten", [])]

    async def _write(self) -> None:
        if self._unwritten:
            await self._turn_log.add(*self._unwritten)
            self._unwritten = []
