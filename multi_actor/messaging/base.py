"""What runtimes have in common: what happens to a message before it is carried, and when nothing is left to do."""

import asyncio
import logging
from abc import abstractmethod
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from types import TracebackType
from typing import Any, Self, TypedDict, Unpack

from opentelemetry.trace import TracerProvider

from multi_actor.errors import WaitsForItselfError
from multi_actor.messaging.agent import Agent
from multi_actor.messaging.context import Sending, inside, running_turn
from multi_actor.messaging.exceptions import MessageDroppedException, RuntimeStoppedError
from multi_actor.messaging.ids import AgentId, TopicId
from multi_actor.messaging.intervention import InterventionHandler, Interventions
from multi_actor.messaging.logging import MessageEvent, MessageKind, is_listened_to
from multi_actor.messaging.mailbox import Post
from multi_actor.messaging.messages import own_copies
from multi_actor.messaging.registry import RegisteringRuntime
from multi_actor.messaging.tracing import Scope, Tracing, type_of

_log = logging.getLogger(__name__)
NEW, RUNNING, STOPPING, STOPPED = "not started", "running", "stopping", "stopped"


class RuntimeOptions(TypedDict, total=False):
    """What every runtime is made with."""

    intervention_handlers: Iterable[InterventionHandler] | None
    tracer_provider: TracerProvider | None
    """Else OpenTelemetry's global one."""
    max_queue: int
    """How many messages from outside of handlers may wait at once; 0 is no bound."""


