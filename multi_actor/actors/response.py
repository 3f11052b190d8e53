"""ResponseAgent: writes a user's replies."""

import logging
from typing import Any

from dapr.actor import ActorId, ActorProxy
from dapr.actor.client.proxy import ActorFactoryBase
from dapr.actor.runtime.context import ActorRuntimeContext

from multi_actor.actors.responder import Responder
from multi_actor.actors.transactional import TransactionalActor
from multi_actor.contracts import (
    MEMORY,
    MemoryAgentInterface,
    Message,
    MessageModel,
    Remembered,
    ResponseAgentInterface,
    UserMessage,
)
from multi_actor.deadlines import TimeLimit
from multi_actor.errors import ResponderFailedError

_log = logging.getLogger(__name__)


class ResponseAgent(TransactionalActor, ResponseAgentInterface):
    """Asks the memory actor what it remembers and has the responder write the reply.

    State: ``response-count-{user}``, the number of the last turn that was answered. Turns are numbered without
    gaps, so that is how many there were, and a repeated turn counts once.
    """

    def __init__(
        self,
        ctx: ActorRuntimeContext,
        actor_id: ActorId,
        *,
        proxies: ActorFactoryBase,
        responder: Responder,
        memory_time: TimeLimit,
    ) -> None:
        super().__init__(ctx, actor_id)
        user = actor_id.id.removeprefix("response-")
        self._count_key = f"response-count-{user}"
        self._responder = responder
        self._memory_time = memory_time
        self._memory: Any = ActorProxy.create(MEMORY, ActorId(f"memory-{user}"), MemoryAgentInterface, proxies)

    async def process_message(self, message: UserMessage) -> Message:
        """Return the reply to one message."""
        count: int = await self._get(self._count_key, 0)
        number = message.get("sequence", count + 1)
        said = Message(role=message["role"], content=message["content"])
        memory = await self._remembered()
        try:
            content = await self._responder.respond(said, memory, number)
            MessageModel(role="assistant", content=content)  # what is no text would stop the user's events for good
        except Exception as error:
            raise ResponderFailedError(self.id.id) from error
        await self._set(self._count_key, max(count, number))
        _log.info("ResponseAgent processed message for %s", self._count_key)
        return Message(role="assistant", content=content)

    async def get_message_count(self) -> int:
        """Return how many of the user's turns were answered."""
        count: int = await self._get(self._count_key, 0)
        return count

    async def _remembered(self) -> list[Remembered]:
        """Return what is remembered; a memory that fails or is slow costs its part of the reply, not the reply."""
        try:
            memory: list[Remembered] = await self._memory_time.keep(self._memory.GetMemory())
        except Exception as error:  # noqa: BLE001  # whatever it is, the user gets a reply
            _log.warning("reply without memory for %s: %s", self._count_key, error or type(error).__name__)
            return []
        return memory
