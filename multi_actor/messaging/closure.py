"""Agents made of one function."""

import inspect
import warnings
from collections.abc import Awaitable, Callable
from typing import Any, Literal, Protocol, TypeAlias, TypeVar, Unpack, get_type_hints

from multi_actor.messaging.abc import AgentRuntime
from multi_actor.messaging.agent import BaseAgent
from multi_actor.messaging.context import MessageContext, Options
from multi_actor.messaging.exceptions import CantHandleException, InvalidHandlerError
from multi_actor.messaging.ids import AgentId, AgentType, TopicId
from multi_actor.messaging.messages import message_classes
from multi_actor.messaging.subscriptions import UnboundSubscription, make_subscriptions

M_contra = TypeVar("M_contra", contravariant=True)
UnknownTypePolicy: TypeAlias = Literal["error", "warn", "ignore"]


class ClosureContext(Protocol):
    """What the function sees of the agent that it is."""

    @property
    def id(self) -> AgentId:
        """Its name."""
        ...

    async def send_message(self, message: Any, recipient: AgentId, **options: Unpack[Options]) -> Any:
        """As ``BaseAgent.send_message``."""

    async def publish_message(self, message: Any, topic_id: TopicId, **options: Unpack[Options]) -> None:
        """As ``BaseAgent.publish_message``."""


Closure: TypeAlias = Callable[[ClosureContext, M_contra, MessageContext], Awaitable[Any]]


class ClosureAgent(BaseAgent):
    """Hands its messages to a function, often to bring them out of the runtime.

    The function is annotated as a handler is, or takes ``Any``. A message of another type is ignored, with a warning,
    or is a ``CantHandleException``, by ``unknown_type_policy``.
    """

    def __init__(
        self, description: str, closure: Closure[Any], *, unknown_type_policy: UnknownTypePolicy = "warn"
    ) -> None:
        super().__init__(description)
        self._closure: Closure[Any] = closure
        self._takes = _takes(closure)
        self._unknown_type_policy = unknown_type_policy

    async def on_message_impl(self, message: Any, ctx: MessageContext) -> Any:
        if isinstance(message, self._takes):
            return await self._closure(self, message, ctx)
        known = [cls.__name__ for cls in self._takes]
        error = CantHandleException(agent=str(self.id), message_type=type(message).__name__, handles=known)
        if self._unknown_type_policy == "error":
            raise error
        if self._unknown_type_policy == "warn":
            warnings.warn(str(error), stacklevel=1)
        return None

    @classmethod
    async def register_closure(
        cls,
        runtime: AgentRuntime,
        type: str,
        closure: Closure[Any],
        *,
        unknown_type_policy: UnknownTypePolicy = "warn",
        skip_direct_message_subscription: bool = False,
        description: str = "",
        subscriptions: UnboundSubscription | None = None,
    ) -> AgentType:
        """Register ``closure`` as an agent type; ``subscriptions`` makes its subscriptions.

        Raises:
            InvalidHandlerError: the function lacks annotations, or takes what is not pure data.
            RegistrationError: the type is registered already.
        """
        _takes(closure)
        agent_type = await cls.register(
            runtime,
            type,
            lambda: cls(description, closure, unknown_type_policy=unknown_type_policy),
            skip_direct_message_subscription=skip_direct_message_subscription,
        )
        for subscription in await make_subscriptions(agent_type, [subscriptions] if subscriptions else []):
            await runtime.add_subscription(subscription)
        return agent_type


def _takes(closure: Closure[Any]) -> tuple[type, ...]:
    name = getattr(closure, "__qualname__", repr(closure))
    parameters = list(inspect.signature(closure).parameters)
    hints = get_type_hints(closure)
    if len(parameters) != 3 or parameters[1] not in hints or "return" not in hints:  # noqa: PLR2004
        raise InvalidHandlerError(f"{name}: a closure is `async (agent, message: T, ctx) -> R`, with its annotations")
    message = hints[parameters[1]]
    return (object,) if message is Any else tuple(message_classes(message, handler=name))
