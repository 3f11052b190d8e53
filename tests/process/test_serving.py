"""It starts, serves, and keeps what it answered."""

import shutil
import signal
from pathlib import Path

import pytest

from tests.process.support import ROOT, serving, started, started_as, state_in
from tests.support import wait_until
from tests.test_conversation import memory_of, say


@pytest.mark.parametrize("kind", ["main.py", "uvicorn"])
async def test_both_ways_of_starting_serve_a_conversation(tmp_path: Path, kind: str) -> None:
    """`python main.py` and `uvicorn main:app` obey PORT or --port, and STATE_FILE."""
    state = tmp_path / "deep" / "er" / "state.db"
    async with serving(tmp_path / "log", **started_as(kind), STATE_FILE=str(state)) as (service, client):
        reply = await say(client, "user1", "Hi")
        assert (await client.get("/chat/user1/history")).json()["history"][-1] == reply
        assert state.exists()
        assert service.process.poll() is None


async def test_what_was_answered_survives_a_kill(tmp_path: Path) -> None:
    """After SIGKILL and a restart the history, the count, the reply of a key and the memory are there."""
    key = {"Idempotency-Key": "key-1"}
    async with serving(tmp_path / "log", **state_in(tmp_path)) as (service, client):
        reply = await say(client, "user1", "Hi", **key)
        service.process.send_signal(signal.SIGKILL)
        await service.ended()
    async with serving(tmp_path / "log", **state_in(tmp_path)) as (_, client):
        typed = [{"role": "user", "content": "Hi"}, reply]
        assert (await client.get("/chat/user1/history")).json() == {"history": typed}
        assert (await client.get("/response/user1/count")).json() == {"count": 1}
        assert await say(client, "user1", "Hi", **key) == reply

        async def remembered() -> bool:
            return await memory_of(client, "user1") == typed

        await wait_until(remembered, description="the turn reaches the memory after the restart", within=60)


async def test_port_zero_lets_the_system_choose(tmp_path: Path) -> None:
    """The log names the port that was chosen."""
    async with started(tmp_path / "log", PORT="0", STATE_FILE=":memory:") as service:
        await wait_until(lambda: "running on http://127.0.0.1:" in service.log, description="the log names the port")
        service.port = int(service.log.split("running on http://127.0.0.1:")[1].split()[0].strip('"/.'))
        await service.ready()
        async with service.client() as client:
            await say(client, "user1", "Hi")


def copy_of_the_source(folder: Path) -> Path:
    copy = folder / "copy"
    copy.mkdir()
    shutil.copy(ROOT / "main.py", copy)
    shutil.copytree(ROOT / "multi_actor", copy / "multi_actor", ignore=shutil.ignore_patterns("__pycache__"))
    return copy


async def test_a_fresh_copy_starts(tmp_path: Path) -> None:
    """Nothing but the source is needed, and with STATE_FILE=:memory: nothing is left behind."""
    copy = copy_of_the_source(tmp_path)
    async with serving(tmp_path / "log", root=copy, STATE_FILE=":memory:", PYTHONDONTWRITEBYTECODE="1") as (_, client):
        await say(client, "user1", "Hi")
    assert sorted(path.name for path in copy.iterdir()) == ["main.py", "multi_actor"]


async def test_the_default_state_file_is_under_the_working_folder(tmp_path: Path) -> None:
    """Without STATE_FILE the state is in .data, and an empty value is as good as none."""
    copy = copy_of_the_source(tmp_path)
    async with serving(tmp_path / "log", root=copy, STATE_FILE="") as (_, client):
        await say(client, "user1", "Hi")
    assert (copy / ".data" / "multi-actor.db").exists()


async def test_json_lines_and_text_lines(tmp_path: Path) -> None:
    """LOG_FORMAT=json is one object a line; without it, away from a terminal, as well; text is for people."""
    for log_format in ("json", ""):
        log = tmp_path / f"log-{log_format}"
        async with serving(log, LOG_FORMAT=log_format, STATE_FILE=":memory:") as (service, client):
            await say(client, "user1", "Hi", **{"X-Request-ID": "request-1"})
            (line,) = (line for line in service.lines if line["message"] == "Processed message for history-user1")
            assert (line["level"], line["correlation_id"]) == ("INFO", "request-1")
            assert line["time"].endswith("Z")
    async with serving(tmp_path / "text", LOG_FORMAT="text", STATE_FILE=":memory:") as (service, client):
        await say(client, "user1", "Hi", **{"X-Request-ID": "request-1"})
        assert "Z INFO [request-1] Processed message for history-user1\n" in service.log
