"""The outbox: events wait in the state of their actor until the consumer has them."""

import json
import re
from typing import Any

import pytest

from multi_actor.actors.outbox import PERIOD
from multi_actor.contracts import CHAT, MEMORY
from multi_actor.hosting.abc import ActorCallError, ActorKey
from tests.actors.conversation import USER, Conversation, opened
from tests.actors.faults import PUBLISH, RESPOND, Fault, Kind

SECONDS = PERIOD.total_seconds()
CHAT_KEY = ActorKey(CHAT, USER)


async def reminders(conversation: Conversation) -> int:
    count = (await conversation.host.metadata()).reminders
    assert count is not None
    return count


async def said_in(conversation: Conversation) -> list[str]:
    """What the user said, as the memory has it."""
    return [message["content"] for message in await conversation.memory.GetMemory() if message["role"] == "user"]


def numbers(conversation: Conversation) -> list[int]:
    return [event["sequence"] for event in conversation.published]


async def test_the_reminder_is_armed_before_the_turn_is_saved(conversation: Conversation) -> None:
    """Whatever dies after the save finds the reminder in the store."""
    calls: list[str] = []

    def record(name: str, key: ActorKey, _: bytes) -> None:
        if key == CHAT_KEY and name != "get":
            calls.append(name)

    conversation.store.on_call = record
    await conversation.say("one")
    await conversation.say("two")
    assert calls == ["save_reminder", "transact", "transact"]


async def test_a_turn_whose_reminder_cannot_be_armed_is_not_saved(conversation: Conversation) -> None:
    """Nothing is answered that nobody would bring to the memory; the same key asks again."""
    conversation.faults.plan([Fault(f"{CHAT}.save_reminder", 0, Kind.BEFORE)])
    with pytest.raises(ActorCallError):
        await conversation.say("one")
    conversation.faults.plan(())
    assert await conversation.chat.GetConversationHistory() == []
    assert conversation.published == []
    assert (await conversation.say("one"))["role"] == "assistant"
    assert await reminders(conversation) == 1


@pytest.mark.parametrize("broker_works", [True, False])
async def test_the_reminder_is_armed_at_most_once_per_period(
    conversation: Conversation, arming: list[str], *, broker_works: bool
) -> None:
    """However many turns fall into a period, whether their events arrive or wait, one registration is all."""
    conversation.broker_works = broker_works
    for period in range(4):
        before = len(arming)
        for number in range(8):
            await conversation.say(f"{period}.{number}")
            assert await reminders(conversation) == 1
        await conversation.quiet()
        assert len(arming) - before <= 1
        await conversation.pass_time(SECONDS)
    assert set(arming) == {CHAT}


async def test_the_reminder_lapses_when_nothing_waits(conversation: Conversation, arming: list[str]) -> None:
    """An actor that said all it had to costs nothing: no reminder, no event, no tick; its next turn arms anew."""
    await conversation.say("one")
    await conversation.quiet()
    await conversation.pass_time(2 * SECONDS)
    assert await reminders(conversation) == 0
    assert await conversation.kept(CHAT_KEY, f"outbox-{USER}") == [1, 1]
    assert numbers(conversation) == [1]

    calls: list[str] = []
    conversation.store.on_call = lambda name, *_: calls.append(name)
    await conversation.pass_time(4 * SECONDS)
    assert calls == []

    conversation.broker_works = False
    await conversation.say("two")
    assert await reminders(conversation) == 1
    assert len(arming) == 2


async def test_a_tick_that_was_not_saved_keeps_its_reminder(conversation: Conversation) -> None:
    """The tick that drops the last event and lapses is a turn like any other: it does both, or is made up for."""
    await conversation.say("one")
    await conversation.quiet()
    conversation.faults.plan([Fault(f"{CHAT}.transact", 0, Kind.BEFORE)])
    await conversation.pass_time(2 * SECONDS)
    conversation.faults.heal()
    await conversation.pass_time(2 * SECONDS)
    assert await conversation.kept(CHAT_KEY, f"outbox-{USER}") == [1, 1]
    assert await reminders(conversation) == 0


async def test_what_is_not_covered_is_published_again(conversation: Conversation) -> None:
    """The reminder publishes from the first lost event on, as they were, and what it brings is taken in once."""
    lost = {2, 3}
    for number in range(1, 6):
        conversation.faults.plan([Fault(PUBLISH, 0, Kind.LOST)] if number in lost else ())
        await conversation.say(f"message {number}")
        await conversation.quiet()
    assert await conversation.memory.GetSequence() == 1
    first = list(conversation.published)

    await conversation.pass_time(SECONDS)
    assert numbers(conversation)[5:] == [2, 3, 4, 5]
    assert conversation.published[5:] == first[1:]
    assert await conversation.memory.GetSequence() == 5
    assert await said_in(conversation) == ["message 5"]
    assert len(await conversation.memory.GetMemory()) == 3

    await conversation.pass_time(SECONDS)
    assert len(conversation.published) == 9
    assert await reminders(conversation) == 0


