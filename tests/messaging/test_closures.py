"""Closures: an agent that is one function, often there to bring messages out."""

import asyncio
from typing import Any

import pytest

from multi_actor.messaging import (
    AgentId,
    CantHandleException,
    ClosureAgent,
    ClosureContext,
    DefaultSubscription,
    DefaultTopicId,
    InvalidHandlerError,
    MessageContext,
)
from tests.messaging.harness import Do, Harness, Reply, Unknown, within

TO = AgentId("out", "default")


async def test_a_closure_brings_messages_out_of_the_runtime(harness: Harness) -> None:
    """It is subscribed like any other agent."""
    results: asyncio.Queue[tuple[str, Do]] = asyncio.Queue()

    async def output(agent: ClosureContext, message: Do, ctx: MessageContext) -> None:
        await results.put((str(agent.id), message))

    runtime = harness.make()
    await ClosureAgent.register_closure(runtime, "out", output, subscriptions=lambda: [DefaultSubscription()])
    runtime.start()
    await within(runtime.publish_message(Do("x", "result"), DefaultTopicId()))
    await harness.idle()
    assert results.get_nowait() == ("out/default", Do("x", "result"))


async def test_a_closure_may_answer_and_ask(harness: Harness) -> None:
    """By the agent that it is given."""

    async def forward(agent: ClosureContext, message: Do, ctx: MessageContext) -> Any:
        return await agent.send_message(message, AgentId("a", "1"))

    runtime = harness.make()
    await runtime.register("a", harness.probe)
    await ClosureAgent.register_closure(runtime, "out", forward, description="forwards")
    runtime.start()
    assert await within(runtime.send_message(Do("nothing", "hi"), TO)) == Reply("hi")
    assert (await within(runtime.agent_metadata(TO)))["description"] == "forwards"


async def test_a_message_of_another_type_goes_by_the_policy(harness: Harness) -> None:
    """An error, a warning, or nothing."""

    async def closure(agent: ClosureContext, message: Do, ctx: MessageContext) -> str:
        return "handled"

    runtime = harness.make()
    await ClosureAgent.register_closure(runtime, "error", closure, unknown_type_policy="error")
    await ClosureAgent.register_closure(runtime, "warn", closure)
    await ClosureAgent.register_closure(runtime, "ignore", closure, unknown_type_policy="ignore")
    runtime.start()
    with pytest.raises(CantHandleException, match=r"error/1 has no handler for Unknown; it handles Do"):
        await within(runtime.send_message(Unknown(), AgentId("error", "1")))
    with pytest.warns(UserWarning, match="warn/1 has no handler for Unknown"):
        assert await within(runtime.send_message(Unknown(), AgentId("warn", "1"))) is None
    assert await within(runtime.send_message(Unknown(), AgentId("ignore", "1"))) is None


async def test_a_closure_of_anything_gets_everything(harness: Harness) -> None:
    """That its runtime can carry."""

    async def closure(agent: ClosureContext, message: Any, ctx: MessageContext) -> str:
        return type(message).__name__

    runtime = harness.make()
    await ClosureAgent.register_closure(runtime, "out", closure)
    runtime.start()
    assert await within(runtime.send_message(Unknown(), TO)) == "Unknown"


async def test_a_closure_without_annotations_is_refused(harness: Harness) -> None:
    """When it is registered."""

    async def closure(agent, message, ctx):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        pass

    runtime = harness.make()
    with pytest.raises(InvalidHandlerError, match="with its annotations"):
        await ClosureAgent.register_closure(runtime, "out", closure)
