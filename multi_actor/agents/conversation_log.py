"""Every turn, in a SQL table that other programs can read."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from multi_actor.agents.turn_log import EXAMPLE, LoggedTurn, TurnLog
from multi_actor.contracts import USER_CHAT, ConversationUpdated
from multi_actor.messaging import MessageContext, RoutedAgent, event, rpc, type_subscription


class GetTurns(BaseModel):
    """Asks for the last turns of a user."""

    limit: Annotated[int, Field(ge=1)]


class Turns(BaseModel):
    """Turns of a user, oldest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"turns": [EXAMPLE]}]})

    turns: list[LoggedTurn]


@type_subscription(USER_CHAT)
class ConversationLog(RoutedAgent):
    """Writes each turn of one user, whose id is the agent's key, when it is broadcast."""

    def __init__(self, turn_log: TurnLog) -> None:
        super().__init__("Every turn, in a SQL table")
        self._turn_log = turn_log

    @event
    async def on_turn(self, message: ConversationUpdated, ctx: MessageContext) -> None:
        """Write a turn down; one that is there already stays as it is."""
        await self._turn_log.add(message)

    @rpc
    async def on_question(self, message: GetTurns, ctx: MessageContext) -> Turns:
        """Read the last turns."""
        return Turns(turns=await self._turn_log.last(self.id.key, message.limit))
