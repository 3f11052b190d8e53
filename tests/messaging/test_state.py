"""State: an agent's state can be taken out and put into another one."""

from collections.abc import Mapping
from typing import Any

import pytest

from multi_actor.messaging import AgentId, AgentProxy, MessageContext
from tests.messaging.harness import Do, Harness, Probe, Reply, within


class Counter(Probe):
    """Counts its messages."""

    count = 0

    async def save_state(self) -> Mapping[str, Any]:
        return {"count": self.count}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        self.count = state["count"]


def counting(harness: Harness) -> None:
    @harness.can
    async def count(probe: Probe, message: Do, ctx: MessageContext) -> int:
        assert isinstance(probe, Counter)
        probe.count += 1
        return probe.count


async def start(harness: Harness) -> None:
    counting(harness)
    runtime = harness.make()
    await runtime.register("counter", lambda: Counter(harness))
    await runtime.register("plain", harness.probe)
    runtime.start()


async def test_a_runtimes_state_is_that_of_its_agents(harness: Harness) -> None:
    """Another runtime goes on from it; agents of types that it does not know are left out."""
    await start(harness)
    for key in ("1", "1", "2"):
        await harness.do(f"counter/{key}", "count")
    await harness.do("plain/1")
    state = await within(harness.runtime.save_state())
    assert state == {"counter/1": {"count": 2}, "counter/2": {"count": 1}, "plain/1": {}}
    await harness.close()
    await harness.forget()
    await start(harness)
    await within(harness.runtime.load_state({**state, "unknown/1": {"count": 7}}))
    assert [await harness.do(f"counter/{key}", "count") for key in ("1", "2", "3")] == [3, 2, 1]


async def test_one_agents_state(harness: Harness) -> None:
    """By the runtime or by a proxy."""
    await start(harness)
    await within(harness.runtime.agent_load_state(AgentId("counter", "1"), {"count": 41}))
    assert await harness.do("counter/1", "count") == 42
    assert await within(harness.runtime.agent_save_state(AgentId("counter", "1"))) == {"count": 42}
    proxy = AgentProxy(AgentId("counter", "2"), harness.runtime)
    await within(proxy.load_state({"count": 1}))
    assert await within(proxy.save_state()) == {"count": 1}


async def test_state_is_taken_between_two_messages(harness: Harness) -> None:
    """Never from the middle of a handler."""

    @harness.can
    async def count_twice(probe: Probe, message: Do, ctx: MessageContext) -> Reply:
        assert isinstance(probe, Counter)
        probe.count += 1
        await probe.journal.gate("gate").wait()
        probe.count += 1
        return Reply("done")

    await start(harness)
    counting_twice = harness.begin("counter/1", "count_twice")
    await harness.journal.until("begin", "counter/1")
    saving = harness.spawn(harness.runtime.agent_save_state(AgentId("counter", "1")))
    harness.journal.gate("gate").set()
    assert await saving == {"count": 2}
    await within(counting_twice)


async def test_an_agent_cannot_ask_the_runtime_for_its_own_state(harness: Harness) -> None:
    """It would wait for the end of its own message."""

    @harness.can
    async def ask(probe: Probe, message: Do, ctx: MessageContext) -> None:
        await probe.runtime.agent_save_state(probe.id)

    await start(harness)
    with pytest.raises(Exception, match="counter/1 → counter/1"):
        await harness.do("counter/1", "ask")
