"""The runtime of one process."""

import asyncio
import logging
from collections.abc import Mapping
from contextvars import copy_context
from typing import Any, Self, Unpack

from multi_actor.logs import correlation_id
from multi_actor.messaging.abc import A
from multi_actor.messaging.agent import Agent, AgentMetadata
from multi_actor.messaging.base import BaseRuntime, RuntimeOptions
from multi_actor.messaging.context import current_turn, running_turn
from multi_actor.messaging.exceptions import RegistrationError, RuntimeStoppedError
from multi_actor.messaging.ids import AgentId, TopicId
from multi_actor.messaging.logging import MessageHandlerExceptionEvent
from multi_actor.messaging.mailbox import Delivery, Mailbox, Mailboxes, Post, Work
from multi_actor.messaging.messages import own_copies

_log = logging.getLogger(__name__)


class SingleThreadedAgentRuntime(BaseRuntime):
    """Keeps agents and messages in this process, on one event loop; what it holds ends with the process.

    A message is handled in a task of its own, in a copy of the context in which the runtime was started. With
    ``ignore_unhandled_exceptions`` off, the first error of a published message's handler is raised again when the
    runtime has stopped.
    """

    def __init__(self, *, ignore_unhandled_exceptions: bool = True, **options: Unpack[RuntimeOptions]) -> None:
        super().__init__(**options)
        self._ignore_unhandled = ignore_unhandled_exceptions
        self._unhandled: BaseException | None = None
        self._boxes = Mailboxes()
        self._context = copy_context()

    @property
    def unprocessed_messages_count(self) -> int:
        """How many messages wait, each counted once for every agent that gets it."""
        return sum(len(box.waiting) for box in self._boxes.values()) + len(self._held)

    # -- life

    def start(self) -> Self:
        super().start()
        self._context = copy_context()
        held, self._held = self._held, []
        for post, message, topic_id in held:
            self._post_to_all(post, message, topic_id)
        return self

    def _refuse_waiting(self) -> None:
        for box in self._boxes.values():
            for delivery in box.waiting:
                if delivery.reply is not None and not delivery.work and not delivery.reply.done():
                    delivery.reply.set_exception(RuntimeStoppedError(self._state))

    async def _has_stopped(self) -> None:
        error, self._unhandled = self._unhandled, None
        if error is not None:
            raise error

    async def _close_agents(self) -> None:
        boxes, self._boxes = self._boxes, Mailboxes()
        for box in boxes.values():
            if box.agent is not None:
                try:
                    await box.agent.close()
                except Exception:  # noqa: BLE001  # the agent's own code
                    _log.exception("%s failed while it was closed", box.agent_id)

    # -- carrying

    async def _request(self, post: Post, message: Any, recipient: AgentId, work: Work | None = None) -> Any:
        caller = running_turn()
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        delivery = Delivery(self._boxes[recipient], post, message, caller, reply, work)
        if post.cancellation_token is not None:
            post.cancellation_token.link_future(reply)
        if not isinstance(caller, Delivery):
            self._enqueue(delivery)
            return await reply
        delivery.refuse_circles(caller)
        caller.waits = caller.waits or set()
        caller.waits.add(delivery)
        self._enqueue(delivery)
        try:
            return await reply
        finally:
            caller.waits.discard(delivery)

    async def _broadcast(self, post: Post, message: Any, topic_id: TopicId) -> None:
        self._post_to_all(post, message, topic_id)

    def _post_to_all(self, post: Post, message: Any, topic_id: TopicId) -> None:
        agents = [agent for agent in self._registry.subscribers(topic_id) if agent != post.sender]
        post.spread(self._tracing.begin("publish", topic_id, post.trace), len(agents))
        if not agents:
            self._leave_queue(post)
        for agent_id, each in zip(agents, own_copies(message, len(agents)), strict=True):
            self._enqueue(Delivery(self._boxes[agent_id], post, each))

    # -- turns

    def _enqueue(self, delivery: Delivery) -> None:
        self._busy += 1
        if delivery.box.running is None:
            self._begin_turn(delivery)
        else:
            delivery.box.waiting.append(delivery)

    def _begin_turn(self, delivery: Delivery) -> None:
        box = delivery.box
        box.running = delivery
        if delivery.post.places:
            self._leave_queue(delivery.post)
        # What loop.create_task() does besides is a tenth of a message's cost.
        box.task = asyncio.Task(
            self._take_turn(delivery), loop=asyncio.get_running_loop(), context=self._context.copy()
        )

    async def _take_turn(self, delivery: Delivery) -> None:
        box, post, reply = delivery.box, delivery.post, delivery.reply
        current_turn.set(delivery)
        correlation_id.set(post.correlation_id)
        try:
            if reply is not None and reply.done():
                raise asyncio.CancelledError  # taken back at the last moment  # noqa: TRY301
            agent = box.agent
            if agent is None:
                agent = box.agent = await self._registry.make(self, box.agent_id)
            if delivery.work is not None:
                answer = await delivery.work(agent)
            elif post.watched:
                answer = await self._handle(agent, delivery.message, post)
            else:
                answer = await agent.on_message(delivery.message, post.context())
        except BaseException as error:  # noqa: BLE001  # whatever it is, its sender waits for it
            self._fail(delivery, error)
        else:
            if reply is not None and not reply.done():
                reply.set_result(answer)
        delivery.ended = True
        if post.watched:
            post.delivered()
        self._end_turn(box)

    def _end_turn(self, box: Mailbox) -> None:
        box.running = None
        while box.waiting:
            following = box.waiting.popleft()
            if following.reply is None or not following.reply.done():
                self._begin_turn(following)
                break
            self._leave_queue(following.post)  # its sender has left, or was refused
            self._end()
        else:
            if box.agent is None:
                self._boxes.pop(box.agent_id, None)
        self._end()

    def _fail(self, delivery: Delivery, error: BaseException) -> None:
        MessageHandlerExceptionEvent.log(payload=delivery.message, handling_agent=delivery.agent_id, exception=error)
        reply = delivery.reply
        if reply is not None and isinstance(error, asyncio.CancelledError):
            reply.cancel()
            return
        if reply is not None and not reply.done():
            reply.set_exception(error)
            return
        _log.error("%s failed on a %s", delivery.agent_id, type(delivery.message).__name__, exc_info=error)
        if reply is None and not self._ignore_unhandled and self._unhandled is None:
            self._unhandled = error

    # -- agents

    async def _with_agent(self, agent_id: AgentId, work: Work) -> Any:
        """Do ``work`` between two messages of an agent, which is made if need be."""
        self._registry.check(agent_id)
        return await self._request(Post(), None, agent_id, work)

    async def register_agent_instance(self, agent_instance: Agent, agent_id: AgentId) -> AgentId:
        if agent_id in self._boxes:
            raise RegistrationError(f"there is an agent {agent_id} already")
        self._registry.add_instance(agent_id.type, type(agent_instance))
        await agent_instance.bind_id_and_runtime(agent_id, self)
        self._boxes[agent_id].agent = agent_instance
        return agent_id

    async def try_get_underlying_agent_instance(self, id: AgentId, type: type[A]) -> A:
        agent: Agent = await self._with_agent(id, _itself)
        if not isinstance(agent, type):
            raise TypeError(f"{id} is a {agent.__class__.__name__}, not a {type.__name__}")
        return agent

    async def agent_metadata(self, agent: AgentId) -> AgentMetadata:
        made: Agent = await self._with_agent(agent, _itself)
        return made.metadata

    async def agent_save_state(self, agent: AgentId) -> Mapping[str, Any]:
        state: Mapping[str, Any] = await self._with_agent(agent, lambda it: it.save_state())
        return state

    async def agent_load_state(self, agent: AgentId, state: Mapping[str, Any]) -> None:
        await self._with_agent(agent, lambda it: it.load_state(state))

    def _made_here(self) -> list[AgentId]:
        return [agent_id for agent_id, box in self._boxes.items() if box.agent is not None]


async def _itself(agent: Agent) -> Agent:
    return agent
