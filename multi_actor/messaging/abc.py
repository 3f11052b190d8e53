"""What every runtime promises."""

from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar, Unpack, runtime_checkable

from multi_actor.messaging.agent import Agent, AgentMetadata
from multi_actor.messaging.context import Sending
from multi_actor.messaging.ids import AgentId, AgentType, TopicId
from multi_actor.messaging.subscriptions import Subscription, UnboundSubscription

A = TypeVar("A", bound=Agent)
Factory = Callable[[], Agent | Awaitable[Agent]]
"""Makes one agent; ``AgentInstantiationContext`` tells it which."""


@runtime_checkable
class AgentRuntime(Protocol):
    """Makes agents when their first message arrives, and carries messages between them.

    An agent's messages are handled one at a time; different agents run side by side. Nothing hangs: whoever waits
    for a reply gets it, or an error.
    """

    async def send_message(self, message: Any, recipient: AgentId, **options: Unpack[Sending]) -> Any:
        """Send a message to one agent and return what its handler returns.

        Raises:
            UndeliverableException: the recipient's type is not registered.
            CantHandleException: the recipient has no handler for this message.
            MessageDroppedException: an intervention handler dropped the message or the reply.
            WaitsForItselfError: the recipient waits, by way of others or not, for the agent that sends this.
            RuntimeStoppedError: the runtime has not started, or was stopped before the message's turn came.
            asyncio.CancelledError: the token was cancelled.
            Exception: whatever the handler raised.
        """

    async def publish_message(self, message: Any, topic_id: TopicId, **options: Unpack[Sending]) -> None:
        """Send a copy of a message to every agent with a matching subscription, once, except to the sender.

        Returns before it is handled. What handlers return or raise never comes back; what they raise is logged.
        What is published before ``start`` waits for it.

        Raises:
            RuntimeStoppedError: the runtime has been stopped.
        """

    async def register(
        self,
        type: str | AgentType,
        factory: Factory,
        subscriptions: UnboundSubscription | list[Subscription] | None = None,
    ) -> AgentType:
        """Have ``factory`` make the agents of ``type``, each when its first message arrives.

        Raises:
            RegistrationError: the type is registered already, or the factory asks for arguments.
        """
        ...

    async def register_factory(
        self, type: str | AgentType, agent_factory: Factory, *, expected_class: type[Agent] | None = None
    ) -> AgentType:
        """As ``register``; a factory that makes something else than ``expected_class`` fails when it does."""
        ...

    async def register_agent_instance(self, agent_instance: Agent, agent_id: AgentId) -> AgentId:
        """Let this object be that agent.

        Raises:
            RegistrationError: there is one, or factories make the agents of this type.
            NotAccessibleError: agents of this runtime outlive processes, so that no object can be one.
        """
        ...

    async def add_subscription(self, subscription: Subscription) -> None:
        """Send what matches to its agents from now on; raises ``RegistrationError`` if it is there already."""

    async def remove_subscription(self, id: str) -> None:
        """Forget a subscription; raises ``RegistrationError`` if there is none of that id."""

    async def get(
        self, id_or_type: AgentId | AgentType | str, /, key: str = "default", *, lazy: bool = True
    ) -> AgentId:
        """Return an agent's id; with ``lazy`` off the agent is made, if it is not there."""
        ...

    async def try_get_underlying_agent_instance(self, id: AgentId, type: type[A]) -> A:
        """Return the agent itself, to look into it.

        Raises:
            LookupError: its type is not registered.
            NotAccessibleError: it may live in another process.
            TypeError: it is of another class than ``type``.
        """
        ...

    async def agent_metadata(self, agent: AgentId) -> AgentMetadata:
        """Return what an agent says of itself."""
        ...

    async def agent_save_state(self, agent: AgentId) -> Mapping[str, Any]:
        """Return an agent's state, as it is between two of its messages."""
        ...

    async def agent_load_state(self, agent: AgentId, state: Mapping[str, Any]) -> None:
        """Give an agent a state that it returned, between two of its messages."""

    async def save_state(self) -> Mapping[str, Any]:
        """Return the state of every agent that was made here, by its id."""
        ...

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Give each agent its state; those of types that are not registered are left out."""

    def start(self) -> Self:
        """Take messages from now on; raises ``RuntimeError`` if it does already."""
        ...

    async def stop(self) -> None:
        """Take no more messages, and return when nothing runs.

        Handlers under way finish and what was published is delivered; direct messages that wait are refused. Called
        from within a handler it does not wait for the end, which would be its own.
        """

    async def stop_when_idle(self) -> None:
        """Return when nothing waits or runs, and take no more messages.

        Raises:
            WaitsForItselfError: called from within a handler.
        """

    async def stop_when(self, condition: Callable[[], bool]) -> None:
        """Stop as soon as ``condition`` holds."""

    async def close(self) -> None:
        """Stop, and close every agent that was made here."""

    async def __aenter__(self) -> Self:
        """Start."""
        ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
