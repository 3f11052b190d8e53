"""Whatever dies on the real runtime, whenever: an answered turn is remembered once, and in its place."""

import asyncio
import os
import secrets
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any

import httpx
import pytest

from multi_actor.contracts import PUBSUB, USER_CHAT
from tests.dapr.figures import Row
from tests.dapr.instance import DEADLINE, MARGIN, WHOLE_CONVERSATIONS, Instance, instance, read
from tests.dapr.streams import events
from tests.dapr.verdict import REMEMBERED_WITHIN, counted, remembered
from tests.kill import dying
from tests.kill.traffic import Traffic
from tests.support import wait_until
from tools.dapr.local import ControlPlane
from tools.dapr.processes import LOOPBACK, Process

PAUSE = 0.25  # seconds that a user may think: histories stay short enough to be compared as a whole
REDIS_PAUSED = 20.0
UNWELL = 30.0


@dataclass
class Scene:
    """What a fault strikes."""

    plane: ControlPlane
    instance: Instance
    client: httpx.AsyncClient
    random: Random


Strike = Callable[[Scene], Awaitable[None]]


async def _die(scene: Scene, *parts: Process) -> None:
    for part in parts:
        part.kill()
    await asyncio.sleep(scene.random.choice([0, scene.random.uniform(0, 3)]))
    await asyncio.gather(*(part.start() for part in parts))


async def app_killed(scene: Scene) -> None:
    await _die(scene, scene.instance.app)


async def daprd_killed(scene: Scene) -> None:
    await _die(scene, scene.instance.sidecar)


async def app_and_daprd_killed(scene: Scene) -> None:
    await _die(scene, scene.instance.app, scene.instance.sidecar)


async def redis_killed(scene: Scene) -> None:
    await _die(scene, scene.plane.redis)


async def placement_killed(scene: Scene) -> None:
    await _die(scene, scene.plane.placement)


async def scheduler_killed(scene: Scene) -> None:
    await _die(scene, scene.plane.scheduler)


async def everything_killed(scene: Scene) -> None:
    plane, one = scene.plane, scene.instance
    await _die(scene, one.app, one.sidecar, plane.redis, plane.placement, plane.scheduler)


async def redis_paused(scene: Scene) -> None:
    scene.plane.redis.pause()
    await asyncio.sleep(REDIS_PAUSED)
    scene.plane.redis.resume()


async def app_unwell(scene: Scene) -> None:
    unwell = scene.plane.folder / "unwell"
    unwell.touch()
    await asyncio.sleep(UNWELL)
    unwell.unlink()


async def events_doubled(scene: Scene) -> None:
    """Have every event so far come again, several times and in any order: some by the broker, some straight."""
    copies = await events(scene.plane, USER_CHAT) * 2
    scene.random.shuffle(copies)
    publish = f"http://{LOOPBACK}:{scene.instance.sidecar.http_port}/v1.0/publish/{PUBSUB}/{USER_CHAT}"
    targets = [(publish, 204), (f"{scene.instance.url}/subscribe", 200)]
    at_once = asyncio.Semaphore(20)

    async def deliver(event: dict[str, Any]) -> None:
        async with at_once:
            url, expected = scene.random.choice(targets)
            answer = await scene.client.post(url, json=event, headers={"content-type": "application/cloudevents+json"})
            assert answer.status_code == expected, answer.text

    await asyncio.gather(*map(deliver, copies))


@dataclass(frozen=True)
class Fault:
    """What strikes, how often in a test, and whether the application is gone meanwhile."""

    strike: Strike
    times: int
    app_dies: bool = False


