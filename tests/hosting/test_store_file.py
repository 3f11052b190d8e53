"""The state file: who may open it, and what is said where it cannot be."""

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from multi_actor.errors import StartupError, StateFileInUseError, StateFileUnreadableError, StoreUnavailableError
from multi_actor.hosting.abc import ActorKey
from multi_actor.hosting.stores import SqliteStore

KEY = ActorKey("Probe", "1")
HOLD_THE_FILE = """
import asyncio, sys
from multi_actor.hosting.stores import SqliteStore

async def main():
    async with SqliteStore(sys.argv[1]):
        print("open", flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""


def upsert(name: str, value: str) -> bytes:
    return f'[{{"operation":"upsert","request":{{"key":"{name}","value":"{value}"}}}}]'.encode()


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def content_of(path: Path) -> bytes:
    return path.read_bytes()


def schema_of(path: Path) -> tuple[int, int]:
    """Its version, and how many tables and indexes there are."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return (
            connection.execute("PRAGMA user_version").fetchone()[0],
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0],
        )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
def other_process(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has the file open until its standard input ends."""
    command = [sys.executable, "-c", HOLD_THE_FILE, str(path)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "open\n"
            yield process
        finally:
            process.kill()


async def test_what_was_kept_is_there_when_the_file_is_opened_again(path: Path) -> None:
    """And its folder is made where it is missing."""
    path = path.parent / "a" / "folder" / "state.db"
    async with SqliteStore(str(path)) as store:
        await store.transact(KEY, upsert("name", "kept"), now=0)
    async with SqliteStore(str(path)) as store:
        assert await store.get(KEY, "name", now=0) == b'"kept"'


@pytest.mark.usefixtures("other_process")
async def test_a_file_that_another_process_has_open_is_refused(path: Path) -> None:
    """The error names the file and says what to do."""
    with pytest.raises(StateFileInUseError, match="in use by another process") as refused:
        await SqliteStore(str(path)).__aenter__()
    assert str(path) in str(refused.value)


async def test_a_file_is_free_once_its_process_was_killed(path: Path, other_process: "subprocess.Popen[str]") -> None:
    """No lock outlives the process that held it."""
    other_process.kill()
    other_process.wait()
    async with SqliteStore(str(path)) as store:
        assert await store.get(KEY, "name", now=0) is None


async def test_a_file_of_a_newer_release_is_refused(path: Path) -> None:
    """The error names the file and its schema version, and the file is left as it was."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 999")
    with pytest.raises(StartupError, match="999") as refused:
        await SqliteStore(str(path)).__aenter__()
    assert str(path) in str(refused.value)
    assert schema_of(path) == (999, 0)


@pytest.mark.parametrize(
    "content", [b"this is not a database\n" * 500, b"SQLite format 3\x00" + b"\xff" * 5000], ids=["text", "garbage"]
)
async def test_a_file_that_is_no_database_is_refused(path: Path, content: bytes) -> None:
    """The error names the file, which is left as it was."""
    write(path, content)
    with pytest.raises(StateFileUnreadableError) as refused:
        await SqliteStore(str(path)).__aenter__()
    assert str(path) in str(refused.value)
    assert content_of(path) == content


async def test_a_file_that_was_cut_short_is_refused(path: Path) -> None:
    """Damage is said at the start, or at the latest with the first read that meets it; it is never empty state."""
    async with SqliteStore(str(path)) as store:
        for number in range(200):
            await store.transact(KEY, upsert(f"name{number}", "x" * 1000), now=0)
    whole = content_of(path)
    write(path, whole[: len(whole) // 3])

    async def read_it_all() -> None:
        async with SqliteStore(str(path)) as store:
            for number in range(200):
                assert await store.get(KEY, f"name{number}", now=0)

    with pytest.raises((StateFileUnreadableError, StoreUnavailableError)) as refused:
        await read_it_all()
    assert str(path) in str(refused.value)


async def test_a_path_that_cannot_be_a_file_is_refused(tmp_path: Path) -> None:
    """A folder, or a folder's place that a file takes."""
    write(tmp_path / "file", b"")
    for path in (tmp_path, tmp_path / "file" / "state.db"):
        with pytest.raises(StateFileUnreadableError) as refused:
            await SqliteStore(str(path)).__aenter__()
        assert str(path) in str(refused.value)


async def refused_store(path: Path) -> SqliteStore:
    """Return a store that could not be opened, for its file is no database."""
    write(path, b"not a database" * 100)
    store = SqliteStore(str(path))
    with pytest.raises(StateFileUnreadableError):
        await store.__aenter__()
    return store


async def test_a_store_that_was_refused_can_be_opened_later(path: Path) -> None:
    """Once the file is in order the same store opens it."""
    store = await refused_store(path)
    write(path, b"")
    async with store:
        await store.transact(KEY, upsert("name", "kept"), now=0)
        assert await store.get(KEY, "name", now=0) == b'"kept"'


@pytest.mark.parametrize("sync", ["normal", "full"])
async def test_a_closed_store_refuses_work(path: Path, sync: str) -> None:
    """Before it is opened and after it is closed, on either sync level."""
    store = SqliteStore(str(path), sync=sync)
    with pytest.raises(StoreUnavailableError):
        await store.get(KEY, "name", now=0)
    async with store:
        await store.transact(KEY, upsert("name", "kept"), now=0)
    with pytest.raises(StoreUnavailableError):
        await store.transact(KEY, upsert("name", "late"), now=0)


async def test_a_store_that_was_refused_refuses_work(path: Path) -> None:
    """A caller gets an error rather than waiting for a store that never opened."""
    store = await refused_store(path)
    async with asyncio.timeout(5):
        with pytest.raises(StoreUnavailableError):
            await store.get(KEY, "name", now=0)
