"""ChatAgent: a user's conversation."""

import hashlib
import logging
from typing import Any

from dapr.actor import ActorId, ActorProxy, Remindable
from dapr.actor.client.proxy import ActorFactoryBase
from dapr.actor.runtime.context import ActorRuntimeContext

from multi_actor.actors.outbox import OutboxActor, Publisher
from multi_actor.contracts import (
    MEMORY,
    RESPONSE,
    ChatAgentInterface,
    ConversationEvent,
    MemoryAgentInterface,
    Message,
    Refusal,
    ResponseAgentInterface,
    UserMessage,
)
from multi_actor.logs import new_id

_log = logging.getLogger(__name__)

RECENT_TURNS = 32
"""How many of a user's turns can be asked for again by their idempotency key."""


class ChatAgent(OutboxActor, ChatAgentInterface, Remindable):
    """Takes a user's messages one by one: has each answered, keeps the turn, tells the world.

    State: ``history-{id}`` the last messages, ``keys-{id}`` the digests of the last 32 turns' idempotency keys, and
    the outbox's ``outbox-{id}`` and ``event-{id}-{n}``, which hold those turns themselves.
    """

    def __init__(
        self,
        ctx: ActorRuntimeContext,
        actor_id: ActorId,
        *,
        proxies: ActorFactoryBase,
        publisher: Publisher,
        history_limit: int,
        outbox_limit: int,
    ) -> None:
        super().__init__(ctx, actor_id, publisher=publisher, outbox_limit=outbox_limit, retain=RECENT_TURNS)
        user = actor_id.id
        self._history_limit = history_limit
        self._history_key = f"history-{user}"
        self._keys_key = f"keys-{user}"
        self._responder: Any = ActorProxy.create(
            RESPONSE, ActorId(f"response-{user}"), ResponseAgentInterface, proxies
        )
        self._memory: Any = ActorProxy.create(MEMORY, ActorId(f"memory-{user}"), MemoryAgentInterface, proxies)

    async def process_message(self, message: UserMessage) -> Message | Refusal:
        """Answer one message; history, event and reply are saved together or not at all."""
        key = _digest(message.get("key") or new_id())
        keys: list[str] = await self._get(self._keys_key, [])
        sequence = await self._next_sequence()

        said = Message(role=message["role"], content=message["content"])

        if key in keys:
            turn: ConversationEvent = await self._event(sequence - len(keys) + keys.index(key))
            return turn["output"] if turn["input"] == said else Refusal(error="key_reused")
        if await self._outbox_is_full():
            return Refusal(error="outbox_full")

        reply: Message = await self._responder.ProcessMessage({**said, "key": key, "sequence": sequence})

        history: list[Message] = await self._get(self._history_key, [])
        await self._set(self._history_key, [*history, said, reply][-self._history_limit :])
        await self._set(self._keys_key, [*keys, key][-RECENT_TURNS:])
        await self._stage(self._conversation_updated(sequence, said, reply))
        _log.info("Processed message for %s", self._history_key)
        _log.debug("%s: %s → %s", self._history_key, said["content"], reply["content"])
        return reply

    async def get_conversation_history(self) -> list[Message]:
        """Return the last messages, oldest first."""
        history: list[Message] = await self._get(self._history_key, [])
        return history

    async def _watermark(self) -> int:
        return int(await self._memory.GetSequence())

    def _describe(self) -> str:
        return self._history_key

    def _conversation_updated(self, sequence: int, said: Message, reply: Message) -> ConversationEvent:
        return ConversationEvent(
            event_id=f"{self.id.id}-{sequence}-{new_id()}",
            sequence=sequence,
            actor_id=self.id.id,
            history_key=self._history_key,
            actor_type=type(self).__name__,
            event_type="ConversationUpdated",
            input=said,
            output=reply,
        )


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
