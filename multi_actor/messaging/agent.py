"""Agents: what reacts to messages, sends them and publishes them."""

import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypedDict, Unpack, runtime_checkable

from multi_actor.messaging.context import AgentInstantiationContext, MessageContext, Options, Sending
from multi_actor.messaging.exceptions import CantHandleException, RegistrationError
from multi_actor.messaging.ids import AgentId, AgentType, TopicId
from multi_actor.messaging.subscriptions import (
    TypePrefixSubscription,
    TypeSubscription,
    UnboundSubscription,
    make_subscriptions,
)

if TYPE_CHECKING:
    from multi_actor.messaging.abc import AgentRuntime


class AgentMetadata(TypedDict):
    """What an agent says of itself."""

    type: str
    key: str
    description: str


@runtime_checkable
class Agent(Protocol):
    """What a runtime asks of an agent.

    ``on_message`` handles one message after the other and returns the reply; it raises ``CantHandleException`` for
    one that it does not know. ``load_state`` makes a new agent what ``save_state``, which returns JSON, was asked of.
    ``bind_id_and_runtime`` gives an agent its name, once; ``close`` is called when the runtime closes.
    """

    @property
    def id(self) -> AgentId: ...
    @property
    def metadata(self) -> AgentMetadata: ...
    async def bind_id_and_runtime(self, id: AgentId, runtime: "AgentRuntime") -> None: ...
    async def on_message(self, message: Any, ctx: MessageContext) -> Any: ...
    async def save_state(self) -> Mapping[str, Any]: ...
    async def load_state(self, state: Mapping[str, Any]) -> None: ...
    async def close(self) -> None: ...


class BaseAgent:
    """An agent that handles messages in ``on_message``, or in ``on_message_impl``, as autogen-core calls it."""

    unbound_subscriptions: ClassVar[list[UnboundSubscription]] = []
    """What ``register`` subscribes this class to; a subclass declares its own."""
    _id: AgentId
    _runtime: "AgentRuntime"

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.unbound_subscriptions = []

    def __init__(self, description: str) -> None:
        self._description = description
        if AgentInstantiationContext.is_in_factory_call():
            self._runtime = AgentInstantiationContext.current_runtime()
            self._id = AgentInstantiationContext.current_agent_id()

    @property
    def id(self) -> AgentId:
        """This agent's name, from ``super().__init__()`` on."""
        if not hasattr(self, "_id"):
            raise RuntimeError("this agent has no id: it was made by no runtime, nor registered with one")
        return self._id

    @property
    def type(self) -> str:
        """The type in ``id``."""
        return self.id.type

    @property
    def runtime(self) -> "AgentRuntime":
        """Where this agent lives."""
        return self._runtime

    @property
    def metadata(self) -> AgentMetadata:
        """Type, key and description."""
        return AgentMetadata(type=self.id.type, key=self.id.key, description=self._description)

    async def bind_id_and_runtime(self, id: AgentId, runtime: "AgentRuntime") -> None:
        if getattr(self, "_id", id) != id or getattr(self, "_runtime", runtime) is not runtime:
            raise RuntimeError(f"{self.id} cannot become {id}: an agent keeps its id and its runtime")
        self._id, self._runtime = id, runtime

    def on_message(self, message: Any, ctx: MessageContext) -> Coroutine[Any, Any, Any]:
        """Handle a message and return the reply; a subclass writes it as ``async def``."""
        return self.on_message_impl(message, ctx)  # not awaited here: that would cost as much as the call

    async def on_message_impl(self, message: Any, ctx: MessageContext) -> Any:  # noqa: ARG002
        raise CantHandleException(agent=str(self.id), message_type=type(message).__name__)

    async def send_message(self, message: Any, recipient: AgentId, **options: Unpack[Options]) -> Any:
        """Send a message to one agent and return its reply, as ``AgentRuntime.send_message``."""
        return await self._runtime.send_message(message, recipient, sender=self.id, **options)

    async def publish_message(self, message: Any, topic_id: TopicId, **options: Unpack[Options]) -> None:
        """Publish a message to all subscribers but this agent, as ``AgentRuntime.publish_message``."""
        await self._runtime.publish_message(message, topic_id, sender=self.id, **options)

    async def save_state(self) -> Mapping[str, Any]:
        return {}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        pass

    async def close(self) -> None:
        pass

    @classmethod
    async def register(
        cls,
        runtime: "AgentRuntime",
        type: str,
        factory: Callable[[], Self | Awaitable[Self]],
        *,
        skip_class_subscriptions: bool = False,
        skip_direct_message_subscription: bool = False,
    ) -> AgentType:
        """Register a factory of this class under ``type``, with the subscriptions that the class declares.

        Topic types that begin with ``{type}:`` reach its agents too, unless that is skipped.

        Raises:
            RegistrationError: the type is registered already.
        """
        agent_type = await runtime.register_factory(type, factory, expected_class=cls)
        if not skip_class_subscriptions:
            await cls._subscribe(runtime, agent_type)
        if not skip_direct_message_subscription:
            await runtime.add_subscription(TypePrefixSubscription(f"{type}:", agent_type))
        return agent_type

    async def register_instance(
        self,
        runtime: "AgentRuntime",
        agent_id: AgentId,
        *,
        skip_class_subscriptions: bool = True,
        skip_direct_message_subscription: bool = False,
    ) -> AgentId:
        """Register this very agent, which then lives in this process only; the topic type of its key reaches it."""
        await runtime.register_agent_instance(self, agent_id)
        await runtime.add_subscription(TypeSubscription(agent_id.key, agent_id.type))
        if not skip_class_subscriptions:
            await self._subscribe(runtime, AgentType(agent_id.type))
        if not skip_direct_message_subscription:
            with contextlib.suppress(RegistrationError):  # another instance of the type has brought it in
                await runtime.add_subscription(TypePrefixSubscription(f"{agent_id.type}:", agent_id.type))
        return agent_id

    @classmethod
    async def _subscribe(cls, runtime: "AgentRuntime", agent_type: AgentType) -> None:
        for subscription in await make_subscriptions(agent_type, cls.unbound_subscriptions):
            await runtime.add_subscription(subscription)


class AgentProxy:
    """An agent's id, used like the agent, wherever that runs; it need not exist yet."""

    def __init__(self, agent: AgentId, runtime: "AgentRuntime") -> None:
        self.id = agent
        self._runtime = runtime

    @property
    def metadata(self) -> Awaitable[AgentMetadata]:
        """What the agent says of itself, to be awaited."""
        return self._runtime.agent_metadata(self.id)

    async def send_message(self, message: Any, **options: Unpack[Sending]) -> Any:
        """Send it a message and return its reply, as ``AgentRuntime.send_message``."""
        return await self._runtime.send_message(message, self.id, **options)

    async def save_state(self) -> Mapping[str, Any]:
        """Return the agent's state."""
        return await self._runtime.agent_save_state(self.id)

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Give the agent a state that ``save_state`` returned."""
        await self._runtime.agent_load_state(self.id, state)
