"""Activation: on the first call, once, and a failure of it is the call's alone."""

import asyncio

import pytest
from dapr.clients.exceptions import DaprHttpError

from multi_actor.hosting.abc import ActorCallError
from tests.conformance.harness import Harness
from tests.conformance.probes import Notebook, Worker


async def test_a_hundred_first_calls_activate_one_instance(harness: Harness) -> None:
    """However many calls arrive at once for an actor that rests, it is activated once."""
    await harness.start(Worker)
    worker = harness.actor(Worker, "1")
    await asyncio.gather(*(worker.Work(number) for number in range(100)))
    assert harness.journal.count("activated", "1") == 1
    assert (await harness.host.metadata()).actors["Worker"] == 1


async def test_an_activation_that_fails_fails_the_call_only(harness: Harness) -> None:
    """The caller gets an error, other actors are served, and the next call activates anew."""
    await harness.start(Worker)
    harness.journal.failures["activation"] = 1
    with pytest.raises(DaprHttpError, match="activation"):
        await harness.actor(Worker, "1").Work(1)
    assert await harness.actor(Worker, "2").Work(2) == 2
    assert await harness.actor(Worker, "1").Work(3) == 3
    assert harness.journal.count("activated", "1") == 2
    assert harness.journal.count("begin", "1") == 1


async def test_calls_that_waited_for_a_failed_activation_activate_anew(harness: Harness) -> None:
    """One failed activation costs one of the calls that arrived together."""
    await harness.start(Worker)
    harness.journal.failures["activation"] = 1
    worker = harness.actor(Worker, "1")
    results = await asyncio.gather(*(worker.Work(number) for number in range(10)), return_exceptions=True)
    worked = [number for number, result in enumerate(results) if result == number]
    assert len(worked) == 9
    assert sum(isinstance(result, DaprHttpError) for result in results) == 1
    assert harness.journal.count("activated", "1") == 2


async def test_a_failed_activation_leaves_no_active_actor(harness: Harness) -> None:
    """An actor that could not be activated is not counted as one, and keeps no state."""
    await harness.start(Worker)
    harness.journal.failures["activation"] = 1
    with pytest.raises(DaprHttpError):
        await harness.actor(Worker, "1").Work(1)
    assert (await harness.host.metadata()).actors["Worker"] == 0


async def test_a_save_that_fails_during_activation_fails_the_call_only(harness: Harness) -> None:
    """What an activation sets is saved with it, and if that fails the next call activates anew."""
    await harness.start(Worker)
    harness.fail_next_save()
    with pytest.raises(ActorCallError) as failed:
        await harness.actor(Worker, "1").Work(1)
    assert failed.value.retryable
    assert await harness.actor(Worker, "1").Work(2) == 2
    assert harness.journal.count("activated", "1") == 2


async def test_an_unknown_actor_type_is_an_error_that_names_it(harness: Harness) -> None:
    """A call to a type that nobody registered fails for good and disturbs nothing."""
    await harness.start(Notebook)
    with pytest.raises(ActorCallError, match="Worker") as failed:
        await harness.actor(Worker, "1").Work(1)
    assert not failed.value.retryable
    assert await harness.actor(Notebook, "1").Read(["x"]) == {}


async def test_an_unknown_method_is_an_error(harness: Harness) -> None:
    """A call to a method that the actor does not have fails for good; the actor serves on."""
    await harness.start(Worker)
    worker = harness.actor(Worker, "1")
    with pytest.raises(ActorCallError, match="NoSuchMethod") as failed:
        await worker.invoke_method("NoSuchMethod")
    assert not failed.value.retryable
    assert await worker.Work(1) == 1


async def test_calls_before_the_start_and_after_the_end_are_refused(harness: Harness) -> None:
    """A host that is not running says so with an error after which asking again may help."""
    await harness.start(Worker)
    worker = harness.actor(Worker, "1")
    await worker.Work(1)
    await harness.stop()
    with pytest.raises(ActorCallError) as failed:
        await worker.Work(2)
    assert failed.value.retryable
    assert not harness.host.ready
