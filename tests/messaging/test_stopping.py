"""Stopping: handlers under way finish, what was published is delivered, and every sender is answered."""

import asyncio
import logging

import pytest

from multi_actor.errors import WaitsForItselfError
from multi_actor.messaging import (
    AgentId,
    CancellationToken,
    DefaultInterventionHandler,
    DropMessage,
    MessageContext,
    MessageDroppedException,
    RuntimeStoppedError,
    TopicId,
)
from tests.conformance.harness import PlannedError
from tests.messaging.harness import Do, Harness, Probe, Reply, within


async def test_stopping_lets_what_runs_finish_and_refuses_what_waits(harness: Harness) -> None:
    """Each sender is answered: with its reply, or with an error that says why there is none."""
    runtime = await harness.start("a")
    running = harness.begin("a/1", "hold", "gate")
    await harness.journal.until("begin", "a/1", "hold")
    waiting = harness.begin("a/1")
    await asyncio.sleep(0)
    stopping = asyncio.create_task(runtime.stop())
    await asyncio.sleep(0)
    with pytest.raises(RuntimeStoppedError, match="stopping"):
        await harness.do("a/2")
    harness.journal.gate("gate").set()
    await within(stopping)
    assert await running == Reply("gate")
    with pytest.raises(RuntimeStoppedError):
        await waiting
    assert harness.journal.count("begin", "a/1", "nothing") == 0


async def test_stopping_delivers_what_was_published_before(harness: Harness) -> None:
    """Also what waits behind a handler that still runs."""
    runtime = await harness.start("a", topics=[("news", "a")])
    running = harness.begin("a/1", "hold", "gate")
    await harness.journal.until("begin", "a/1", "hold")
    for number in range(10):
        await harness.tell("news/1", text=str(number))
    stopping = asyncio.create_task(runtime.stop())
    await asyncio.sleep(0)
    harness.journal.gate("gate").set()
    await within(stopping)
    await within(running)
    assert harness.journal.count("end", "a/1", "nothing") == 10


async def test_nothing_is_taken_after_the_stop(harness: Harness) -> None:
    """Both ways of sending say so."""
    runtime = await harness.start("a", topics=[("news", "a")])
    await within(runtime.stop())
    with pytest.raises(RuntimeStoppedError, match="stopped"):
        await harness.do("a/1")
    with pytest.raises(RuntimeStoppedError, match="stopped"):
        await harness.tell("news/1")


async def test_a_handler_under_way_gets_that_error_too(harness: Harness) -> None:
    """What it sends after the stop is refused; it may catch that, and finish."""

    @harness.can
    async def hold_and_ask(probe: Probe, message: Do, ctx: MessageContext) -> str:
        await probe.journal.gate("gate").wait()
        try:
            await probe.do("b/1", "nothing")
        except RuntimeStoppedError:
            return "refused"
        return "answered"

    runtime = await harness.start("a", "b")
    running = harness.begin("a/1", "hold_and_ask")
    await harness.journal.until("begin", "a/1")
    stopping = asyncio.create_task(runtime.stop())
    await asyncio.sleep(0)
    harness.journal.gate("gate").set()
    await within(stopping)
    assert await running == "refused"


async def test_idle_is_when_nothing_waits_or_runs(harness: Harness) -> None:
    """Messages that cause messages, direct and published, are waited for."""

    @harness.can
    async def go_on(probe: Probe, message: Do, ctx: MessageContext) -> None:
        left = int(message.text)
        if left:
            await probe.do(f"b/{left}", "nothing")
            await probe.tell(f"news/{left}", "go_on", str(left - 1))

    await harness.start("a", "b", topics=[("news", "a")])
    await harness.tell("news/start", "go_on", "10")
    await harness.idle()
    assert harness.journal.count("end", "a/1", "go_on", "0") == 1
    with pytest.raises(RuntimeStoppedError):
        await harness.do("a/1")


class _Troublemaker(DefaultInterventionHandler):
    """Drops, or raises, as the text asks."""

    async def on_send(self, message: Do, *, message_context: MessageContext, recipient: AgentId) -> object:
        return self._do(message, "send")

    async def on_publish(self, message: Do, *, message_context: MessageContext) -> object:
        return self._do(message, "publish")

    async def on_response(self, message: Reply, *, sender: AgentId, recipient: AgentId | None) -> object:
        return self._do(message, "response")

    @staticmethod
    def _do(message: Do | Reply, where: str) -> object:
        if message.text == f"drop {where}":
            return DropMessage
        if message.text == f"raise {where}":
            raise PlannedError(where)
        return message


