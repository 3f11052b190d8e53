"""The table of turns, in whichever database SQLAlchemy reaches."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from pydantic import BaseModel
from sqlalchemy import URL, Engine, create_engine, insert, make_url, select
from sqlalchemy.event import listen
from sqlalchemy.exc import ArgumentError, DataError, IntegrityError, NoSuchModuleError, SQLAlchemyError

from multi_actor.agents.table import TURNS
from multi_actor.agents.thread import WorkThread
from multi_actor.contracts import ConversationUpdated, MessageModel
from multi_actor.errors import LogUnavailableError, StartupError

_log = logging.getLogger(__name__)
T = TypeVar("T")
_MOST_AT_ONCE = 100  # rows of one transaction
EXAMPLE: dict[str, Any] = {
    "sequence": 1,
    "input": {"role": "user", "content": "Hi"},
    "output": {"role": "assistant", "content": "Hello"},
    "logged_at": "2026-01-31T12:00:00.123456Z",
}


class LoggedTurn(BaseModel):
    """One turn as it was logged; ``sequence`` counts the user's turns from 1, ``logged_at`` is UTC."""

    sequence: int
    input: MessageModel
    output: MessageModel
    logged_at: datetime


class TurnLog:
    """Writes and reads turns, one transaction after the other in a thread of its own.

    What arrives while a transaction is under way goes into the next one together. A database that is away, or takes
    more than ``seconds``, is an error of the call, not of the start: it may come back. ``sync`` (``normal`` or
    ``full``) is for SQLite what it is for the actors' state.
    """

    REST_SECONDS = 2.0
    """For so long a database is left alone after it has failed."""

    def __init__(self, url: str | URL, *, sync: str = "normal", seconds: float = 5.0) -> None:
        self._url = url
        self._sync = sync
        self._seconds = seconds
        self.owed: set[str] = set()
        """Users whose agents here hold turns that the database did not take."""
        self._waiting: list[tuple[ConversationUpdated, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._away_until = 0.0  # by the loop's clock
        self._there = False  # whether the table is known to be
        self._open = False

    async def __aenter__(self) -> Self:
        """Find the driver.

        Raises:
            StartupError: the URL is no database's, or its driver is not installed.
        """
        self._engine = self._make_engine()
        self._thread = WorkThread("conversation-log")
        self._thread.start()
        self._there = False
        self._away_until = 0.0
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what waits, within ``seconds``, and close."""
        self._open = False
        if writing := self._writing:
            await asyncio.wait([writing], timeout=self._seconds)
            writing.cancel()
        closing = asyncio.ensure_future(self._thread.do(self._engine.dispose))
        await asyncio.wait([closing], timeout=self._seconds)
        closing.cancel()
        self._thread.stop()

    async def add(self, *turns: ConversationUpdated) -> None:
        """Return once the turns are in the table, each of them once, however often it is added.

        One that does not fit into the table is given up, with a line in the log.

        Raises:
            LogUnavailableError: they may not all be there, and may be added again.
        """
        async with self._patience():
            await asyncio.gather(*map(self._add, turns))

    async def last(self, actor_id: str, limit: int) -> list[LoggedTurn]:
        """Return up to ``limit`` turns of a user, the latest ones, oldest first.

        Raises:
            LogUnavailableError: the database does not answer.
        """
        async with self._patience():
            return await self._run(lambda: self._read(actor_id, limit))

    @asynccontextmanager
    async def _patience(self) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        if not self._open:
            raise LogUnavailableError("it is closed")
        if loop.time() < self._away_until:
            raise LogUnavailableError("its database did not answer a moment ago")
        try:
            async with asyncio.timeout(self._seconds):
                yield
        except TimeoutError:
            self._away_until = loop.time() + self.REST_SECONDS
            raise LogUnavailableError(f"no answer within {self._seconds:g} s") from None
        except LogUnavailableError:
            self._away_until = loop.time() + self.REST_SECONDS
            raise

    def _add(self, turn: ConversationUpdated) -> asyncio.Future[None]:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((turn, done))
        if not self._writing:
            self._writing = asyncio.create_task(self._write())
        return done

    async def _write(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:_MOST_AT_ONCE], self._waiting[_MOST_AT_ONCE:]
                await self._write_all(batch)
        finally:
            self._writing = None

    async def _write_all(self, batch: list[tuple[ConversationUpdated, asyncio.Future[None]]]) -> None:
        failed: Exception | None = None
        try:
            await self._run(lambda: self._insert([turn for turn, _ in batch]))
        except Exception as error:  # noqa: BLE001  # whoever waits for it gets it
            if len(batch) > 1 and not isinstance(error, LogUnavailableError):
                for each in batch:  # one that the database does not take is no reason to refuse the others
                    await self._write_all([each])
                return
            if isinstance(error, DataError):
                _log.exception("the conversation log's database refuses turn %s for good", batch[0][0].event_id)
            else:
                failed = error
        for _, done in batch:
            if done.done():  # whoever waited has left
                continue
            if failed:
                done.set_exception(failed)
            else:
                done.set_result(None)

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            return await self._thread.do(work)
        except DataError:
            raise  # of what is written, whenever it is tried
        except (SQLAlchemyError, OSError) as error:
            raise LogUnavailableError(str(error).partition("\n")[0]) from error

    def _make_engine(self) -> Engine:
        try:
            url = make_url(self._url)
            engine = create_engine(url, pool_pre_ping=True)
        except (ArgumentError, NoSuchModuleError, ImportError) as error:
            raise StartupError(f"LOG_DATABASE_URL: {error}") from None
        except ValueError:  # it would show a part of the password
            raise StartupError("LOG_DATABASE_URL: it is no URL; is its password quoted?") from None
        if engine.dialect.is_async:
            raise StartupError(f"LOG_DATABASE_URL: the driver {engine.driver} is for asyncio; name another")
        if engine.dialect.name == "sqlite":
            listen(engine, "connect", self._configure)
        return engine

    # -- in the thread

    def _configure(self, connection: Any, _: object) -> None:
        """Let other processes read while we write."""
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {self._sync}")

    def _insert(self, turns: list[ConversationUpdated]) -> None:
        self._create()
        rows = {turn.event_id: _row(turn) for turn in turns}
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(TURNS), list(rows.values()))
        except IntegrityError:  # one of them is there: only then does it pay to ask which
            with self._engine.begin() as connection:
                there = connection.scalars(select(TURNS.c.event_id).where(TURNS.c.event_id.in_(rows))).all()
                if new := [row for event_id, row in rows.items() if event_id not in there]:
                    connection.execute(insert(TURNS), new)

    def _read(self, actor_id: str, limit: int) -> list[LoggedTurn]:
        self._create()
        latest = select(TURNS).where(TURNS.c.actor_id == actor_id).order_by(TURNS.c.sequence.desc()).limit(limit)
        with self._engine.connect() as connection:
            return [_turn(row) for row in reversed(connection.execute(latest).all())]

    def _create(self) -> None:
        if not self._there:
            if self._engine.dialect.name == "sqlite" and self._engine.url.database:
                Path(self._engine.url.database).parent.mkdir(parents=True, exist_ok=True)
            TURNS.metadata.create_all(self._engine)
            self._there = True


def beside(state_file: str) -> URL:
    """Return the log that belongs to a state file: a SQLite file beside it, or none that is kept."""
    file = Path(state_file)
    kept = state_file != ":memory:"
    return URL.create("sqlite", database=str(file.with_name(f"{file.stem}-log.db")) if kept else None)


def _row(turn: ConversationUpdated) -> dict[str, Any]:
    return {
        "event_id": turn.event_id,
        "actor_id": turn.actor_id,
        "sequence": turn.sequence,
        "user_said": turn.input.content,
        "assistant_said": turn.output.content,
        "logged_at": datetime.now(UTC),
    }


def _turn(row: Any) -> LoggedTurn:
    logged_at: datetime = row.logged_at
    return LoggedTurn(
        sequence=row.sequence,
        input=MessageModel(role="user", content=row.user_said),
        output=MessageModel(role="assistant", content=row.assistant_said),
        logged_at=logged_at.astimezone(UTC) if logged_at.tzinfo else logged_at.replace(tzinfo=UTC),
    )
