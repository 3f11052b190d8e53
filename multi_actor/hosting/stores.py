"""State, reminders and topics in one SQLite file (or in memory), through one writer thread with group commit."""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator
from itertools import chain
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
from multi_actor.serialization import write_json

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

# A commit's transactions go to SQLite as one JSON array of [type, id, now, operations], which it takes apart itself:
# the event loop's thread never parses what it only passes on, and a statement costs one exchange of the interpreter's
# lock however many turns are in it (a statement per turn took a quarter of the event loop's time).
_OPERATIONS = """
    FROM json_each(:jobs) AS job, json_each(job.value, '$[3]') AS operation
    WHERE operation.value ->> '$.operation' =
"""
_UPSERT = f"""
    INSERT INTO state (actor_type, actor_id, name, value, expires)
    SELECT job.value ->> 0, job.value ->> 1, operation.value ->> '$.request.key',
        coalesce(operation.value -> '$.request.value', 'null'),
        (job.value ->> 2) + nullif(max(CAST(operation.value ->> '$.request.metadata.ttlInSeconds' AS REAL), 0), 0)
    {_OPERATIONS} 'upsert'
    ON CONFLICT DO UPDATE SET value = excluded.value, expires = excluded.expires
"""  # put together from constants
_DELETE = f"""
    DELETE FROM state WHERE (actor_type, actor_id, name) IN (
        SELECT job.value ->> 0, job.value ->> 1, operation.value ->> '$.request.key' {_OPERATIONS} 'delete')
"""  # noqa: S608
_APPEND = """
    INSERT INTO event SELECT value ->> 0, value ->> 1, value ->> 2, 0 FROM json_each(:jobs)
"""
_ACKNOWLEDGE = "DELETE FROM event WHERE id IN (SELECT value FROM json_each(:jobs))"
_GET = """
    SELECT value FROM state WHERE actor_type = ? AND actor_id = ? AND name = ? AND (expires IS NULL OR expires > ?)
"""
_BURY = """
    DELETE FROM event WHERE topic = ?1 AND dead AND id <= (
        SELECT id FROM event WHERE topic = ?1 AND dead ORDER BY id DESC LIMIT 1 OFFSET ?2)
"""


Work = Callable[[sqlite3.Connection], Any]


class _Job(NamedTuple):
    """Something to do, and who waits for it. ``what`` is JSON for the batched kinds, else a function."""

    what: Any
    done: asyncio.Future[Any]


_Result = tuple[_Job, Any, Exception | None]


class _Batch:
    """What one commit does, by kind, and the reads that follow it."""

    def __init__(self) -> None:
        self.transactions: dict[ActorKey, _Job] = {}
        self.appends: list[_Job] = []
        self.acknowledgements: list[_Job] = []
        self.writes: list[_Job] = []
        self.reads: list[_Job] = []

    def jobs(self) -> Iterator[_Job]:
        """Every job that writes."""
        return chain(self.transactions.values(), self.appends, self.acknowledgements, self.writes)

    def alone(self) -> Iterator["_Batch"]:
        """Each job that writes in a batch of its own."""
        for key, job in self.transactions.items():
            yield _Batch._of(transactions={key: job})
        for kind in ("appends", "acknowledgements", "writes"):
            for job in getattr(self, kind):
                yield _Batch._of(**{kind: [job]})

    @classmethod
    def _of(cls, **jobs: Any) -> Self:
        batch = cls()
        vars(batch).update(jobs)
        return batch

    def write(self, connection: sqlite3.Connection) -> list[_Result]:
        """Do all that writes; the first error ends it."""
        if self.transactions:
            operations = f"[{','.join(job.what for job in self.transactions.values())}]"
            connection.execute(_UPSERT, {"jobs": operations})
            if '"delete"' in operations:
                connection.execute(_DELETE, {"jobs": operations})
        for statement, jobs in ((_APPEND, self.appends), (_ACKNOWLEDGE, self.acknowledgements)):
            if jobs:
                connection.execute(statement, {"jobs": f"[{','.join(job.what for job in jobs)}]"})
        results = [(job, job.what(connection), None) for job in self.writes]
        return results + [(job, None, None) for job in self.jobs() if not callable(job.what)]


