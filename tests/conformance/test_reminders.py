"""Reminders: durable ticks that outlive the activation and the process."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime

import pytest
from dapr.clients.exceptions import DaprHttpError

from tests.conformance.harness import Harness
from tests.conformance.probes import Alarm
from tests.support import wait_until

ALL_BYTES = bytes(range(256))


async def rings_after_each_second(harness: Harness, seconds: int) -> list[int]:
    """How often it has rung after each of the next seconds."""
    rings = []
    for _ in range(seconds):
        await harness.elapse(1)
        rings.append(harness.journal.count("rang"))
    return rings


async def test_a_reminder_without_a_period_fires_once_when_it_is_due(harness: Harness) -> None:
    """Not before, not again, and it is gone afterwards."""
    await harness.start(Alarm)
    await harness.actor(Alarm, "1").Arm({"name": "once", "due": 2})
    assert await harness.armed() == 1
    assert await rings_after_each_second(harness, 4) == [0, 1, 1, 1]
    assert await harness.actor(Alarm, "1").Rings() == 1
    assert await harness.armed() == 0


async def test_a_reminder_that_is_due_at_once_waits_for_the_turn_that_set_it(harness: Harness) -> None:
    """A tick is a turn like any other: it comes after the one that runs."""
    await harness.start(Alarm)
    holding = asyncio.create_task(harness.actor(Alarm, "1").ArmAndHold("gate"))
    await harness.journal.until("holds", "1")
    harness.journal.gate("gate").set()
    await holding
    await harness.journal.until("rang", "during")
    assert [note[0] for note in harness.journal.notes] == ["holds", "released", "rang"]


async def test_a_reminder_with_a_period_fires_again_and_again(harness: Harness) -> None:
    """First when it is due, then once per period."""
    await harness.start(Alarm)
    await harness.actor(Alarm, "1").Arm({"name": "often", "due": 1, "period": 2})
    assert await rings_after_each_second(harness, 6) == [1, 1, 2, 2, 3, 3]


async def rings_as_written(harness: Harness, bodies: Iterable[dict[str, str]]) -> dict[str, list[int]]:
    """How often each of these reminders, registered at once, has rung after each of the next four seconds."""
    names = {" ".join(body.values()).replace("/", " "): body for body in bodies}
    await harness.start(Alarm)
    for name, body in names.items():
        await harness.actor(Alarm, name[:1]).ArmAsWritten({"name": name, "body": body})
    rings: dict[str, list[int]] = {name: [] for name in names}
    for _ in range(4):
        await harness.elapse(1)
        for name, seen in rings.items():
            seen.append(harness.journal.count("rang", name))
    return rings


async def test_due_times_and_periods_are_read_as_the_api_says(harness: Harness) -> None:
    """Go and ISO 8601 durations, and repetitions (the total of ticks)."""
    bodies = [
        {"dueTime": "1s", "period": "R3/PT1S"},
        {"dueTime": "PT1S", "period": "R2/PT2S"},
        {"dueTime": "1s", "period": "R1/PT1S"},
        {"dueTime": "0h0m2s0ms0μs", "period": "1s"},
    ]
    assert await rings_as_written(harness, bodies) == {
        "1s R3 PT1S": [1, 2, 3, 3],
        "PT1S R2 PT2S": [1, 1, 2, 2],
        "1s R1 PT1S": [1, 1, 1, 1],
        "0h0m2s0ms0μs 1s": [0, 1, 2, 3],
    }


async def test_a_due_time_may_have_a_fraction_of_a_second(harness: Harness) -> None:
    """It counts."""
    await harness.start(Alarm)
    await harness.actor(Alarm, "1").ArmAsWritten({"name": "raw", "body": {"dueTime": "1.9s"}})
    assert await rings_after_each_second(harness, 3) == [0, 1, 1]


async def test_a_time_to_live_is_read_as_the_api_says(harness: Harness) -> None:
    """It counts from the registration on."""
    bodies = [
        {"dueTime": "1s", "period": "PT1S", "ttl": "2.5s"},
        {"dueTime": "1s", "period": "PT1S", "ttl": "PT2.5S"},
        {"dueTime": "2s", "period": "1s", "ttl": "1s"},
    ]
    assert await rings_as_written(harness, bodies) == {
        "1s PT1S 2.5s": [1, 2, 2, 2],
        "1s PT1S PT2.5S": [1, 2, 2, 2],
        "2s 1s 1s": [0, 0, 0, 0],
    }


async def test_a_due_time_may_be_a_moment(harness: Harness) -> None:
    """An RFC 3339 time with a zone is that moment."""
    await harness.start(Alarm)
    zone = datetime.fromtimestamp(harness.now() + 2, UTC).astimezone(tz=None)
    await harness.actor(Alarm, "1").ArmAsWritten({"name": "raw", "body": {"dueTime": zone.isoformat()}})
    assert await rings_after_each_second(harness, 3) == [0, 1, 1]


async def test_repetitions_are_counted_across_a_restart(harness: Harness) -> None:
    """What has fired counts, wherever it fired."""
    await harness.start(Alarm)
    await harness.actor(Alarm, "1").ArmAsWritten({"name": "raw", "body": {"dueTime": "1s", "period": "R3/PT1S"}})
    assert await rings_after_each_second(harness, 2) == [1, 2]
    await harness.restart()
    assert await rings_after_each_second(harness, 3) == [3, 3, 3]
    assert await harness.armed() == 0


async def test_a_reminder_ends_with_its_time_to_live(harness: Harness) -> None:
    """Also where the host was restarted in between."""
    await harness.start(Alarm)
    await harness.actor(Alarm, "1").Arm({"name": "often", "due": 1, "period": 1, "ttl": 3.5})
    assert await rings_after_each_second(harness, 2) == [1, 2]
    await harness.restart()
    assert await rings_after_each_second(harness, 3) == [3, 3, 3]


async def test_a_reminder_whose_time_to_live_passed_while_nothing_ran_does_not_fire(harness: Harness) -> None:
    """A tick after its end is no tick, and the reminder is gone."""
    await harness.start(Alarm)
    await harness.actor(Alarm, "1").Arm({"name": "often", "due": 1, "period": 1, "ttl": 1.5})
    await harness.restart(down_for=3)
    assert await rings_after_each_second(harness, 2) == [0, 0]
    assert await harness.armed() == 0


async def test_a_reminder_is_replaced_by_its_name(harness: Harness) -> None:
    """The new time and the new data count; another name, or another actor's, is another reminder."""
    await harness.start(Alarm)
    await harness.actor(Alarm, "1").Arm({"name": "same", "due": 1, "period": 1, "data": b"old".hex()})
    await harness.actor(Alarm, "1").Arm({"name": "other", "due": 1})
    await harness.actor(Alarm, "2").Arm({"name": "same", "due": 1, "data": b"two".hex()})
    await harness.actor(Alarm, "1").Arm({"name": "same", "due": 2, "data": b"new".hex()})
    assert await harness.armed() == 3
    assert await rings_after_each_second(harness, 4) == [2, 3, 3, 3]
    assert [note[1:] for note in harness.journal.notes][-1] == ("same", b"new")
    assert harness.journal.count("rang", "same", b"old") == 0


