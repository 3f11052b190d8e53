"""A bounded queue: senders outside of handlers wait for a place, handlers never do."""

import asyncio

import pytest

from multi_actor.messaging import MessageContext, RuntimeStoppedError
from tests.messaging.harness import Do, Harness, Probe, within
from tests.support import wait_until


async def test_publishers_outside_wait_while_the_queue_is_full(harness: Harness) -> None:
    """Not all get in while nothing is handled; in the end each message is delivered."""
    await harness.start("a", topics=[("news", "a")], max_queue=3)
    done = 0

    async def publish() -> None:
        nonlocal done
        for number in range(30):
            await harness.tell("news/1", "hold", "gate" if number == 0 else f"{number}")
            harness.journal.gate(f"{number}").set()
            done += 1

    publishing = asyncio.create_task(publish())
    await harness.journal.until("begin", "a/1", "hold", "gate")
    await wait_until(lambda: done >= 3, description="the queue takes its three")
    for _ in range(20):
        await asyncio.sleep(0)
    assert done <= 4, "one runs, three wait"
    harness.journal.gate("gate").set()
    await within(publishing)
    await harness.idle()
    assert harness.journal.count("end", "a/1", "hold") == 30


async def test_senders_outside_wait_as_well(harness: Harness) -> None:
    """Each gets its reply in the end."""
    await harness.start("a", max_queue=2)
    harness.journal.gate("gate")
    asked = [harness.begin("a/1", "hold", "gate") for _ in range(20)]
    await harness.journal.until("begin", "a/1")
    harness.journal.gate("gate").set()
    assert len(await within(asyncio.gather(*asked))) == 20


async def test_handlers_do_not_wait(harness: Harness) -> None:
    """They would wait for themselves."""

    @harness.can
    async def publish_many(probe: Probe, message: Do, ctx: MessageContext) -> None:
        for number in range(20):
            await probe.tell("news/1", "nothing", str(number))
        await probe.do("b/2", "nothing")

    await harness.start("a", "b", topics=[("news", "b")], max_queue=1)
    await harness.do("a/1", "publish_many")
    await harness.idle()
    assert harness.journal.count("end", "b/1", "nothing") == 20


async def test_stopping_refuses_those_who_wait_for_a_place(harness: Harness) -> None:
    """They are answered at once the queue gets empty, at the latest."""
    runtime = await harness.start("a", topics=[("news", "a")], max_queue=1)
    asked = [harness.begin("a/1", "hold", "gate") for _ in range(5)]
    await harness.journal.until("begin", "a/1")
    publishing = asyncio.create_task(harness.tell("news/1"))
    await asyncio.sleep(0)
    stopping = asyncio.create_task(runtime.stop())
    await asyncio.sleep(0)
    harness.journal.gate("gate").set()
    await within(stopping)
    results = await within(asyncio.gather(*asked, publishing, return_exceptions=True))
    refused = [result for result in results if isinstance(result, RuntimeStoppedError)]
    assert len(refused) >= 4
    with pytest.raises(RuntimeStoppedError):
        await harness.tell("news/1")
