"""Direct messages: the reply, or the error, always comes back."""

import asyncio

import pytest

from multi_actor.errors import MultiActorError
from multi_actor.messaging import (
    AgentId,
    CantHandleException,
    MessageContext,
    RuntimeStoppedError,
    UndeliverableException,
)
from tests.conformance.harness import PlannedError
from tests.messaging.harness import Do, Harness, Probe, Reply, Unknown, within

ALICE = AgentId("alice", "1")


async def test_a_reply_comes_back(harness: Harness) -> None:
    """Sending returns what the recipient's handler returns."""
    await harness.start("alice")
    assert await harness.do("alice/1", text="Hi") == Reply("Hi")


@pytest.mark.parametrize("reply", [None, "text", 7, 1.5, True, ["a", 1, None], {"a": {"b": []}}])
async def test_a_reply_may_be_plain_data(harness: Harness, reply: object) -> None:
    """What is no message comes back as it is."""

    @harness.can
    async def give(probe: Probe, message: Do, ctx: MessageContext) -> object:
        return reply

    await harness.start("alice")
    assert await harness.do("alice/1", "give") == reply


async def test_an_agent_can_ask_another_one(harness: Harness) -> None:
    """It is told who asks, and that it is a direct message."""

    @harness.can
    async def ask(probe: Probe, message: Do, ctx: MessageContext) -> object:
        return await probe.do("bob/1", "tell_sender")

    @harness.can
    async def tell_sender(probe: Probe, message: Do, ctx: MessageContext) -> str:
        return f"{ctx.sender} {ctx.topic_id} {ctx.is_rpc} {bool(ctx.message_id)}"

    await harness.start("alice", "bob")
    assert await harness.do("alice/1", "ask") == "alice/1 None True True"
    assert await harness.do("bob/1", "tell_sender") == "None None True True"


async def test_a_message_keeps_its_id(harness: Harness) -> None:
    """The sender may choose it."""

    @harness.can
    async def tell_id(probe: Probe, message: Do, ctx: MessageContext) -> str:
        return ctx.message_id

    await harness.start("alice")
    assert await harness.do("alice/1", "tell_id", message_id="mine") == "mine"
    assert await harness.do("alice/1", "tell_id") != await harness.do("alice/1", "tell_id")


@pytest.mark.parametrize(
    "error", [ValueError("no"), KeyError("k"), TimeoutError("late"), CantHandleException("not me")], ids=repr
)
async def test_an_error_reaches_the_sender_as_itself(harness: Harness, error: Exception) -> None:
    """Its class, and what it says; the agent serves on."""

    @harness.can
    async def fail(probe: Probe, message: Do, ctx: MessageContext) -> None:
        raise error

    await harness.start("alice")
    with pytest.raises(type(error)) as raised:
        await harness.do("alice/1", "fail")
    assert str(raised.value) == str(error)
    assert await harness.do("alice/1", text="still there") == Reply("still there")


async def test_an_error_passes_through_agents_that_do_not_catch_it(harness: Harness) -> None:
    """And stops at the one that does."""

    @harness.can
    async def fail(probe: Probe, message: Do, ctx: MessageContext) -> None:
        raise ValueError(f"said {message.text}")

    @harness.can
    async def ask(probe: Probe, message: Do, ctx: MessageContext) -> object:
        return await probe.do("carol/1", "fail", message.text)

    @harness.can
    async def ask_and_catch(probe: Probe, message: Do, ctx: MessageContext) -> str:
        try:
            await probe.do("bob/1", "ask", message.text)
        except ValueError as error:
            return str(error)
        return "nothing"

    await harness.start("alice", "bob", "carol")
    with pytest.raises(ValueError, match="said no"):
        await harness.do("bob/1", "ask", "no")
    assert await harness.do("alice/1", "ask_and_catch", "no") == "said no"


async def test_a_message_without_a_handler_is_an_error_that_tells_what_is_handled(harness: Harness) -> None:
    """It names the agent, the message's type, and the types that the agent has handlers for."""
    runtime = await harness.start("alice")
    with pytest.raises(CantHandleException, match=r"alice/1 .*Unknown.*Do") as raised:
        await within(runtime.send_message(Unknown(), ALICE))
    assert (raised.value.agent, raised.value.message_type, raised.value.handles) == ("alice/1", "Unknown", ("Do",))
    with pytest.raises(CantHandleException, match="str"):
        await within(runtime.send_message("plain text", ALICE))


async def test_a_recipient_that_is_not_registered_is_an_error_at_once(harness: Harness) -> None:
    """It is a LookupError of ours that names the type and those with a similar name."""
    await harness.start("alice")
    with pytest.raises(LookupError, match=r"'alcie'.*did you mean alice\?") as raised:
        await harness.do("alcie/1")
    assert isinstance(raised.value, UndeliverableException)
    assert isinstance(raised.value, MultiActorError)
    assert (raised.value.recipient, raised.value.near) == ("alcie/1", ("alice",))


async def test_an_agent_gets_the_same_errors(harness: Harness) -> None:
    """Inside a handler nothing hangs either."""

    @harness.can
    async def try_all(probe: Probe, message: Do, ctx: MessageContext) -> list[str]:
        errors = []
        for to, sent in (("nobody/1", Do("nothing")), ("bob/1", Unknown())):
            try:
                await probe.send_message(sent, AgentId.from_str(to))
            except MultiActorError as error:
                errors.append(type(error).__name__)
        return errors

    await harness.start("alice", "bob")
    assert await harness.do("alice/1", "try_all") == ["UndeliverableException", "CantHandleException"]


async def test_nothing_is_sent_before_the_start(harness: Harness) -> None:
    """The sender is told; to wait for a start that may never come would be to hang."""
    runtime = harness.make()
    await runtime.register("alice", harness.probe)
    with pytest.raises(RuntimeStoppedError, match="not started"):
        await within(runtime.send_message(Do("nothing"), ALICE))


async def test_a_sender_that_leaves_takes_its_waiting_message_back(harness: Harness) -> None:
    """What runs goes on to its end."""
    await harness.start("alice")
    first = harness.begin("alice/1", "hold", "gate")
    await harness.journal.until("begin", "alice/1", "hold")
    second = harness.begin("alice/1", text="second")
    third = harness.begin("alice/1", text="third")
    await asyncio.sleep(0)
    second.cancel()
    first.cancel()
    harness.journal.gate("gate").set()
    assert await third == Reply("third")
    assert harness.journal.count("end", "alice/1", "hold") == 1
    assert harness.journal.count("begin", "alice/1", "nothing", "second") == 0


async def test_an_agent_that_fails_does_so_alone(harness: Harness) -> None:
    """Others, of the same type too, answer."""

    @harness.can
    async def fail(probe: Probe, message: Do, ctx: MessageContext) -> None:
        raise PlannedError

    await harness.start("alice", "bob")
    failing = [harness.begin("alice/1", "fail") for _ in range(5)]
    assert await harness.do("alice/2", text="a") == Reply("a")
    assert await harness.do("bob/1", text="b") == Reply("b")
    results = await within(asyncio.gather(*failing, return_exceptions=True))
    assert all(isinstance(result, Exception) for result in results)
