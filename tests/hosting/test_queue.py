"""Each subscriber of a topic has a queue of its own, the most of which stays in the store."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from multi_actor.errors import StoreUnavailableError
from multi_actor.hosting import queue
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
        self.slow = asyncio.Event()
        self.slow.set()

    async def events(self, topic: str, *, after: int = 0, limit: int = 1000, dead: bool = False) -> list[StoredEvent]:
        if self.failures:
            self.failures -= 1
            raise StoreUnavailableError("memory", "a planned fault")
        page = await super().events(topic, after=after, limit=limit, dead=dead)
        self.pages.append(len(page))
        await self.slow.wait()
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


async def test_an_event_that_comes_while_the_store_is_read_is_not_forgotten(store: Store, clock: ManualClock) -> None:
    """It is not in the page that was read: the next reading finds it."""
    reader = Reader()
    topics = broker(store, clock)
    topics.subscribe("news", reader, None)
    store.slow.clear()
    await topics.start()
    await wait_until(lambda: bool(store.pages), description="the store is being read")
    await topics.publish("news", {}, event_id="during")
    store.slow.set()
    await wait_until(lambda: reader.seen["during"] == 1, description="it is delivered")
    await topics.stop()


async def test_a_queue_that_is_started_again_takes_up_all_that_waits(store: Store, clock: ManualClock) -> None:
    """What was published while it was stopped too."""
    reader = Reader()
    topics = broker(store, clock)
    topics.subscribe("news", reader, None)
    for name in ("first", "second"):
        await topics.publish("news", {}, event_id=f"before the {name}")
        await topics.start()
        await topics.publish("news", {}, event_id=f"after the {name}")
        await wait_until(lambda: reader.seen.total() % 2 == 0, description="both are delivered")
        await wait_until(lambda: no_backlog(topics), description="all are acknowledged")
        await topics.stop()
    assert dict(reader.seen) == {
        f"{when} the {name}": 1 for name in ("first", "second") for when in ("before", "after")
    }


async def test_what_waited_for_a_subscriber_gets_each_of_the_first_ones(store: Store, clock: ManualClock) -> None:
    """Also those with names."""
    await broker(store, clock).publish("news", {}, event_id="early")
    one, other = Reader(), Reader()
    topics = broker(store, clock)
    topics.subscribe("news", one, None, name="one")
    topics.subscribe("news", other, None, name="other")
    await topics.start()
    await wait_until(lambda: one.seen["early"] == other.seen["early"] == 1, description="both have it")
    await topics.stop()
    assert set(await topics.status()) == {"news/one", "news/other"}


async def test_events_that_keep_failing_do_not_fill_the_memory(
    store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a page of them the others stay in the store; once the subscriber is well, all are taken in."""
    monkeypatch.setattr(queue, "_PAGE", 50)
    reader = Reader()
    reader.answer = Delivery.RETRY
    topics = broker(store, clock)
    topics.subscribe("news", reader, None)
    await topics.start()
    await asyncio.gather(*(topics.publish("news", {}, event_id=str(number)) for number in range(200)))
    await wait_until(lambda: reader.seen.total() >= 50, description="many have failed")
    await asyncio.sleep(0.05)
    assert len(topics._queues[0]._held) == 50
    reader.answer = Delivery.SUCCESS

    async def all_are_taken_in() -> bool:
        await clock.advance(30.0)
        return await no_backlog(topics)

    await wait_until(all_are_taken_in, description="all are taken in")
    await topics.stop()
    assert len(reader.seen) == 200


async def test_a_publisher_that_leaves_leaves_its_event(store: Store, clock: ManualClock) -> None:
    """What the store has taken is delivered, whoever waited for that."""
    reader = Reader()
    topics = broker(store, clock)
    topics.subscribe("news", reader, None)
    await topics.start()
    publishing = asyncio.create_task(topics.publish("news", {}, event_id="e1"))
    await asyncio.sleep(0)
    publishing.cancel()
    await wait_until(lambda: reader.seen["e1"] == 1, description="it is delivered")
    await topics.stop()


async def test_an_event_that_cannot_be_read_holds_up_nothing(store: Store, clock: ManualClock) -> None:
    """Whatever is in the store, the next event is delivered."""
    await store.append("no JSON", "news")
    reader = Reader()
    topics = broker(store, clock)
    topics.subscribe("news", reader, None)
    await topics.start()
    await topics.publish("news", {}, event_id="next")
    await wait_until(lambda: reader.seen["next"] == 1, description="the next one is delivered")
    await wait_until(lambda: is_dead(store, "no JSON"), description="the other one is a dead letter")
    await topics.stop()


async def is_dead(store: Store, body: str) -> bool:
    return [event.body for event in await store.events("news", dead=True)] == [body]


async def test_what_comes_in_from_outside_goes_to_every_subscriber(store: Store, clock: ManualClock) -> None:
    """The broker names them, by topic; of other topics, and of what is no name, there are none."""
    one, other = Reader(), Reader()
    topics = broker(store, clock)
    topics.subscribe("news", one, None)
    topics.subscribe("news", other, None, name="other")
    assert topics.subscribers("news") == [one, other]
    assert topics.subscribers("olds") == []
    assert topics.subscribers(["news"]) == []
