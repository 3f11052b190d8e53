"""Responders: what writes a reply. An LLM goes here."""

from datetime import UTC, datetime
from typing import Protocol

from multi_actor.contracts import Message, Remembered

QUOTE_CHARS = 200
_SAID = "Got your message: "


class Responder(Protocol):
    """Writes replies. One object serves every user, several at a time."""

    async def respond(self, message: Message, memory: list[Remembered], number: int) -> str:
        """Return the reply to ``message``.

        Args:
            message: what the user says now.
            memory: what is remembered of the turns before, oldest first; empty for a new user, or when the
                memory actor is not to be reached.
            number: of this message among the user's, from 1.
        """


class TemplateResponder:
    """Says what it remembers and what it got: bounded, whatever was said before."""

    async def respond(self, message: Message, memory: list[Remembered], number: int) -> str:
        """Return the sentence, with the time in UTC."""
        context = "; ".join(f"{m['role']}: {_quoted(m)}" for m in memory) or f"Message count: {number}"
        now = datetime.now(UTC).isoformat()
        return f"Memory: {context}. {_SAID}{message['content']} at {now}"


def _quoted(message: Remembered) -> str:
    return message.get("quote", message["content"])[:QUOTE_CHARS]


def own_words(reply: str, *, to: str) -> str:
    """Return what a reply said itself, without the memory that it quoted, clipped to what is ever quoted of it.

    The reply alone would not tell where that begins, since messages may imitate the sentence; with the message
    that it answers it does: nothing but the time follows the last place where that is echoed.
    """
    return reply[max(reply.rfind(f"{_SAID}{to} at "), 0) :][:QUOTE_CHARS]
