"""Whatever is killed, whenever: an answered turn is remembered once, and in its place."""

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from tests.kill import dying
from tests.kill.service import Service
from tests.kill.traffic import USERS, Traffic
from tests.kill.verdict import followed_once, in_the_order_of, kept_once
from tests.support import wait_until

# Where a process is killed while somebody connects to it, asyncio may leave that socket to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:Exception ignored in. <socket\.socket:pytest.PytestUnraisableExceptionWarning"
)
KILLS = 26
REMEMBERED_WITHIN = 60.0  # seconds, from when everything is up again


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    service = Service(tmp_path)
    yield service
    await service.kill()


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=60) as client:
        yield client


async def read(client: httpx.AsyncClient, service: Service, path: str) -> Any:
    answer = await client.get(f"{service.url}{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def while_it_starts(traffic: Traffic, random: Random) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(random.uniform(0, 1.2)):
            await traffic.answers(1)


async def right_after_an_answer(traffic: Traffic, random: Random) -> None:
    await traffic.answers(random.randint(1, 40))


async def under_load(traffic: Traffic, random: Random) -> None:
    await traffic.answers(random.randint(10, 60))
    await asyncio.sleep(random.uniform(0, 0.03))


MOMENTS = (while_it_starts, right_after_an_answer, under_load)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("life", range(4))
async def test_kills_at_any_moment_lose_and_double_nothing(
    life: int,
    service: Service,
    client: httpx.AsyncClient,
    record_property: Callable[[str, object], None],
) -> None:
    """After 26 kills under load each answered turn is counted, in history, memory and log, once, in order."""
    seed = f"{os.environ.get('KILL_SEED') or secrets.token_hex(4)}"
    print(f"\nKILL_SEED={seed} repeats the moments of run {life}")  # noqa: T201  # a failure can be repeated by it
    random = Random(f"{seed}-{life}")
    traffic = Traffic(service, client, Random(f"{seed}-{life}-traffic"))
    moments = [MOMENTS[number % len(MOMENTS)] for number in range(KILLS)]
    random.shuffle(moments)

    await service.start()
    async with asyncio.TaskGroup() as group:
        group.create_task(traffic.run())
        for moment in moments:
            await moment(traffic, random)
            await service.kill()
            await service.start()
        await traffic.answers(len(traffic.lanes))
        traffic.close()
    since = time.monotonic()

    expected = await kept_once(traffic, partial(read, client, service))

    async def remembered() -> bool:
        for user in USERS:
            if (await read(client, service, f"/memory/{user}"))["memory"] != expected[user]:
                return False
        return True

    await wait_until(remembered, description="the memory holds every turn", within=REMEMBERED_WITHIN)
    figures = {"kills": KILLS, **asdict(traffic.figures), "seconds_to_catch_up": round(time.monotonic() - since, 1)}
    print(figures)  # noqa: T201  # pytest -s shows how much was tried
    for name, value in figures.items():
        record_property(name, value)

    for user in USERS:
        for turn in in_the_order_of(expected[user], traffic.of_user(user))[-10:]:
            assert await traffic.ask(user, turn.key, turn.said) == turn.reply
        assert await read(client, service, f"/response/{user}/count") == {"count": len(traffic.of_user(user))}

    async def at_rest() -> bool:
        metadata = await read(client, service, "/metadata")
        return metadata["reminders"] == 0 and all(
            topic == {"backlog": 0, "dead_letters": 0} for topic in metadata["topics"].values()
        )

    await wait_until(at_rest, description="no event and no reminder is left", within=REMEMBERED_WITHIN)
    await followed_once(traffic, expected, partial(read, client, service))
    await service.stop()
    for user in USERS:
        turns = traffic.of_user(user)
        assert service.count_of_memory(user) == {"count": len(turns), "watermark": len(turns), "ahead": []}
        assert service.kept("ChatAgent", user, f"outbox-{user}") == [len(turns), len(turns)]


async def say(client: httpx.AsyncClient, service: Service) -> httpx.Response:
    return await client.post(
        f"{service.url}/chat/ada", json={"role": "user", "content": "Hi"}, headers={"Idempotency-Key": "first"}
    )


async def die_at(point: str, service: Service, client: httpx.AsyncClient) -> None:
    """Have the first turn end in the death of the process at ``point``."""
    await service.start("-m", "tests.kill.dying", DIES=point)
    await service.ready(client)
    with suppress(httpx.TransportError):  # the answer may have left before the event was on its way
        await say(client, service)
    await service.killed()


async def remember_once(service: Service, client: httpx.AsyncClient) -> None:
    """Wait for the turn to be remembered; the same key then gives its reply, and changes nothing."""
    history = (await read(client, service, "/chat/ada/history"))["history"]
    assert [message["role"] for message in history] == ["user", "assistant"]

    async def remembered() -> bool:
        return bool((await read(client, service, "/memory/ada"))["memory"] == history)

    await wait_until(remembered, description="the turn is remembered", within=REMEMBERED_WITHIN)
    assert (await say(client, service)).json() == {"response": history[1]}
    assert await read(client, service, "/chat/ada/history") == {"history": history}
    assert await read(client, service, "/response/ada/count") == {"count": 1}
    await service.stop()
    assert service.count_of_memory("ada") == {"count": 1, "watermark": 1, "ahead": []}


async def test_a_death_before_the_save_leaves_no_turn(service: Service, client: httpx.AsyncClient) -> None:
    """A turn that was not saved is absent as a whole, and the same key asks for it again."""
    await die_at(dying.BEFORE_SAVE, service, client)
    await service.start()
    await service.ready(client)
    assert await read(client, service, "/chat/ada/history") == {"history": []}
    assert await read(client, service, "/memory/ada") == {"memory": []}
    assert (await say(client, service)).status_code == 200
    await remember_once(service, client)


async def test_the_reminder_alone_brings_an_unpublished_event(service: Service, client: httpx.AsyncClient) -> None:
    """A turn that was saved and not published reaches the memory after a restart, with no request to set it going."""
    await die_at(dying.AFTER_SAVE, service, client)
    assert service.events() == []
    assert service.count_of_memory("ada") is None
    await service.start()
    await service.ready(client)
    await remember_once(service, client)


@pytest.mark.parametrize("point", [dying.AFTER_PUBLISH, dying.BEFORE_ACKNOWLEDGE])
async def test_a_published_event_survives_the_process(point: str, service: Service, client: httpx.AsyncClient) -> None:
    """An event that the broker has is delivered after a restart, and taken in once if it was before."""
    await die_at(point, service, client)
    assert "user-chat" in service.events()
    if point == dying.AFTER_PUBLISH:
        assert set(service.events()) == {"user-chat", "user-chat/agents"}
    await service.start()
    await service.ready(client)
    await remember_once(service, client)
