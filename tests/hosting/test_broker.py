"""What the embedded broker does beyond the contract of topics."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from multi_actor.hosting.abc import CloudEvent, Delivery, TopicStatus
from multi_actor.hosting.broker import Broker
from multi_actor.hosting.queue import RetryPolicy
from multi_actor.hosting.stores import SqliteStore
from multi_actor.logs import correlation_id
from tests.hosting.brokers import broker, no_backlog
from tests.support import wait_until


@pytest.fixture
async def store() -> AsyncIterator[SqliteStore]:
    async with SqliteStore(":memory:") as store:
        yield store


async def ten_dropped(store: SqliteStore, *, at_once: int) -> Broker:
    """Have ten events dropped, so many side by side, where three dead letters are kept; return the broker, stopped."""

    async def drop(_: CloudEvent) -> Delivery:
        return Delivery.DROP

    topics = broker(store, keep_dead=3)
    topics.subscribe("news", drop, None, at_once=at_once)
    await topics.start()
    for number in range(10):
        await topics.publish("news", {}, event_id=str(number))
    await wait_until(lambda: no_backlog(topics), description="everything was dropped")
    await topics.stop()
    return topics


def test_delays_double_up_to_the_longest() -> None:
    """From the first to the last attempt."""
    policy = RetryPolicy(initial=0.5, longest=6.0, attempts=8)
    assert [policy.delay(attempt) for attempt in range(1, 8)] == [0.5, 1, 2, 4, 6, 6, 6]


def test_the_usual_policy_tries_for_about_two_minutes() -> None:
    """Long enough for a restart of what failed."""
    policy = RetryPolicy()
    assert 90 <= sum(policy.delay(attempt) for attempt in range(1, policy.attempts)) <= 180


async def test_the_newest_dead_letters_are_kept(store: SqliteStore) -> None:
    """A subscriber that drops everything does not fill the disk."""
    await ten_dropped(store, at_once=1)
    kept = [json.loads(event.body)["id"] for event in await store.events("news", dead=True)]
    assert kept == ["7", "8", "9"]


async def test_the_count_of_dead_letters_is_of_those_that_are_kept(store: SqliteStore) -> None:
    """What is counted can be listed."""
    topics = await ten_dropped(store, at_once=32)
    assert (await topics.status())["news"] == TopicStatus(backlog=0, dead_letters=3)


async def test_so_many_events_are_delivered_side_by_side_and_no_more(store: SqliteStore) -> None:
    """The rest waits for a place."""
    under_way, most, gate = 0, 0, asyncio.Event()

    async def subscriber(_: CloudEvent) -> Delivery:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await gate.wait()
        under_way -= 1
        return Delivery.SUCCESS

    topics = broker(store)
    topics.subscribe("news", subscriber, None, at_once=4)
    await topics.start()
    for number in range(20):
        await topics.publish("news", {}, event_id=str(number))
    await wait_until(lambda: under_way == 4, description="four are delivered side by side")
    gate.set()
    await wait_until(lambda: no_backlog(topics), description="all are delivered")
    await topics.stop()
    assert most == 4


async def test_a_delivery_carries_the_correlation_id_of_its_publisher(store: SqliteStore) -> None:
    """Also when it is taken up after a restart."""
    seen = []

    async def subscriber(event: CloudEvent) -> Delivery:
        seen.append((event["id"], event["correlationid"], correlation_id.get()))
        return Delivery.SUCCESS

    before = correlation_id.set("request-1")
    await broker(store).publish("news", {}, event_id="e1")
    correlation_id.reset(before)
    topics = broker(store)
    topics.subscribe("news", subscriber, None)
    await topics.start()
    await wait_until(lambda: bool(seen), description="the event is delivered")
    await topics.stop()
    assert seen == [("e1", "request-1", "request-1")]


async def test_a_backlog_of_several_pages_is_taken_up_whole(store: SqliteStore) -> None:
    """However long it got while nothing ran."""
    await asyncio.gather(*(store.append(json.dumps(envelope(number)), "news") for number in range(2500)))
    seen: set[str] = set()

    async def subscriber(event: CloudEvent) -> Delivery:
        seen.add(event["id"])
        return Delivery.SUCCESS

    topics = broker(store)
    topics.subscribe("news", subscriber, None)
    await topics.start()
    await wait_until(lambda: no_backlog(topics), description="the backlog is delivered")
    await topics.stop()
    assert seen == {str(number) for number in range(2500)}
    assert await store.events("news") == []


def envelope(number: int) -> dict[str, object]:
    return {"id": str(number), "topic": "news", "correlationid": "-", "data": {}}
