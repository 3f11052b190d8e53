"""Factories: an agent is made once, when its first message arrives, whoever sends it."""

import asyncio
from typing import Any

import pytest

from multi_actor.messaging import (
    AgentId,
    AgentInstantiationContext,
    AgentProxy,
    AgentType,
    BaseAgent,
    DefaultSubscription,
    MessageContext,
    RegistrationError,
    TopicId,
    TypeSubscription,
    UndeliverableException,
)
from tests.conformance.harness import PlannedError
from tests.messaging.harness import Do, Harness, Probe, Reply, within


async def test_an_agent_is_made_when_its_first_message_arrives(harness: Harness) -> None:
    """And knows its id inside its constructor."""

    class Named(Probe):
        def __init__(self, harness: Harness) -> None:
            super().__init__(harness)
            harness.journal.note("made", str(self.id), str(AgentInstantiationContext.current_agent_id()))

    runtime = harness.make()
    await runtime.register("a", lambda: Named(harness))
    runtime.start()
    assert harness.journal.count("made") == 0
    await harness.do("a/1")
    await harness.do("a/1")
    await harness.do("a/2")
    assert harness.journal.count("made") == 2
    assert harness.journal.count("made", "a/1", "a/1") == 1


async def test_an_async_factory_makes_one_agent_for_many_first_messages(harness: Harness) -> None:
    """However many arrive at once; each is answered."""

    async def make() -> Probe:
        harness.journal.note("making")
        await harness.journal.gate("factory").wait()
        return harness.probe()

    runtime = harness.make()
    await runtime.register("a", make)
    runtime.start()
    asked = [harness.begin("a/1", text=str(number)) for number in range(20)]
    await harness.journal.until("making")
    harness.journal.gate("factory").set()
    assert await within(asyncio.gather(*asked)) == [Reply(str(number)) for number in range(20)]
    assert harness.journal.count("making") == 1


async def test_a_failing_factory_fails_the_message_and_is_asked_again(harness: Harness) -> None:
    """Its error reaches the sender as itself; the next message may have more luck."""

    def make() -> Probe:
        harness.journal.fail_if_asked("factory")
        return harness.probe()

    def fail() -> Probe:
        raise ValueError("no such agent")

    runtime = harness.make()
    await runtime.register("a", make)
    await runtime.register("b", fail)
    runtime.start()
    harness.journal.failures["factory"] = 1
    with pytest.raises(Exception, match="factory"):
        await harness.do("a/1")
    assert await harness.do("a/1", text="on") == Reply("on")
    with pytest.raises(ValueError, match="no such agent"):
        await harness.do("b/1")


async def test_what_a_factory_makes_is_checked(harness: Harness) -> None:
    """Another class than the one that registered it, or no agent at all, is an error that says so."""

    class Other(Probe):
        pass

    runtime = harness.make()
    await Other.register(runtime, "other", harness.probe)  # type: ignore[arg-type]
    await runtime.register("none", lambda: None)  # type: ignore[arg-type, return-value]
    runtime.start()
    with pytest.raises(RegistrationError, match=r"other/1 made a Probe, which is no Other"):
        await harness.do("other/1")
    with pytest.raises(RegistrationError, match=r"none/1 made a NoneType, which is no Agent"):
        await harness.do("none/1")


async def test_a_type_is_registered_once(harness: Harness) -> None:
    """The same type twice is an error, and so is a factory that wants to be told something."""
    runtime = harness.make()
    assert await runtime.register("a", harness.probe) == AgentType("a")
    with pytest.raises(RegistrationError, match="'a' is registered already"):
        await Probe.register(runtime, "a", harness.probe)
    with pytest.raises(RegistrationError, match="takes no argument"):
        await runtime.register("b", Probe)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not a type"):
        await runtime.register("no type", harness.probe)


async def test_subscriptions_may_be_registered_with_the_type(harness: Harness) -> None:
    """As a list, or by a function that need not name the type."""
    runtime = harness.make()
    await runtime.register("a", harness.probe, lambda: [DefaultSubscription()])
    await runtime.register("b", harness.probe, [TypeSubscription("default", "b")])
    with pytest.raises(RegistrationError, match=r"TypeSubscription\('default', 'b'\) is there already"):
        await runtime.add_subscription(TypeSubscription("default", "b"))
    with pytest.raises(RegistrationError, match="no subscription"):
        await runtime.remove_subscription("unknown")
    runtime.start()
    await harness.tell("default/1")
    await harness.idle()
    assert {note[1] for note in harness.journal.notes} == {"a/1", "b/1"}


