"""Shutdown and what a host tells about itself."""

import asyncio

from multi_actor.hosting.abc import ActorCallError, CloudEvent, Delivery, TopicStatus
from tests.conformance.harness import Harness
from tests.conformance.probes import Alarm, Notebook, Worker
from tests.support import wait_until


async def refused(harness: Harness) -> bool:
    """Whether a new call is refused with an error after which asking again may help."""
    try:
        await harness.actor(Worker, "2").Work(0)
    except ActorCallError as error:
        return error.retryable
    return False


async def test_a_running_turn_finishes_while_new_calls_are_refused(harness: Harness) -> None:
    """The turn's caller has its answer, and what it did is kept."""
    await harness.start(Worker)
    holding = asyncio.create_task(harness.actor(Worker, "1").Hold("gate"))
    await harness.journal.until("holds", "1")
    stopping = asyncio.create_task(harness.stop())
    await wait_until(lambda: refused(harness), description="new calls are refused")
    assert not harness.host.ready
    assert not holding.done()
    harness.journal.gate("gate").set()
    assert await holding == "gate"
    await stopping
    await harness.restart()
    assert await harness.actor(Worker, "1").Held() == ["gate"]


async def test_a_running_delivery_finishes(harness: Harness) -> None:
    """An event that was being delivered when the host stopped is not delivered again."""
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def subscriber(_: CloudEvent) -> Delivery:
        harness.journal.note("delivered")
        arrived.set()
        await go_on.wait()
        return Delivery.SUCCESS

    await harness.start(topics={"news": subscriber})
    await harness.host.publish("news", {}, event_id="e1")
    await arrived.wait()
    stopping = asyncio.create_task(harness.stop())
    await wait_until(lambda: not harness.host.ready, description="the host is stopping")
    go_on.set()
    await stopping
    await harness.restart()
    await harness.elapse(1)
    assert harness.journal.count("delivered") == 1


async def test_a_host_that_drains_serves_calls_but_is_not_ready(harness: Harness) -> None:
    """Readiness goes first, so that whoever routes here can look elsewhere."""
    await harness.start(Worker)
    assert harness.host.ready
    harness.host.drain()
    assert not harness.host.ready
    assert await harness.actor(Worker, "1").Work(1) == 1


async def test_metadata_tells_what_the_host_holds(harness: Harness) -> None:
    """Active actors per registered type, reminders, and each topic's backlog and dead letters."""

    async def subscriber(event: CloudEvent) -> Delivery:
        harness.journal.note("delivered")
        return Delivery(event["data"]["answer"])

    await harness.start(Worker, Notebook, Alarm, topics={"news": subscriber})
    for actor_id in ("1", "2"):
        await harness.actor(Worker, actor_id).Work(1)
    for actor_id in ("1", "2", "3"):
        await harness.actor(Alarm, actor_id).Arm({"name": "later", "due": 60})
    for answer in ("SUCCESS", "RETRY", "DROP", "DROP"):
        await harness.host.publish("news", {"answer": answer}, event_id=answer)
    await harness.host.publish("nobody", {}, event_id="e1")
    await harness.journal.until("delivered", times=4)

    async def counted() -> bool:
        return await harness.status("news") == TopicStatus(backlog=1, dead_letters=2)

    await wait_until(counted, description="the events are counted")
    metadata = await harness.host.metadata()
    assert metadata.host == harness.host.kind
    assert metadata.actors == {"Worker": 2, "Notebook": 0, "Alarm": 3}
    assert await harness.armed() == 3
    assert await harness.status("nobody") == TopicStatus(backlog=1, dead_letters=0)
