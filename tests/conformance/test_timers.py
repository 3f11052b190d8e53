"""Timers: ticks that live as long as the activation."""

from datetime import timedelta
from typing import Any

from dapr.actor.runtime.config import ActorRuntimeConfig

from tests.conformance.harness import Harness
from tests.conformance.probes import Ticker


async def ticks_after_each_second(harness: Harness, seconds: int) -> list[int]:
    ticks = []
    for _ in range(seconds):
        await harness.elapse(1)
        ticks.append(harness.journal.count("tick"))
    return ticks


async def test_a_timer_ticks_when_it_is_due_and_once_per_period(harness: Harness) -> None:
    """A tick is a turn: what it changes is kept."""
    await harness.start(Ticker)
    await harness.actor(Ticker, "1").Start({"name": "often", "due": 1, "period": 2})
    assert await ticks_after_each_second(harness, 6) == [1, 1, 2, 2, 3, 3]
    assert await harness.actor(Ticker, "1").Ticks() == 3


async def test_a_timers_data_comes_with_each_tick(harness: Harness) -> None:
    """Whatever JSON it is, the callback gets it as it was."""
    await harness.start(Ticker)
    given: list[Any] = [None, "5m", "null", "", 0, [1, {"a": "😀"}], {"callback": "stop"}]
    for number, data in enumerate(given):
        await harness.actor(Ticker, str(number)).Start({"name": "often", "due": 1, "period": 1, "data": data})
    assert await ticks_after_each_second(harness, 2) == [7, 14]
    ticks = [note[1] for note in harness.journal.notes]
    assert sorted(map(repr, ticks)) == sorted(map(repr, given * 2))


async def test_an_unregistered_timer_does_not_tick(harness: Harness) -> None:
    """And stopping what is not there is no error."""
    await harness.start(Ticker)
    ticker = harness.actor(Ticker, "1")
    await ticker.Start({"name": "often", "due": 1, "period": 1})
    assert await ticks_after_each_second(harness, 1) == [1]
    await ticker.Stop("often")
    await ticker.Stop("often")
    assert await ticks_after_each_second(harness, 2) == [1, 1]


async def test_a_timer_ends_with_its_time_to_live(harness: Harness) -> None:
    """No tick comes after it."""
    await harness.start(Ticker)
    await harness.actor(Ticker, "1").Start({"name": "often", "due": 1, "period": 1, "ttl": 2.5})
    await harness.actor(Ticker, "2").Start({"name": "never", "due": 2, "period": 1, "ttl": 1, "data": "late"})
    assert await ticks_after_each_second(harness, 4) == [1, 2, 2, 2]


async def test_a_timer_is_replaced_by_its_name(harness: Harness) -> None:
    """The new due time and the new data count; another name is another timer."""
    await harness.start(Ticker)
    ticker = harness.actor(Ticker, "1")
    await ticker.Start({"name": "same", "due": 1, "period": 1, "data": "old"})
    await ticker.Start({"name": "other", "due": 1, "period": 60, "data": "other"})
    await ticker.Start({"name": "same", "due": 2, "period": 60, "data": "new"})
    assert await ticks_after_each_second(harness, 3) == [1, 2, 2]
    assert harness.journal.notes == [("tick", "other"), ("tick", "new")]


async def test_a_tick_that_fails_is_undone_and_the_next_one_comes(harness: Harness) -> None:
    """A timer does not try again; it goes on."""
    await harness.start(Ticker)
    harness.journal.failures["timer"] = 1
    await harness.actor(Ticker, "1").Start({"name": "often", "due": 1, "period": 1})
    assert await ticks_after_each_second(harness, 3) == [1, 2, 3]
    assert await harness.actor(Ticker, "1").Ticks() == 2


async def test_a_timer_is_gone_once_its_actor_rests(harness: Harness) -> None:
    """An actor that was deactivated has no timers, neither then nor when it is called again."""
    config = ActorRuntimeConfig(actor_idle_timeout=timedelta(seconds=1), actor_scan_interval=timedelta(seconds=1))
    await harness.start(Ticker, config=config)
    ticker = harness.actor(Ticker, "1")
    await ticker.Start({"name": "late", "due": 4, "period": 1})
    await harness.elapse(3)
    assert (await harness.host.metadata()).actors["Ticker"] == 0
    await ticker.Ticks()
    await harness.elapse(3)
    assert harness.journal.count("tick") == 0


async def test_a_timer_is_gone_after_a_restart(harness: Harness) -> None:
    """It lives in memory: what must outlive the process is a reminder."""
    await harness.start(Ticker)
    await harness.actor(Ticker, "1").Start({"name": "often", "due": 1, "period": 1})
    await harness.restart()
    await harness.actor(Ticker, "1").Ticks()
    assert await ticks_after_each_second(harness, 3) == [0, 0, 0]
