"""The memory actor against a plain model: each turn once and in its place, however deliveries come."""

import asyncio
import json
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from multi_actor.actors.memory import AHEAD_LIMIT
from multi_actor.contracts import CHAT, MEMORY, ConversationEvent, Message
from multi_actor.hosting.abc import ActorCallError, ActorKey
from tests.actors.conversation import QUICK_PHASES, USER, Conversation, ConversationMachine
from tests.actors.faults import Fault, Kind

KEY = ActorKey(MEMORY, f"memory-{USER}")
COUNT = f"memory-count-{USER}"
_sequences = st.integers(1, 12)


def event_of(sequence: int, version: int = 0) -> ConversationEvent:
    """One turn; versions of it differ, so that it shows which was taken in."""
    said = f"message {sequence}.{version}"
    return ConversationEvent(
        event_id=f"{USER}-{sequence}-{version}",
        sequence=sequence,
        actor_id=USER,
        history_key=f"history-{USER}",
        actor_type=CHAT,
        event_type="ConversationUpdated",
        input=Message(role="user", content=said),
        output=Message(role="assistant", content=f"Memory: all. Got your message: {said} at noon"),
    )


def remembered_of(event: ConversationEvent) -> list[dict[str, str]]:
    quote = event["output"]["content"].removeprefix("Memory: all. ")
    return [
        {"role": "user", "content": event["input"]["content"]},
        {"role": "assistant", "content": event["output"]["content"], "quote": quote},
    ]


class MemoryModel(ConversationMachine):
    """The model is the first delivery of each turn, by its number."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[int, ConversationEvent] = {}
        self.version = 0

    @initialize(limit=st.integers(1, 6))
    def start(self, limit: int) -> None:
        self.limit = limit
        self.conversation = Conversation(memory_limit=limit)
        self.run(self.conversation.open())

    def teardown(self) -> None:
        if hasattr(self, "conversation"):
            self.run(self.conversation.close())
        self.runner.close()

    def event(self, sequence: int) -> ConversationEvent:
        self.version += 1
        return event_of(sequence, self.version)

    @rule(sequences=st.lists(_sequences, min_size=1, max_size=5))
    def deliver(self, sequences: list[int]) -> None:
        """Deliveries one after the other: late, early, again."""
        for sequence in sequences:
            event = self.event(sequence)
            assert self.run(self.conversation.memory.UpdateMemory(event)) is (sequence not in self.seen)
            self.seen.setdefault(sequence, event)

    @rule(sequences=st.lists(_sequences, min_size=2, max_size=5))
    def deliver_at_once(self, sequences: list[int]) -> None:
        """Deliveries side by side, as a broker makes them: they take their turns in order of arrival."""

        async def deliver() -> list[Any]:
            return await asyncio.gather(*(self.conversation.memory.UpdateMemory(event) for event in events))

        events = [self.event(sequence) for sequence in sequences]
        expected = []
        for event in events:
            expected.append(event["sequence"] not in self.seen)
            self.seen.setdefault(event["sequence"], event)
        assert self.run(deliver()) == expected

    @rule(
        sequence=_sequences,
        place=st.sampled_from(["get", "transact"]),
        call=st.integers(0, 1),
        kind=st.sampled_from([Kind.BEFORE, Kind.AFTER]),
    )
    def deliver_while_the_store_fails(self, sequence: int, place: str, call: int, kind: Kind) -> None:
        """A delivery that fails changes nothing, or all of it, and the broker brings it once more."""
        event = self.event(sequence)
        self.conversation.faults.plan([Fault(f"{MEMORY}.{place}", call, kind)])
        failed = False
        try:
            self.run(self.conversation.memory.UpdateMemory(event))
        except ActorCallError:
            failed = True
        self.conversation.faults.plan(())
        if not failed or (place == "transact" and kind is Kind.AFTER):
            self.seen.setdefault(sequence, event)

    @rule()
    def rest(self) -> None:
        """An actor that nobody calls is deactivated; the next call finds all that it had."""

        async def rest() -> int:
            await self.conversation.pass_time(31)
            return (await self.conversation.host.metadata()).actors[MEMORY]

        assert self.run(rest()) == 0

    @rule()
    def restart(self) -> None:
        """The host goes, and another takes up what the store holds."""
        self.run(self.conversation.stop())
        self.run(self.conversation.start())

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        if hasattr(self, "conversation"):
            self.run(self._compare())

    async def _compare(self) -> None:
        turns = [self.seen[sequence] for sequence in sorted(self.seen)]
        expected = [message for turn in turns for message in remembered_of(turn)]
        assert await self.conversation.memory.GetMemory() == expected[-self.limit :]

        watermark = next(number for number in range(len(turns) + 1) if number + 1 not in self.seen)
        assert await self.conversation.memory.GetSequence() == watermark
        ahead = [sequence for sequence in sorted(self.seen) if sequence > watermark]
        seen = {"count": len(turns), "watermark": watermark, "ahead": ahead}
        assert await self.conversation.kept(KEY, COUNT) == (seen if turns else None)


TestMemoryModel = MemoryModel.TestCase
TestMemoryModel.settings = settings(
    max_examples=30, stateful_step_count=12, deadline=None, print_blob=True, phases=QUICK_PHASES
)


async def test_a_turn_that_never_comes_is_given_up(conversation: Conversation) -> None:
    """Past 10,000 turns beyond a missing one the watermark moves over it, and what is kept stays bounded."""
    known = {"count": AHEAD_LIMIT - 1, "watermark": 0, "ahead": list(range(2, AHEAD_LIMIT + 1))}
    upsert = [{"operation": "upsert", "request": {"key": COUNT, "value": known}}]
    await conversation.store.transact(KEY, json.dumps(upsert).encode(), now=conversation.clock.now())

    assert await conversation.memory.UpdateMemory(event_of(AHEAD_LIMIT + 1))
    assert await conversation.memory.GetSequence() == 0
    assert await conversation.memory.UpdateMemory(event_of(AHEAD_LIMIT + 2))
    assert await conversation.kept(KEY, COUNT) == {
        "count": AHEAD_LIMIT + 1,
        "watermark": AHEAD_LIMIT + 2,
        "ahead": [],
    }
    assert not await conversation.memory.UpdateMemory(event_of(1))
