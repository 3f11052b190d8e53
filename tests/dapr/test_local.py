"""The runtime that the other tests here stand on: it comes up, goes down, and survives what is done to its parts."""

import asyncio
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from multi_actor.contracts import CHAT, PUBSUB, USER_CHAT
from tests.dapr.runtime import ROOT, required_runtime
from tests.dapr.stub import StubApp, stub_app
from tests.support import wait_until
from tools.dapr.local import ControlPlane, Sidecar
from tools.dapr.processes import Process, ProcessError, http_get

# Of this machine, not of our components: there is no certificate authority, and a line that 1.18 writes in any case.
INEVITABLE = ("mTLS is disabled.", "Graceful shutdown timeout is infinite")

DAPR_TOKEN = secrets.token_hex()
APP_TOKEN = secrets.token_hex()


@pytest.fixture
async def stub() -> AsyncIterator[StubApp]:
    async with stub_app() as stub:
        yield stub


@pytest.fixture
async def sidecar(plane: ControlPlane, stub: StubApp) -> AsyncIterator[Sidecar]:
    sidecar = plane.sidecar(app_port=stub.port)
    await sidecar.start()
    await hosting(sidecar)
    yield sidecar
    sidecar.kill()  # the stub does not end, and would be waited for


async def hosting(sidecar: Sidecar) -> None:
    """Return once actors can be called through the sidecar."""

    async def holds() -> bool:
        metadata = await sidecar.metadata()
        return bool(metadata.get("actorRuntime", {}).get("hostReady"))

    await wait_until(holds, description="the sidecar hosts actors", within=60)


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_everything_comes_up_and_goes_down(tmp_path: Path) -> None:
    """What the control plane started, sidecars included, is gone when it is left."""
    async with stub_app() as stub, ControlPlane(tmp_path, binaries=required_runtime()) as plane:
        sidecar = plane.sidecar(app_port=stub.port)
        await sidecar.start()
        pids = [part.pid for part in (plane.redis, plane.placement, plane.scheduler, sidecar)]
        assert all(exists(pid) for pid in pids)
        sidecar.kill()
    assert not any(exists(pid) for pid in pids)


async def test_the_sidecar_loads_our_components(sidecar: Sidecar) -> None:
    """All of them, with the actors' state store and both subscriptions, and without one warning."""
    metadata = await sidecar.metadata()
    assert {(component["name"], component["type"]) for component in metadata["components"]} == {
        ("statestore", "state.redis"),
        (PUBSUB, "pubsub.redis"),
        ("kubernetes", "secretstores.local.file"),
    }
    assert {subscription["topic"] for subscription in metadata["subscriptions"]} == {
        USER_CHAT,
        f"{USER_CHAT}-dead-letter",
    }
    assert [resiliency["name"] for resiliency in metadata["resiliencies"]] == ["resiliency"]
    assert [actors["type"] for actors in metadata["actorRuntime"]["activeActors"]] == [CHAT]
    bad = [line for line in sidecar.output.splitlines() if "level=info" not in line and "level=" in line]
    assert [line for line in bad if not any(words in line for words in INEVITABLE)] == []


@pytest.mark.parametrize("name", ["redis", "placement", "scheduler", "daprd"])
async def test_each_part_can_be_killed_and_started_again(name: str, plane: ControlPlane, sidecar: Sidecar) -> None:
    """It takes up its ports and its data again, and the sidecar goes on with it."""
    base = f"http://127.0.0.1:{sidecar.http_port}/v1.0"
    async with httpx.AsyncClient(timeout=20) as client:
        saved = await client.post(f"{base}/state/statestore", json=[{"key": "kept", "value": "yes"}])
        job = await client.post(f"{base}-alpha1/jobs/kept", json={"dueTime": "1h", "data": "yes"})
        assert (saved.status_code, job.status_code) == (204, 204), (saved.text, job.text)

        part: Process = sidecar if name == "daprd" else getattr(plane, name)
        before = part.pid
        part.kill()
        assert not part.running
        assert not exists(before)
        await part.start()
        assert part.running

        async def kept() -> bool:
            try:
                state = await client.get(f"{base}/state/statestore/kept")
                job = await client.get(f"{base}-alpha1/jobs/kept", timeout=2)
            except httpx.TransportError:  # the sidecar has yet to notice that the part is back
                return False
            return state.is_success and state.json() == "yes" and job.is_success

        await wait_until(kept, description=f"state and job are there with {name} started again", within=60)
        await hosting(sidecar)


async def test_a_paused_part_answers_nothing_until_it_goes_on(sidecar: Sidecar) -> None:
    """Its connections stay open, as with a machine that hangs."""
    sidecar.pause()

    async def silent() -> bool:  # a processor that has not heard yet may end what it is at
        return (await http_get(sidecar.http_port, "/v1.0/metadata"))[0] == 0

    await wait_until(silent, description="the sidecar answers nothing")
    assert sidecar.running
    sidecar.resume()
    await hosting(sidecar)


async def test_the_sidecar_asks_for_its_token_and_passes_ours_on(plane: ControlPlane, stub: StubApp) -> None:
    """Both tokens are in the environment that the application gets."""
    sidecar = plane.sidecar(app_port=stub.port, dapr_api_token=DAPR_TOKEN, app_api_token=APP_TOKEN)
    await sidecar.start()
    assert (await http_get(sidecar.http_port, "/v1.0/metadata"))[0] == 401
    await hosting(sidecar)
    assert sidecar.env() == {
        "DAPR_HTTP_PORT": str(sidecar.http_port),
        "DAPR_GRPC_PORT": str(sidecar.grpc_port),
        "DAPR_API_TOKEN": DAPR_TOKEN,
        "APP_API_TOKEN": APP_TOKEN,
    }
    sidecar.kill()


async def test_what_does_not_come_up_says_why(tmp_path: Path) -> None:
    """The error has the end of the process's own output."""

    async def never() -> bool:
        return False

    command = [sys.executable, "-c", "raise SystemExit('no battery')"]
    process = Process("clock", command, log=tmp_path / "log", ready=never)
    with pytest.raises(ProcessError, match=r"clock ended with status 1; .*\n  no battery"):
        await process.start()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own signal")
async def test_children_die_with_their_parent(tmp_path: Path) -> None:
    """A test run that is killed leaves no process."""
    program = (
        "import asyncio, sys, time; from pathlib import Path; from tools.dapr.processes import Process\n"
        f"child = Process('child', ['sleep', '1000'], log=Path({str(tmp_path / 'log')!r}))\n"
        "asyncio.run(child.start()); print(child.pid, flush=True); time.sleep(1000)"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout
    child = int(await parent.stdout.readline())
    assert exists(child)
    parent.send_signal(signal.SIGKILL)
    await parent.wait()
    await wait_until(lambda: not exists(child), description="the child is gone")
