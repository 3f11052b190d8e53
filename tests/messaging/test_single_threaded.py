"""What only a runtime of one process can do."""

import asyncio
import contextvars

import pytest

from multi_actor.logs import correlation_id
from multi_actor.messaging import (
    AgentId,
    MessageContext,
    RegistrationError,
    SingleThreadedAgentRuntime,
    TopicId,
    TypeSubscription,
    UndeliverableException,
)
from multi_actor.messaging.subscriptions import Subscriptions
from tests.conformance.harness import PlannedError
from tests.messaging.harness import Do, InProcess, Probe, Reply, within


@pytest.fixture
def harness() -> InProcess:
    return InProcess()


async def test_an_error_is_the_very_object_that_was_raised(harness: InProcess) -> None:
    """Whatever its class."""
    error = PlannedError("mine")

    @harness.can
    async def fail(probe: Probe, message: Do, ctx: MessageContext) -> None:
        raise error

    await harness.start("a")
    with pytest.raises(PlannedError) as raised:
        await harness.do("a/1", "fail")
    assert raised.value is error


async def test_two_chains_that_wait_for_each_other_are_named(harness: InProcess) -> None:
    """The second one to wait gets the error, at once; the first one its reply."""

    @harness.can
    async def meet(probe: Probe, message: Do, ctx: MessageContext) -> str:
        probe.journal.note("meets")
        await probe.journal.gate("both").wait()
        try:
            await probe.do(message.text, "nothing")
        except Exception as error:  # noqa: BLE001  # the test compares it
            return str(error)
        return "came through"

    await harness.start("a", "b", "c")
    ring = [harness.begin(f"{one}/1", "meet", f"{other}/1") for one, other in ("ab", "bc", "ca")]
    await harness.journal.until("meets", times=3)
    harness.journal.gate("both").set()
    results = await within(asyncio.gather(*ring))
    assert sorted(results)[:2] == ["came through", "came through"]
    assert "c/1 → a/1 → b/1 → c/1" in sorted(results)[2]


async def test_instances_can_be_registered(harness: InProcess) -> None:
    """Of one class for a type; others of that type are not made up."""
    runtime = harness.make()
    first, second = harness.probe(), harness.probe()
    assert await first.register_instance(runtime, AgentId("a", "1")) == AgentId("a", "1")
    await second.register_instance(runtime, AgentId("a", "2"))
    runtime.start()
    assert await harness.do("a/1", text="hi") == Reply("hi")
    assert await within(runtime.try_get_underlying_agent_instance(AgentId("a", "2"), Probe)) is second
    with pytest.raises(UndeliverableException, match="no instance is registered as a/3"):
        await harness.do("a/3")
    with pytest.raises(RegistrationError, match="a/1 already"):
        await harness.probe().register_instance(runtime, AgentId("a", "1"))
    with pytest.raises(RegistrationError, match="already"):
        await runtime.register("a", harness.probe)
    with pytest.raises(RuntimeError, match="an agent keeps its id"):
        await first.register_instance(runtime, AgentId("a", "4"))
    await harness.tell("1/1")
    await harness.tell("a:x/2")
    await harness.idle()
    assert {note[1] for note in harness.journal.notes} == {"a/1", "a/2"}


async def test_an_agent_can_be_looked_into(harness: InProcess) -> None:
    """If it is of the expected class."""
    runtime = await harness.start("a")
    agent = await within(runtime.try_get_underlying_agent_instance(AgentId("a", "1"), Probe))
    assert agent.id == AgentId("a", "1")

    class Other(Probe):
        pass

    with pytest.raises(TypeError, match="a/1 is a Probe, not a Other"):
        await within(runtime.try_get_underlying_agent_instance(AgentId("a", "1"), Other))
    with pytest.raises(LookupError):
        await within(runtime.try_get_underlying_agent_instance(AgentId("x", "1"), Probe))


