"""Faults wherever a turn waits: a turn is whole or absent, and what was answered is remembered."""

import asyncio
from dataclasses import dataclass
from itertools import chain, combinations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from multi_actor.actors.outbox import PERIOD
from multi_actor.contracts import CHAT, MEMORY, RESPONSE
from multi_actor.hosting.abc import ActorCallError, ActorKey
from tests.actors.conversation import QUICK_PHASES, USER, Conversation, ConversationMachine
from tests.actors.faults import PUBLISH, RESPOND, Fault, Kind
from tests.support import wait_until

HISTORY = 5
TWO_PERIODS = 2 * PERIOD.total_seconds()

_IN_THE_BROKER = (Kind.BEFORE, Kind.AFTER, Kind.HANG, Kind.HANG_AFTER, Kind.LOST)
_IN_A_TURN = (Kind.BEFORE, Kind.AFTER, Kind.HANG, Kind.HANG_AFTER, Kind.LEFT)
# The calls of each place that a step is likely to make.
_CALLS = {
    RESPOND: 2,
    f"{CHAT}.get": 6,
    f"{CHAT}.transact": 2,
    f"{CHAT}.save_reminder": 1,
    f"{CHAT}.delete_reminder": 1,
    f"{RESPONSE}.get": 1,
    f"{RESPONSE}.transact": 2,
    f"{MEMORY}.get": 2,
    f"{MEMORY}.transact": 2,
}
_ALL_FAULTS = [Fault(PUBLISH, call, kind) for call in range(2) for kind in _IN_THE_BROKER] + [
    Fault(place, call, kind) for place, calls in _CALLS.items() for call in range(calls) for kind in _IN_A_TURN
]
# The chat's save is where a turn becomes whole: half of the faults are there.
_AT_THE_SAVE = [Fault(f"{CHAT}.transact", 0, kind) for kind in _IN_A_TURN]
_faults = st.lists(st.sampled_from(_AT_THE_SAVE) | st.sampled_from(_ALL_FAULTS), max_size=3)


@dataclass(frozen=True)
class Turn:
    key: str
    said: str
    reply: str

    @property
    def messages(self) -> list[tuple[str, str]]:
        return [("user", self.said), ("assistant", self.reply)]


def messages_of(turns: list[Turn]) -> list[tuple[str, str]]:
    return [message for turn in turns for message in turn.messages]


