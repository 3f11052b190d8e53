"""Idle actors: deactivated after their time, and brought back by the next call with their state."""

from datetime import timedelta

import pytest
from dapr.actor.runtime.config import ActorRuntimeConfig, ActorTypeConfig

from tests.conformance.harness import Harness
from tests.conformance.probes import Alarm, Notebook, Worker

SECOND = timedelta(seconds=1)


async def active(harness: Harness) -> dict[str, int]:
    return dict((await harness.host.metadata()).actors)


@pytest.fixture
async def two_seconds(harness: Harness) -> Harness:
    """A host whose actors rest after two idle seconds."""
    config = ActorRuntimeConfig(actor_idle_timeout=2 * SECOND, actor_scan_interval=SECOND)
    return await harness.start(Worker, Notebook, Alarm, config=config)


async def test_an_idle_actor_is_deactivated(two_seconds: Harness) -> None:
    """Its ``_on_deactivate`` runs, once, and it is no longer active."""
    await two_seconds.actor(Worker, "1").Work(1)
    assert await active(two_seconds) == {"Worker": 1, "Notebook": 0, "Alarm": 0}
    await two_seconds.elapse(4)
    assert await active(two_seconds) == {"Worker": 0, "Notebook": 0, "Alarm": 0}
    assert two_seconds.journal.count("deactivated", "1") == 1


async def test_state_is_read_again_after_a_rest(two_seconds: Harness) -> None:
    """The next call activates a new instance, which finds what the old one kept."""
    await two_seconds.actor(Notebook, "1").Change({"put": {"a": [1], "b": "5m"}})
    await two_seconds.elapse(4)
    assert (await active(two_seconds))["Notebook"] == 0
    assert await two_seconds.actor(Notebook, "1").Read(["a", "b"]) == {"a": [1], "b": "5m"}


async def test_an_actor_that_is_called_stays_active(two_seconds: Harness) -> None:
    """Every call begins its idle time anew; another's does not."""
    await two_seconds.actor(Worker, "idle").Work(0)
    for number in range(5):
        await two_seconds.actor(Worker, "busy").Work(number)
        await two_seconds.elapse(1)
    assert two_seconds.journal.count("activated", "busy") == 1
    assert two_seconds.journal.count("deactivated", "busy") == 0
    assert two_seconds.journal.count("deactivated", "idle") == 1


async def test_a_reminder_wakes_an_actor_that_rests(two_seconds: Harness) -> None:
    """And it rests again afterwards."""
    await two_seconds.actor(Alarm, "1").Arm({"name": "once", "due": 5})
    await two_seconds.elapse(4)
    assert (await active(two_seconds))["Alarm"] == 0
    await two_seconds.elapse(1)
    assert two_seconds.journal.count("rang", "once") == 1
    assert (await active(two_seconds))["Alarm"] == 1
    await two_seconds.elapse(4)
    assert (await active(two_seconds))["Alarm"] == 0


async def test_a_deactivation_that_fails_is_a_deactivation(two_seconds: Harness) -> None:
    """The actor's error harms neither itself nor others."""
    two_seconds.journal.failures["deactivation"] = 1
    for actor_id in ("1", "2"):
        await two_seconds.actor(Worker, actor_id).Work(1)
    await two_seconds.elapse(4)
    assert (await active(two_seconds))["Worker"] == 0
    assert two_seconds.journal.count("deactivated") == 2
    assert await two_seconds.actor(Worker, "1").Work(2) == 2


async def test_a_type_may_have_an_idle_time_of_its_own(harness: Harness) -> None:
    """What is configured for one type does not hold for the others."""
    own = ActorTypeConfig("Worker", actor_idle_timeout=SECOND)
    config = ActorRuntimeConfig(actor_idle_timeout=60 * SECOND, actor_scan_interval=SECOND, actor_type_configs=[own])
    await harness.start(Worker, Notebook, config=config)
    await harness.actor(Worker, "1").Work(1)
    await harness.actor(Notebook, "1").Change({"put": {"a": 1}})
    await harness.elapse(3)
    assert await active(harness) == {"Worker": 0, "Notebook": 1}


async def test_actors_are_deactivated_when_the_host_stops(harness: Harness) -> None:
    """Each one's ``_on_deactivate`` runs, one that fails included."""
    await harness.start(Worker)
    harness.journal.failures["deactivation"] = 1
    for actor_id in ("1", "2", "3"):
        await harness.actor(Worker, actor_id).Work(1)
    await harness.stop()
    assert sorted(note[1] for note in harness.journal.notes if note[0] == "deactivated") == ["1", "2", "3"]
