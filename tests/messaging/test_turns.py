"""Turns: an agent handles one message at a time; chains that would wait for themselves fail at once."""

import asyncio

import pytest

from multi_actor.errors import MultiActorError, WaitsForItselfError
from multi_actor.messaging import MessageContext
from tests.messaging.harness import Do, Harness, Probe, Reply, within


async def test_an_agent_handles_one_message_at_a_time_in_order(harness: Harness) -> None:
    """The next begins when the last has ended, slow or not."""

    @harness.can
    async def slowly(probe: Probe, message: Do, ctx: MessageContext) -> None:
        for _ in range(int(message.text) % 3):
            await asyncio.sleep(0)

    await harness.start("alice")
    await within(asyncio.gather(*(harness.begin("alice/1", "slowly", str(number)) for number in range(50))))
    handled = [number for what, *_, number in harness.journal.notes if what == "begin"]
    assert sorted(handled, key=int) == [str(number) for number in range(50)]
    if harness.keeps_order:
        assert handled == sorted(handled, key=int)
    expected = [(what, "alice/1", "slowly", number) for number in handled for what in ("begin", "end")]
    assert harness.journal.notes == expected


async def test_agents_run_side_by_side(harness: Harness) -> None:
    """One that waits holds up nobody, not even another of its type."""
    await harness.start("alice", "bob")
    held = harness.begin("alice/1", "hold", "gate")
    await harness.journal.until("begin", "alice/1")
    assert await harness.do("alice/2", text="b") == Reply("b")
    assert await harness.do("bob/1", text="c") == Reply("c")
    harness.journal.gate("gate").set()
    assert await within(held) == Reply("gate")


def can_pass(harness: Harness) -> None:
    """Let probes ask along a way, `b/1 c/1 …`, and return the way."""

    @harness.can
    async def go(probe: Probe, message: Do, ctx: MessageContext) -> str:
        first, _, rest = message.text.partition(" ")
        return f"{probe.id} {await probe.do(first, 'go', rest)}" if first else str(probe.id)


async def test_a_chain_brings_back_what_the_last_one_returned(harness: Harness) -> None:
    """Through as many agents as there are."""
    can_pass(harness)
    await harness.start("a", "b")
    assert await harness.do("a/1", "go", "b/1 a/2 b/2 a/3") == "a/1 b/1 a/2 b/2 a/3"


@pytest.mark.parametrize(
    ("way", "named"), [("b/1 a/1", "a/1 → b/1 → a/1"), ("a/1", "a/1 → a/1"), ("b/1 a/2 b/1", "b/1 → a/2 → b/1")]
)
async def test_a_chain_that_comes_back_fails_at_once_and_is_named(harness: Harness, way: str, named: str) -> None:
    """The agent that it comes back to waits in it, so it could only hang; all of them serve on."""
    can_pass(harness)
    await harness.start("a", "b")
    with pytest.raises(WaitsForItselfError, match=named):
        await harness.do("a/1", "go", way)
    assert await harness.do("a/1", "go", "b/1 a/2") == "a/1 b/1 a/2"


async def test_two_chains_that_wait_for_each_other_end(harness: Harness) -> None:
    """One gets an error, at once or by the deadline, and nobody hangs."""

    @harness.can
    async def meet(probe: Probe, message: Do, ctx: MessageContext) -> str:
        probe.journal.note("meets")
        await probe.journal.gate("both").wait()
        await probe.do(message.text, "nothing")
        return "came through"

    await harness.start("a", "b")
    both = [harness.begin("a/1", "meet", "b/1"), harness.begin("b/1", "meet", "a/1")]
    await harness.journal.until("meets", times=2)
    harness.journal.gate("both").set()
    results = await within(asyncio.gather(*both, return_exceptions=True))
    assert any(isinstance(result, MultiActorError) for result in results)
    assert await harness.do("a/1", text="on") == await harness.do("b/1", text="on") == Reply("on")


async def test_what_a_handler_publishes_may_come_back_to_it(harness: Harness) -> None:
    """A published message waits for nobody, so it is no chain."""

    @harness.can
    async def publish(probe: Probe, message: Do, ctx: MessageContext) -> None:
        await probe.tell("news/1", "answer")

    @harness.can
    async def answer(probe: Probe, message: Do, ctx: MessageContext) -> None:
        assert ctx.sender is not None
        await probe.do(str(ctx.sender), "nothing", "an answer")

    await harness.start("a", "b", topics=[("news", "b")])
    await harness.do("a/1", "publish")
    await harness.idle()
    assert harness.journal.count("end", "a/1", "nothing", "an answer") == 1


async def test_a_task_that_outlives_its_handler_is_a_chain_of_its_own(harness: Harness) -> None:
    """It may ask the agent that left it behind."""
    tasks = []

    @harness.can
    async def leave_behind(probe: Probe, message: Do, ctx: MessageContext) -> None:
        async def later() -> None:
            await probe.journal.gate("later").wait()
            await probe.do(str(probe.id), "nothing", "later")

        tasks.append(asyncio.create_task(later()))

    await harness.start("a")
    await harness.do("a/1", "leave_behind")
    harness.journal.gate("later").set()
    await harness.journal.until("end", "a/1", "nothing", "later")
    await within(asyncio.gather(*tasks))


async def test_one_handler_may_ask_several_at_once(harness: Harness) -> None:
    """Also the same one twice."""

    @harness.can
    async def ask_all(probe: Probe, message: Do, ctx: MessageContext) -> list[str]:
        asked = [probe.do(to, "nothing", f"{to} {number}") for number, to in enumerate(["b/1", "b/1", "b/2"])]
        return [reply.text for reply in await asyncio.gather(*asked)]

    await harness.start("a", "b")
    assert await harness.do("a/1", "ask_all") == ["b/1 0", "b/1 1", "b/2 2"]