async def test_an_agent_need_not_be_a_routed_one(harness: Harness) -> None:
    """`on_message` gets every message, or `on_message_impl` does."""

    class Direct(BaseAgent):
        async def on_message(self, message: Do, ctx: MessageContext) -> str:
            return f"direct {message.text}"

    class Indirect(BaseAgent):
        async def on_message_impl(self, message: Do, ctx: MessageContext) -> str:
            return f"indirect {message.text}"

    runtime = harness.make()
    await runtime.register("a", lambda: Direct("one"))
    await runtime.register("b", lambda: Indirect("another"))
    runtime.start()
    assert [await harness.do("a/1", text="x"), await harness.do("b/1", text="x")] == ["direct x", "indirect x"]


async def test_an_agent_is_known_by_its_id(harness: Harness) -> None:
    """Ids, proxies and metadata lead to it; an unknown type is an error everywhere."""
    runtime = await harness.start("a")
    assert await runtime.get("a") == await runtime.get(AgentType("a"), "default") == AgentId("a", "default")
    assert await within(runtime.get(AgentId("a", "1"), lazy=False)) == AgentId("a", "1")
    expected = {"type": "a", "key": "1", "description": "a probe"}
    assert await within(runtime.agent_metadata(AgentId("a", "1"))) == expected
    proxy = AgentProxy(AgentId("a", "1"), runtime)
    assert await within(proxy.metadata) == expected
    assert await within(proxy.send_message(Do("nothing", "hi"), sender=AgentId("a", "2"))) == Reply("hi")
    with pytest.raises(UndeliverableException):
        await within(runtime.agent_metadata(AgentId("x", "1")))


async def test_a_subscription_of_an_unknown_type_is_a_warning(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    """Those who are registered get the message all the same."""
    await harness.start("alice", topics=[("news", "alcie"), ("news", "alice")])
    await harness.tell("news/1")
    await harness.idle()
    assert harness.journal.count("end", "alice/1") == 1
    assert any("'alcie'; did you mean alice?" in record.getMessage() for record in caplog.records)


async def test_an_agent_outside_of_a_runtime_has_no_id(harness: Harness) -> None:
    """Asking for it says why; a test may make one by hand."""
    with pytest.raises(RuntimeError, match="made by no runtime"):
        _ = Probe(harness).id
    runtime = harness.make()
    with AgentInstantiationContext.populate_context((runtime, AgentId("a", "1"))):
        assert Probe(harness).id == AgentId("a", "1")
    with pytest.raises(RuntimeError, match="no agent is being made"):
        AgentInstantiationContext.current_runtime()


async def test_a_factory_may_send_messages(harness: Harness) -> None:
    """To others; to the agent that it makes it would wait for itself."""

    async def make() -> Probe:
        runtime = AgentInstantiationContext.current_runtime()
        to = AgentId("helper", "1") if AgentInstantiationContext.current_agent_id().key == "1" else AgentId("a", "2")
        reply: Any = await runtime.send_message(Do("nothing", "from a factory"), to)
        harness.journal.note("helped", reply.text)
        return harness.probe()

    runtime = harness.make()
    await runtime.register("a", make)
    await runtime.register("helper", harness.probe)
    runtime.start()
    await harness.do("a/1")
    assert harness.journal.count("helped", "from a factory") == 1
    with pytest.raises(Exception, match="a/2 → a/2"):
        await harness.do("a/2")


async def test_a_failing_factory_loses_a_published_message_only(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    """Others get it; the error is in the log."""

    def fail() -> Probe:
        raise PlannedError("factory")

    runtime = harness.make()
    await runtime.register("a", harness.probe)
    await runtime.register("broken", fail)
    for agent_type in ("a", "broken"):
        await runtime.add_subscription(TypeSubscription("news", agent_type))
    runtime.start()
    await within(runtime.publish_message(Do("nothing"), TopicId("news", "1")))
    await harness.idle()
    assert harness.journal.count("end", "a/1") == 1
    assert any("broken/1" in record.getMessage() for record in caplog.records)
