"""Turns: one at a time per actor, in order of arrival, held until they have ended."""

import asyncio

from tests.conformance.harness import Harness
from tests.conformance.probes import Worker


async def test_two_hundred_calls_take_their_turns_in_order_of_arrival(harness: Harness) -> None:
    """Calls that arrive together run one after the other, first come first served."""
    await harness.start(Worker)
    worker = harness.actor(Worker, "1")
    calls = [asyncio.create_task(worker.Work(number)) for number in range(200)]
    assert await asyncio.gather(*calls) == list(range(200))
    turns = [note for note in harness.journal.notes if note[0] in ("begin", "end")]
    assert turns == [(edge, "1", number) for number in range(200) for edge in ("begin", "end")]


async def test_different_actors_take_their_turns_side_by_side(harness: Harness) -> None:
    """A turn that lasts keeps no other actor waiting: here it even ends through one."""
    await harness.start(Worker)
    holding = asyncio.create_task(harness.actor(Worker, "1").Hold("gate"))
    await harness.journal.until("holds", "1")
    await harness.actor(Worker, "2").Open("gate")
    assert await holding == "gate"


async def test_fifty_actors_are_in_their_turns_at_once(harness: Harness) -> None:
    """As many turns run at once as there are actors that were called."""
    await harness.start(Worker)
    holding = [asyncio.create_task(harness.actor(Worker, str(number)).Hold("gate")) for number in range(50)]
    await harness.journal.until("holds", times=50)
    assert harness.journal.count("released") == 0
    harness.journal.gate("gate").set()
    assert await asyncio.gather(*holding) == ["gate"] * 50


async def test_a_caller_that_leaves_before_its_turn_takes_it_back(harness: Harness) -> None:
    """A turn that nobody waits for any more, and that has not begun, is not begun."""
    await harness.start(Worker)
    worker = harness.actor(Worker, "1")
    holding = asyncio.create_task(worker.Hold("gate"))
    await harness.journal.until("holds", "1")
    leaving = asyncio.create_task(worker.Work(1))
    staying = asyncio.create_task(worker.Work(2))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait([leaving])
    harness.journal.gate("gate").set()
    await asyncio.gather(holding, staying)
    assert leaving.cancelled()
    assert harness.journal.count("begin", "1", 1) == 0
    assert harness.journal.count("begin", "1", 2) == 1


async def test_a_caller_that_leaves_during_its_turn_does_not_end_it(harness: Harness) -> None:
    """The turn goes on to its end and keeps what it did; the next one waits for that."""
    await harness.start(Worker)
    worker = harness.actor(Worker, "1")
    leaving = asyncio.create_task(worker.Hold("gate"))
    await harness.journal.until("holds", "1")
    leaving.cancel()
    await asyncio.wait([leaving])
    assert leaving.cancelled()

    following = asyncio.create_task(worker.Work(1))
    await harness.actor(Worker, "2").Work(2)
    assert harness.journal.count("begin", "1") == 0
    harness.journal.gate("gate").set()
    await following
    order = [note[0] for note in harness.journal.notes if note[1] == "1"]
    assert order == ["activated", "holds", "released", "begin", "end"]
    assert await worker.Held() == ["gate"]


async def test_a_failed_turn_lets_the_next_one_in(harness: Harness) -> None:
    """Of calls that arrive together, the failure of one is its own."""
    await harness.start(Worker)
    worker = harness.actor(Worker, "1")
    await worker.Work(0)
    first = asyncio.create_task(worker.Work(1))
    wrong = asyncio.create_task(worker.invoke_method("NoSuchMethod"))
    last = asyncio.create_task(worker.Work(2))
    results = await asyncio.gather(first, wrong, last, return_exceptions=True)
    assert results[0] == 1
    assert isinstance(results[1], Exception)
    assert results[2] == 2
