"""A responder whose replies stay short, so that a memory of a thousand messages stays small, and never repeat."""

import uuid

from multi_actor.contracts import Message, Remembered


class BriefResponder:
    """Echoes the message with a token that only the first making of a reply can have."""

    async def respond(self, message: Message, memory: list[Remembered], number: int) -> str:
        return f"{number} after {len(memory)}: {message['content']} ({uuid.uuid4().hex})"