async def test_an_unregistered_reminder_does_not_fire(harness: Harness) -> None:
    """Nor after a restart; and taking back what is not there is no error."""
    await harness.start(Alarm)
    alarm = harness.actor(Alarm, "1")
    await alarm.Arm({"name": "often", "due": 1, "period": 1})
    assert await rings_after_each_second(harness, 1) == [1]
    await alarm.Disarm("often")
    await alarm.Disarm("often")
    assert await rings_after_each_second(harness, 2) == [1, 1]
    await harness.restart()
    assert await rings_after_each_second(harness, 2) == [1, 1]


async def test_a_reminder_may_end_itself_in_its_tick(harness: Harness) -> None:
    """Taken back while it fires, it does not come again."""
    await harness.start(Alarm)
    await harness.actor(Alarm, "1").Arm({"name": "ends itself", "due": 1, "period": 1})
    assert await rings_after_each_second(harness, 3) == [1, 1, 1]
    await harness.restart()
    assert await harness.armed() == 0


async def test_a_reminder_may_replace_itself_in_its_tick(harness: Harness) -> None:
    """Registered again while it fires, the new registration counts, from that moment."""
    await harness.start(Alarm)
    await harness.actor(Alarm, "1").Arm(
        {"name": "replaces itself", "due": 1, "period": 1, "data": b"first".hex()},
    )
    assert await rings_after_each_second(harness, 5) == [1, 1, 2, 2, 2]
    assert harness.journal.notes[-1] == ("rang", "replaces itself", b"second")


