"""A turn is all or nothing: what failed leaves nothing behind, in the store or in memory."""

import asyncio

import pytest
from dapr.actor.runtime.config import ActorReentrancyConfig, ActorRuntimeConfig
from dapr.clients.exceptions import DaprHttpError

from multi_actor.hosting.abc import ActorCallError
from tests.conformance.harness import Harness
from tests.conformance.probes import A, B, Notebook, Worker

REENTRANT = ActorRuntimeConfig(reentrancy=ActorReentrancyConfig(enabled=True))


async def test_a_turn_that_raises_leaves_the_state_as_it_was(harness: Harness) -> None:
    """Changed, added and removed keys are all back, for the next turn and in the store."""
    await harness.start(Notebook)
    notebook = harness.actor(Notebook, "1")
    await notebook.Change({"put": {"kept": 1, "changed": "before"}})
    with pytest.raises(DaprHttpError, match="after the changes"):
        await notebook.Change({"put": {"changed": "after", "added": True}, "remove": ["kept"], "fail": True})
    expected = {"kept": 1, "changed": "before"}
    names = ["kept", "changed", "added"]
    assert await notebook.Read(names) == expected
    await notebook.Change({"put": {"later": 1}})
    await harness.restart()
    assert await harness.actor(Notebook, "1").Read(names) == expected


async def test_a_first_turn_that_raises_leaves_no_state(harness: Harness) -> None:
    """An actor whose very first turn fails is as if it had never been called."""
    await harness.start(Notebook)
    notebook = harness.actor(Notebook, "1")
    with pytest.raises(DaprHttpError):
        await notebook.Change({"put": {"name": 1}, "fail": True})
    assert await notebook.Read(["name"]) == {}
    await notebook.Change({"put": {"other": 2}})
    await notebook.Forget()
    assert await notebook.Read(["name", "other"]) == {"other": 2}


async def test_a_save_that_fails_leaves_the_state_as_it_was(harness: Harness) -> None:
    """The caller may ask again; until it does, nothing of the turn is there."""
    await harness.start(Notebook)
    notebook = harness.actor(Notebook, "1")
    await notebook.Change({"put": {"a": 1, "b": 1}})
    harness.fail_next_save()
    with pytest.raises(ActorCallError) as failed:
        await notebook.Change({"put": {"a": 2, "c": 2}, "remove": ["b"]})
    assert failed.value.retryable
    assert await notebook.Read(["a", "b", "c"]) == {"a": 1, "b": 1}
    await notebook.Change({"put": {"a": 2, "c": 2}, "remove": ["b"]})
    await notebook.Forget()
    assert await notebook.Read(["a", "b", "c"]) == {"a": 2, "c": 2}


@pytest.mark.parametrize("config", [ActorRuntimeConfig(), REENTRANT], ids=["plain", "reentrant"])
async def test_a_list_that_was_changed_in_place_is_rolled_back(harness: Harness, config: ActorRuntimeConfig) -> None:
    """What get_state returned is the cached object itself; after a failure it is read again."""
    await harness.start(Notebook, config=config)
    notebook = harness.actor(Notebook, "1")
    await notebook.AppendInPlace({"item": "first"})
    with pytest.raises(DaprHttpError):
        await notebook.AppendInPlace({"item": "raised", "fail": True})
    assert await notebook.Read(["items"]) == {"items": ["first"]}
    harness.fail_next_save()
    with pytest.raises(DaprHttpError):
        await notebook.AppendInPlace({"item": "not saved"})
    await notebook.AppendInPlace({"item": "second"})
    await harness.restart()
    assert await harness.actor(Notebook, "1").Read(["items"]) == {"items": ["first", "second"]}


async def test_a_turn_whose_caller_left_is_whole(harness: Harness) -> None:
    """A cancelled call either never began or is kept from end to end."""
    await harness.start(Worker)
    worker = harness.actor(Worker, "1")
    calls = [asyncio.create_task(worker.Hold("0"))]
    await harness.journal.until("holds", "1", "0")
    for gate in ("1", "2"):
        calls.append(asyncio.create_task(worker.Hold(gate)))
        await asyncio.sleep(0)
    for call in calls:
        call.cancel()
    await asyncio.wait(calls)
    for gate in ("0", "1", "2"):
        harness.journal.gate(gate).set()
    held = await worker.Held()
    released = [note[2] for note in harness.journal.notes if note[0] == "released"]
    assert held[0] == "0"
    assert held == released[: len(held)]


async def test_a_turn_that_was_cut_off_at_its_deadline_is_rolled_back(harness: Harness) -> None:
    """The caller may ask again, and finds the state as it was."""
    await harness.start(Worker, turn_timeout=0.5)
    worker = harness.actor(Worker, "1")
    harness.journal.gate("open").set()
    await worker.Hold("open")
    with pytest.raises(ActorCallError) as failed:
        await worker.Hold("never")
    assert failed.value.retryable
    assert await worker.Held() == ["open"]
    await worker.Hold("open")
    assert await worker.Held() == ["open", "open"]


async def test_each_actor_of_a_chain_rolls_back_its_own_turn(harness: Harness) -> None:
    """A failure that passes through callers undoes each of their turns; one that is caught undoes one."""
    await harness.start(A, B)
    first, second = harness.actor(A, "1"), harness.actor(B, "1")
    harness.journal.failures["end of the way"] = 2
    with pytest.raises(DaprHttpError, match="end of the way"):
        await first.Pass(["B/1"])
    assert (await first.Passed(), await second.Passed()) == (0, 0)
    assert "end of the way" in await first.Try(["B/1"])
    assert (await first.Passed(), await second.Passed()) == (1, 0)
