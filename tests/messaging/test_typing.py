"""What a type checker sees: each line below is an error to it, or the ignore comment on it would be one."""

from dataclasses import dataclass
from typing import Any

import pytest

from multi_actor.messaging import (
    AgentRuntime,
    BaseAgent,
    CancellationToken,
    InvalidHandlerError,
    MessageContext,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    default_subscription,
    event,
    message_handler,
    rpc,
    type_subscription,
)


@dataclass
class Message:
    text: str


def test_a_checker_sees_a_handler_of_the_wrong_shape() -> None:
    """Not async, too few arguments, a message that is none, an event with a reply."""
    with pytest.raises(InvalidHandlerError):

        @message_handler  # type: ignore[arg-type]
        def not_async(self: Any, message: Message, ctx: MessageContext) -> None: ...

    with pytest.raises(InvalidHandlerError):

        @message_handler  # type: ignore[arg-type]
        async def too_few(self: Any, message: Message) -> None: ...

    with pytest.raises(InvalidHandlerError):

        @rpc  # type: ignore[type-var]
        async def no_message(self: Any, message: str, ctx: MessageContext) -> None: ...

    with pytest.raises(InvalidHandlerError):

        @event  # type: ignore[arg-type]
        async def with_reply(self: Any, message: Message, ctx: MessageContext) -> str:
            return ""

    with pytest.raises(InvalidHandlerError):

        @event(match=lambda _, __: True)  # type: ignore[arg-type]
        async def with_reply_and_match(self: Any, message: Message, ctx: MessageContext) -> str:
            return ""


@default_subscription
@type_subscription("news")
class Agent(RoutedAgent):
    @message_handler
    async def on_message_(self, message: Message, ctx: MessageContext) -> str:
        return message.text


@default_subscription()
class Other(BaseAgent):
    async def on_message_impl(self, message: Any, ctx: MessageContext) -> None: ...


async def test_types_come_through() -> None:
    """A decorated handler and a subscribed class keep theirs."""
    agent: Agent = Agent("an agent")
    ctx = MessageContext(None, None, is_rpc=True, cancellation_token=CancellationToken(), message_id="1")
    text: str = await agent.on_message_(Message("hi"), ctx)
    number: int = await agent.on_message_(Message("hi"), ctx)  # type: ignore[assignment]
    assert (text, str(number)) == ("hi", "hi")
    assert len(Agent.unbound_subscriptions) == 2
    runtime: AgentRuntime = SingleThreadedAgentRuntime()
    with pytest.raises(TypeError, match="no options queue"):
        SingleThreadedAgentRuntime(queue=1)  # type: ignore[call-arg]
    assert isinstance(runtime, AgentRuntime)
