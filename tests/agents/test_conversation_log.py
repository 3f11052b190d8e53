"""A log whose database is away for as long as it likes."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from multi_actor.agents import broadcast
from multi_actor.agents.broadcast import Broadcast
from multi_actor.agents.conversation_log import UNWRITTEN, ConversationLog, GetTurns, Turns, WriteNow
from multi_actor.agents.turn_log import TurnLog
from multi_actor.contracts import USER_CHAT
from multi_actor.errors import LogUnavailableError
from multi_actor.hosting.embedded import EmbeddedHost
from multi_actor.hosting.stores import SqliteStore
from multi_actor.messaging import AgentId, SingleThreadedAgentRuntime, TopicId
from tests.agents.turns import turn
from tests.support import wait_until

ADA = AgentId("ConversationLog", "ada")


class Away(TurnLog):
    """A log whose database a test takes away."""

    REST_SECONDS = 0.0

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.away = False

    def _create(self) -> None:
        if self.away:
            raise OSError("the database is away")
        super()._create()


@pytest.fixture
async def turn_log() -> AsyncIterator[Away]:
    async with Away("sqlite://") as turn_log:
        yield turn_log


@pytest.fixture
async def runtime(turn_log: Away) -> AsyncIterator[SingleThreadedAgentRuntime]:
    async with SingleThreadedAgentRuntime() as runtime:
        await ConversationLog.register(runtime, "ConversationLog", lambda: ConversationLog(turn_log))
        yield runtime


async def publish(runtime: SingleThreadedAgentRuntime, *sequences: int) -> None:
    for sequence in sequences:
        await runtime.publish_message(turn(sequence), TopicId(USER_CHAT, "ada"))


async def logged(runtime: SingleThreadedAgentRuntime) -> list[int]:
    turns: Turns = await runtime.send_message(GetTurns(limit=1000), ADA)
    return [each.sequence for each in turns.turns]


async def test_turns_wait_for_the_database(runtime: SingleThreadedAgentRuntime, turn_log: Away) -> None:
    """The next turn, or a question, writes those that wait."""
    await publish(runtime, 1)
    turn_log.away = True
    await publish(runtime, 2, 3)
    with pytest.raises(LogUnavailableError):
        await logged(runtime)
    assert turn_log.owed == {"ada"}
    turn_log.away = False
    assert await logged(runtime) == [1, 2, 3]


async def test_turns_that_wait_are_the_agents_state(runtime: SingleThreadedAgentRuntime, turn_log: Away) -> None:
    """Made again elsewhere it writes them; without any there is nothing to keep."""
    await publish(runtime, 1)
    assert await logged(runtime) == [1]
    assert await runtime.agent_save_state(ADA) == {}
    turn_log.away = True
    await publish(runtime, 2)
    with pytest.raises(LogUnavailableError):
        await runtime.send_message(WriteNow(), ADA)
    kept = await runtime.save_state()
    turn_log.away = False
    async with SingleThreadedAgentRuntime() as other:
        await ConversationLog.register(other, "ConversationLog", lambda: ConversationLog(turn_log))
        await other.load_state(kept)
        await other.send_message(WriteNow(), ADA)
        assert await logged(other) == [1, 2]


async def test_so_many_turns_wait_and_no_more(
    runtime: SingleThreadedAgentRuntime, turn_log: Away, caplog: pytest.LogCaptureFixture
) -> None:
    """What an agent keeps is bounded: the next turn is left to the topic."""
    turn_log.away = True
    await publish(runtime, *range(1, UNWRITTEN + 3))
    with pytest.raises(LogUnavailableError):
        await runtime.send_message(WriteNow(), ADA)
    assert caplog.text.count("a turn waits") == UNWRITTEN
    assert caplog.text.count("ConversationLog/ada failed on a ConversationUpdated") == 2
    turn_log.away = False
    assert await logged(runtime) == list(range(1, UNWRITTEN + 1))


async def test_what_waits_is_written_for_users_who_say_nothing_more(
    tmp_path: Path, turn_log: Away, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The application asks for it, as soon as the database is back."""
    monkeypatch.setattr(broadcast, "OWED_SECONDS", 0.02)
    host = EmbeddedHost(SqliteStore(str(tmp_path / "state.db")))
    agents = Broadcast(host, turn_log)
    await agents.join()
    turn_log.away = True
    async with host, agents:
        for user in ("ada", "bob"):
            await host.publish(USER_CHAT, turn(1, user=user).model_dump(), event_id=f"{user}-1")
        await wait_until(lambda: turn_log.owed == {"ada", "bob"}, description="both turns wait")
        turn_log.away = False
        await wait_until(lambda: not turn_log.owed, description="nothing is owed")
        assert len(await turn_log.last("ada", 10)) == len(await turn_log.last("bob", 10)) == 1
