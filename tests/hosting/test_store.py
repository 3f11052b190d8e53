"""The SQLite store: order, group commit, and faults that cost no acknowledged data."""

import asyncio
import itertools
import json
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from multi_actor.errors import StoreUnavailableError
from multi_actor.hosting.abc import ActorKey, TopicStatus
from multi_actor.hosting.state_store import StoredReminder
from multi_actor.hosting.stores import SqliteStore

KEY = ActorKey("Probe", "1")


class WatchedStore(SqliteStore):
    """Records the statements that SQLite runs; may be given a small disk."""

    def __init__(self, path: str, *, pages: int = 0) -> None:
        super().__init__(path)
        self.pages = pages
        self.statements: list[str] = []

    def _open(self) -> sqlite3.Connection:
        connection = super()._open()
        if self.pages:
            connection.execute(f"PRAGMA max_page_count = {self.pages}")
        connection.set_trace_callback(self.statements.append)
        return connection

    def commits(self) -> int:
        return sum(statement.startswith(("COMMIT", "INSERT INTO batch")) for statement in self.statements)


@pytest.fixture(params=["memory", "file"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return ":memory:" if request.param == "memory" else str(tmp_path / "state.db")


@pytest.fixture
async def store(path: str) -> AsyncIterator[WatchedStore]:
    async with WatchedStore(path) as store:
        yield store


def upsert(**values: Any) -> bytes:
    return json.dumps(
        [{"operation": "upsert", "request": {"key": name, "value": value}} for name, value in values.items()]
    ).encode()


def delete(*names: str) -> bytes:
    return json.dumps([{"operation": "delete", "request": {"key": name}} for name in names]).encode()


async def read(store: SqliteStore, key: ActorKey, name: str) -> Any:
    value = await store.get(key, name, now=0)
    return None if value is None else json.loads(value)


async def test_many_writers_share_commits(store: WatchedStore) -> None:
    """What arrives while the store commits goes into its next commit together."""
    keys = [ActorKey("Probe", str(number)) for number in range(300)]
    await asyncio.gather(*(store.transact(key, upsert(name=key.actor_id), now=0) for key in keys))
    assert 1 <= store.commits() < 100
    assert [await read(store, key, "name") for key in keys] == [key.actor_id for key in keys]


async def test_calls_take_effect_in_the_order_in_which_they_were_made(store: WatchedStore) -> None:
    """Also where they are made together: the last write wins, and a read sees every write before it."""
    for _ in range(20):
        results = await asyncio.gather(
            store.transact(KEY, upsert(name=1, other=1), now=0),
            store.transact(KEY, upsert(name=2), now=0),
            read(store, KEY, "name"),
            store.transact(KEY, delete("name"), now=0),
            read(store, KEY, "other"),
            store.transact(KEY, upsert(name=3), now=0),
            store.transact(KEY, delete("other"), now=0),
        )
        assert results[4] in (1, None)
        assert await read(store, KEY, "name") == 3
        assert await read(store, KEY, "other") is None


async def test_a_read_sees_the_write_that_was_asked_for_before_it(store: WatchedStore) -> None:
    """Without waiting for the write first."""
    for number in range(50):
        _, seen = await asyncio.gather(store.transact(KEY, upsert(name=number), now=0), read(store, KEY, "name"))
        assert seen == number


async def test_one_bad_job_fails_alone(store: WatchedStore) -> None:
    """Of writes that share a commit, the one that cannot be done is refused, and the others are kept."""
    keys = [ActorKey("Probe", str(number)) for number in range(20)]
    writes = [store.transact(key, b"[{" if key.actor_id == "7" else upsert(name=1), now=0) for key in keys]
    events = [store.append("{}", "news") for _ in range(5)]
    results = await asyncio.gather(*writes, *events, return_exceptions=True)
    failed = [number for number, result in enumerate(results) if isinstance(result, BaseException)]
    assert failed == [7]
    assert isinstance(results[7], StoreUnavailableError)
    assert [await read(store, key, "name") for key in keys] == [None if key.actor_id == "7" else 1 for key in keys]
    assert await store.count_events() == {"news": TopicStatus(backlog=5, dead_letters=0)}


async def test_a_caller_that_leaves_harms_nobody(store: WatchedStore) -> None:
    """Its write may be kept or not; the others get their answers."""
    calls = [asyncio.create_task(store.transact(KEY, upsert(**{f"n{number}": 1}), now=0)) for number in range(10)]
    await asyncio.sleep(0)
    calls[4].cancel()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(results[4], asyncio.CancelledError)
    assert [result for result in results if result is not None] == [results[4]]
    assert await read(store, KEY, "n9") == 1


async def test_a_full_disk_loses_nothing_that_was_acknowledged(path: str) -> None:
    """Writes are refused with an error after which asking again may help, and work again once there is room."""
    async with WatchedStore(path, pages=60) as store:
        kept: list[str] = []

        async def fill() -> None:
            for name in map("n{}".format, itertools.count()):
                await store.transact(KEY, upsert(**{name: "x" * 2000}), now=0)
                kept.append(name)

        with pytest.raises(StoreUnavailableError, match="full") as refused:
            await fill()
        assert path in str(refused.value)
        assert len(kept) > 10
        assert [name for name in kept if await read(store, KEY, name) is None] == []
        with pytest.raises(StoreUnavailableError):
            await store.append("x" * 100_000, "news")

        await store.transact(KEY, delete(*kept[:10]), now=0)
        await store.transact(KEY, upsert(again="there is room"), now=0)
        assert await read(store, KEY, "again") == "there is room"
        assert [name for name in kept[10:] if await read(store, KEY, name) is None] == []


async def test_a_full_disk_refuses_the_whole_transaction(path: str) -> None:
    """A turn whose changes do not all fit leaves none of them."""
    async with WatchedStore(path, pages=60) as store:
        await store.transact(KEY, upsert(small="before"), now=0)
        with pytest.raises(StoreUnavailableError):
            await store.transact(KEY, upsert(small="after", big="x" * 1_000_000), now=0)
        assert await read(store, KEY, "small") == "before"
        assert await read(store, KEY, "big") is None


async def test_expired_state_is_not_there_and_is_freed(store: WatchedStore) -> None:
    """From its moment on it is not read, purged or not."""
    operation = {"operation": "upsert", "request": {"key": "a", "value": 1, "metadata": {"ttlInSeconds": "10"}}}
    await store.transact(KEY, json.dumps([operation]).encode(), now=100)
    assert await store.get(KEY, "a", now=109.9) == b"1"
    assert await store.get(KEY, "a", now=110) is None
    await store.purge(now=109.9)
    assert await store.get(KEY, "a", now=109) == b"1"
    await store.purge(now=110)
    assert await store.get(KEY, "a", now=109) is None


async def test_reminders_are_kept_by_actor_and_name(store: WatchedStore) -> None:
    """Saved again they are replaced; forgotten they are gone, the others not."""
    first = StoredReminder(KEY, "first", "{}", due=1.5, expires=None)
    second = StoredReminder(KEY, "second", '{"data":"ü"}', due=2, expires=3.25, fired=7)
    other = StoredReminder(ActorKey("Probe", "2"), "first", "{}", due=1, expires=None)
    for reminder in (first, second, other):
        await store.save_reminder(reminder)
    again = StoredReminder(KEY, "first", "{}", due=9, expires=None)
    await store.save_reminder(again)
    assert sorted(await store.reminders(), key=str) == sorted([again, second, other], key=str)
    await store.delete_reminder(KEY, "first")
    await store.delete_reminder(KEY, "no such")
    assert sorted(await store.reminders(), key=str) == sorted([second, other], key=str)


async def test_events_are_kept_in_order_until_they_are_acknowledged(store: WatchedStore) -> None:
    """Dead letters are listed apart, and of each topic the newest are kept."""
    events = [(await store.append(str(number), "news"))[0] for number in range(6)]
    await store.append("rain", "weather")
    assert [event.body for event in await store.events("news")] == list("012345")
    assert await store.events("news", after=events[1].id, limit=2) == events[2:4]
    await store.acknowledge(events[0])
    for event in events[1:5]:
        await store.bury(event, keep=3)
    assert await store.events("news") == [events[5]]
    assert await store.events("news", dead=True) == events[2:5]
    assert await store.count_events() == {
        "news": TopicStatus(backlog=1, dead_letters=3),
        "weather": TopicStatus(backlog=1, dead_letters=0),
    }
