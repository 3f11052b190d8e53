"""Call chains: actors that call actors, and what happens when a chain comes back to where it began."""

import asyncio

import pytest
from dapr.actor.runtime.config import ActorReentrancyConfig, ActorRuntimeConfig, ActorTypeConfig
from dapr.clients.exceptions import DaprHttpError

from multi_actor.hosting.abc import ActorCallError
from tests.conformance.harness import Harness
from tests.conformance.probes import A, B, Worker

REENTRANT = ActorReentrancyConfig(enabled=True, maxStackDepth=3)


async def test_actors_call_actors(harness: Harness) -> None:
    """A chain through several actors brings back what the last one returned."""
    await harness.start(A, B)
    assert await harness.actor(A, "1").Pass(["B/1", "A/2", "B/2"]) == ["A/1", "B/1", "A/2", "B/2"]


async def test_a_chain_that_waits_for_itself_fails_and_is_named(harness: Harness) -> None:
    """Without reentrancy it could only hang: it fails before it waits, for good, and names who waits for whom."""
    await harness.start(A, B)
    with pytest.raises(ActorCallError, match="A/1 → B/1 → A/1") as failed:
        await harness.actor(A, "1").Pass(["B/1", "A/1"])
    assert not failed.value.retryable
    assert harness.journal.count("passes") == 2
    assert (await harness.actor(A, "1").Passed(), await harness.actor(B, "1").Passed()) == (0, 0)


async def test_an_actor_that_waits_for_itself_directly_fails_and_is_named(harness: Harness) -> None:
    """The shortest such chain; another actor of the same type is no such chain."""
    await harness.start(A, B)
    with pytest.raises(ActorCallError, match="A/1 → A/1"):
        await harness.actor(A, "1").Pass(["A/1"])
    assert await harness.actor(A, "1").Pass(["A/2"]) == ["A/1", "A/2"]


async def test_an_error_of_a_called_actor_can_be_caught(harness: Harness) -> None:
    """It arrives as the SDK's error, and the caller's turn goes on and is kept."""
    await harness.start(A, B)
    assert "A/1 → B/1 → A/1" in await harness.actor(A, "1").Try(["B/1", "A/1"])
    assert await harness.actor(A, "1").Passed() == 1
    assert "NoSuchType" in await harness.actor(A, "1").Try(["NoSuchType/1"])
    assert await harness.actor(A, "1").Passed() == 2


async def test_a_chain_may_come_back_where_reentrancy_is_on(harness: Harness) -> None:
    """The actor takes the call of its own chain in, while it waits for that chain."""
    await harness.start(A, B, config=ActorRuntimeConfig(reentrancy=REENTRANT))
    assert await harness.actor(A, "1").Pass(["B/1", "A/1"]) == ["A/1", "B/1", "A/1"]
    assert await harness.actor(A, "2").Pass(["A/2"]) == ["A/2", "A/2"]


async def test_a_reentrant_chain_has_a_limited_depth(harness: Harness) -> None:
    """Up to the limit an actor is entered again; past it the call fails, and the actors serve on."""
    await harness.start(A, B, config=ActorRuntimeConfig(reentrancy=REENTRANT), turn_timeout=5.0)
    assert await harness.actor(A, "1").Pass(["A/1", "A/1"]) == ["A/1"] * 3
    with pytest.raises(DaprHttpError):
        await harness.actor(A, "1").Pass(["A/1", "A/1", "A/1"])
    with pytest.raises(DaprHttpError):
        await harness.actor(A, "1").Pass(["B/1", "A/1"] * 3)
    assert await harness.actor(A, "1").Pass(["B/1"]) == ["A/1", "B/1"]


async def test_another_chain_waits_its_turn_where_reentrancy_is_on(harness: Harness) -> None:
    """Reentrancy lets the own chain in, and nobody else."""
    await harness.start(Worker, config=ActorRuntimeConfig(reentrancy=REENTRANT))
    worker = harness.actor(Worker, "1")
    holding = asyncio.create_task(worker.Hold("gate"))
    await harness.journal.until("holds", "1")
    waiting = [asyncio.create_task(worker.Work(number)) for number in range(3)]
    await harness.actor(Worker, "2").Work(0)
    assert harness.journal.count("begin", "1") == 0
    harness.journal.gate("gate").set()
    assert await asyncio.gather(holding, *waiting) == ["gate", 0, 1, 2]


async def test_reentrancy_may_be_on_for_one_type(harness: Harness) -> None:
    """A type's own setting comes before the general one."""
    own = ActorTypeConfig("A", reentrancy=REENTRANT)
    await harness.start(A, B, config=ActorRuntimeConfig(actor_type_configs=[own]))
    assert await harness.actor(A, "1").Pass(["B/1", "A/1"]) == ["A/1", "B/1", "A/1"]
    with pytest.raises(DaprHttpError, match="B/1 → A/1 → B/1"):
        await harness.actor(B, "1").Pass(["A/1", "B/1"])


async def test_a_failed_reentrant_chain_leaves_no_state(harness: Harness) -> None:
    """Every turn of the chain that saw the failure is undone."""
    await harness.start(A, B, config=ActorRuntimeConfig(reentrancy=REENTRANT))
    await harness.actor(A, "1").Pass([])
    harness.journal.failures["end of the way"] = 1
    with pytest.raises(DaprHttpError, match="end of the way"):
        await harness.actor(A, "1").Pass(["B/1", "A/1"])
    assert (await harness.actor(A, "1").Passed(), await harness.actor(B, "1").Passed()) == (1, 0)


async def test_two_chains_that_wait_for_each_other_end_by_the_deadline(harness: Harness) -> None:
    """At least one of them fails with an error after which asking again may help, and both actors serve on."""
    await harness.start(A, B, turn_timeout=0.5)
    first = asyncio.create_task(harness.actor(A, "1").Meet(["B/1"]))
    second = asyncio.create_task(harness.actor(B, "1").Meet(["A/1"]))
    await harness.journal.until("meets", times=2)
    harness.journal.gate("both are in").set()
    results = await asyncio.gather(first, second, return_exceptions=True)
    errors = [result for result in results if isinstance(result, ActorCallError)]
    assert errors
    assert all(error.retryable for error in errors)
    assert await harness.actor(A, "1").Pass(["B/1"]) == ["A/1", "B/1"]
    assert await harness.actor(B, "1").Pass(["A/1"]) == ["B/1", "A/1"]


async def test_a_call_left_behind_by_a_turn_is_a_chain_of_its_own(harness: Harness) -> None:
    """A task that outlives its turn may call the actor that started it."""
    await harness.start(A, B)
    await harness.actor(A, "1").PassLater(["A/1"])
    harness.journal.gate("later").set()
    await harness.journal.until("came back", ["A/1"])
