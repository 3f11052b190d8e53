"""A message as it was sent, and the mailbox of each agent that it goes to."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import Span, set_span_in_context

from multi_actor.errors import WaitsForItselfError
from multi_actor.logs import correlation_id, new_id
from multi_actor.messaging.agent import Agent
from multi_actor.messaging.cancellation import CancellationToken
from multi_actor.messaging.context import MessageContext, Turn
from multi_actor.messaging.ids import AgentId, TopicId

Work = Callable[[Agent], Awaitable[Any]]


@dataclass(slots=True)
class Post:
    """How a message was sent; ``topic_id`` is None for a direct one."""

    topic_id: TopicId | None = None
    sender: AgentId | None = None
    cancellation_token: CancellationToken | None = None
    message_id: str | None = None
    correlation_id: str = field(default_factory=correlation_id.get)
    watched: bool = False
    """Whether spans or log events tell of it."""
    trace: Context | None = None
    """What its spans belong to."""
    places: int = 0
    """How many of its deliveries wait in a bounded queue."""
    _left: int = 0
    _span: Span | None = None

    @property
    def id(self) -> str:
        """The message's id, made up if the sender gave none."""
        if self.message_id is None:
            self.message_id = new_id()
        return self.message_id

    def context(self) -> MessageContext:
        """Return what a handler is told."""
        if self.cancellation_token is None:
            self.cancellation_token = CancellationToken()
        return MessageContext(self.sender, self.topic_id, self.topic_id is None, self.cancellation_token, self.id)

    def spread(self, span: Span | None, deliveries: int) -> None:
        """Note that it goes to so many agents; ``span`` ends when the last of them is done with it."""
        self._left = deliveries
        if self.places:
            self.places = max(deliveries, 1)
        if span is not None:
            self._span = span
            self.trace = set_span_in_context(span, self.trace)
            if not deliveries:
                span.end()

    def delivered(self) -> None:
        """Note that an agent is done with it."""
        self._left -= 1
        if not self._left and self._span is not None:
            self._span.end()


class Delivery(Turn):
    """One message for one agent; ``reply`` is what its sender waits for, None for a published one.

    ``work`` is done in place of handling a message: it needs the agent between two of them. ``waits`` are the direct
    messages that were sent from within, and are not answered yet.
    """

    __slots__ = ("box", "message", "post", "reply", "waits", "work")

    def __init__(
        self,
        box: "Mailbox",
        post: Post,
        message: Any,
        caller: Turn | None = None,
        reply: "asyncio.Future[Any] | None" = None,
        work: Work | None = None,
    ) -> None:
        # As Turn does: calling it would be a twentieth of a message's cost.
        self.agent_id = box.agent_id
        self.caller = caller
        self.ended = False
        self.box = box
        self.post = post
        self.message = message
        self.reply = reply
        self.work = work
        self.waits: set[Delivery] | None = None

    def refuse_circles(self, caller: "Delivery") -> None:
        """Raise ``WaitsForItselfError`` if the recipient waits, by way of others or not, for the sender."""
        outer: Turn | None = caller
        while outer is not None and not outer.ended:
            if isinstance(outer, Delivery) and outer.box is self.box:
                raise WaitsForItselfError((*caller.chain(), str(self.agent_id)))
            outer = outer.caller
        way = self.box.way_to(caller.box)
        if way is not None:
            raise WaitsForItselfError((str(caller.agent_id), *way))


class Mailbox:
    """One agent, which is made when its first message comes, and its messages in the order of their sending."""

    __slots__ = ("agent", "agent_id", "running", "task", "waiting")

    def __init__(self, agent_id: AgentId) -> None:
        self.agent_id = agent_id
        self.agent: Agent | None = None
        self.running: Delivery | None = None
        self.waiting: deque[Delivery] = deque()
        self.task: asyncio.Task[None] | None = None  # kept, because an event loop keeps no task alive

    def way_to(self, goal: "Mailbox") -> tuple[str, ...] | None:
        """Return the agents from this one to ``goal``, each of which waits for the next; None if none does."""
        seen = {self}
        ways: list[tuple[Mailbox, tuple[str, ...]]] = [(self, (str(self.agent_id),))]
        while ways:
            box, way = ways.pop()
            for awaited in (box.running and box.running.waits) or ():
                following = (*way, str(awaited.agent_id))
                if awaited.box is goal:
                    return following
                if awaited.box not in seen:
                    seen.add(awaited.box)
                    ways.append((awaited.box, following))
        return None


class Mailboxes(dict[AgentId, Mailbox]):
    """The mailboxes of a runtime; asking for one makes it."""

    def __missing__(self, agent_id: AgentId) -> Mailbox:
        box = self[agent_id] = Mailbox(agent_id)
        return box
