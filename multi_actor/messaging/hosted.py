"""An agent as a virtual actor: its state and what it publishes are saved together, or not at all."""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

from dapr.actor import ActorId, ActorInterface, actormethod
from dapr.actor.runtime.context import ActorRuntimeContext

from multi_actor.actors.outbox import OutboxActor, Publisher
from multi_actor.errors import RetryableError
from multi_actor.messaging.agent import Agent
from multi_actor.messaging.context import Turn, current_turn
from multi_actor.messaging.exceptions import RuntimeStoppedError, UnavailableError
from multi_actor.messaging.ids import AgentId, TopicId
from multi_actor.messaging.logging import MessageHandlerExceptionEvent
from multi_actor.messaging.mailbox import Post
from multi_actor.messaging.seen import Seen
from multi_actor.messaging.tracing import carried
from multi_actor.messaging.wire import Envelope, Packed, Request, Wire, pack_error
from multi_actor.serialization import write_json

_log = logging.getLogger(__name__)

OUTBOX_LIMIT = 1000
"""Messages of one agent that may wait for the broker."""


class HostedAgentInterface(ActorInterface):
    """An agent. Actor type: the agent's type; actor id: its key, in letters that any URL takes."""

    @actormethod(name="Deliver")
    async def deliver(self, envelope: Envelope) -> Packed:
        """Hand over a message; the reply is an error's JSON where the handler raised."""

    @actormethod(name="Manage")
    async def manage(self, request: Request) -> Packed:
        """Ask for metadata or state, or set the state."""


def actor_id_of(agent_id: AgentId) -> ActorId:
    """Return the id of an agent's actor: other characters than letters, digits, ``_``, ``-``, ``.`` are ``=XX``."""
    return ActorId(quote(agent_id.key, safe="").replace("~", "%7E").replace("%", "="))


class HostedTurn(Turn):
    """A turn of a hosted agent; what it publishes leaves when its actor is saved."""

    __slots__ = ("earlier", "full", "published")

    def __init__(self, agent_id: AgentId, earlier: tuple[str, ...], full: Callable[[], Awaitable[bool]]) -> None:
        super().__init__(agent_id)
        self.earlier = earlier
        self.full = full
        self.published: list[Envelope] = []

    def chain(self) -> tuple[str, ...]:
        return (*self.earlier, str(self.agent_id))

    async def publish(self, event: Envelope) -> None:
        """Take a message in; raises ``UnavailableError`` if too many wait."""
        if len(self.published) >= OUTBOX_LIMIT or await self.full():
            raise UnavailableError(event["topic"] or "", f"more than {OUTBOX_LIMIT} messages wait for the broker")
        self.published.append(event)


@dataclass(frozen=True)
class Desk:
    """What hosted agents share with the runtime of their process."""

    make: Callable[[AgentId], Awaitable[Agent]]
    handle: Callable[[Agent, Any, Post], Awaitable[Any]]
    refusing: Callable[[], str | None]
    """The runtime's state, while it takes no direct messages."""
    forget: Callable[[str], None]
    """Note that a message, by its id, was not published after all."""
    publisher: Publisher
    wire: Wire
    made: set[AgentId] = field(default_factory=set)


