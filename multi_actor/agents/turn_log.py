"""The table of turns, in whichever database SQLAlchemy reaches."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from pydantic import BaseModel
from sqlalchemy import Column, DateTime, Engine, Integer, MetaData, String, Table, Text, create_engine, insert, select
from sqlalchemy.event import listen
from sqlalchemy.exc import ArgumentError, DataError, IntegrityError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from multi_actor.contracts import ConversationUpdated, MessageModel
from multi_actor.errors import LogUnavailableError, StartupError

T = TypeVar("T")
_MOST_AT_ONCE = 100  # rows of one transaction
_MEMORY = "sqlite://"

TURNS = Table(
    "conversation_log",
    MetaData(),
    Column("event_id", String(255), primary_key=True),
    Column("actor_id", String(64), nullable=False, index=True),
    Column("sequence", Integer, nullable=False),
    Column("user_said", Text, nullable=False),
    Column("assistant_said", Text, nullable=False),
    Column("logged_at", DateTime(timezone=True), nullable=False),
)

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
    more than ``seconds``, is an error of the call, not of the start: it may come back.
    """

    def __init__(self, url: str, *, seconds: float = 5.0) -> None:
        self._url = url
        self._seconds = seconds
        self._waiting: list[tuple[ConversationUpdated, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._there = False  # whether the table is known to be
        self._open = False

    async def __aenter__(self) -> Self:
        """Find the driver.

        Raises:
            StartupError: the URL is no database's, or its driver is not installed.
        """
        try:
            self._engine = self._make_engine()
        except (ArgumentError, NoSuchModuleError, ImportError) as error:
            raise StartupError(f"LOG_DATABASE_URL: {error}") from None
        self._thread = ThreadPoolExecutor(1, "conversation-log")
        self._there = False
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what waits, and close."""
        self._open = False
        if self._writing:
            await asyncio.wait([self._writing])
        await asyncio.get_running_loop().run_in_executor(self._thread, self._engine.dispose)
        self._thread.shutdown()

    async def add(self, turn: ConversationUpdated) -> None:
        """Return once the turn is in the table, where it is once, however often it is added.

        Raises:
            LogUnavailableError: it may not be there, and may be added again.
        """
        self._check_open()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((turn, done))
        if not self._writing:
            self._writing = asyncio.create_task(self._write())
        async with self._patience():
            await done

    async def last(self, actor_id: str, limit: int) -> list[LoggedTurn]:
        """Return up to ``limit`` turns of a user, the latest ones, oldest first.

        Raises:
            LogUnavailableError: the database does not answer.
        """
        self._check_open()
        async with self._patience():
            return await self._run(lambda: self._read(actor_id, limit))

    @asynccontextmanager
    async def _patience(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._seconds):
                yield
        except TimeoutError:
            raise LogUnavailableError(f"no answer within {self._seconds:g} s") from None

    def _check_open(self) -> None:
        if not self._open:
            raise LogUnavailableError("it is closed")

    async def _write(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:_MOST_AT_ONCE], self._waiting[_MOST_AT_ONCE:]
                await self._write_all(batch)
        finally:
            self._writing = None

    async def _write_all(self, batch: list[tuple[ConversationUpdated, asyncio.Future[None]]]) -> None:
        try:
            await self._run(lambda: self._insert([turn for turn, _ in batch]))
        except Exception as error:  # noqa: BLE001  # whoever waits for it gets it
            if len(batch) > 1:  # one that the database does not take is no reason to refuse the others
                for each in batch:
                    await self._write_all([each])
                return
            _settle(batch[0][1], error)
            return
        for _, done in batch:
            _settle(done, None)

    async def _run(self, work: Callable[[], T]) -> T:
        def translated() -> T:
            try:
                return work()
            except DataError:
                raise  # of what is written, whenever it is tried
            except (SQLAlchemyError, OSError) as error:
                raise LogUnavailableError(str(error).partition("\n")[0]) from error

        return await asyncio.get_running_loop().run_in_executor(self._thread, translated)

    # -- in the thread

    def _make_engine(self) -> Engine:
        engine = create_engine(
            self._url, pool_pre_ping=True, **({"poolclass": StaticPool} if self._url == _MEMORY else {})
        )
        if engine.dialect.name == "sqlite":
            listen(engine, "connect", _write_ahead)
        return engine

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
            file = self._engine.url.database
            if self._engine.dialect.name == "sqlite" and file:
                Path(file).parent.mkdir(parents=True, exist_ok=True)
            TURNS.metadata.create_all(self._engine)
            self._there = True


def _write_ahead(connection: Any, _: object) -> None:
    """Have a commit wait for no disk, and readers in other processes not for us; a crash of ours loses nothing."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def _settle(done: asyncio.Future[None], error: Exception | None) -> None:
    if done.done():  # whoever waited has left
        return
    if error:
        done.set_exception(error)
    else:
        done.set_result(None)


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
    return LoggedTurn(
        sequence=row.sequence,
        input=MessageModel(role="user", content=row.user_said),
        output=MessageModel(role="assistant", content=row.assistant_said),
        logged_at=row.logged_at.replace(tzinfo=UTC) if row.logged_at.tzinfo is None else row.logged_at,
    )
