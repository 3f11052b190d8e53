"""The table of turns: each once, whatever the database does."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.exc import DataError

from multi_actor.agents.turn_log import TurnLog
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
    """Of the call; once it is back the same turn can be added."""
    file.mkdir(parents=True)  # noqa: ASYNC240  # no database can be there now
    with pytest.raises(LogUnavailableError, match=r"conversation log: .*unable to open"):
        await log.add(turn(1))
    with pytest.raises(LogUnavailableError):
        await log.last("ada", 1)
    file.rmdir()  # noqa: ASYNC240
    await log.add(turn(1))
    assert await sequences(log) == [1]


async def test_a_database_that_hangs_keeps_nobody_waiting(file: Path) -> None:
    """It counts as away; what it was given is written once it goes on."""
    goes_on = threading.Event()
    async with TurnLog(f"sqlite:///{file}", seconds=0.05) as log:
        await log.add(turn(1))
        insert = log._insert
        log._insert = lambda turns: (goes_on.wait(20), insert(turns))[1]  # type: ignore[method-assign]
        for ask in (log.add(turn(2)), log.add(turn(3)), log.last("ada", 1)):
            with pytest.raises(LogUnavailableError, match="no answer within"):
                await ask
        goes_on.set()
    async with TurnLog(f"sqlite:///{file}") as again:
        assert await sequences(again) == [1, 2, 3]


async def test_a_turn_that_the_database_refuses_holds_up_no_other(log: TurnLog) -> None:
    """Who adds it is told; those that came with it are written."""
    insert = log._insert

    def refuse(turns: list[object]) -> None:
        if any(each.sequence == 3 for each in turns):  # type: ignore[attr-defined]
            raise DataError("INSERT", {}, ValueError("too long"))
        insert(turns)  # type: ignore[arg-type]

    log._insert = refuse  # type: ignore[method-assign,assignment]
    added = await asyncio.gather(*(log.add(turn(number)) for number in range(1, 6)), return_exceptions=True)
    assert [type(each) for each in added] == [type(None), type(None), DataError, type(None), type(None)]
    assert await sequences(log) == [1, 2, 4, 5]


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


@pytest.mark.parametrize("url", ["nonsense", "oracle12://x", "postgresql+nodriver://host/db", "://"])
async def test_what_is_no_database_is_an_error_at_the_start(url: str) -> None:
    """It names the variable, and not the password in it."""
    with pytest.raises(StartupError, match="LOG_DATABASE_URL"):
        async with TurnLog(url):
            pass


async def test_an_error_at_the_start_keeps_the_password(caplog: pytest.LogCaptureFixture) -> None:
    """A driver that is missing is named, the URL is not."""
    with pytest.raises(StartupError) as refused:
        async with TurnLog("postgresql://ada:s3cret@host/db"):
            pass
    assert "s3cret" not in str(refused.value) + caplog.text
