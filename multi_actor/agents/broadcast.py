"""How a conversation's broadcast reaches agents, and how they are asked about it."""

import asyncio
import contextlib
import logging
from types import TracebackType
from typing import Any, Self

from pydantic import ValidationError

from multi_actor.agents import register_agents
from multi_actor.agents.conversation_log import WriteNow
from multi_actor.agents.turn_log import TurnLog
from multi_actor.contracts import USER_CHAT, ConversationUpdated
from multi_actor.errors import MultiActorError
from multi_actor.hosting.abc import ActorHost, CloudEvent
from multi_actor.messaging import AgentId, TopicId
from multi_actor.messaging.dapr import DaprAgentRuntime
from multi_actor.messaging.topics import Incoming
from multi_actor.subscriptions import event_data

_log = logging.getLogger(__name__)
PATIENCE = 1.0  # seconds that the end waits for messages between agents; the rest waits for the next start
OWED_SECONDS = 15.0  # between two attempts to write what the log's database did not take


class Broadcast:
    """The agents of one application, while it runs."""

    def __init__(self, host: ActorHost, turn_log: TurnLog) -> None:
        self._host = host
        self._turn_log = turn_log

    async def join(self) -> None:
        """Register the agents and their topics with the host, before that is entered."""
        self._runtime = DaprAgentRuntime(
            self._host, patience=PATIENCE, background=True, translators={USER_CHAT: conversation_message}
        )
        await register_agents(self._runtime, self._turn_log)
        await self._runtime.join()

    async def __aenter__(self) -> Self:
        self._runtime.start()
        self._writing = asyncio.create_task(self._write_what_is_owed())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writing.cancel()
        with contextlib.suppress(TimeoutError):  # the host waits for turns, as long as it has time for them
            async with asyncio.timeout(2 * PATIENCE):
                await self._runtime.stop()

    async def _write_what_is_owed(self) -> None:
        """Have the turns written that waited for the log's database, also of users who say nothing more."""
        while True:
            await asyncio.sleep(OWED_SECONDS)
            for user_id in list(self._turn_log.owed):
                try:
                    await self.ask(WriteNow(), "ConversationLog", user_id)
                except MultiActorError as error:
                    _log.warning("turns of %d users wait for the log: %s", len(self._turn_log.owed), error)
                    break
                self._turn_log.owed.discard(user_id)

    async def ask(self, question: Any, agent_type: str, user_id: str) -> Any:
        """Return an agent's answer.

        Raises:
            RetryableError: it cannot be reached now.
        """
        return await self._runtime.send_message(question, AgentId(agent_type, user_id))


def conversation_message(event: CloudEvent) -> Incoming | None:
    """Make a typed message of a ``ConversationUpdated`` event, with the user's id as the topic's source."""
    try:
        turn = ConversationUpdated.model_validate(event_data(event))
    except ValidationError:
        return None  # the service's own subscription drops it, and says why
    return Incoming(turn, TopicId(USER_CHAT, turn.actor_id), turn.event_id)