class SqliteStore(StateStore):
    """Keeps everything in the SQLite file ``path``; ``:memory:`` keeps it while the store is open.

    All work is done by one thread, a batch at a time: what arrives while one commits makes up the next. ``sync`` is
    SQLite's ``synchronous``: ``normal`` survives the death of the process, ``full`` a power cut as well.
    """

    def __init__(self, path: str, *, sync: str = "normal") -> None:
        self._path = path
        self._sync = sync
        self._batches: queue.SimpleQueue[_Batch | None] = queue.SimpleQueue()
        self._next = _Batch()
        self._busy = False
        self._thread: threading.Thread | None = None
        self._last_event = 0

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        opened: asyncio.Future[int] = self._loop.create_future()
        self._thread = threading.Thread(target=self._work, args=(opened,), name="state-store", daemon=True)
        self._thread.start()
        self._last_event = await opened
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread:
            await self._read(lambda _: None)  # its answer comes after that of everything before it
            thread, self._thread = self._thread, None
            self._batches.put(None)
            await asyncio.to_thread(thread.join)

    # -- the thread

    def _work(self, opened: asyncio.Future[int]) -> None:
        try:
            connection = self._open()
            last_event = connection.execute("SELECT coalesce(max(id), 0) FROM event").fetchone()[0]
        except (StartupError, sqlite3.Error, OSError) as error:
            failure = error if isinstance(error, StartupError) else StateFileUnreadableError(self._path, str(error))
            self._loop.call_soon_threadsafe(opened.set_exception, failure)
            return
        self._loop.call_soon_threadsafe(opened.set_result, last_event)
        while batch := self._batches.get():
            results = self._commit(connection, batch)
            results += [self._attempt(connection, job) for job in batch.reads]
            self._loop.call_soon_threadsafe(self._settle, results)
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

    def _commit(self, connection: sqlite3.Connection, batch: _Batch) -> list[_Result]:
        """Do a batch in one transaction; if it fails, each job in one of its own, so that one fault fails one job."""
        jobs = list(batch.jobs())
        if not jobs:
            return []
        try:
            connection.execute("BEGIN")
            results = batch.write(connection)
            connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001  # it goes to who asked
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if len(jobs) > 1:
                return [result for single in batch.alone() for result in self._commit(connection, single)]
            return [(jobs[0], None, self._failure(error))]
        return results

    def _attempt(self, connection: sqlite3.Connection, job: _Job) -> _Result:
        try:
            return job, job.what(connection), None
        except Exception as error:  # noqa: BLE001  # it goes to who asked
            return job, None, self._failure(error)

    def _failure(self, error: Exception) -> Exception:
        return StoreUnavailableError(self._path, str(error)) if isinstance(error, sqlite3.Error) else error

    # -- the event loop's side

    def _job(self, what: Any) -> _Job:
        if self._thread is None:
            raise StoreUnavailableError(self._path, "closed")
        if not self._busy:
            # Not before the event loop has gone round: what other turns ask for meanwhile comes along.
            self._busy = True
            self._loop.call_soon(self._hand_over)
        return _Job(what, self._loop.create_future())

    def _hand_over(self) -> None:
        batch, self._next = self._next, _Batch()
        self._batches.put(batch)

    def _settle(self, results: list[_Result]) -> None:
        for job, result, error in results:
            if not job.done.done():  # who asked may have left
                if error:
                    job.done.set_exception(error)
                else:
                    job.done.set_result(result)
        self._busy = next(self._next.jobs(), None) is not None or bool(self._next.reads)
        if self._busy:
            self._hand_over()

    def _write(self, work: Work) -> asyncio.Future[Any]:
        job = self._job(work)
        self._next.writes.append(job)
        return job.done

    def _read(self, work: Work) -> asyncio.Future[Any]:
        job = self._job(work)
        self._next.reads.append(job)
        return job.done

    async def get(self, key: ActorKey, name: str, *, now: float) -> bytes | None:
        row = await self._read(lambda c: c.execute(_GET, (*key, name, now)).fetchone())
        return row[0].encode() if row else None

    async def transact(self, key: ActorKey, operations: bytes, *, now: float) -> None:
        while (before := self._next.transactions.get(key)) is not None:
            # The turn before was cancelled while it saved: a commit holds one transaction of an actor, in order.
            await asyncio.wait([before.done])
        job = self._job(f"{write_json([*key, now])[:-1].decode()},{operations.decode()}]")
        self._next.transactions[key] = job
        await job.done

    async def purge(self, *, now: float) -> None:
        await self._write(lambda c: c.execute("DELETE FROM state WHERE expires <= ?", (now,)))

    async def save_reminder(self, reminder: StoredReminder) -> None:
        row = (*reminder.key, reminder.name, reminder.body, reminder.due, reminder.expires, reminder.fired)
        await self._write(lambda c: c.execute("INSERT OR REPLACE INTO reminder VALUES (?, ?, ?, ?, ?, ?, ?)", row))

    async def delete_reminder(self, key: ActorKey, name: str) -> None:
        statement = "DELETE FROM reminder WHERE actor_type = ? AND actor_id = ? AND name = ?"
        await self._write(lambda c: c.execute(statement, (*key, name)))

    async def reminders(self) -> list[StoredReminder]:
        rows = await self._read(lambda c: c.execute("SELECT * FROM reminder").fetchall())
        return [StoredReminder(ActorKey(*row[:2]), *row[2:]) for row in rows]

    async def append(self, topic: str, body: str) -> StoredEvent:
        self._last_event += 1
        event = StoredEvent(self._last_event, topic, body)
        job = self._job(write_json([event.id, topic, body]).decode())
        self._next.appends.append(job)
        await job.done
        return event

    async def acknowledge(self, event: StoredEvent) -> None:
        job = self._job(str(event.id))
        self._next.acknowledgements.append(job)
        await job.done

    async def bury(self, event: StoredEvent, *, keep: int) -> None:
        def work(connection: sqlite3.Connection) -> None:
            connection.execute("UPDATE event SET dead = 1 WHERE id = ?", (event.id,))
            connection.execute(_BURY, (event.topic, keep))

        await self._write(work)

    async def events(self, topic: str, *, after: int = 0, limit: int = 1000, dead: bool = False) -> list[StoredEvent]:
        statement = "SELECT id, topic, body FROM event WHERE topic = ? AND dead = ? AND id > ? ORDER BY id LIMIT ?"
        rows = await self._read(lambda c: c.execute(statement, (topic, dead, after, limit)).fetchall())
        return [StoredEvent(*row) for row in rows]

    async def count_events(self) -> dict[str, TopicStatus]:
        statement = "SELECT topic, sum(NOT dead), sum(dead) FROM event GROUP BY topic"
        rows = await self._read(lambda c: c.execute(statement).fetchall())
        return {topic: TopicStatus(backlog, dead) for topic, backlog, dead in rows}
