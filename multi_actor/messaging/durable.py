"""What a runtime refuses whose agents outlive the process: late registrations, and the instances themselves."""

from typing import Unpack

from multi_actor.messaging.abc import A, Factory
from multi_actor.messaging.agent import Agent
from multi_actor.messaging.base import BaseRuntime, RuntimeOptions
from multi_actor.messaging.exceptions import NotAccessibleError, RegistrationError
from multi_actor.messaging.ids import AgentId, AgentType
from multi_actor.messaging.subscriptions import Subscription, TypePrefixSubscription, TypeSubscription


class DurableRuntime(BaseRuntime):
    """Takes agent types and subscriptions until it has joined a host."""

    def __init__(self, **options: Unpack[RuntimeOptions]) -> None:
        super().__init__(**options)
        self._joined = False

    async def register_factory(
        self, type: str | AgentType, agent_factory: Factory, *, expected_class: type[Agent] | None = None
    ) -> AgentType:
        self._check_open()
        return await super().register_factory(type, agent_factory, expected_class=expected_class)

    async def add_subscription(self, subscription: Subscription) -> None:
        self._check_open()
        if not isinstance(subscription, TypeSubscription):
            raise RegistrationError(f"{subscription!r}: topics are carried by their type; subscribe by type or prefix")
        if isinstance(subscription, TypePrefixSubscription) and ":" not in subscription.topic_type_prefix:
            raise RegistrationError(f"{subscription!r}: a broker's topics have names; a prefix holds a ':'")
        await super().add_subscription(subscription)

    def _check_open(self) -> None:
        if self._joined:
            raise RegistrationError("agents and subscriptions are registered before the start")

    async def register_agent_instance(self, agent_instance: Agent, agent_id: AgentId) -> AgentId:
        raise NotAccessibleError(
            f"{agent_id} outlives this process, so {agent_instance!r} cannot be it: use a factory"
        )

    async def try_get_underlying_agent_instance(self, id: AgentId, type: type[A]) -> A:
        self._registry.check(id)
        raise NotAccessibleError(f"{id}, be it a {type.__name__} or not, may live in another process")
