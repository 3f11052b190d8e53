"""The runtime whose agents are virtual actors, on either actor host: what is promised outlives the process."""

import asyncio
import logging
from collections.abc import Mapping
from functools import partial
from typing import Any, Self, Unpack

from dapr.actor import ActorProxy, Remindable

from multi_actor.actors.outbox import Publisher
from multi_actor.hosting.abc import ActorCallError, ActorHost
from multi_actor.messaging.agent import Agent, AgentMetadata
from multi_actor.messaging.base import RUNNING, RuntimeOptions
from multi_actor.messaging.context import chain_to, running_turn
from multi_actor.messaging.durable import DurableRuntime
from multi_actor.messaging.exceptions import RemoteHandlerError, UnavailableError
from multi_actor.messaging.hosted import Desk, HostedAgent, HostedAgentInterface, HostedTurn, actor_id_of
from multi_actor.messaging.ids import AgentId, TopicId
from multi_actor.messaging.mailbox import Post
from multi_actor.messaging.topics import TopicOptions, Topics, Translator
from multi_actor.messaging.tracing import carry
from multi_actor.messaging.wire import Envelope, Packed, Request, Wire

_log = logging.getLogger(__name__)


class DaprAgentRuntime(DurableRuntime):
    """Hosts agents as virtual actors: an agent type is an actor type, a direct message an actor call.

    A published message goes through the broker. An agent's ``save_state()`` is kept after each message that changed
    it, together with what the handler published, and is given to ``load_state()`` when the agent is made again. A
    message that the broker delivers again is handled once. A handler that raises leaves nothing of what it did; where
    it raised a ``RetryableError`` on a published message, that is delivered again later.

    ``translators`` are for Dapr topics on which others publish: each makes messages of their events. In the
    ``background`` published messages let everything else on the embedded host go first.

    The runtime enters ``host`` when it starts, and leaves it when it stops, unless somebody else has entered it after
    ``join``. ``stop`` waits ``patience`` seconds at most for published messages; those that were not delivered by
    then wait for the next process. So does ``stop_when_idle`` once none has arrived for that long: where there are
    replicas, some arrive at others.
    """

    def __init__(
        self,
        host: ActorHost,
        *,
        patience: float = 30.0,
        background: bool = False,
        translators: Mapping[str, Translator] | None = None,
        **options: Unpack[RuntimeOptions],
    ) -> None:
        super().__init__(**options)
        self._host = host
        self._patience = patience
        self._wire = Wire()
        self._topics = Topics(
            host,
            self._registry,
            self._tracing,
            self._wire.pack,
            partial(self._call, method="Deliver"),
            self._settled,
            TopicOptions(patience, background, translators or {}),
        )
        self._desk = Desk(
            make=partial(self._registry.make, self),
            handle=self._handle_counted,
            refusing=lambda: None if self._state is RUNNING else self._state,
            forget=self._topics.settle,
            publisher=Publisher(self._topics.publish),
            wire=self._wire,
        )
        self._enters = False
        self._opening: asyncio.Task[None] | None = None

    # -- life

    async def join(self) -> None:
        """Register agents and topics with the host, which somebody else enters then."""
        if self._joined:
            return
        self._joined = True
        for agent_type in self._registry.types:
            actor = type(agent_type, (HostedAgent, Remindable), {})
            await self._host.register(actor, partial(actor, desk=self._desk))
        self._topics.subscribe()

    def start(self) -> Self:
        super().start()
        self._opening = asyncio.get_running_loop().create_task(self._open())
        return self

    async def __aenter__(self) -> Self:
        self.start()
        await self._opened()
        return self

    async def _open(self) -> None:
        if not self._joined or self._enters:
            await self.join()
            await self._host.__aenter__()
            self._enters = True
        held, self._held = self._held, []
        for post, message, topic_id in held:
            await self._carry(post, message, topic_id)

    async def _opened(self) -> None:
        """Return when the host takes calls; raises what kept it from starting."""
        if self._opening is not None:
            await asyncio.shield(self._opening)

    async def _until_idle(self) -> None:
        await self._opened()
        while self._busy or self._topics.underway:
            self._idle.clear()
            try:
                async with asyncio.timeout(None if self._busy else self._patience):
                    await self._idle.wait()
            except TimeoutError:
                _log.warning("%d published messages wait, or are elsewhere", self._topics.underway)
                break
            await asyncio.sleep(0)  # as the base class does
        await self._desk.publisher.flush()

    async def _has_stopped(self) -> None:
        opening, self._opening = self._opening, None
        if opening is not None and self._enters:
            await self._host.__aexit__(None, None, None)

    def _refuse_waiting(self) -> None:
        """Leave it to the agents: they refuse those whose turn comes later."""

    async def _close_agents(self) -> None:
        """Leave it to the host: it deactivates them when it stops."""

    # -- direct messages

    async def _request(self, post: Post, message: Any, recipient: AgentId) -> Any:
        chain = chain_to(recipient)
        envelope = self._envelope(post, message, chain)
        self._begin()
        try:
            call = asyncio.ensure_future(self._call(recipient, envelope, method="Deliver"))
            if post.cancellation_token is not None:
                post.cancellation_token.link_future(call)
            return self._wire.unpack(await call)
        finally:
            self._leave_queue(post)
            self._end()

    async def _call(self, recipient: AgentId, argument: Envelope | Request, *, method: str) -> Packed:
        await self._opened()
        actor = ActorProxy.create(recipient.type, actor_id_of(recipient), HostedAgentInterface, self._host.proxies)
        try:
            answer: Packed = await getattr(actor, method)(argument)
        except ActorCallError as error:
            if error.retryable:
                raise UnavailableError(str(recipient), str(error)) from error
            raise RemoteHandlerError(type(error).__name__, str(error)) from error
        return answer

    def _envelope(self, post: Post, message: Any, chain: tuple[str, ...] = ()) -> Envelope:
        return Envelope(
            event_id=post.id,
            message=self._wire.pack(message),
            sender=str(post.sender) if post.sender else None,
            topic=str(post.topic_id) if post.topic_id else None,
            chain=list(chain),
            trace=carry(post.trace),
        )

    async def _handle_counted(self, agent: Agent, message: Any, post: Post) -> Any:
        self._begin()
        try:
            return await self._handle(agent, message, post)
        finally:
            self._end()

    # -- published messages

    async def _broadcast(self, post: Post, message: Any, topic_id: TopicId) -> None:
        await self._opened()
        await self._carry(post, message, topic_id)

    async def _carry(self, post: Post, message: Any, topic_id: TopicId) -> None:
        event = self._envelope(post, message)
        turn = running_turn()
        if isinstance(turn, HostedTurn):
            await turn.publish(event)
            self._topics.expect(post, topic_id)
            return
        self._topics.expect(post, topic_id)
        try:
            await self._topics.publish(event, post.id)
        except BaseException:
            self._topics.settle(post.id)
            raise

    def _settled(self, post: Post) -> None:
        self._leave_queue(post)
        self._idle.set()

    # -- agents

    async def _manage(self, agent_id: AgentId, request: Request) -> Any:
        self._registry.check(agent_id)
        chain_to(agent_id)
        return self._wire.unpack(await self._call(agent_id, request, method="Manage"))

    async def agent_metadata(self, agent: AgentId) -> AgentMetadata:
        metadata: AgentMetadata = await self._manage(agent, Request(do="metadata", state=None))
        return metadata

    async def agent_save_state(self, agent: AgentId) -> Mapping[str, Any]:
        state: Mapping[str, Any] = await self._manage(agent, Request(do="save", state=None))
        return state

    async def agent_load_state(self, agent: AgentId, state: Mapping[str, Any]) -> None:
        await self._manage(agent, Request(do="load", state=dict(state)))

    def _made_here(self) -> list[AgentId]:
        return sorted(self._desk.made, key=str)
