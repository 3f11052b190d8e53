"""What it cannot start with is one clear error."""

from pathlib import Path

import pytest

from tests.process.support import MAIN, serving, started, started_as, state_in, uvicorn
from tools.dapr.processes import free_port


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "65536"),
        ("HISTORY_LIMIT", "0"),
        ("REQUEST_TIMEOUT_SECONDS", "soon"),
        ("STATE_SYNC", "sometimes"),
        ("ACTOR_HOST", "cloud"),
        ("LOG_LEVEL", "LOUD"),
        ("RESPONDER", "nowhere"),
        ("RESPONDER", "nowhere.at.all:factory"),
        ("RESPONDER", "json:no_such_factory"),
        ("RESPONDER", "multi_actor.actors.responder:"),
        ("RESPONDER", ":factory"),
        ("RESPONDER", "math:pi"),
        ("RESPONDER", "builtins:object"),
    ],
)
@pytest.mark.parametrize("kind", ["main.py", "uvicorn"])
async def test_a_bad_value_names_its_variable(tmp_path: Path, kind: str, name: str, value: str) -> None:
    """The process ends with an error that names the variable, and shows no stack."""
    async with started(tmp_path / "log", **started_as(kind), **{"STATE_FILE": ":memory:", name: value}) as service:
        said = await service.fails()
        assert name in said
        assert "Traceback" not in said


async def test_several_workers_by_the_environment_are_refused(tmp_path: Path) -> None:
    """The server's own variable for workers is answered like its option."""
    async with started(tmp_path / "log", command=MAIN, STATE_FILE=":memory:", WEB_CONCURRENCY="2") as service:
        said = await service.fails()
        assert "replicas" in said
        assert "Traceback" not in said


async def test_a_state_file_in_use_is_a_clear_error(tmp_path: Path) -> None:
    """A second process on the same file ends and says what to do; the first goes on."""
    async with serving(tmp_path / "first", **state_in(tmp_path)) as (_, client):
        async with started(tmp_path / "second", **state_in(tmp_path)) as second:
            said = await second.fails()
            assert "in use by another process" in said
            assert "STATE_FILE" in said
            assert "Traceback" not in said
        assert (await client.get("/readyz")).status_code == 200


@pytest.mark.parametrize("content", [b"this is no database" * 500, b"SQLite format 3\0" + b"\xff" * 8_000])
async def test_a_damaged_state_file_is_a_clear_error_and_stays_as_it_is(tmp_path: Path, content: bytes) -> None:
    """It is not overwritten, for there may be something to save."""
    state = tmp_path / "state.db"
    state.write_bytes(content)
    async with started(tmp_path / "log", STATE_FILE=str(state)) as service:
        said = await service.fails()
        assert str(state) in said
        assert "STATE_FILE" in said
        assert "Traceback" not in said
    assert state.read_bytes() == content


async def test_a_state_file_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    """A folder in the place of the file, or a file in the place of its folder."""
    (tmp_path / "file").write_text("")
    for state in (tmp_path, tmp_path / "file" / "state.db"):
        async with started(tmp_path / "log", STATE_FILE=str(state)) as service:
            said = await service.fails()
            assert str(state) in said
            assert "Traceback" not in said


async def test_several_workers_are_an_error_that_says_to_add_replicas(tmp_path: Path) -> None:
    """One process hosts an instance's actors: the workers end instead of sharing out the users."""
    port = free_port()
    command = uvicorn(port, "--workers", "2")
    async with started(tmp_path / "log", command=command, port=port, STATE_FILE=":memory:") as service:
        await service.ended()
        assert "add replicas" in service.log
        assert "Traceback" not in service.log
