"""The table of turns: each once, whatever the database does."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy.dialects import registry
from sqlalchemy.exc import DataError
from sqlalchemy.schema import CreateTable

from multi_actor.agents.table import TURNS
from multi_actor.agents.turn_log import TurnLog, _turn, beside
from multi_actor.contracts import ConversationUpdated
from multi_actor.errors import LogUnavailableError, StartupError
from tests.agents.turns import turn


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "new" / "log.db"


@pytest.fixture
async def log(file: Path) -> AsyncIterator[TurnLog]:
    async with TurnLog(f"sqlite:///{file}") as log:
        yield log


async def sequences(log: TurnLog, user: str = "ada", limit: int = 1000) -> list[int]:
    return [each.sequence for each in await log.last(user, limit)]


async def test_a_turn_is_read_as_it_was_written(log: TurnLog) -> None:
    """Text is text; the time is UTC."""
    for number, text in enumerate(["5m", "null", "2024-01-15: dentist", "😀\x01'; DROP TABLE x; --", "x" * 16_000], 1):
        await log.add(turn(number, text))
        (read,) = await log.last("ada", 1)
        assert (read.sequence, read.input.content, read.output.content) == (number, text, f"You said {text}")
        assert (read.input.role, read.output.role) == ("user", "assistant")
        assert timedelta(0) <= datetime.now(UTC) - read.logged_at < timedelta(minutes=1)


async def test_the_last_turns_come_oldest_first(log: TurnLog) -> None:
    """As many as were asked for, by their place in the conversation, of this user only."""
    for number in (2, 1, 4, 3):
        await log.add(turn(number))
    await log.add(turn(9, user="bob"))
    assert await sequences(log, limit=3) == [2, 3, 4]
    assert await sequences(log, "bob") == [9]
    assert await sequences(log, "carol") == []


async def test_a_turn_is_there_once_however_often_it_is_added(log: TurnLog) -> None:
    """One after the other, side by side, and together with new ones."""
    await log.add(turn(1))
    await log.add(turn(1))
    await asyncio.gather(*(log.add(turn(1 + number % 3)) for number in range(30)))
    assert await sequences(log) == [1, 2, 3]


async def test_many_turns_are_written_together(log: TurnLog) -> None:
    """What waits while one transaction runs is in the next one: 500 turns take far fewer than 500."""
    batches: list[int] = []
    insert = log._insert
    log._insert = lambda turns: (batches.append(len(turns)), insert(turns))[1]  # type: ignore[method-assign,func-returns-value]
    await asyncio.gather(*(log.add(turn(number)) for number in range(1, 501)))
    assert len(await log.last("ada", 1000)) == sum(batches) == 500
    assert len(batches) <= 10


async def test_it_outlives_the_process(log: TurnLog, file: Path) -> None:
    """Another program reads the file while we write it; a new log goes on with it."""
    await log.add(turn(1))
    with closing(sqlite3.connect(file)) as reader:
        assert reader.execute("SELECT user_said FROM conversation_log").fetchall() == [("Hi",)]
    async with TurnLog(f"sqlite:///{file}") as again:
        await again.add(turn(1))
        await again.add(turn(2))
        assert await sequences(again) == [1, 2]


async def test_a_database_that_is_away_is_an_error_that_may_pass(log: TurnLog, file: Path) -> None:
    """Of the call; it is left alone for a moment, and once it is back the same turn can be added."""
    file.mkdir(parents=True)  # noqa: ASYNC240  # no database can be there now
    with pytest.raises(LogUnavailableError, match=r"conversation log: .*unable to open"):
        await log.add(turn(1))
    with pytest.raises(LogUnavailableError, match="a moment ago"):
        await log.last("ada", 1)
    file.rmdir()  # noqa: ASYNC240
    log._away_until = 0.0
    await log.add(turn(1))
    assert await sequences(log) == [1]


async def test_many_turns_that_a_database_does_not_take_are_tried_once(log: TurnLog, file: Path) -> None:
    """Not each by itself: that would take as many time-outs."""
    file.mkdir(parents=True)  # noqa: ASYNC240
    attempts: list[int] = []
    insert = log._insert
    log._insert = lambda turns: (attempts.append(len(turns)), insert(turns))[1]  # type: ignore[method-assign,func-returns-value]
    added = await asyncio.gather(*(log.add(turn(number)) for number in range(1, 51)), return_exceptions=True)
    assert {type(each) for each in added} == {LogUnavailableError}
    assert len(attempts) <= 2


async def test_a_database_that_hangs_keeps_nobody_waiting(file: Path) -> None:
    """It counts as away; what it was given is written once it goes on."""
    goes_on = threading.Event()
    async with TurnLog(f"sqlite:///{file}", seconds=0.05) as log:
        await log.add(turn(1))
        insert = log._insert
        log._insert = lambda turns: (goes_on.wait(20), insert(turns))[1]  # type: ignore[method-assign]
        with pytest.raises(LogUnavailableError, match="no answer within"):
            await log.add(turn(2), turn(3))
        for ask in (log.add(turn(4)), log.last("ada", 1)):
            with pytest.raises(LogUnavailableError, match="a moment ago"):
                await ask
        goes_on.set()
    async with TurnLog(f"sqlite:///{file}") as again:
        assert await sequences(again) == [1, 2, 3]


async def test_a_turn_that_the_database_refuses_holds_up_no_other(
    log: TurnLog, caplog: pytest.LogCaptureFixture
) -> None:
    """It is given up, with a line in the log; those that came with it are written."""
    insert = log._insert

    def refuse(turns: list[ConversationUpdated]) -> None:
        if any(each.sequence == 3 for each in turns):
            raise DataError("INSERT", {}, ValueError("too long"))
        insert(turns)

    log._insert = refuse  # type: ignore[method-assign]
    await log.add(*map(turn, range(1, 6)))
    assert await sequences(log) == [1, 2, 4, 5]
    assert "refuses turn ada-3" in caplog.text


async def test_closing_waits_for_no_database_that_hangs(file: Path) -> None:
    """What it has not written by then its agents keep."""
    goes_on = threading.Event()
    async with TurnLog(f"sqlite:///{file}", seconds=0.05) as log:
        insert = log._insert
        log._insert = lambda turns: (goes_on.wait(60), insert(turns))[1]  # type: ignore[method-assign]
        with pytest.raises(LogUnavailableError):
            await log.add(turn(1))
    assert log._thread._thread.is_alive()
    assert log._thread._thread.daemon
    goes_on.set()


async def test_who_leaves_takes_nothing_along(log: TurnLog) -> None:
    """A turn that nobody waits for any more is written with the others."""
    leaving = asyncio.create_task(log.add(turn(1)))
    await asyncio.sleep(0)
    leaving.cancel()
    await log.add(turn(2))
    assert await sequences(log) == [1, 2]


async def test_it_ends_with_what_waits_written(file: Path) -> None:
    """After its end a turn may be added again, elsewhere."""
    async with TurnLog(f"sqlite:///{file}") as log:
        adding = [asyncio.create_task(log.add(turn(number))) for number in range(1, 301)]
        await asyncio.sleep(0)
    await asyncio.gather(*adding)
    with pytest.raises(LogUnavailableError, match="closed"):
        await log.add(turn(301))
    with pytest.raises(LogUnavailableError, match="closed"):
        await log.last("ada", 1)
    async with TurnLog(f"sqlite:///{file}") as again:
        assert len(await sequences(again)) == 300


@pytest.mark.parametrize(
    "url",
    ["nonsense", "oracle12://x", "postgresql+nodriver://ada:s3cret@host/db", "://", "sqlite+aiosqlite:///x",
     "postgresql://ada:s3@cret:x@host/db", "postgresql://ada:s3cret@host:port/db"],
)  # fmt: skip
async def test_what_is_no_database_is_an_error_at_the_start(url: str) -> None:
    """It names the variable, and no part of the password."""
    with pytest.raises(StartupError, match="LOG_DATABASE_URL") as refused:
        async with TurnLog(url):
            pass
    assert not any(part in str(refused.value) for part in ("s3", "cret", "x@host"))


@pytest.mark.parametrize("name", ["state.db", "a?b#c.db", "100%.db", "ä ö.db"])
async def test_the_log_is_kept_beside_the_state(tmp_path: Path, name: str) -> None:
    """Whatever the file is called; a state that nobody keeps has a log that nobody keeps."""
    async with TurnLog(beside(str(tmp_path / "d?x" / name))) as log:
        await log.add(turn(1))
    assert (tmp_path / "d?x" / f"{Path(name).stem}-log.db").is_file()
    async with TurnLog(beside(":memory:")) as log:
        await log.add(turn(1))
        assert await sequences(log) == [1]
    async with TurnLog(beside(":memory:")) as log:
        assert await sequences(log) == []


PARTS = {
    "mysql": (
        "event_id VARCHAR(255) COLLATE utf8mb4_bin",
        "actor_id VARCHAR(64) COLLATE utf8mb4_bin",
        "user_said MEDIUMTEXT",
        "logged_at DATETIME(6)",
    ),
    "postgresql": ("event_id VARCHAR(255)", "user_said TEXT", "logged_at TIMESTAMP WITH TIME ZONE"),
}


@pytest.mark.parametrize("name", PARTS)
def test_the_table_holds_what_is_said_in_every_database(name: str) -> None:
    """Names are exact, texts may be long, and times have fractions."""
    created = str(CreateTable(TURNS).compile(dialect=registry.load(name)()))
    for part in PARTS[name]:
        assert part in created


def test_times_are_utc_wherever_the_database_is() -> None:
    """One with another time zone's time tells the same moment."""
    east = timezone(timedelta(hours=2))
    row = SimpleNamespace(
        sequence=1, user_said="Hi", assistant_said="Hello", logged_at=datetime(2026, 1, 1, 14, tzinfo=east)
    )
    assert _turn(row).logged_at.isoformat() == "2026-01-01T12:00:00+00:00"
