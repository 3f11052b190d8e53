"""Topics: at least once, again after a growing delay, and in the end a dead letter that can be listed."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from multi_actor.errors import RetryableError
from multi_actor.hosting.abc import CloudEvent, Delivery, Subscriber, TopicStatus
from tests.conformance.harness import Harness, PlannedError

Answer = Callable[[str], Delivery]


def success(_: str) -> Delivery:
    return Delivery.SUCCESS


def retry(_: str) -> Delivery:
    return Delivery.RETRY


def drop(_: str) -> Delivery:
    return Delivery.DROP


def error(event_id: str) -> Delivery:
    raise PlannedError(event_id)


def answering(harness: Harness, answer: Answer = success) -> Subscriber:
    """A subscriber that notes each event with the time."""

    async def subscriber(event: CloudEvent) -> Delivery:
        harness.journal.note("delivered", event["id"], event["data"], harness.now())
        return answer(event["id"])

    return subscriber


async def publish(harness: Harness, *event_ids: str) -> None:
    for event_id in event_ids:
        await harness.host.publish("news", {"of": event_id}, event_id=event_id)


async def test_every_event_is_delivered(harness: Harness) -> None:
    """Each with its id and its data, published one by one or all at once."""
    await harness.start(topics={"news": answering(harness)})
    ids = [str(number) for number in range(200)]
    await asyncio.gather(*(publish(harness, event_id) for event_id in ids))
    await harness.journal.until("delivered", times=200)
    delivered = {note[1]: note[2] for note in harness.journal.notes}
    assert delivered == {event_id: {"of": event_id} for event_id in ids}
    await harness.elapse(1)
    assert await harness.status("news") == TopicStatus(backlog=0, dead_letters=0)
    assert harness.journal.count("delivered") == 200


async def test_an_event_arrives_as_a_cloud_event(harness: Harness) -> None:
    """With what CloudEvents 1.0 and Dapr put around the data, and the data as it was."""
    arrived: list[CloudEvent] = []

    async def subscriber(event: CloudEvent) -> Delivery:
        arrived.append(event)
        harness.journal.note("delivered")
        return Delivery.SUCCESS

    await harness.start(topics={"news": subscriber})
    data: dict[str, Any] = {"text": "5m 😀", "none": None, "big": 2**53, "nested": [{"a": []}]}
    await harness.host.publish("news", data, event_id="e1")
    await harness.journal.until("delivered")
    event = arrived[0]
    assert {name: event[name] for name in ("id", "data", "specversion", "datacontenttype", "topic", "type")} == {
        "id": "e1",
        "data": data,
        "specversion": "1.0",
        "datacontenttype": "application/json",
        "topic": "news",
        "type": "com.dapr.event.sent",
    }
    assert event["source"]
    assert event["pubsubname"]


async def test_an_events_data_is_kept_to_the_last_digit(harness: Harness) -> None:
    """Lone surrogates and integers of any size arrive as they were."""
    arrived: list[Any] = []

    async def subscriber(event: CloudEvent) -> Delivery:
        arrived.append(event["data"])
        harness.journal.note("delivered")
        return Delivery.SUCCESS

    await harness.start(topics={"news": subscriber})
    data = {"text": "\ud800", "big": 10**20 + 1}
    await harness.host.publish("news", data, event_id="e1")
    await harness.journal.until("delivered")
    assert arrived == [data]


@pytest.mark.parametrize("answer", [retry, error], ids=["retry", "exception"])
async def test_an_event_that_failed_comes_again_after_growing_delays(harness: Harness, answer: Answer) -> None:
    """RETRY and an exception mean the same; after too many attempts the event is a dead letter."""
    await harness.start(topics={"news": answering(harness, answer)})
    await publish(harness, "e1")
    await harness.elapse(harness.GIVEN_UP_WITHIN)
    times = [note[3] for note in harness.journal.notes]
    assert len(times) == harness.ATTEMPTS
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert all(gap >= 0.99 * harness.FIRST_DELAY * harness.GROWTH**number for number, gap in enumerate(gaps))
    assert gaps[-1] > gaps[0]
    assert await harness.dead_letters("news") == ["e1"]
    assert await harness.status("news") == TopicStatus(backlog=0, dead_letters=1)


async def test_an_event_that_works_in_the_end_is_no_dead_letter(harness: Harness) -> None:
    """It is delivered until the subscriber takes it, and not again."""
    await harness.start(
        topics={
            "news": answering(harness, lambda _: success("") if harness.journal.count("delivered") > 2 else retry(""))
        }
    )
    await publish(harness, "e1")
    await harness.elapse(harness.GIVEN_UP_WITHIN)
    assert harness.journal.count("delivered", "e1") == 3
    assert await harness.status("news") == TopicStatus(backlog=0, dead_letters=0)


async def test_a_dropped_event_is_a_dead_letter_at_once(harness: Harness) -> None:
    """It is not delivered again, it is kept where it can be listed, and the dead letter subscriber gets it once."""
    buried: list[str] = []

    async def bury(event: CloudEvent) -> Delivery:
        buried.append(event["id"])
        return Delivery.SUCCESS

    answer = {"good": Delivery.SUCCESS, "bad": Delivery.DROP, "worse": Delivery.DROP}.__getitem__
    await harness.start(topics={"news": answering(harness, answer)}, buried=bury)
    await publish(harness, "bad", "good", "worse")
    await harness.elapse(harness.GIVEN_UP_WITHIN)
    assert harness.journal.count("delivered") == 3
    assert sorted(await harness.dead_letters("news")) == ["bad", "worse"]
    assert sorted(buried) == ["bad", "worse"]
    assert await harness.status("news") == TopicStatus(backlog=0, dead_letters=2)


async def test_dead_letters_outlive_a_restart(harness: Harness) -> None:
    """They are listed and counted as before, and not delivered."""
    await harness.start(topics={"news": answering(harness, drop)})
    await publish(harness, "e1", "e2")
    await harness.elapse(1)
    await harness.restart()
    await harness.elapse(3)
    assert harness.journal.count("delivered") == 2
    assert sorted(await harness.dead_letters("news")) == ["e1", "e2"]
    assert await harness.status("news") == TopicStatus(backlog=0, dead_letters=2)


async def test_a_dead_letter_subscriber_that_fails_loses_nothing(harness: Harness) -> None:
    """The event stays listed, and the topic goes on."""

    async def bury(event: CloudEvent) -> Delivery:
        raise PlannedError(event["id"])

    await harness.start(topics={"news": answering(harness, drop)}, buried=bury)
    await publish(harness, "e1", "e2")
    await harness.elapse(3)
    assert harness.journal.count("delivered") == 2
    assert sorted(await harness.dead_letters("news")) == ["e1", "e2"]


async def test_an_event_that_keeps_failing_holds_up_no_other(harness: Harness) -> None:
    """Neither do a hundred of them."""
    await harness.start(
        topics={"news": answering(harness, lambda event_id: retry("") if event_id.startswith("bad") else success(""))}
    )
    await publish(harness, *(f"bad{number}" for number in range(100)), "good")
    await harness.journal.until("delivered", "good")
    assert await harness.dead_letters("news") == []
    assert (await harness.status("news")).backlog >= 100


async def test_an_event_whose_subscriber_is_slow_holds_up_no_other(harness: Harness) -> None:
    """Several are delivered at a time: here the first ends only once the second has arrived."""
    second_arrived = asyncio.Event()

    async def subscriber(event: CloudEvent) -> Delivery:
        if event["id"] == "e2":
            second_arrived.set()
        await second_arrived.wait()
        harness.journal.note("done", event["id"])
        return Delivery.SUCCESS

    await harness.start(topics={"news": subscriber})
    await publish(harness, "e1", "e2")
    await harness.journal.until("done", times=2)


async def test_what_was_not_delivered_outlives_a_restart(harness: Harness) -> None:
    """A backlog is taken up again; what was delivered is not."""
    await harness.start(
        topics={"news": answering(harness, lambda event_id: success("") if event_id == "e1" else retry(""))}
    )
    await publish(harness, "e1", "e2", "e3")
    await harness.journal.until("delivered", times=3)
    await harness.restart(topics={"news": answering(harness)})
    await harness.elapse(harness.TAKEN_UP_WITHIN)
    counts = [harness.journal.count("delivered", event_id) for event_id in ("e1", "e2", "e3")]
    assert counts[0] == 1
    assert min(counts) == 1 < min(counts[1:])
    assert await harness.status("news") == TopicStatus(backlog=0, dead_letters=0)


async def test_an_event_without_a_subscriber_waits_for_one(harness: Harness) -> None:
    """It is counted, kept, and delivered once somebody subscribes."""
    await harness.start()
    await publish(harness, "e1", "e2")
    assert await harness.status("news") == TopicStatus(backlog=2, dead_letters=0)
    await harness.restart(topics={"news": answering(harness)})
    await harness.journal.until("delivered", times=2)
    assert {note[1] for note in harness.journal.notes} == {"e1", "e2"}


async def test_topics_are_kept_apart(harness: Harness) -> None:
    """A subscriber gets the events of its own topic only."""
    await harness.start(topics={"news": answering(harness), "weather": answering(harness, drop)})
    await publish(harness, "e1")
    await harness.elapse(1)
    assert harness.journal.count("delivered") == 1
    assert await harness.dead_letters("weather") == []


async def test_an_event_that_the_broker_did_not_take_is_not_delivered(harness: Harness) -> None:
    """Its publisher gets an error after which publishing again may help."""
    await harness.start(topics={"news": answering(harness)})
    harness.fail_next_publish()
    with pytest.raises(RetryableError):
        await publish(harness, "e1")
    await harness.elapse(1)
    assert harness.journal.count("delivered") == 0
    await publish(harness, "e1")
    await harness.journal.until("delivered", "e1")