class BaseRuntime(RegisteringRuntime):
    """Intervention, tracing and the end of all work; a subclass carries the messages."""

    def __init__(self, **options: Unpack[RuntimeOptions]) -> None:
        max_queue = options.pop("max_queue", 0)
        super().__init__()
        self._tracing = Tracing(options.pop("tracer_provider", None))
        self._interventions = Interventions(options.pop("intervention_handlers", None) or (), self._tracing)
        self._room = asyncio.Semaphore(max_queue) if max_queue else None
        if options:
            raise TypeError(f"a runtime has no options {', '.join(options)}")
        self._state = NEW
        self._held: list[tuple[Post, Any, TopicId]] = []
        """What was published before the start."""
        self._plain = False
        self._busy = 0
        self._idle = asyncio.Event()

    # -- what a subclass does

    @abstractmethod
    async def _request(self, post: Post, message: Any, recipient: AgentId) -> Any:
        """Carry a direct message and return its reply."""

    @abstractmethod
    async def _broadcast(self, post: Post, message: Any, topic_id: TopicId) -> None:
        """Carry a published message."""

    @abstractmethod
    def _refuse_waiting(self) -> None:
        """Answer those who wait for a direct message's turn: the runtime stops."""

    @abstractmethod
    async def _has_stopped(self) -> None:
        """Let go of what is needed to carry messages: nothing runs any more."""

    @abstractmethod
    async def _close_agents(self) -> None:
        """Close and forget every agent."""

    # -- messages

    async def send_message(self, message: Any, recipient: AgentId, **options: Unpack[Sending]) -> Any:
        self._registry.check(recipient)
        if self._state is not RUNNING:
            raise RuntimeStoppedError(self._state)
        post = Post(**options)
        if self._plain and not is_listened_to():
            return await self._request(post, message, recipient)
        post.watched = True
        self._begin()
        try:
            with self._create(message, recipient) as post.trace:
                return await self._send(post, message, recipient)
        finally:
            self._end()

    async def _send(self, post: Post, message: Any, recipient: AgentId) -> Any:
        sender, seen = post.sender, self._interventions
        MessageEvent.sent(message, sender, recipient, MessageKind.DIRECT)
        if seen:
            told = {"message_context": post.context(), "recipient": recipient}
            message = await seen.see(MessageKind.DIRECT, message, sender, recipient, **told)
        await self._find_room(post)
        reply = await self._request(post, message, recipient)
        MessageEvent.sent(reply, recipient, sender, MessageKind.RESPOND)
        if seen:
            reply = await seen.see(MessageKind.RESPOND, reply, recipient, sender, sender=recipient, recipient=sender)
        with self._tracing.span("ack", sender, post.trace, current=False):
            MessageEvent.delivered(reply, recipient, sender, MessageKind.RESPOND)
        return reply

    async def publish_message(self, message: Any, topic_id: TopicId, **options: Unpack[Sending]) -> None:
        if self._state in (STOPPING, STOPPED):
            raise RuntimeStoppedError(self._state)
        post = Post(topic_id, **options)
        if self._plain and not is_listened_to():
            await self._hold_or_broadcast(post, message, topic_id)
            return
        post.watched = True
        self._begin()
        try:
            with self._create(message, topic_id) as post.trace:
                await self._publish(post, message, topic_id)
        finally:
            self._end()

    async def _publish(self, post: Post, message: Any, topic_id: TopicId) -> None:
        MessageEvent.sent(message, post.sender, topic_id, MessageKind.PUBLISH)
        try:
            if self._interventions:
                told = {"message_context": post.context()}
                message = await self._interventions.see(MessageKind.PUBLISH, message, post.sender, topic_id, **told)
        except MessageDroppedException:
            return
        except Exception:  # noqa: BLE001  # a publisher hears of no errors
            _log.exception("an intervention handler failed: the message for %s goes nowhere", topic_id)
            return
        await self._find_room(post)
        await self._hold_or_broadcast(post, message, topic_id)

    async def _hold_or_broadcast(self, post: Post, message: Any, topic_id: TopicId) -> None:
        if self._state is NEW:
            self._held += [(post, each, topic_id) for each in own_copies(message, 1)]
        else:
            await self._broadcast(post, message, topic_id)

    def _create(self, message: Any, destination: AgentId | TopicId) -> Scope:
        return self._tracing.span("create", destination, None, type_of(message), current=bool(self._interventions))

    async def _handle(self, agent: Agent, message: Any, post: Post) -> Any:
        """Have an agent handle a message, in sight of those who watch."""
        agent_id, is_direct = agent.id, post.topic_id is None
        kind = MessageKind.DIRECT if is_direct else MessageKind.PUBLISH
        MessageEvent.delivered(message, post.sender, agent_id if is_direct else None, kind)
        with self._tracing.span("send", agent_id, post.trace, current=False) if is_direct else nullcontext() as sent:
            parent = sent if is_direct else post.trace
            with self._tracing.handling(agent_id, type(agent).__name__, post.sender, parent):
                return await agent.on_message(message, post.context())

    async def _find_room(self, post: Post) -> None:
        """Wait for a place in the queue; messages from inside handlers take none, or handlers would wait for them."""
        if self._room is not None and self._state is RUNNING and running_turn() is None:
            await self._room.acquire()
            post.places = 1
        if self._state in (STOPPING, STOPPED):
            self._leave_queue(post)
            raise RuntimeStoppedError(self._state)

    def _leave_queue(self, post: Post) -> None:
        """Note that one of its deliveries waits no more."""
        if post.places:
            post.places -= 1
            if not post.places and self._room is not None:
                self._room.release()

    # -- life

    def start(self) -> Self:
        if self._state is RUNNING:
            raise RuntimeError("the runtime has started already")
        self._plain = not (self._tracing.start() or self._interventions or self._room)
        self._state = RUNNING
        return self

    async def stop(self) -> None:
        if self._state is RUNNING:
            self._state = STOPPING
            self._refuse_waiting()
        if not inside():
            await self._come_to_rest()

    async def stop_when_idle(self) -> None:
        if inside():
            turn = running_turn()
            raise WaitsForItselfError((*(turn.chain() if turn else ()), "stop_when_idle"))
        await self._come_to_rest()

    async def close(self) -> None:
        await self.stop()
        await self._close_agents()

    async def stop_when(self, condition: Callable[[], bool]) -> None:
        while not condition():  # noqa: ASYNC110  # what it looks at is the caller's
            await asyncio.sleep(0.02)
        await self.stop()

    async def __aenter__(self) -> Self:
        return self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _begin(self) -> None:
        self._busy += 1

    def _end(self) -> None:
        self._busy -= 1
        if not self._busy:
            self._idle.set()

    async def _until_idle(self) -> None:
        while self._busy:
            self._idle.clear()
            await self._idle.wait()
            await asyncio.sleep(0)  # whoever got the last reply may go on with it

    async def _come_to_rest(self) -> None:
        await self._until_idle()
        if self._state is not NEW:
            self._state = STOPPED
            await self._has_stopped()