async def test_events_wait_for_a_consumer_that_is_away(conversation: Conversation) -> None:
    """While the memory can be asked nothing, events and reminder stay; once it can, it gets all of them."""
    broken = [Fault(f"{MEMORY}.get", call, Kind.BEFORE) for call in range(1000)]
    conversation.faults.plan(broken)
    for number in range(1, 4):
        await conversation.say(f"message {number}")
    await conversation.pass_time(3 * SECONDS)
    assert await reminders(conversation) == 1
    for number in range(1, 4):
        assert (await conversation.kept(CHAT_KEY, f"event-{USER}-{number}"))["event"]["sequence"] == number

    conversation.faults.heal()
    await conversation.pass_time(3 * SECONDS)
    assert await conversation.memory.GetSequence() == 3
    assert await reminders(conversation) == 0


async def test_a_full_outbox_refuses_turns_until_there_is_room() -> None:
    """A turn over the limit is refused and leaves no trace; what was answered before can still be asked for."""
    async with opened(outbox_limit=3) as conversation:
        conversation.broker_works = False
        replies = [await conversation.say(f"message {number}") for number in range(3)]
        before = await conversation.chat.GetConversationHistory()
        assert await conversation.say("one too many") == {"error": "outbox_full"}
        assert await conversation.say("message 2") == replies[2]
        assert await conversation.chat.GetConversationHistory() == before
        assert await conversation.response.GetMessageCount() == 3

        conversation.broker_works = True
        await conversation.pass_time(2 * SECONDS)
        assert (await conversation.say("one too many"))["role"] == "assistant"
        await conversation.quiet()
        assert await conversation.memory.GetSequence() == 4


async def test_the_limit_is_of_events_that_wait() -> None:
    """What the memory has does not count, even before the reminder had time to drop it."""
    async with opened(outbox_limit=3) as conversation:
        for number in range(20):
            assert (await conversation.say(f"message {number}"))["role"] == "assistant"
            await conversation.quiet()
        assert await conversation.memory.GetSequence() == 20


@pytest.mark.parametrize("place", [RESPOND, f"{CHAT}.transact"])
async def test_a_turn_that_was_rolled_back_publishes_nothing(conversation: Conversation, place: str) -> None:
    """The event of a turn that was not saved goes with the turn; the next turn publishes its own under that number."""
    await conversation.say("one")
    conversation.faults.plan([Fault(place, 0, Kind.BEFORE)])
    with pytest.raises(ActorCallError):
        await conversation.say("never said")
    conversation.faults.plan(())
    await conversation.say("three")
    await conversation.quiet()

    assert [(event["sequence"], event["input"]["content"]) for event in conversation.published] == [
        (1, "one"),
        (2, "three"),
    ]
    await conversation.pass_time(2 * SECONDS)
    assert numbers(conversation) == [1, 2]
    assert [message["content"] for message in await conversation.chat.GetConversationHistory()][::2] == [
        "one",
        "three",
    ]


async def test_a_turn_writes_the_same_keys_at_any_age(conversation: Conversation) -> None:
    """The 500th turn writes the keys that the 10th did, and as much as the 100th; what is dropped is made up for."""
    turns: list[list[dict[str, Any]]] = []

    def record(name: str, _: ActorKey, body: bytes) -> None:
        if name == "transact":
            turns[-1].extend(json.loads(body))

    conversation.store.on_call = record
    for number in range(500):
        turns.append([])
        await conversation.say(f"message {number:03}")
        await conversation.quiet()

    def keys(turn: int) -> list[str]:
        written = [o["request"]["key"] for o in turns[turn - 1] if o["operation"] == "upsert"]
        return sorted(re.sub(r"\d+", "N", key) for key in written)

    def size(turn: int) -> int:
        return sum(len(json.dumps(o)) for o in turns[turn - 1] if o["operation"] == "upsert")

    assert keys(500) == keys(10)
    assert len(keys(500)) == len(set(keys(500)))
    # By the 100th turn everything that is kept is full; numbers have few more digits after that.
    assert size(500) < size(100) + 100
    deleted = [sum(o["operation"] == "delete" for o in turn) for turn in turns]
    assert max(deleted) <= 32
    assert sum(deleted) >= 500 - 64


async def test_an_event_that_the_store_has_lost_holds_up_no_other(conversation: Conversation) -> None:
    """A store that forgets what it had taken costs that event; the rest is published again."""
    conversation.broker_works = False
    for content in ("one", "two", "three"):
        await conversation.say(content)
    await conversation.quiet()
    lost = json.dumps([{"operation": "delete", "request": {"key": "event-ada-1"}}]).encode()
    await conversation.store.transact(CHAT_KEY, lost, now=conversation.clock.now())
    conversation.broker_works = True
    await conversation.pass_time(2 * SECONDS)
    assert numbers(conversation)[-2:] == [2, 3]
    assert (await said_in(conversation))[-1] == "three"
