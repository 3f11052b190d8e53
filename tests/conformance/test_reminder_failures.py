"""Reminders whose tick fails: tried again as their policy says, and undone each time."""

import asyncio
from typing import Any

import pytest

from tests.conformance.harness import Harness
from tests.conformance.probes import Alarm

ALWAYS = 1_000


async def test_a_failed_tick_is_tried_three_more_times(harness: Harness) -> None:
    """A second apart, as Dapr does by default; each time it is undone."""
    await harness.start(Alarm)
    harness.journal.failures["reminder"] = ALWAYS
    await harness.actor(Alarm, "1").Arm({"name": "once", "due": 1})
    seen = []
    for _ in range(5):
        await harness.elapse(1)
        seen.append(harness.journal.count("rang"))
    assert seen == [1, 2, 3, 4, 4]
    assert await harness.actor(Alarm, "1").Rings() == 0
    assert await harness.armed() == 0


async def test_a_failed_tick_is_tried_again_as_its_policy_says(harness: Harness) -> None:
    """Each time it is undone; without ``max_retries`` there is no end."""
    expected: dict[str, tuple[dict[str, Any], list[int]]] = {
        "dropped": ({"drop": True}, [1, 1, 1, 1, 1]),
        "twice": ({"interval": 1, "max_retries": 2}, [1, 2, 3, 3, 3]),
        "once, later": ({"interval": 2, "max_retries": 1}, [1, 1, 2, 2, 2]),
        "for ever": ({"interval": 1}, [1, 2, 3, 4, 5]),
        "never": ({"max_retries": 0}, [1, 1, 1, 1, 1]),
    }
    await harness.start(Alarm)
    harness.journal.failures["reminder"] = ALWAYS
    for name, (policy, _) in expected.items():
        await harness.actor(Alarm, name).Arm({"name": name, "due": 1, "policy": policy})
    seen: dict[str, list[int]] = {name: [] for name in expected}
    for _ in range(5):
        await harness.elapse(1)
        for name, attempts in seen.items():
            attempts.append(harness.journal.count("rang", name))
    assert seen == {name: attempts for name, (_, attempts) in expected.items()}
    assert await harness.actor(Alarm, "twice").Rings() == 0
    assert await harness.armed() == 1


async def test_an_attempt_that_works_ends_the_tick(harness: Harness) -> None:
    """What failed left nothing; what worked is kept, once."""
    await harness.start(Alarm)
    harness.journal.failures["reminder"] = 2
    await harness.actor(Alarm, "1").Arm({"name": "once", "due": 1})
    await harness.elapse(6)
    assert harness.journal.count("rang") == 3
    assert await harness.actor(Alarm, "1").Rings() == 1
    assert await harness.armed() == 0


async def test_a_save_that_fails_is_a_failed_tick(harness: Harness) -> None:
    """It is undone and tried again."""
    await harness.start(Alarm)
    await harness.actor(Alarm, "1").Arm({"name": "once", "due": 1})
    harness.fail_next_save()
    await harness.elapse(3)
    assert harness.journal.count("rang") == 2
    assert await harness.actor(Alarm, "1").Rings() == 1


async def test_a_tick_that_was_given_up_does_not_end_the_reminder(harness: Harness) -> None:
    """The next period's tick comes, with all its attempts."""
    await harness.start(Alarm)
    harness.journal.failures["reminder"] = 3
    policy = {"interval": 0.25, "max_retries": 1}
    await harness.actor(Alarm, "1").Arm({"name": "often", "due": 1, "period": 1, "policy": policy})
    await harness.elapse(1.75)
    assert harness.journal.count("rang") == 2
    await harness.elapse(0.75)
    assert harness.journal.count("rang") == 4
    assert await harness.actor(Alarm, "1").Rings() == 1
    await harness.elapse(1)
    assert await harness.actor(Alarm, "1").Rings() == 2


async def test_a_tick_that_fails_holds_up_no_other(harness: Harness) -> None:
    """Another actor's reminder, due at the same moment, is on time."""
    await harness.start(Alarm)
    harness.journal.failures["reminder"] = 1
    await harness.actor(Alarm, "1").Arm({"name": "first", "due": 1, "policy": {"interval": 60, "max_retries": 1}})
    await harness.actor(Alarm, "2").Arm({"name": "second", "due": 1})
    await harness.elapse(2)
    assert harness.journal.count("rang", "second") == 1
    assert await harness.actor(Alarm, "2").Rings() == 1


@pytest.mark.parametrize("change", ["Arm", "Disarm"])
async def test_what_follows_a_tick_that_lasts_is_not_undone_by_it(harness: Harness, change: str) -> None:
    """A reminder that is replaced, or taken back, by the turn after its tick stays so, over a restart as well."""
    await harness.start(Alarm)
    alarm = harness.actor(Alarm, "1")
    await alarm.Arm({"name": "lasts", "due": 0, "period": 60})
    await harness.journal.until("rang", "lasts")
    following = asyncio.create_task(
        alarm.Arm({"name": "lasts", "due": 5}) if change == "Arm" else alarm.Disarm("lasts")
    )
    await asyncio.sleep(0)
    harness.journal.gate("lasts").set()
    await following
    await harness.restart()
    await harness.elapse(6)
    assert harness.journal.count("rang", "lasts") == (2 if change == "Arm" else 1)
    assert await harness.armed() == 0