async def test_idle_comes_whatever_goes_wrong(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    """Dropped messages, raising interventions, cancelled handlers and failing factories count as done."""

    def fail() -> Probe:
        raise PlannedError("factory")

    @harness.can
    async def cancel_itself(probe: Probe, message: Do, ctx: MessageContext) -> None:
        raise asyncio.CancelledError

    runtime = harness.make(intervention_handlers=[_Troublemaker()])
    await runtime.register("a", harness.probe, [])
    await runtime.register("broken", fail)
    for agent_type in ("a", "broken"):
        await runtime.add_subscription(harness.subscription("news", agent_type))
    runtime.start()
    with caplog.at_level(logging.CRITICAL):
        for where in ("publish", "nothing"):
            await harness.tell("news/1", text=f"drop {where}")
            await harness.tell("news/1", text=f"raise {where}")
        await harness.tell("news/1", "cancel_itself")
        for where in ("send", "response"):
            with pytest.raises(MessageDroppedException):
                await harness.do("a/1", text=f"drop {where}")
            with pytest.raises(PlannedError, match=where):
                await harness.do("a/1", text=f"raise {where}")
        with pytest.raises(Exception, match="factory"):
            await harness.do("broken/1")
        token = CancellationToken()
        cancelled = harness.begin("a/1", "hold", "never", cancellation_token=token)
        await harness.journal.until("begin", "a/1", "hold")
        token.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        harness.journal.gate("never").set()
        await harness.idle()


async def test_waiting_for_idleness_in_a_handler_is_an_error(harness: Harness) -> None:
    """It would wait for its own end."""

    @harness.can
    async def wait(probe: Probe, message: Do, ctx: MessageContext) -> None:
        await probe.runtime.stop_when_idle()

    await harness.start("a")
    with pytest.raises(WaitsForItselfError, match=r"a/1 → stop_when_idle"):
        await harness.do("a/1", "wait")


async def test_a_handler_may_stop_the_runtime(harness: Harness) -> None:
    """It finishes, and its sender is answered."""

    @harness.can
    async def stop(probe: Probe, message: Do, ctx: MessageContext) -> Reply:
        await probe.runtime.stop()
        return Reply("the last one")

    runtime = await harness.start("a")
    assert await harness.do("a/1", "stop") == Reply("the last one")
    with pytest.raises(RuntimeStoppedError):
        await harness.do("a/1")
    await within(runtime.stop())


async def test_stopping_when_a_condition_holds(harness: Harness) -> None:
    """Whatever it looks at."""
    runtime = await harness.start("a", topics=[("news", "a")])
    stopping = asyncio.create_task(runtime.stop_when(lambda: harness.journal.count("end") >= 3))
    for _ in range(3):
        await harness.tell("news/1")
    await within(stopping)
    assert harness.journal.count("end") == 3


async def test_a_context_is_a_life(harness: Harness) -> None:
    """Entering starts; leaving stops, after what was published."""
    runtime = harness.make()
    await runtime.register("a", harness.probe)
    await runtime.add_subscription(harness.subscription("news", "a"))
    async with runtime:
        assert await harness.do("a/1", text="in") == Reply("in")
        await within(runtime.publish_message(Do("nothing", "last"), TopicId("news", "1")))
    assert harness.journal.count("end", "a/1", "nothing", "last") == 1
    with pytest.raises(RuntimeStoppedError):
        await harness.do("a/1")


async def test_a_runtime_that_was_stopped_can_be_started_again(harness: Harness) -> None:
    """And takes messages of both kinds, as before."""
    runtime = await harness.start("a", topics=[("news", "a")])
    await within(runtime.stop())
    runtime.start()
    assert await harness.do("a/1", text="again") == Reply("again")
    await harness.tell("news/1", text="published")
    await harness.idle()
    assert harness.journal.count("end", "a/1", "nothing", "published") == 1


async def test_starting_twice_is_an_error(harness: Harness) -> None:
    """Stopping twice is none."""
    runtime = await harness.start("a")
    with pytest.raises(RuntimeError, match="already"):
        runtime.start()
    await within(runtime.stop())
    await within(runtime.stop())