async def test_errors_of_published_messages_may_be_raised_by_the_stop(harness: InProcess) -> None:
    """The first of them, once, if they are not to be ignored."""

    @harness.can
    async def fail(probe: Probe, message: Do, ctx: MessageContext) -> None:
        raise PlannedError(message.text)

    runtime = await harness.start("a", topics=[("news", "a")], ignore_unhandled_exceptions=False)
    await harness.tell("news/1", "fail", "first")
    await harness.tell("news/1", "fail", "second")
    with pytest.raises(PlannedError, match="first"):
        await harness.idle()
    await within(runtime.close())


async def test_published_messages_arrive_in_the_order_of_their_sending(harness: InProcess) -> None:
    """Among the direct ones, too."""

    @harness.can
    async def send(probe: Probe, message: Do, ctx: MessageContext) -> None:
        await probe.tell("news/1", "nothing", "0")
        asking = [asyncio.create_task(probe.do("b/1", "nothing", "1"))]
        await asyncio.sleep(0)
        await probe.tell("news/1", "nothing", "2")
        await asyncio.gather(*asking)

    await harness.start("a", "b", topics=[("news", "b")])
    held = harness.begin("b/1", "hold", "gate")
    await harness.journal.until("begin", "b/1")
    sending = harness.begin("a/1", "send")
    await asyncio.sleep(0)
    harness.journal.gate("gate").set()
    await within(asyncio.gather(held, sending))
    await harness.idle()
    assert [note[3] for note in harness.journal.notes if note[:3] == ("end", "b/1", "nothing")] == ["0", "1", "2"]


async def test_the_correlation_id_follows_messages(harness: InProcess) -> None:
    """And nothing else of the sender's context does."""
    other = contextvars.ContextVar("other", default="unset")

    @harness.can
    async def look(probe: Probe, message: Do, ctx: MessageContext) -> str:
        other.set("by a handler")
        return correlation_id.get()

    @harness.can
    async def look_at_other(probe: Probe, message: Do, ctx: MessageContext) -> str:
        return other.get()

    await harness.start("a")
    correlation_id.set("request 7")
    other.set("by the sender")
    assert await harness.do("a/1", "look") == "request 7"
    assert await harness.do("a/1", "look_at_other") == "unset"


async def test_closing_closes_each_agent(harness: InProcess, caplog: pytest.LogCaptureFixture) -> None:
    """Once; what one raises is logged. A runtime may be started again, and makes its agents anew."""

    class Closing(Probe):
        async def close(self) -> None:
            self.journal.note("closed", str(self.id))
            if self.id.key == "1":
                raise PlannedError("on closing")

    runtime = harness.make()
    await runtime.register("a", lambda: Closing(harness))
    runtime.start()
    for key in ("1", "2"):
        await harness.do(f"a/{key}")
    await within(runtime.close())
    await within(runtime.close())
    assert harness.journal.count("closed") == 2
    assert any("a/1 failed while it was closed" in record.getMessage() for record in caplog.records)
    runtime.start()
    assert await harness.do("a/1", text="again") == Reply("again")
    await within(runtime.close())


async def test_what_waits_is_counted(harness: InProcess) -> None:
    """Each delivery of a published message once, and what waits for the start."""
    runtime = harness.make()
    assert isinstance(runtime, SingleThreadedAgentRuntime)
    await runtime.publish_message(Do("hold", "gate"), TopicId("news", "1"))
    assert runtime.unprocessed_messages_count == 1
    await runtime.register("a", harness.probe)
    await runtime.add_subscription(TypeSubscription("news", "a"))
    runtime.start()
    assert runtime.unprocessed_messages_count == 0
    for _ in range(2):
        await harness.tell("news/1")
    assert runtime.unprocessed_messages_count == 2
    harness.journal.gate("gate").set()
    await harness.idle()
    assert runtime.unprocessed_messages_count == 0


def test_what_is_remembered_of_topics_has_a_bound() -> None:
    """A program makes up as many sources as it likes."""
    subscriptions = Subscriptions()
    subscriptions.add(TypeSubscription("news", "a"))
    for number in range(10_000):
        assert subscriptions.agents(TopicId("news", str(number))) == [AgentId("a", str(number))]
    assert len(subscriptions._found) <= 4096
