"""The wire: what actors say to each other, what they publish, and under which names.

Everything that crosses an actor call is plain JSON, so it is described by ``TypedDict``; what arrives from
outside is checked by a model. State of user ``user1`` lives under keys that end in ``-user1``.
"""

from typing import Annotated, Literal, NotRequired, TypedDict

from dapr.actor import ActorInterface, actormethod
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

APP_ID = "multi-actor"
PUBSUB = "daca-pubsub"
USER_CHAT = "user-chat"

CHAT = "ChatAgent"
RESPONSE = "ResponseAgent"
MEMORY = "MemoryAgentActor"

USER_ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"


class Message(TypedDict):
    """One message of a conversation. ``role`` is ``user`` or ``assistant``; ``content`` is kept as it was typed."""

    role: str
    content: str


class UserMessage(Message):
    """A message on its way in, with what makes its repetition harmless."""

    key: NotRequired[str]
    """Idempotency key: the same key is the same turn."""
    sequence: NotRequired[int]
    """Number of this turn for this user, from 1."""


class Remembered(Message):
    """A remembered message. ``quote`` is what to quote of a reply: its own words, without the memory in it."""

    quote: NotRequired[str]


class Refusal(TypedDict):
    """An expected failure, as a result: an exception would lose its type on the way to the caller."""

    error: Literal["key_reused", "outbox_full"]


class ConversationEvent(TypedDict):
    """The data of a ``ConversationUpdated`` event: one turn of one user."""

    event_id: str
    sequence: int
    actor_id: str
    history_key: str
    actor_type: str
    event_type: str
    input: Message
    output: Message


def _text(value: str) -> str:
    if "\0" in value:
        raise ValueError("U+0000 is not text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("a lone surrogate is not text") from None
    return value


Text = Annotated[str, AfterValidator(_text)]
"""What can be kept and sent on: no U+0000 and no lone surrogate (JSON's ``\\ud800`` brings one in)."""


class MessageModel(BaseModel):
    """A message that came from outside."""

    model_config = ConfigDict(strict=True)

    role: Literal["user", "assistant"]
    content: Text


class ConversationUpdated(BaseModel):
    """A ``ConversationEvent`` that came from a broker: strict, so that what does not fit can be dropped."""

    model_config = ConfigDict(strict=True)

    event_id: Annotated[str, Field(min_length=1)]
    sequence: Annotated[int, Field(ge=1)]
    actor_id: Annotated[str, Field(pattern=USER_ID_PATTERN)]
    history_key: str
    actor_type: Literal["ChatAgent"]
    event_type: Literal["ConversationUpdated"]
    input: MessageModel
    output: MessageModel


class ChatAgentInterface(ActorInterface):
    """A user's conversation. Actor id: the user's id."""

    @actormethod(name="ProcessMessage")
    async def process_message(self, message: UserMessage) -> Message | Refusal:
        """Take one message and return the reply, or why there is none. The same ``key`` gives the same reply."""

    @actormethod(name="GetConversationHistory")
    async def get_conversation_history(self) -> list[Message]:
        """Return the last messages, oldest first."""


class ResponseAgentInterface(ActorInterface):
    """Writes a user's replies. Actor id: ``response-`` and the user's id."""

    @actormethod(name="ProcessMessage")
    async def process_message(self, message: UserMessage) -> Message:
        """Return the reply to one message; each ``sequence`` is counted once."""

    @actormethod(name="GetMessageCount")
    async def get_message_count(self) -> int:
        """Return how many of the user's turns were answered."""


class MemoryAgentInterface(ActorInterface):
    """What is remembered of a user. Actor id: ``memory-`` and the user's id."""

    @actormethod(name="UpdateMemory")
    async def update_memory(self, event: ConversationEvent) -> bool:
        """Take in one turn, in whatever order turns arrive; return whether it was new."""

    @actormethod(name="GetMemory")
    async def get_memory(self) -> list[Remembered]:
        """Return the last remembered messages, oldest first."""

    @actormethod(name="GetSequence")
    async def get_sequence(self) -> int:
        """Return the watermark: every turn up to it has been taken in."""
