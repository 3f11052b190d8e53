"""Several instances share the actors: wherever a request goes, each turn happens once."""

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import httpx
import pytest

from tests.dapr.figures import Row
from tests.dapr.instance import DEADLINE, MARGIN, WHOLE_CONVERSATIONS, Instance
from tests.dapr.verdict import remembered
from tests.kill.traffic import Traffic
from tests.support import wait_until
from tools.dapr.local import ControlPlane

USERS = {f"user-{number}": 1 + number % 2 for number in range(12)}
PAUSE = 0.5  # seconds that a user may think: 18 conversations are load enough for three instances on two cores
ACTORS = 3 * len(USERS)
SPREAD_WITHIN = 60.0  # seconds


class Crowd:
    """Instances behind one name: each request goes to any of them."""

    def __init__(self, random: Random) -> None:
        self.members: list[Instance] = []
        self._random = random

    @property
    def url(self) -> str:
        return self._random.choice(self.members).url

    async def join(self, one: Instance, client: httpx.AsyncClient) -> None:
        """Start an instance; requests go to it once it is ready."""
        await one.start()
        await one.ready(client)
        self.members.append(one)

    async def actors(self) -> list[int]:
        """Return how many actors each instance's sidecar holds active."""
        told = await asyncio.gather(*(one.sidecar.metadata() for one in self.members))
        return [_active(metadata) for metadata in told]


def _active(metadata: dict[str, Any]) -> int:
    return sum(kind.get("count", 0) for kind in metadata["actorRuntime"].get("activeActors") or [])


@contextlib.asynccontextmanager
async def crowd(random: Random) -> AsyncIterator[Crowd]:
    gathered = Crowd(random)
    everybody = gathered.members
    try:
        yield gathered
    finally:
        await asyncio.gather(*(one.stop() for one in everybody))


def one_more(plane: ControlPlane) -> Instance:
    return Instance(plane, **WHOLE_CONVERSATIONS)  # type: ignore[arg-type]  # they are settings, all of them


async def spread(gathered: Crowd, *, over: int) -> list[int]:
    """Wait until every actor is active somewhere and each of ``over`` instances has some; return how many each."""
    seen: list[int] = []  # what was seen last

    async def everywhere() -> bool:
        seen[:] = await gathered.actors()
        return len(seen) == over and min(seen) > 0 and sum(seen) >= ACTORS

    try:
        await wait_until(everywhere, description=f"{ACTORS} actors on {over} instances", within=SPREAD_WITHIN)
    except AssertionError as error:
        error.add_note(f"they are {seen}; logs: {gathered.members[0].app.log.parent}")
        raise
    return seen


@contextlib.asynccontextmanager
async def talking_to(
    number: int, plane: ControlPlane, client: httpx.AsyncClient, figures: list[Row], *, fault: str
) -> AsyncIterator[tuple[Crowd, Traffic]]:
    """Have users talk to that many instances while ``fault`` happens; then everything must be remembered once."""
    seed = os.environ.get("KILL_SEED") or secrets.token_hex(4)
    print(f"\nKILL_SEED={seed} repeats the moments")  # noqa: T201  # a failure can be repeated by it
    async with crowd(Random(seed)) as gathered:
        traffic = Traffic(
            gathered, client, Random(f"{seed}-traffic"), users=USERS, deadline=DEADLINE + MARGIN, pause=PAUSE
        )
        await asyncio.gather(*(gathered.join(one_more(plane), client) for _ in range(number)))
        async with asyncio.TaskGroup() as group:
            group.create_task(traffic.run())
            yield gathered, traffic
            traffic.close()
        since = time.monotonic()
        await remembered(traffic, client, gathered.members[0])
        figures.append(Row.of(fault, 1, traffic.figures, time.monotonic() - since))


@pytest.mark.timeout(300)
async def test_instances_come_and_go(plane: ControlPlane, client: httpx.AsyncClient, figures: list[Row]) -> None:
    """Three share the load; one is killed, one joins, one leaves: no turn is lost, none happens twice."""
    async with talking_to(3, plane, client, figures, fault="instance killed, joined, left") as (gathered, traffic):
        await traffic.answers(5 * len(traffic.lanes))
        print("three instances:", await spread(gathered, over=3))  # noqa: T201

        gathered.members[0].kill()
        await traffic.answers(1)  # while requests still go to the dead one
        gathered.members.pop(0)
        await traffic.answers(3 * len(traffic.lanes))
        print("one was killed:", await spread(gathered, over=2))  # noqa: T201

        await gathered.join(one_more(plane), client)
        await traffic.answers(3 * len(traffic.lanes))
        print("one has joined:", await spread(gathered, over=3))  # noqa: T201

        await gathered.members.pop(0).stop()
        await traffic.answers(3 * len(traffic.lanes))
        print("one has left:", await spread(gathered, over=2))  # noqa: T201


@pytest.mark.timeout(300)
async def test_an_instance_that_hangs_gives_its_actors_up(
    plane: ControlPlane, client: httpx.AsyncClient, figures: list[Row]
) -> None:
    """An application that stands still loses its actors to the others, and does them no harm when it goes on."""
    async with talking_to(2, plane, client, figures, fault="instance hangs") as (gathered, traffic):
        await traffic.answers(3 * len(traffic.lanes))
        hanging = gathered.members.pop()  # clients do not ask it any more, its sidecar does
        await traffic.answers(2 * len(traffic.lanes))
        hanging.app.pause()
        try:
            await spread(gathered, over=1)
            await traffic.answers(2 * len(traffic.lanes))
        finally:
            hanging.app.resume()
            gathered.members.append(hanging)
        await hanging.ready(client)
        await spread(gathered, over=2)
        await traffic.answers(2 * len(traffic.lanes))
