"""Each subscriber of a topic has a queue of its own, the most of which stays in the store."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from multi_actor.errors import StoreUnavailableError
from multi_actor.hosting.abc import CloudEvent, Delivery, TopicStatus
from multi_actor.hosting.state_store import StoredEvent
from multi_actor.hosting.stores import SqliteStore
from tests.hosting.brokers import broker, no_backlog
from tests.support import ManualClock, wait_until


class Store(SqliteStore):
    """Counts what is read, and fails to be read as often as a test asks for."""

    def __init__(self) -> None:
        super().__init__(":memory:")
        self.pages: list[int] = []
        self.failures = 0

    async def events(self, topic: str, *, after: int = 0, limit: int = 1000, dead: bool = False) -> list[StoredEvent]:
        if self.failures:
            self.failures -= 1
            raise StoreUnavailableError("memory", "a planned fault")
        page = await super().events(topic, after=after, limit=limit, dead=dead)
        self.pages.append(len(page))
        return page


class Reader:
    """A subscriber that takes events in, unless it is told to wait or to fail."""

    def __init__(self) -> None:
        self.answer = Delivery.SUCCESS
        self.open = asyncio.Event()
        self.open.set()
        self.seen: Counter[str] = Counter()

    async def __call__(self, event: CloudEvent) -> Delivery:
        await self.open.wait()
        self.seen[event["id"]] += 1
        return self.answer


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    async with Store() as store:
        yield store


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def test_a_subscriber_that_fails_costs_the_others_nothing(store: Store, clock: ManualClock) -> None:
    """They get each event once, and only its own queue has a backlog."""
    good, bad = Reader(), Reader()
    bad.answer = Delivery.RETRY
    topics = broker(store, clock)
    topics.subscribe("news", good, None)
    topics.subscribe("news", bad, None, name="bad")
    await topics.start()
    for number in range(5):
        await topics.publish("news", {}, event_id=str(number))
    await wait_until(lambda: bad.seen.total() == 5 and good.seen.total() == 5, description="both were asked")
    await clock.advance(1.0)
    await wait_until(lambda: bad.seen.total() > 5, description="one is asked again")
    await topics.stop()
    assert set(good.seen.values()) == {1}
    assert await topics.status() == {"news": TopicStatus(0, 0), "news/bad": TopicStatus(5, 0)}


async def test_each_queue_outlives_the_process(store: Store, clock: ManualClock) -> None:
    """What one subscriber had not taken in by then it gets later, and the other does not get it again."""
    fast, slow = Reader(), Reader()
    slow.answer = Delivery.RETRY
    first = broker(store, clock)
    first.subscribe("news", fast, None)
    first.subscribe("news", slow, None, name="slow")
    await first.start()
    await first.publish("news", {}, event_id="e1")
    await wait_until(lambda: bool(slow.seen and fast.seen), description="both were asked")
    await first.stop()
    again, later = Reader(), Reader()
    second = broker(store, clock)
    second.subscribe("news", again, None)
    second.subscribe("news", later, None, name="slow")
    await second.start()
    await wait_until(lambda: later.seen["e1"] == 1, description="the event is taken in")
    await second.stop()
    assert not again.seen


async def test_a_long_backlog_stays_in_the_store(store: Store, clock: ManualClock) -> None:
    """A queue whose subscriber cannot follow holds a page in memory; in the end each event has come once."""
    reader = Reader()
    reader.open.clear()
    topics = broker(store, clock)
    topics.subscribe("news", reader, None, at_once=8)
    await topics.start()
    for start in range(0, 4000, 500):
        await asyncio.gather(*(topics.publish("news", {}, event_id=str(n)) for n in range(start, start + 500)))
    read_before = sum(store.pages)
    assert (await topics.status())["news"] == TopicStatus(4000, 0)
    reader.open.set()
    await wait_until(lambda: reader.seen.total() >= 4000, description="all are delivered")
    await wait_until(lambda: no_backlog(topics), description="all are acknowledged")
    await topics.publish("news", {}, event_id="last")
    await wait_until(lambda: reader.seen["last"] == 1, description="what comes later is delivered too")
    await topics.stop()
    assert sum(store.pages) - read_before >= 2000, "the most was left to the store"
    assert set(reader.seen.values()) == {1}
    assert await store.events("news") == []


async def test_a_store_that_cannot_be_read_is_read_again(store: Store, clock: ManualClock) -> None:
    """What waits in it is late, not lost."""
    await store.append(json.dumps({"id": "e1", "topic": "news", "correlationid": "-", "data": {}}), "news")
    store.failures = 1
    reader = Reader()
    topics = broker(store, clock)
    topics.subscribe("news", reader, None)
    await topics.start()
    await wait_until(lambda: store.failures == 0, description="the first reading fails")
    await topics.publish("news", {}, event_id="e2")
    await clock.advance(60.0)
    await wait_until(lambda: len(reader.seen) == 2, description="both events are delivered")
    await topics.stop()
    assert set(reader.seen.values()) == {1}


async def test_what_comes_in_from_outside_goes_to_every_subscriber(store: Store, clock: ManualClock) -> None:
    """The broker names them, by topic; of other topics, and of what is no name, there are none."""
    one, other = Reader(), Reader()
    topics = broker(store, clock)
    topics.subscribe("news", one, None)
    topics.subscribe("news", other, None, name="other")
    assert topics.subscribers("news") == [one, other]
    assert topics.subscribers("olds") == []
    assert topics.subscribers(["news"]) == []
