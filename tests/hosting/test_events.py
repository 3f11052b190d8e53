"""One answer of several subscribers to an event that came in from outside."""

import asyncio

import pytest

from multi_actor.hosting import events
from multi_actor.hosting.abc import CloudEvent, Delivery, Subscriber
from multi_actor.hosting.events import ask_all

EVENT = {"id": "e1", "topic": "news"}


def answering(answer: Delivery, asked: list[Delivery]) -> Subscriber:
    async def subscriber(_: CloudEvent) -> Delivery:
        asked.append(answer)
        return answer

    return subscriber


@pytest.mark.parametrize(
    ("answers", "together"),
    [
        ("SUCCESS SUCCESS", "SUCCESS"),
        ("SUCCESS DROP", "DROP"),
        ("DROP RETRY SUCCESS", "RETRY"),
        ("RETRY SUCCESS", "RETRY"),
        ("DROP", "DROP"),
        ("", "DROP"),
    ],
)
async def test_the_worst_answer_counts_and_all_are_asked(answers: str, together: str) -> None:
    """In the order in which they came; nobody's topic is dropped."""
    asked: list[Delivery] = []
    wanted = [Delivery(answer) for answer in answers.split()]
    assert await ask_all([answering(each, asked) for each in wanted], EVENT) is Delivery(together)
    assert asked == wanted


async def test_one_that_hangs_keeps_the_event_from_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its time ends, the others are asked, and the event comes again; the last one has all the time there is."""
    monkeypatch.setattr(events, "_SECONDS", 0.02)
    asked: list[Delivery] = []

    async def hangs(_: CloudEvent) -> Delivery:
        await asyncio.Event().wait()
        raise AssertionError

    async def takes_longer(_: CloudEvent) -> Delivery:
        await asyncio.sleep(0.1)
        return await answering(Delivery.SUCCESS, asked)(EVENT)

    assert await ask_all([hangs, takes_longer], EVENT) is Delivery.RETRY
    assert asked == [Delivery.SUCCESS]


async def test_one_that_raises_keeps_the_event_from_nobody() -> None:
    """It is asked again with the others."""
    asked: list[Delivery] = []

    async def fails(_: CloudEvent) -> Delivery:
        raise ValueError("a bug")

    assert await ask_all([fails, answering(Delivery.SUCCESS, asked)], EVENT) is Delivery.RETRY
    assert asked == [Delivery.SUCCESS]
