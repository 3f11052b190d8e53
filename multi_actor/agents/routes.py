"""What the agents found out, over HTTP."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from multi_actor.agents.broadcast import Broadcast
from multi_actor.agents.conversation_log import GetTurns, Turns
from multi_actor.agents.sentiment import GetSentiment, Sentiment
from multi_actor.schemas import ActorIdPath, errors


def agent_routes(broadcast: Broadcast) -> APIRouter:
    """Return what clients ask agents."""
    router = APIRouter(tags=["agents"], responses=errors(422))

    @router.get("/sentiment/{actor_id}", summary="Read a user's tone", response_model=Sentiment)
    async def sentiment(actor_id: ActorIdPath) -> Any:
        """Return the tone of what the user said: of all messages, and of the last five, oldest first.

        Of each message the first 1,000 characters are rated.
        """
        return await broadcast.ask(GetSentiment(), "SentimentAgent", actor_id)

    @router.get("/log/{actor_id}", summary="Read the log of a conversation", response_model=Turns)
    async def log(
        actor_id: ActorIdPath,
        limit: Annotated[int, Query(ge=1, le=1000, description="how many of the last turns", examples=[20])] = 20,
    ) -> Any:
        """Return the user's last turns as they were logged, oldest first."""
        return await broadcast.ask(GetTurns(limit=limit), "ConversationLog", actor_id)

    return router
