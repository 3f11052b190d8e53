"""Whose code runs here: the turn, the agent that is being made, the type that is being subscribed."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict, TypeVar

from multi_actor.errors import WaitsForItselfError
from multi_actor.messaging.cancellation import CancellationToken
from multi_actor.messaging.ids import AgentId, AgentType, TopicId

if TYPE_CHECKING:
    from multi_actor.messaging.abc import AgentRuntime


class Options(TypedDict, total=False):
    """How an agent sends a message: what cancels it, and its id (unique; one is made up otherwise)."""

    cancellation_token: CancellationToken | None
    message_id: str | None


class Sending(Options, total=False):
    """How anybody sends a message: for which agent, too (None: from outside)."""

    sender: AgentId | None


@dataclass(slots=True)
class MessageContext:
    """What a handler is told about its message.

    ``sender`` is None for a message from outside; ``topic_id`` is None for a direct message, for which ``is_rpc``
    is true. ``message_id`` is the same for every receiver, and again when a message is delivered again.
    """

    sender: AgentId | None
    topic_id: TopicId | None
    is_rpc: bool
    cancellation_token: CancellationToken
    message_id: str


class Turn:
    """One message in the hands of one agent; ``caller`` is the turn that waits for its reply."""

    __slots__ = ("agent_id", "caller", "ended")

    def __init__(self, agent_id: AgentId, caller: "Turn | None" = None) -> None:
        self.agent_id = agent_id
        self.caller = caller
        self.ended = False

    def chain(self) -> tuple[str, ...]:
        """Return the agents that wait here, as ``type/key``, the outermost first."""
        agents = []
        turn: Turn | None = self
        while turn is not None and not turn.ended:
            agents.append(str(turn.agent_id))
            turn = turn.caller
        return tuple(reversed(agents))


current_turn: ContextVar[Turn | None] = ContextVar("current_agent_turn", default=None)
intervening: ContextVar[bool] = ContextVar("intervening", default=False)
"""Whether an intervention handler runs here."""
_making: ContextVar[tuple["AgentRuntime", AgentId]] = ContextVar("making")
_subscribing: ContextVar[AgentType] = ContextVar("subscribing")


def running_turn() -> Turn | None:
    """Return the turn that this code is part of; a task that outlived its turn is part of none."""
    turn = current_turn.get()
    return None if turn is None or turn.ended else turn


def chain_to(recipient: AgentId) -> tuple[str, ...]:
    """Return the agents that wait for a message from here; raises ``WaitsForItselfError`` if it is for one of them."""
    turn = running_turn()
    chain = turn.chain() if turn else ()
    if str(recipient) in chain:
        raise WaitsForItselfError((*chain, str(recipient)))
    return chain


def inside() -> bool:
    """Whether what runs here is something that a runtime which stops would wait for."""
    return running_turn() is not None or intervening.get()


class MessageHandlerContext:
    """Inside a handler: whose it is."""

    @staticmethod
    def agent_id() -> AgentId:
        """Return the handling agent's id; raises ``RuntimeError`` outside of a handler."""
        turn = current_turn.get()
        if turn is None:
            raise RuntimeError("no message is being handled here")
        return turn.agent_id


class AgentInstantiationContext:
    """Inside a factory and the constructors that it calls: which agent is being made, and in which runtime."""

    @staticmethod
    @contextmanager
    def populate_context(ctx: tuple["AgentRuntime", AgentId]) -> Iterator[None]:
        """Make an agent by hand, in a test for instance, as if ``ctx``'s runtime made it."""
        token = _making.set(ctx)
        try:
            yield
        finally:
            _making.reset(token)

    @staticmethod
    def is_in_factory_call() -> bool:
        """Whether an agent is being made here."""
        return _making.get(None) is not None

    @staticmethod
    def current_runtime() -> "AgentRuntime":
        """Return the runtime; raises ``RuntimeError`` if no agent is being made here."""
        return _current(_making, "agent")[0]

    @staticmethod
    def current_agent_id() -> AgentId:
        """Return the new agent's id; raises ``RuntimeError`` if no agent is being made here."""
        return _current(_making, "agent")[1]


class SubscriptionInstantiationContext:
    """While a class's declared subscriptions are made: for which agent type."""

    @staticmethod
    @contextmanager
    def populate_context(ctx: AgentType) -> Iterator[None]:
        """Make subscriptions for this type."""
        token = _subscribing.set(ctx)
        try:
            yield
        finally:
            _subscribing.reset(token)

    @staticmethod
    def agent_type() -> AgentType:
        """Return the type; raises ``RuntimeError`` if no subscription is being made here."""
        return _current(_subscribing, "subscription")


_T = TypeVar("_T")


def _current(variable: ContextVar[_T], what: str) -> _T:
    try:
        return variable.get()
    except LookupError:
        raise RuntimeError(f"no {what} is being made here: a runtime makes them, when they are registered") from None


class DefaultTopicId(TopicId):
    """A topic of type ``default``; inside a handler its source is the handling agent's key, else ``default``."""

    def __init__(self, type: str = "default", source: str | None = None) -> None:
        turn = current_turn.get()
        super().__init__(type, source or (turn.agent_id.key if turn else "default"))
