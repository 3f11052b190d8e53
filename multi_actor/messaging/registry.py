"""Who is registered with a runtime: agent types with their factories, and subscriptions."""

import inspect
import logging
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from multi_actor.messaging.abc import AgentRuntime, Factory
from multi_actor.messaging.agent import Agent
from multi_actor.messaging.context import AgentInstantiationContext
from multi_actor.messaging.exceptions import RegistrationError, UndeliverableException, did_you_mean
from multi_actor.messaging.ids import AgentId, AgentType, TopicId
from multi_actor.messaging.logging import AgentConstructionExceptionEvent
from multi_actor.messaging.subscriptions import (
    Subscription,
    Subscriptions,
    TypePrefixSubscription,
    TypeSubscription,
    UnboundSubscription,
    make_subscriptions,
)

_log = logging.getLogger(__name__)
_WARNED_NAMES = 1000  # topic types may be made up as a program goes


class Registry:
    """The agent types of one runtime, each with its factory (None: its agents are given) and class; subscriptions."""

    def __init__(self) -> None:
        self.subscriptions = Subscriptions()
        self.types: dict[str, tuple[Factory | None, type[Agent]]] = {}
        self._warned: set[str] = set()

    def add_type(self, agent_type: str, factory: Factory, expected: type[Agent] | None) -> None:
        """Register a factory; raises ``RegistrationError`` as ``AgentRuntime.register``."""
        if agent_type in self.types:
            raise RegistrationError(f"agent type {agent_type!r} is registered already")
        try:
            inspect.signature(factory).bind()
        except TypeError as error:
            raise RegistrationError(f"the factory of {agent_type!r} takes no argument: {error}") from error
        self.types[agent_type] = factory, expected or Agent

    def add_instance(self, agent_type: str, cls: type[Agent]) -> None:
        """Register a type whose agents are given; they are all of one class."""
        if self.types.setdefault(agent_type, (None, cls)) != (None, cls):
            raise RegistrationError(f"agent type {agent_type!r} has a factory, or instances of another class")

    def check(self, recipient: AgentId) -> None:
        """Raise ``UndeliverableException`` if nobody of this type can be."""
        if recipient.type not in self.types:
            near = get_close_matches(recipient.type, self.types)
            raise UndeliverableException(recipient=str(recipient), near=near)

    async def make(self, runtime: AgentRuntime, agent_id: AgentId) -> Agent:
        """Have an agent made; what its factory raises is logged, and raised."""
        try:
            with AgentInstantiationContext.populate_context((runtime, agent_id)):
                agent = await self._call_factory(agent_id)
            await agent.bind_id_and_runtime(agent_id, runtime)
        except BaseException as error:
            AgentConstructionExceptionEvent.log(agent_id=agent_id, exception=error)
            _log.warning("%s could not be made: %r", agent_id, error)
            raise
        return agent

    async def _call_factory(self, agent_id: AgentId) -> Agent:
        factory, expected = self.types[agent_id.type]
        if factory is None:
            raise UndeliverableException(f"no instance is registered as {agent_id}")
        made = factory()
        agent = await made if inspect.isawaitable(made) else made
        if not isinstance(agent, expected):
            made_class = type(agent).__name__
            raise RegistrationError(f"the factory of {agent_id} made a {made_class}, which is no {expected.__name__}")
        return agent

    def subscribers(self, topic_id: TopicId) -> list[AgentId]:
        """Return who gets what is published there; a topic type that reaches nobody is a warning, once."""
        agents = self.subscriptions.agents(topic_id)
        if not agents:
            all_types = [each for each in self.subscriptions.all if type(each) is not TypePrefixSubscription]
            topics = {each.topic_type for each in all_types if isinstance(each, TypeSubscription)}
            self._warn(topic_id.type, topics, "nobody subscribes to topic type")
        for agent in agents:
            if agent.type not in self.types:
                self._warn(agent.type, self.types, "subscriptions name an agent type that is not registered:")
        return [agent for agent in agents if agent.type in self.types]

    def _warn(self, name: str, known: Iterable[str], text: str) -> None:
        if name not in self._warned:
            if len(self._warned) >= _WARNED_NAMES:
                self._warned.clear()
            self._warned.add(name)
            _log.warning("%s %r%s", text, name, did_you_mean(get_close_matches(name, known)))


class RegisteringRuntime(AgentRuntime):
    """What runtimes have in common about who is registered."""

    def __init__(self) -> None:
        self._registry = Registry()

    @abstractmethod
    def _made_here(self) -> Iterable[AgentId]:
        """Return the agents that were made in this process."""

    async def register(
        self,
        type: str | AgentType,
        factory: Factory,
        subscriptions: UnboundSubscription | list[Subscription] | None = None,
    ) -> AgentType:
        agent_type = await self.register_factory(type, factory)
        given = subscriptions if callable(subscriptions) else lambda: subscriptions or []
        for subscription in await make_subscriptions(agent_type, [given]):
            await self.add_subscription(subscription)
        return agent_type

    async def register_factory(
        self, type: str | AgentType, agent_factory: Factory, *, expected_class: type[Agent] | None = None
    ) -> AgentType:
        agent_type = type if isinstance(type, AgentType) else AgentType(type)
        self._registry.add_type(agent_type.type, agent_factory, expected_class)
        return agent_type

    async def add_subscription(self, subscription: Subscription) -> None:
        self._registry.subscriptions.add(subscription)

    async def remove_subscription(self, id: str) -> None:
        self._registry.subscriptions.remove(id)

    async def get(
        self, id_or_type: AgentId | AgentType | str, /, key: str = "default", *, lazy: bool = True
    ) -> AgentId:
        agent_id = id_or_type if isinstance(id_or_type, AgentId) else AgentId(id_or_type, key)
        if not lazy:
            await self.agent_metadata(agent_id)
        return agent_id

    async def save_state(self) -> Mapping[str, Any]:
        return {str(agent_id): dict(await self.agent_save_state(agent_id)) for agent_id in self._made_here()}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        for name, of_agent in state.items():
            agent_id = AgentId.from_str(name)
            if agent_id.type in self._registry.types:
                await self.agent_load_state(agent_id, of_agent)