async def test_a_reminder_fires_after_a_restart(harness: Harness) -> None:
    """It activates its actor by itself: nobody has to call."""
    await harness.start(Alarm)
    await harness.actor(Alarm, "1").Arm({"name": "once", "due": 2, "data": b"kept".hex()})
    await harness.elapse(1)
    await harness.restart()
    # A restart that takes its time may end after the reminder is due; before that nothing is active.
    assert (await harness.host.metadata()).actors["Alarm"] <= len(harness.journal.notes)
    assert await rings_after_each_second(harness, 2) == [1, 1]
    assert harness.journal.notes == [("rang", "once", b"kept")]
    assert await harness.actor(Alarm, "1").Rings() == 1


async def test_a_late_reminder_fires_once(harness: Harness) -> None:
    """However many periods were missed while nothing ran, it fires once, and goes on in its old rhythm."""
    await harness.start(Alarm)
    await harness.actor(Alarm, "1").Arm({"name": "often", "due": 1, "period": 2})
    await harness.restart(down_for=6)
    await harness.journal.until("rang")
    assert await rings_after_each_second(harness, 4) == [2, 2, 3, 3]


async def test_a_reminders_data_comes_back_byte_for_byte(harness: Harness) -> None:
    """What was registered is what the tick brings, after a restart too."""
    await harness.start(Alarm)
    kept = [b"", b"\x00", b"5m", b"2024-01-15", b"null", ALL_BYTES, ALL_BYTES * 64]
    for data in kept:
        alarm = harness.actor(Alarm, str(len(data)))
        await alarm.Arm({"name": str(len(data)), "due": 1, "period": 1, "data": data.hex()})
    await harness.elapse(1)
    before = set(harness.journal.notes)
    await harness.restart()
    harness.journal.notes.clear()
    await harness.elapse(1)
    assert before == set(harness.journal.notes) == {("rang", str(len(data)), data) for data in kept}


@pytest.mark.parametrize("body", [{"dueTime": "soon"}, {"dueTime": "1s", "period": "often"}])
async def test_a_reminder_that_cannot_be_read_is_refused(harness: Harness, body: dict[str, str]) -> None:
    """The registration fails, and nothing is kept of it."""
    await harness.start(Alarm)
    with pytest.raises(DaprHttpError):
        await harness.actor(Alarm, "1").ArmAsWritten({"name": "raw", "body": body})
    assert await harness.armed() == 0
    await harness.restart()
    assert await harness.armed() == 0


async def test_two_hundred_reminders_that_are_due_together_all_fire(harness: Harness) -> None:
    """After a long stop everything is due at the same moment."""
    await harness.start(Alarm)
    arming = [harness.actor(Alarm, str(number)).Arm({"name": "once", "due": 1}) for number in range(200)]
    await asyncio.gather(*arming)
    await harness.restart(down_for=2)
    await harness.journal.until("rang", times=200)

    async def all_gone() -> bool:
        return await harness.armed() == 0

    await wait_until(all_gone, description="every reminder has had its tick")
    assert harness.journal.count("rang") == 200
