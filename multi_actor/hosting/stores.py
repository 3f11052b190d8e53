"""State, reminders and topics in one SQLite file (or in memory), through one writer thread with group commit."""

import asyncio
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from multi_actor.errors import (
    StartupError,
    StateFileInUseError,
    StateFileUnreadableError,
    StoreUnavailableError,
)
from multi_actor.hosting.abc import ActorKey, StateStore, StoredEvent, StoredReminder, TopicStatus

_log = logging.getLogger(__name__)

# One entry per schema version, applied in order to an older file; an entry that was released never changes.
_SCHEMA = (
    """
    CREATE TABLE state (
        actor_type TEXT, actor_id TEXT, name TEXT, value TEXT NOT NULL, expires REAL,
        PRIMARY KEY (actor_type, actor_id, name)
    );
    CREATE INDEX state_expires ON state (expires) WHERE expires IS NOT NULL;
    CREATE TABLE reminder (
        actor_type TEXT, actor_id TEXT, name TEXT, body TEXT NOT NULL, due REAL NOT NULL, expires REAL,
        fired INTEGER NOT NULL,
        PRIMARY KEY (actor_type, actor_id, name)
    );
    CREATE TABLE event (id INTEGER PRIMARY KEY, topic TEXT NOT NULL, body TEXT NOT NULL, dead INTEGER NOT NULL);
    CREATE INDEX event_topic ON event (topic, dead, id);
    """,
)

# SQLite takes Dapr's transaction apart itself: the event loop's thread never parses what it only passes on.
_UPSERT = """
    INSERT INTO state (actor_type, actor_id, name, value, expires)
    SELECT :type, :id, value ->> '$.request.key', coalesce(value -> '$.request.value', 'null'),
        :now + nullif(max(CAST(value ->> '$.request.metadata.ttlInSeconds' AS REAL), 0), 0)
    FROM json_each(:operations) WHERE value ->> '$.operation' = 'upsert'
    ON CONFLICT DO UPDATE SET value = excluded.value, expires = excluded.expires
"""
_DELETE = """
    DELETE FROM state WHERE actor_type = :type AND actor_id = :id AND name IN (
        SELECT value ->> '$.request.key' FROM json_each(:operations) WHERE value ->> '$.operation' = 'delete')
"""
_GET = """
    SELECT value FROM state WHERE actor_type = ? AND actor_id = ? AND name = ? AND (expires IS NULL OR expires > ?)
"""
_BURY = """
    DELETE FROM event WHERE topic = ?1 AND dead AND id <= (
        SELECT id FROM event WHERE topic = ?1 AND dead ORDER BY id DESC LIMIT 1 OFFSET ?2)
"""


class _Job(NamedTuple):
    work: Callable[[sqlite3.Connection], Any]
    done: asyncio.Future[Any]
    writes: bool


_Result = tuple[_Job, Any, Exception | None]


