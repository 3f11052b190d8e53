"""Typed messaging between agents, in the model of AGNext and autogen-core."""

from typing import TYPE_CHECKING, Any

from multi_actor.errors import WaitsForItselfError
from multi_actor.messaging.abc import AgentRuntime
from multi_actor.messaging.agent import Agent, AgentMetadata, AgentProxy, BaseAgent
from multi_actor.messaging.cancellation import CancellationToken
from multi_actor.messaging.closure import ClosureAgent, ClosureContext
from multi_actor.messaging.context import (
    AgentInstantiationContext,
    DefaultTopicId,
    MessageContext,
    MessageHandlerContext,
    SubscriptionInstantiationContext,
)
from multi_actor.messaging.exceptions import (
    CantHandleException,
    InvalidHandlerError,
    InvalidIdError,
    MessageDroppedException,
    MessagingError,
    NotAccessibleError,
    RegistrationError,
    RemoteHandlerError,
    RuntimeStoppedError,
    UnavailableError,
    UndeliverableException,
    WrongReplyError,
)
from multi_actor.messaging.ids import AgentId, AgentType, TopicId
from multi_actor.messaging.intervention import DefaultInterventionHandler, DropMessage, InterventionHandler
from multi_actor.messaging.logging import EVENT_LOGGER_NAME, ROOT_LOGGER_NAME
from multi_actor.messaging.routing import RoutedAgent, TypeRoutedAgent, event, message_handler, rpc
from multi_actor.messaging.runtime import SingleThreadedAgentRuntime
from multi_actor.messaging.subscriptions import (
    DefaultSubscription,
    Subscription,
    TypePrefixSubscription,
    TypeSubscription,
    default_subscription,
    type_subscription,
)

if TYPE_CHECKING:
    from multi_actor.messaging.dapr import DaprAgentRuntime


def __getattr__(name: str) -> Any:
    """Import what needs the Dapr SDK when it is asked for: programs without it do not wait for that."""
    if name != "DaprAgentRuntime":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from multi_actor.messaging.dapr import DaprAgentRuntime  # noqa: PLC0415

    return DaprAgentRuntime


__all__ = [
    "EVENT_LOGGER_NAME",
    "ROOT_LOGGER_NAME",
    "Agent",
    "AgentId",
    "AgentInstantiationContext",
    "AgentMetadata",
    "AgentProxy",
    "AgentRuntime",
    "AgentType",
    "BaseAgent",
    "CancellationToken",
    "CantHandleException",
    "ClosureAgent",
    "ClosureContext",
    "DaprAgentRuntime",
    "DefaultInterventionHandler",
    "DefaultSubscription",
    "DefaultTopicId",
    "DropMessage",
    "InterventionHandler",
    "InvalidHandlerError",
    "InvalidIdError",
    "MessageContext",
    "MessageDroppedException",
    "MessageHandlerContext",
    "MessagingError",
    "NotAccessibleError",
    "RegistrationError",
    "RemoteHandlerError",
    "RoutedAgent",
    "RuntimeStoppedError",
    "SingleThreadedAgentRuntime",
    "Subscription",
    "SubscriptionInstantiationContext",
    "TopicId",
    "TypePrefixSubscription",
    "TypeRoutedAgent",
    "TypeSubscription",
    "UnavailableError",
    "UndeliverableException",
    "WaitsForItselfError",
    "WrongReplyError",
    "default_subscription",
    "event",
    "message_handler",
    "rpc",
    "type_subscription",
]
