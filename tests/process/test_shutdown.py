"""SIGTERM: readiness goes first, running turns finish, the process ends."""

import asyncio
import signal
from pathlib import Path

import httpx
import pytest

from tests.process.support import serving, started_as, state_in
from tests.support import wait_until

SLOW_RESPONDER = """
import asyncio
from pathlib import Path

FOLDER = Path(__file__).parent

class SlowResponder:
    async def respond(self, message, memory, number):
        (FOLDER / "asked").touch()
        while not (FOLDER / "go").exists():
            await asyncio.sleep(0.01)
        return "at last"
"""
HI = {"role": "user", "content": "Hi"}
EXIT_SECONDS = 10.0


def slow_responder(folder: Path) -> dict[str, str]:
    """Return the settings for a responder that begins a file `asked`, and answers once there is a file `go`."""
    (folder / "slow_responder.py").write_text(SLOW_RESPONDER)
    return {"PYTHONPATH": str(folder), "RESPONDER": "slow_responder:SlowResponder"}


@pytest.mark.parametrize("kind", ["main.py", "uvicorn"])
async def test_a_running_turn_finishes_after_readiness_has_gone(tmp_path: Path, kind: str) -> None:
    """Over a connection that is open /readyz turns 503, then the running turn is answered, then the process ends."""
    options = {**started_as(kind), **slow_responder(tmp_path), **state_in(tmp_path)}
    async with serving(tmp_path / "log", **options) as (service, client), service.client() as probe:
        assert (await probe.get("/readyz")).status_code == 200
        turn = asyncio.create_task(client.post("/chat/user1", json=HI))
        await wait_until((tmp_path / "asked").exists, description="the turn is running")
        service.process.send_signal(signal.SIGTERM)

        async def not_ready() -> bool:
            return (await probe.get("/readyz")).status_code == 503

        await wait_until(not_ready, description="readiness goes first")
        assert not turn.done()
        (tmp_path / "go").touch()
        answer = await turn
        assert answer.json() == {"response": {"role": "assistant", "content": "at last"}}
        await service.ended(within=EXIT_SECONDS)

    async with serving(tmp_path / "log", **options) as (_, client):
        history = (await client.get("/chat/user1/history")).json()["history"]
        assert history == [HI, {"role": "assistant", "content": "at last"}]


async def test_a_turn_that_does_not_finish_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    """Its client gets a 503, the process ends in time, and the turn is absent, not half."""
    options = {**slow_responder(tmp_path), **state_in(tmp_path)}
    async with serving(tmp_path / "log", **options) as (service, client):
        turn = asyncio.create_task(client.post("/chat/user1", json=HI, headers={"Idempotency-Key": "key-1"}))
        await wait_until((tmp_path / "asked").exists, description="the turn is running")
        service.process.send_signal(signal.SIGTERM)
        ended = asyncio.create_task(service.ended(within=EXIT_SECONDS))
        answer = await turn
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        await ended

    (tmp_path / "go").touch()
    async with serving(tmp_path / "log", **options) as (_, client):
        assert (await client.get("/chat/user1/history")).json() == {"history": []}
        assert (await client.post("/chat/user1", json=HI, headers={"Idempotency-Key": "key-1"})).status_code == 200
        assert (await client.get("/response/user1/count")).json() == {"count": 1}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_an_idle_service_ends_without_an_error(tmp_path: Path, number: signal.Signals) -> None:
    """Connections that are open and say nothing do not hold it up."""
    async with serving(tmp_path / "log", STATE_FILE=":memory:") as (service, client):
        assert (await client.get("/healthz")).status_code == 200
        service.process.send_signal(number)
        await service.ended(within=EXIT_SECONDS)
        assert "Traceback" not in service.log
        assert not [line for line in service.lines if line["level"] in {"ERROR", "CRITICAL"}]
        with pytest.raises(httpx.TransportError):
            await client.get("/healthz")
