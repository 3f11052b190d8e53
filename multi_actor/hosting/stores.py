"""State, reminders and topics in one SQLite file (or in memory), through one writer thread with group commit."""

import sqlite3
from pathlib import Path
from types import TracebackType
from typing import Self

from multi_actor.errors import (
    StateFileInUseError,
    StateFileUnreadableError,
    StoreUnavailableError,
)
from multi_actor.hosting.abc import ActorKey, StateStore, StoredEvent, StoredReminder, TopicStatus
from multi_actor.hosting.database import Bulk, DatabaseThread
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

# Turns go to SQLite as Dapr's JSON, an array of [type, id, now, operations] for all of a commit, and SQLite takes it
# apart itself: the event loop's thread never parses what it only passes on.
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
_SAVE = Bulk((_UPSERT,))
_SAVE_AND_DELETE = Bulk((_UPSERT, _DELETE))
_APPEND = Bulk(("INSERT INTO event SELECT value ->> 0, value ->> 1, value ->> 2, 0 FROM json_each(:jobs)",))
_ACKNOWLEDGE = Bulk(("DELETE FROM event WHERE id IN (SELECT value FROM json_each(:jobs))",))
_GET = """
    SELECT value FROM state WHERE actor_type = ? AND actor_id = ? AND name = ? AND (expires IS NULL OR expires > ?)
"""
_BURY = """
    DELETE FROM event WHERE topic = ?1 AND dead AND id <= (
        SELECT id FROM event WHERE topic = ?1 AND dead ORDER BY id DESC LIMIT 1 OFFSET ?2)
"""


class SqliteStore(StateStore):
    """Keeps everything in the SQLite file ``path``; ``:memory:`` keeps it while the store is open.

    ``sync`` is SQLite's ``synchronous``: ``normal`` survives the death of the process, ``full`` a power cut as well.
    """

    def __init__(self, path: str, *, sync: str = "normal") -> None:
        self._path = path
        self._sync = sync
        self._thread: DatabaseThread | None = None
        self._last_event = 0

    async def __aenter__(self) -> Self:
        thread = DatabaseThread(self._connect, self._failure)
        await thread.start()
        self._last_event = await thread.read(lambda c: c.execute("SELECT max(id) FROM event").fetchone()[0]) or 0
        self._thread = thread
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread:
            thread, self._thread = self._thread, None
            await thread.stop()

    @property
    def _database(self) -> DatabaseThread:
        if self._thread is None:
            raise StoreUnavailableError(self._path, "closed")
        return self._thread

    def _failure(self, error: Exception) -> Exception:
        return StoreUnavailableError(self._path, str(error)) if isinstance(error, sqlite3.Error) else error

    def _connect(self) -> sqlite3.Connection:
        try:
            return self._open()
        except (sqlite3.Error, OSError) as error:
            raise StateFileUnreadableError(self._path, str(error)) from None

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
                reason = f"schema version {version}, while this release knows {len(_SCHEMA)}"
                raise StateFileUnreadableError(self._path, reason)  # noqa: TRY301
            for statements in _SCHEMA[version:]:
                for statement in statements.split(";"):
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {len(_SCHEMA)}")
            connection.execute("COMMIT")
        except Exception as error:
            connection.close()
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
                raise StateFileInUseError(self._path) from None
            raise
        return connection

    async def get(self, key: ActorKey, name: str, *, now: float) -> bytes | None:
        row = await self._database.read(lambda c: c.execute(_GET, (*key, name, now)).fetchone())
        return row[0].encode() if row else None

    async def transact(self, key: ActorKey, operations: bytes, *, now: float) -> None:
        job = f"{write_json([*key, now])[:-1].decode()},{operations.decode()}]"
        await self._database.bulk(_SAVE_AND_DELETE if b'"delete"' in operations else _SAVE, job, key=key)

    async def purge(self, *, now: float) -> None:
        await self._database.write(lambda c: c.execute("DELETE FROM state WHERE expires <= ?", (now,)))

    async def save_reminder(self, reminder: StoredReminder) -> None:
        row = (*reminder.key, reminder.name, reminder.body, reminder.due, reminder.expires, reminder.fired)
        await self._database.write(
            lambda c: c.execute("INSERT OR REPLACE INTO reminder VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        )

    async def delete_reminder(self, key: ActorKey, name: str) -> None:
        statement = "DELETE FROM reminder WHERE actor_type = ? AND actor_id = ? AND name = ?"
        await self._database.write(lambda c: c.execute(statement, (*key, name)))

    async def reminders(self) -> list[StoredReminder]:
        rows = await self._database.read(lambda c: c.execute("SELECT * FROM reminder").fetchall())
        return [StoredReminder(ActorKey(*row[:2]), *row[2:]) for row in rows]

    async def append(self, topic: str, body: str) -> StoredEvent:
        self._last_event += 1
        event = StoredEvent(self._last_event, topic, body)
        await self._database.bulk(_APPEND, write_json([event.id, topic, body]).decode())
        return event

    async def acknowledge(self, event: StoredEvent) -> None:
        await self._database.bulk(_ACKNOWLEDGE, str(event.id))

    async def bury(self, event: StoredEvent, *, keep: int) -> None:
        def work(connection: sqlite3.Connection) -> None:
            connection.execute("UPDATE event SET dead = 1 WHERE id = ?", (event.id,))
            connection.execute(_BURY, (event.topic, keep))

        await self._database.write(work)

    async def events(self, topic: str, *, after: int = 0, limit: int = 1000, dead: bool = False) -> list[StoredEvent]:
        statement = "SELECT id, topic, body FROM event WHERE topic = ? AND dead = ? AND id > ? ORDER BY id LIMIT ?"
        rows = await self._database.read(lambda c: c.execute(statement, (topic, dead, after, limit)).fetchall())
        return [StoredEvent(*row) for row in rows]

    async def count_events(self) -> dict[str, TopicStatus]:
        statement = "SELECT topic, sum(NOT dead), sum(dead) FROM event GROUP BY topic"
        rows = await self._database.read(lambda c: c.execute(statement).fetchall())
        return {topic: TopicStatus(backlog, dead) for topic, backlog, dead in rows}
