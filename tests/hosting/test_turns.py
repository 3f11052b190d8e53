"""What the embedded host's turn queues do beyond the contract of turns."""

import asyncio

import pytest

from multi_actor.deadlines import Deadline, Deadlines
from multi_actor.errors import HostStoppingError, TurnCancelledError, TurnTimeoutError
from multi_actor.hosting.abc import ActorKey
from multi_actor.hosting.turn import Turn
from multi_actor.hosting.turns import Turns
from tests.support import wait_until

KEY = ActorKey("Probe", "1")


@pytest.fixture
def turns() -> Turns:
    turns = Turns(timeout=20)
    turns.open()
    return turns


class PlannedError(Exception):
    """A turn failed because a test asked it to."""


class Work:
    """Work of one turn, which lasts until it is let go."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.go_on = asyncio.Event()
        self.ended = False

    async def __call__(self, _: Turn) -> str:
        self.began.set()
        await self.go_on.wait()
        self.ended = True
        return "done"


async def nothing(_: Turn) -> None:
    """A turn that ends at once."""


async def begun(turns: Turns) -> tuple[Work, asyncio.Task[str]]:
    """Begin a turn, and return its work and its caller."""
    work = Work()
    running = asyncio.create_task(turns.run(KEY, "Work", work))
    await work.began.wait()
    return work, running


async def test_an_actor_that_rests_costs_no_queue(turns: Turns) -> None:
    """After the last turn nothing is kept of an actor, whether its turns worked, failed or were taken back."""

    async def fail(_: Turn) -> None:
        raise PlannedError

    await turns.run(KEY, "Nothing", nothing)
    with pytest.raises(PlannedError):
        await turns.run(KEY, "Fail", fail)
    work, running = await begun(turns)
    waiting = asyncio.create_task(turns.run(KEY, "Nothing", nothing))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    work.go_on.set()
    await running
    await wait_until(lambda: not turns._queues, description="no queue is left")


async def test_turns_that_run_may_end_before_the_queues_close(turns: Turns) -> None:
    """New ones are refused from the first moment on."""
    work, running = await begun(turns)
    closing = asyncio.create_task(turns.close(within=20))
    await asyncio.sleep(0)
    with pytest.raises(HostStoppingError):
        await turns.run(ActorKey("Probe", "2"), "Nothing", nothing)
    assert not closing.done()
    work.go_on.set()
    await closing
    assert await running == "done"


async def test_a_running_turn_may_still_call_while_the_queues_close(turns: Turns) -> None:
    """A turn under way can only finish if the actors that it calls answer."""
    work = Work()

    async def call_on(turn: Turn) -> str:
        await work(turn)
        return await turns.run(ActorKey("Probe", "2"), "Work", work)

    running = asyncio.create_task(turns.run(KEY, "CallOn", call_on))
    await work.began.wait()
    closing = asyncio.create_task(turns.close(within=20))
    await asyncio.sleep(0)
    work.go_on.set()
    assert await running == "done"
    await closing


async def test_turns_that_do_not_end_are_cut_off_when_the_queues_close(turns: Turns) -> None:
    """The host does not wait for them for ever."""
    work, running = await begun(turns)
    await turns.close(within=0.05)
    with pytest.raises(HostStoppingError):
        await running
    assert not work.ended


async def test_a_turn_that_is_cancelled_from_within_is_an_error_for_its_caller(turns: Turns) -> None:
    """The caller was not cancelled and must not take it for its own end."""

    async def work(_: Turn) -> None:
        raise asyncio.CancelledError

    with pytest.raises(TurnCancelledError, match="Probe/1"):
        await turns.run(KEY, "Work", work)
    assert await turns.run(KEY, "Work", done) == "done"


async def test_an_actor_that_is_taken_away_is_left_by_all(turns: Turns) -> None:
    """What runs and what waits in it is cancelled, with an error for the callers; other actors go on."""
    works = [Work(), Work(), Work()]
    keys = [KEY, KEY, ActorKey("Probe", "2")]
    calls = [asyncio.create_task(turns.run(key, "Work", work)) for key, work in zip(keys, works, strict=True)]
    await works[0].began.wait()
    await works[2].began.wait()
    turns.cancel(KEY)
    for call in calls[:2]:
        with pytest.raises(TurnCancelledError, match="Probe/1"):
            await call
    assert not turns.is_busy(KEY)
    works[2].go_on.set()
    assert await calls[2] == "done"


async def done(_: Turn) -> str:
    return "done"


async def test_deadlines_that_are_brought_forward_keep_those_before() -> None:
    """One that was earlier than the new latest one still expires in its time."""
    deadlines = Deadlines[Deadline]()
    loop = asyncio.get_running_loop()
    waiting = []
    for seconds in (0.05, 60.0):
        deadline = Deadline(loop.time() + seconds)
        deadline.task = asyncio.create_task(asyncio.sleep(30))
        deadlines.watch(deadline)
        waiting.append(deadline)
    deadlines.bring_forward(loop.time() + 20)
    await asyncio.wait([waiting[0].task], timeout=10)
    assert [deadline.expired for deadline in waiting] == [True, False]
    waiting[1].task.cancel()
    deadlines.close()


async def test_a_chain_has_one_deadline() -> None:
    """A call deep in a chain is cut off when the first turn's time is up, and the error names the chain."""
    turns = Turns(timeout=0.2)
    turns.open()
    work = Work()

    async def call_on(_: Turn) -> str:
        return await turns.run(ActorKey("Probe", "2"), "Work", work)

    with pytest.raises(TurnTimeoutError) as timed_out:
        await turns.run(KEY, "CallOn", call_on)
    assert timed_out.value.chain[0] == "Probe/1"
    assert not work.ended
    await turns.run(KEY, "Nothing", nothing)
    await wait_until(lambda: not turns._queues, description="both actors are free again")


async def test_a_turn_that_waits_is_cut_off_at_its_deadline_too() -> None:
    """A caller never waits longer than the time-out, whoever holds the actor."""
    turns = Turns(timeout=0.2)
    turns.open()

    async def stubborn(_: Turn) -> None:
        for _attempt in range(2):  # it ignores the first request to end
            try:
                await asyncio.sleep(0.5)
            except asyncio.CancelledError:
                continue

    running = asyncio.create_task(turns.run(KEY, "Stubborn", stubborn))
    await asyncio.sleep(0)
    with pytest.raises(TurnTimeoutError, match="Probe/1"):
        await turns.run(KEY, "Nothing", nothing)
    await asyncio.wait([running])
    running.exception()
    await turns.run(KEY, "Nothing", nothing)