FAULTS = [
    Fault(app_killed, 5, app_dies=True),
    Fault(daprd_killed, 4),
    Fault(app_and_daprd_killed, 3, app_dies=True),
    Fault(redis_killed, 4),
    Fault(placement_killed, 4),
    Fault(scheduler_killed, 4),
    Fault(everything_killed, 2, app_dies=True),
    Fault(redis_paused, 1),
    Fault(app_unwell, 1),
    Fault(events_doubled, 3),
]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.strike.__name__)
async def test_an_answered_turn_outlives(
    fault: Fault, plane: ControlPlane, client: httpx.AsyncClient, figures: list[Row]
) -> None:
    """Under load, every answered turn is counted, in the history and in the memory, once, in order; no answer is late.

    What is not answered is refused with 503, or finds no application to connect to while that is dead.
    """
    name = fault.strike.__name__
    seed = os.environ.get("KILL_SEED") or secrets.token_hex(4)
    print(f"\nKILL_SEED={seed} repeats the moments of {name}")  # noqa: T201  # a failure can be repeated by it
    random = Random(f"{seed}-{name}")
    settings = WHOLE_CONVERSATIONS | {"UNWELL": str(plane.folder / "unwell")}
    async with instance(plane, client, program=("-m", "tests.dapr.tampered"), **settings) as one:
        scene = Scene(plane, one, client, random)
        traffic = Traffic(one, client, Random(f"{seed}-{name}-traffic"), deadline=DEADLINE + MARGIN, pause=PAUSE)
        async with asyncio.TaskGroup() as group:
            group.create_task(traffic.run())
            for _ in range(fault.times):
                await traffic.answers(random.randint(1, 40))
                await asyncio.sleep(random.uniform(0, 0.05))
                await fault.strike(scene)
            await one.ready(client)
            await traffic.answers(len(traffic.lanes))
            traffic.close()
        since = time.monotonic()
        await remembered(traffic, client, one)
        caught_up = time.monotonic() - since
        assert traffic.figures.cut == 0 or fault.app_dies
        figures.append(Row.of(name.replace("_", " "), fault.times, traffic.figures, caught_up))


async def test_the_reminder_alone_brings_an_unpublished_event(plane: ControlPlane, client: httpx.AsyncClient) -> None:
    """A turn that was saved and not published is remembered after everything has died and come up again."""
    first = Instance(plane, program=("-m", "tests.kill.dying"), DIES=dying.AFTER_SAVE)
    try:
        await first.start()
        await first.ready(client)
        with suppress(httpx.TransportError):  # the answer may have left before
            await client.post(f"{first.url}/chat/ada", json={"role": "user", "content": "Hi"})
        assert await first.app.wait() == -signal.SIGKILL
    finally:
        first.kill()
    assert await events(plane, USER_CHAT) == []
    for part in (plane.redis, plane.placement, plane.scheduler):
        part.kill()
        await part.start()
    async with instance(plane, client) as one:

        async def holds() -> bool:
            return len((await read(client, f"{one.url}/memory/ada"))["memory"]) == 2

        await wait_until(holds, description="the turn is remembered", within=REMEMBERED_WITHIN)
        assert len(await events(plane, USER_CHAT)) == 1
        assert await counted(one, client, "ada") == {"count": 1, "watermark": 1, "ahead": []}


async def test_events_in_any_order(plane: ControlPlane, client: httpx.AsyncClient) -> None:
    """A user's first events, each three times and shuffled, are each remembered once, in the order of their turns."""
    seed = os.environ.get("KILL_SEED") or secrets.token_hex(4)
    print(f"\nKILL_SEED={seed} repeats this order")  # noqa: T201
    async with instance(plane, client, **WHOLE_CONVERSATIONS) as one:
        for number in range(12):
            answer = await client.post(f"{one.url}/chat/ada", json={"role": "user", "content": f"message {number}"})
            assert answer.status_code == 200

        async def published() -> bool:
            return len(await events(plane, USER_CHAT)) == 12

        await wait_until(published, description="each turn's event is with the broker", within=REMEMBERED_WITHIN)
        copies = [
            {**event, "data": {**event["data"], "actor_id": "zoe", "history_key": "history-zoe"}}
            for event in await events(plane, USER_CHAT)
        ] * 3
        Random(seed).shuffle(copies)
        answers = await asyncio.gather(*(client.post(f"{one.url}/subscribe", json=copy) for copy in copies))
        assert [answer.json() for answer in answers] == [{"status": "SUCCESS"}] * 36
        assert await counted(one, client, "zoe") == {"count": 12, "watermark": 12, "ahead": []}
        history = (await read(client, f"{one.url}/chat/ada/history"))["history"]
        assert (await read(client, f"{one.url}/memory/zoe"))["memory"] == history
