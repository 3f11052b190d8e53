"""Which agents get what is published on a topic."""

import inspect
from collections.abc import Awaitable, Callable, Iterable
from typing import ClassVar, Protocol, TypeVar, overload, runtime_checkable

from multi_actor.logs import new_id
from multi_actor.messaging.context import SubscriptionInstantiationContext
from multi_actor.messaging.exceptions import CantHandleException, RegistrationError
from multi_actor.messaging.ids import AgentId, AgentType, TopicId

_CACHED_TOPICS = 4096  # sources are made up as a program goes: what is remembered of them has a bound


@runtime_checkable
class Subscription(Protocol):
    """Maps topics to agents, always in the same way. Two that are equal are one."""

    @property
    def id(self) -> str:
        """A name for ``remove_subscription``, unique."""
        ...

    def is_match(self, topic_id: TopicId) -> bool:
        """Whether messages on this topic are meant."""
        ...

    def map_to_agent(self, topic_id: TopicId) -> AgentId:
        """Return the agent that gets them; raises ``CantHandleException`` if they are not meant."""
        ...


UnboundSubscription = Callable[[], list[Subscription] | Awaitable[list[Subscription]]]
"""Makes subscriptions of a type that is being registered, inside ``SubscriptionInstantiationContext``."""


class TypeSubscription:
    """Messages on topics of one type; a topic's source becomes the agent's key."""

    def __init__(self, topic_type: str, agent_type: str | AgentType, id: str | None = None) -> None:
        self.topic_type = topic_type
        self.agent_type = agent_type.type if isinstance(agent_type, AgentType) else agent_type
        self.id = id or new_id()

    def is_match(self, topic_id: TopicId) -> bool:
        return topic_id.type == self.topic_type

    def map_to_agent(self, topic_id: TopicId) -> AgentId:
        if not self.is_match(topic_id):
            raise CantHandleException(f"{topic_id} is not a topic of {self!r}")
        return AgentId(self.agent_type, topic_id.source)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TypeSubscription) and (self.id == other.id or repr(self) == repr(other))

    def __hash__(self) -> int:
        return hash((self.topic_type, self.agent_type))

    def __repr__(self) -> str:
        return f"TypeSubscription({self.topic_type!r}, {self.agent_type!r})"


class TypePrefixSubscription(TypeSubscription):
    """Messages on topics whose type begins with a prefix; a topic's source becomes the agent's key."""

    def __init__(self, topic_type_prefix: str, agent_type: str | AgentType, id: str | None = None) -> None:
        super().__init__(topic_type_prefix, agent_type, id)
        self.topic_type_prefix = topic_type_prefix

    def is_match(self, topic_id: TopicId) -> bool:
        return topic_id.type.startswith(self.topic_type_prefix)

    def __repr__(self) -> str:
        return f"TypePrefixSubscription({self.topic_type!r}, {self.agent_type!r})"


class DefaultSubscription(TypeSubscription):
    """Topics of type ``default``, for the agent type that is being registered unless one is named."""

    def __init__(self, topic_type: str = "default", agent_type: str | AgentType | None = None) -> None:
        try:
            super().__init__(topic_type, agent_type or SubscriptionInstantiationContext.agent_type())
        except RuntimeError as error:
            raise CantHandleException(f"{error}; name the agent type") from error


class _Subscribable(Protocol):
    unbound_subscriptions: ClassVar[list[UnboundSubscription]]


C = TypeVar("C", bound=type[_Subscribable])


def type_subscription(topic_type: str) -> Callable[[C], C]:
    """Subscribe a class to topics of one type, wherever it is registered."""

    def declare(cls: C) -> C:
        cls.unbound_subscriptions = [*cls.unbound_subscriptions, lambda: [DefaultSubscription(topic_type)]]
        return cls

    return declare


@overload
def default_subscription(cls: C) -> C: ...
@overload
def default_subscription(cls: None = None) -> Callable[[C], C]: ...
def default_subscription(cls: C | None = None) -> C | Callable[[C], C]:
    """Subscribe a class to topics of type ``default``; with or without brackets."""
    declare: Callable[[C], C] = type_subscription("default")
    return declare if cls is None else declare(cls)


async def make_subscriptions(agent_type: AgentType, declared: Iterable[UnboundSubscription]) -> list[Subscription]:
    """Return the subscriptions that are declared for this type."""
    subscriptions: list[Subscription] = []
    with SubscriptionInstantiationContext.populate_context(agent_type):
        for unbound in declared:
            made = unbound()
            subscriptions += await made if inspect.isawaitable(made) else made
    return subscriptions


class Subscriptions:
    """The subscriptions of one runtime."""

    def __init__(self) -> None:
        self.all: list[Subscription] = []
        self._found: dict[TopicId, list[AgentId]] = {}

    def add(self, subscription: Subscription) -> None:
        """Take one in; raises ``RegistrationError`` if it is there already."""
        if subscription in self.all:
            raise RegistrationError(f"{subscription!r} is there already")
        self.all.append(subscription)
        self._found.clear()

    def remove(self, id: str) -> None:
        """Forget one; raises ``RegistrationError`` if there is none of that id."""
        left = [subscription for subscription in self.all if subscription.id != id]
        if len(left) == len(self.all):
            raise RegistrationError(f"no subscription has the id {id!r}")
        self.all = left
        self._found.clear()

    def agents(self, topic_id: TopicId) -> list[AgentId]:
        """Return who gets what is published there, each once."""
        found = self._found.get(topic_id)
        if found is None:
            matching = (each.map_to_agent(topic_id) for each in self.all if each.is_match(topic_id))
            found = list(dict.fromkeys(matching))
            if len(self._found) >= _CACHED_TOPICS:
                self._found.clear()
            self._found[topic_id] = found
        return found
