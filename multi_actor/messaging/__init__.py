"""Typed messaging between agents, in the model of AGNext and autogen-core."""

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
    "UndeliverableException",
    "WaitsForItselfError",
    "WrongReplyError",
    "default_subscription",
    "event",
    "message_handler",
    "rpc",
    "type_subscription",
]