class FaultyConversation(ConversationMachine):
    """The model is the turns that the user has had, in order; after each step the actors are compared with it."""

    def __init__(self) -> None:
        super().__init__()
        self.conversation = Conversation(
            history_limit=HISTORY, memory_limit=1000, turn_timeout=0.3, memory_timeout=0.1
        )
        self.turns: list[Turn] = []
        self.sent: list[str] = []
        self.run(self.conversation.open())

    @rule(
        requests=st.lists(st.sampled_from(["new", "again", "known"]), min_size=1, max_size=2),
        known=st.integers(0, 30),
        faults=_faults,
    )
    def say(self, requests: list[str], known: int, faults: list[Fault]) -> None:
        """Send one message, or two at once: new ones, the last one again, or one that was answered before."""
        messages = []
        for request in requests:
            if request == "known" and self.turns:
                messages.append(self.turns[-1 - known % min(len(self.turns), 30)].said)
            elif request == "again" and self.sent:
                messages.append(self.sent[-1])
            else:
                self.sent.append(f"message {len(self.sent)}")
                messages.append(self.sent[-1])
        self.run(self._say(messages, faults))

    @rule(seconds=st.sampled_from([1, 16, 31]), faults=_faults)
    def let_time_pass(self, seconds: int, faults: list[Fault]) -> None:
        """Reminders tick, deliveries are tried again, idle actors are deactivated."""
        self.run(self._let_time_pass(seconds, faults))

    @rule()
    def restart(self) -> None:
        """The host goes, and another takes up what the store holds."""
        self.run(self.conversation.stop())
        self.run(self.conversation.start())
        self.run(self._compare([]))

    def teardown(self) -> None:
        try:
            self.run(self._end())
        finally:
            self.run(self.conversation.close())
            self.runner.close()

    # -- the steps

    async def _say(self, messages: list[str], faults: list[Fault]) -> None:
        conversation = self.conversation
        conversation.faults.plan(faults)
        clients = [asyncio.create_task(conversation.say(message)) for message in messages]
        conversation.faults.clients.update(clients)
        results = await asyncio.gather(*clients, return_exceptions=True)
        conversation.faults.clients.clear()
        await conversation.quiet()
        conversation.faults.plan(())
        await self._compare(list(dict.fromkeys(messages)))

        replies = {turn.said: turn.reply for turn in self.turns}
        for message, result in zip(messages, results, strict=True):
            if isinstance(result, BaseException):
                assert isinstance(result, asyncio.CancelledError) or (
                    isinstance(result, ActorCallError) and result.retryable
                ), result
            else:
                assert result == {"role": "assistant", "content": replies[message]}

    async def _let_time_pass(self, seconds: float, faults: list[Fault]) -> None:
        self.conversation.faults.plan(faults)
        await self.conversation.pass_time(seconds)
        self.conversation.faults.plan(())
        await self._compare([])

    async def _compare(self, asked: list[str]) -> None:
        """Find out which of the turns that were asked for there are, and hold everything else to the model."""
        history = [(m["role"], m["content"]) for m in await self.conversation.chat.GetConversationHistory()]
        known = {turn.said for turn in self.turns}
        new = [message for message in asked if message not in known]
        replies = dict(zip([text for _, text in history], [text for _, text in history[1:]], strict=False))
        for happened in chain.from_iterable(combinations(new, size) for size in range(len(new) + 1)):
            turns = [*self.turns, *(Turn(said, said, replies.get(said, "")) for said in happened)]
            if history == messages_of(turns)[-HISTORY:]:
                break
        else:
            raise AssertionError(f"{history} is not {messages_of(self.turns)} with some of {new}, each whole")
        self.turns = turns

        count = await self.conversation.response.GetMessageCount()
        assert len(turns) <= count <= len(turns) + 1  # it leads after a turn that had its reply and was not saved
        remembered = await self._remembered()
        assert remembered == messages_of([turn for turn in turns if turn.messages[0] in remembered])

    async def _remembered(self) -> list[tuple[str, str]]:
        return [(m["role"], m["content"]) for m in await self.conversation.memory.GetMemory()]

    async def _end(self) -> None:
        """With all faults healed the next turn works, and two periods later nothing is missing anywhere."""
        self.conversation.faults.heal()
        await self.conversation.quiet()
        last = "the last message"

        async def answered() -> bool:
            await self._say([last], [])
            return any(turn.said == last for turn in self.turns)

        await wait_until(answered, description="the last message is answered")
        turns = len(self.turns)
        assert await self.conversation.response.GetMessageCount() == turns

        await self.conversation.pass_time(TWO_PERIODS)
        assert await self._remembered() == messages_of(self.turns)
        memory = ActorKey(MEMORY, f"memory-{USER}")
        assert await self.conversation.kept(memory, f"memory-count-{USER}") == {
            "count": turns,
            "watermark": turns,
            "ahead": [],
        }
        await self.conversation.pass_time(TWO_PERIODS)
        metadata = await self.conversation.host.metadata()
        assert metadata.reminders == 0
        assert metadata.topics["user-chat"].backlog == 0
        assert await self.conversation.kept(ActorKey(CHAT, USER), f"outbox-{USER}") == [turns, turns]
        for turn in self.turns[-32:]:
            await self._say([turn.said], [])


TestFaultyConversation = FaultyConversation.TestCase
TestFaultyConversation.settings = settings(
    max_examples=25,
    stateful_step_count=12,
    deadline=None,
    print_blob=True,
    phases=QUICK_PHASES,
    suppress_health_check=[HealthCheck.too_slow],
)