class SqliteStore(StateStore):
    """Keeps everything in the SQLite file ``path``; ``:memory:`` keeps it while the store is open.

    All work is done by one thread: what arrives while it commits goes into its next commit together. ``sync`` is
    SQLite's ``synchronous``: ``normal`` survives the death of the process, ``full`` a power cut as well.
    """

    def __init__(self, path: str, *, sync: str = "normal") -> None:
        self._path = path
        self._sync = sync
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._last_event = 0

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[int] = loop.create_future()
        self._thread = threading.Thread(target=self._work, args=(loop, opened), name="state-store", daemon=True)
        self._thread.start()
        self._last_event = await opened
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread:
            thread, self._thread = self._thread, None
            self._jobs.put(None)
            await asyncio.to_thread(thread.join)

    # -- the thread

    def _work(self, loop: asyncio.AbstractEventLoop, opened: asyncio.Future[int]) -> None:
        try:
            connection = self._open()
            last_event = connection.execute("SELECT coalesce(max(id), 0) FROM event").fetchone()[0]
        except (StartupError, sqlite3.Error, OSError) as error:
            failure = error if isinstance(error, StartupError) else StateFileUnreadableError(self._path, str(error))
            loop.call_soon_threadsafe(opened.set_exception, failure)
            return
        loop.call_soon_threadsafe(opened.set_result, last_event)
        going = True
        while going:
            jobs: list[_Job] = []
            job = self._jobs.get()
            while job is not None:
                jobs.append(job)
                try:
                    job = self._jobs.get_nowait()
                except queue.Empty:
                    break
            going = job is not None
            results = self._commit(connection, [job for job in jobs if job.writes])
            results += [self._attempt(connection, job) for job in jobs if not job.writes]
            loop.call_soon_threadsafe(_settle, results)
        connection.close()

    def _open(self) -> sqlite3.Connection:
        if self._path != ":memory:":
            Path(self._path).parent.mkdir(parents=True, exist_ok=True)
        # A short wait: a process that was just killed may hold its lock for a moment.
        connection = sqlite3.connect(self._path, isolation_level=None, timeout=2.0)
        try:
            # One process per file; without sharing, WAL needs no shared memory either.
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {self._sync}")
            connection.execute("BEGIN IMMEDIATE")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > len(_SCHEMA):
                raise StateFileUnreadableError(
                    self._path, f"schema version {version}, while this release knows {len(_SCHEMA)}"
                )
            for statements in _SCHEMA[version:]:
                for statement in statements.split(";"):
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {len(_SCHEMA)}")
            connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            connection.close()
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise StateFileInUseError(self._path) from None
            raise
        return connection

    def _commit(self, connection: sqlite3.Connection, jobs: list[_Job]) -> list[_Result]:
        """Do the jobs in one transaction; if it fails, each in one of its own, so that one fault fails one job."""
        if not jobs:
            return []
        try:
            connection.execute("BEGIN")
            results: list[_Result] = [(job, job.work(connection), None) for job in jobs]
            connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001  # it goes to who asked
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if len(jobs) > 1:
                return [result for job in jobs for result in self._commit(connection, [job])]
            return [(jobs[0], None, self._failure(error))]
        return results

    def _attempt(self, connection: sqlite3.Connection, job: _Job) -> _Result:
        try:
            return job, job.work(connection), None
        except Exception as error:  # noqa: BLE001  # it goes to who asked
            return job, None, self._failure(error)

    def _failure(self, error: Exception) -> Exception:
        return StoreUnavailableError(self._path, str(error)) if isinstance(error, sqlite3.Error) else error

    # -- the event loop's side

    def _ask(self, work: Callable[[sqlite3.Connection], Any], *, writes: bool = True) -> asyncio.Future[Any]:
        if self._thread is None:
            raise StoreUnavailableError(self._path, "closed")
        done = asyncio.get_running_loop().create_future()
        self._jobs.put(_Job(work, done, writes))
        return done

    async def get(self, key: ActorKey, name: str, *, now: float) -> bytes | None:
        row = await self._ask(lambda c: c.execute(_GET, (*key, name, now)).fetchone(), writes=False)
        return row[0].encode() if row else None

    async def transact(self, key: ActorKey, operations: bytes, *, now: float) -> None:
        values = {"type": key.actor_type, "id": key.actor_id, "operations": operations.decode(), "now": now}

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(_UPSERT, values)
            if b'"delete"' in operations:
                connection.execute(_DELETE, values)

        await self._ask(work)

    async def purge(self, *, now: float) -> None:
        await self._ask(lambda c: c.execute("DELETE FROM state WHERE expires <= ?", (now,)))

    async def save_reminder(self, reminder: StoredReminder) -> None:
        row = (*reminder.key, reminder.name, reminder.body, reminder.due, reminder.expires, reminder.fired)
        await self._ask(lambda c: c.execute("INSERT OR REPLACE INTO reminder VALUES (?, ?, ?, ?, ?, ?, ?)", row))

    async def delete_reminder(self, key: ActorKey, name: str) -> None:
        statement = "DELETE FROM reminder WHERE actor_type = ? AND actor_id = ? AND name = ?"
        await self._ask(lambda c: c.execute(statement, (*key, name)))

    async def reminders(self) -> list[StoredReminder]:
        rows = await self._ask(lambda c: c.execute("SELECT * FROM reminder").fetchall(), writes=False)
        return [StoredReminder(ActorKey(*row[:2]), *row[2:]) for row in rows]

    async def append(self, topic: str, body: str) -> StoredEvent:
        self._last_event += 1
        event = StoredEvent(self._last_event, topic, body)
        row = (event.id, topic, body)
        await self._ask(lambda c: c.execute("INSERT INTO event VALUES (?, ?, ?, 0)", row))
        return event

    async def acknowledge(self, event: StoredEvent) -> None:
        await self._ask(lambda c: c.execute("DELETE FROM event WHERE id = ?", (event.id,)))

    async def bury(self, event: StoredEvent, *, keep: int) -> None:
        def work(connection: sqlite3.Connection) -> None:
            connection.execute("UPDATE event SET dead = 1 WHERE id = ?", (event.id,))
            connection.execute(_BURY, (event.topic, keep))

        await self._ask(work)

    async def events(self, topic: str, *, after: int = 0, limit: int = 1000, dead: bool = False) -> list[StoredEvent]:
        statement = "SELECT id, topic, body FROM event WHERE topic = ? AND dead = ? AND id > ? ORDER BY id LIMIT ?"
        rows = await self._ask(lambda c: c.execute(statement, (topic, dead, after, limit)).fetchall(), writes=False)
        return [StoredEvent(*row) for row in rows]

    async def count_events(self) -> dict[str, TopicStatus]:
        statement = "SELECT topic, sum(NOT dead), sum(dead) FROM event GROUP BY topic"
        rows = await self._ask(lambda c: c.execute(statement).fetchall(), writes=False)
        return {topic: TopicStatus(backlog, dead) for topic, backlog, dead in rows}


def _settle(results: list[_Result]) -> None:
    for job, result, error in results:
        if not job.done.done():  # who asked may have left
            if error:
                job.done.set_exception(error)
            else:
                job.done.set_result(result)
