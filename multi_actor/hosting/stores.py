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
from multi_actor.hosting.abc import ActorKey, TopicStatus
from multi_actor.hosting.database import DatabaseThread
from multi_actor.hosting.state_store import StateStore, StoredEvent, StoredReminder
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

# A commit's turns, published and delivered events go to SQLite in one statement, as JSON arrays that a trigger takes
# apart: a turn is Dapr's JSON in [type, id, now, operations], an event is [id, topic, body] and, delivered, its id.
# The event loop's thread never parses what it only passes on, and the statement is a transaction of its own.
_BATCH = """
    CREATE TEMP VIEW batch AS SELECT NULL AS turns, NULL AS published, NULL AS delivered;
    CREATE TEMP TRIGGER write_batch INSTEAD OF INSERT ON batch BEGIN
        INSERT INTO state (actor_type, actor_id, name, value, expires)
        SELECT turn.value ->> 0, turn.value ->> 1, change.value ->> '$.request.key',
            coalesce(change.value -> '$.request.value', 'null'),
            (turn.value ->> 2) + nullif(max(CAST(change.value ->> '$.request.metadata.ttlInSeconds' AS REAL), 0), 0)
        FROM json_each(NEW.turns) AS turn, json_each(turn.value, '$[3]') AS change
        WHERE change.value ->> '$.operation' = 'upsert'
        ON CONFLICT DO UPDATE SET value = excluded.value, expires = excluded.expires;
        DELETE FROM state WHERE (actor_type, actor_id, name) IN (
            SELECT turn.value ->> 0, turn.value ->> 1, change.value ->> '$.request.key'
            FROM json_each(NEW.turns) AS turn, json_each(turn.value, '$[3]') AS change
            WHERE change.value ->> '$.operation' = 'delete');
        INSERT INTO event SELECT value ->> 0, value ->> 1, value ->> 2, 0 FROM json_each(NEW.published);
        DELETE FROM event WHERE id IN (SELECT value FROM json_each(NEW.delivered));
    END;
"""
_WRITE_BATCH = "INSERT INTO batch VALUES (:turns, :published, :delivered)"
_NO_BATCH = {"turns": None, "published": None, "delivered": None}
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
        thread = DatabaseThread(self._connect, self._failure, bulk=_WRITE_BATCH, nothing=_NO_BATCH)
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
            connection.executescript(_BATCH)
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
        await self._database.bulk("turns", job, key=key)

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

    async def append(self, body: str, *topics: str) -> list[StoredEvent]:
        events = [StoredEvent(self._last_event + number, topic, body) for number, topic in enumerate(topics, 1)]
        self._last_event += len(events)
        rows = write_json([[event.id, event.topic, body] for event in events]).decode()
        await self._database.bulk("published", rows[1:-1])
        return events

    async def acknowledge(self, event: StoredEvent) -> None:
        await self._database.bulk("delivered", str(event.id))

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