class HostedAgent(OutboxActor, HostedAgentInterface):
    """One agent of one type; each type has a subclass by its name.

    State: ``agent-{id}`` is what ``save_state`` returned, ``seen-{id}-{n}`` which published messages were handled
    last, beside the outbox's keys. A handler that raises leaves none: the agent is made again from what
    was saved.
    """

    def __init__(self, ctx: ActorRuntimeContext, actor_id: ActorId, *, desk: Desk) -> None:
        super().__init__(
            ctx, actor_id, publisher=desk.publisher, outbox_limit=OUTBOX_LIMIT, retain=0, ask_every=math.inf
        )
        self._desk = desk
        self._agent_id = AgentId(type(self).__name__, unquote(actor_id.id.replace("=", "%")))
        self._agent: Agent | None = None
        self._kept = b""
        self._seen = Seen(self._get, self._set, f"seen-{actor_id.id}")
        self._leaving: list[Envelope] = []
        self._gone: set[int] = set()

    # -- messages

    async def deliver(self, envelope: Envelope) -> Packed:
        """Handle a message once, in effect, however often it is delivered."""
        published = envelope["topic"] is not None
        refusing = self._desk.refusing()
        if refusing and not published:
            return pack_error(RuntimeStoppedError(refusing))
        if published and await self._seen.knows(envelope["event_id"]):
            return {}
        turn = HostedTurn(self._agent_id, tuple(envelope["chain"]), self._outbox_is_full)
        token = current_turn.set(turn)
        try:
            answer = await self._handle(envelope, turn)
        except BaseException as error:
            await self._state_manager.clear_cache()
            self._on_roll_back()
            self._forget(turn.published)
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task and task.cancelling():
                raise  # by the host, whose word on it counts
            answer = pack_error(error)
            MessageHandlerExceptionEvent.log(
                payload=envelope["message"], handling_agent=self._agent_id, exception=error
            )
            if published and isinstance(error, RetryableError):
                _log.warning("%s could not handle a published message now: %s", self._agent_id, error)
                return answer
            if published:
                _log.error("%s failed on a published message", self._agent_id, exc_info=error)
                answer = {}
        finally:
            turn.ended = True
            current_turn.reset(token)
        if published:
            await self._seen.add(envelope["event_id"])
        return answer

    async def _handle(self, envelope: Envelope, turn: HostedTurn) -> Packed:
        agent = self._agent or await self._wake()
        topic, sender = envelope["topic"], envelope["sender"]
        post = Post(
            TopicId.from_str(topic) if topic else None,
            sender=AgentId.from_str(sender) if sender else None,
            message_id=envelope["event_id"],
        )
        post.trace = carried(envelope["trace"])
        answer = self._desk.wire.pack(
            await self._desk.handle(agent, self._desk.wire.unpack(envelope["message"]), post)
        )
        await self._keep(agent)
        await self._watermark()
        for each in turn.published:
            await self._stage({**each, "number": await self._next_sequence()})
        self._leaving = turn.published
        return answer

    async def manage(self, request: Request) -> Packed:
        """Answer between two messages."""
        try:
            agent = self._agent or await self._wake()
            if request["do"] == "metadata":
                return Packed(value=dict(agent.metadata))
            if request["do"] == "save":
                return Packed(value=dict(await agent.save_state()))
            await agent.load_state(request["state"] or {})
            await self._keep(agent)
        except Exception as error:  # noqa: BLE001  # whatever the agent's code raises, the caller gets
            self._forget([])
            return pack_error(error)
        return {}

    # -- the agent and its state

    async def _wake(self) -> Agent:
        agent = await self._desk.make(self._agent_id)
        state = await self._get(f"agent-{self.id.id}", {})
        if state:
            await agent.load_state(state)
        self._kept = write_json(state)
        self._agent = agent
        self._desk.made.add(self._agent_id)
        return agent

    async def _keep(self, agent: Agent) -> None:
        state = dict(await agent.save_state())
        written = write_json(state)
        if written != self._kept:
            await self._set(f"agent-{self.id.id}", state)
            self._kept = written

    def _forget(self, published: list[Envelope]) -> None:
        """Make the agent anew for its next message: what it holds is not what is saved."""
        self._agent = None
        self._seen.forget()
        for envelope in published:
            self._desk.forget(envelope["event_id"])

    def _on_roll_back(self) -> None:
        super()._on_roll_back()
        self._forget([])

    async def _save_state_internal(self) -> None:
        leaving, self._leaving = self._leaving, []
        try:
            await super()._save_state_internal()
        except BaseException:
            self._forget(leaving)
            raise

    async def _on_deactivate(self) -> None:
        self._desk.made.discard(self._agent_id)
        if self._agent is not None:
            await self._agent.close()

    # -- the outbox: its consumer is the broker

    async def _watermark(self) -> int:
        """Return up to where the broker has taken every message."""
        covered, _ = await self._numbers()
        self._heard = max(self._heard, covered)
        while self._heard + 1 in self._gone:
            self._heard += 1
            self._gone.remove(self._heard)
        return self._heard

    def _describe(self) -> str:
        return str(self._agent_id)

    def _on_published(self, event: Mapping[str, Any]) -> None:
        self._gone.add(event["number"])
