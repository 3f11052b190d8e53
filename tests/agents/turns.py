"""Turns as the conversation's broadcast has them."""

from multi_actor.contracts import ConversationUpdated, MessageModel


def turn(sequence: int, said: str = "Hi", *, user: str = "ada", event_id: str = "") -> ConversationUpdated:
    return ConversationUpdated(
        event_id=event_id or f"{user}-{sequence}",
        sequence=sequence,
        actor_id=user,
        history_key=f"history-{user}",
        actor_type="ChatAgent",
        event_type="ConversationUpdated",
        input=MessageModel(role="user", content=said),
        output=MessageModel(role="assistant", content=f"You said {said}"),
    )
