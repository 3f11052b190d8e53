"""The service as it is, with one route more that takes and returns what a turn does and does nothing between."""

import main
from multi_actor.contracts import MessageModel
from multi_actor.schemas import ActorIdPath, ChatReply, UserMessageIn


@main.app.post("/bare/{actor_id}")
async def bare(actor_id: ActorIdPath, message: UserMessageIn) -> ChatReply:
    return ChatReply(response=MessageModel(role="assistant", content=f"{actor_id}: {message.content}"))


if __name__ == "__main__":
    main.serve()
