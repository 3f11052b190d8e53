"""What becomes of an event under our components: Dapr's own behaviour, which the outbox's promise leans on."""

import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import yaml

from multi_actor.contracts import PUBSUB, USER_CHAT
from tests.dapr.runtime import required_runtime
from tests.dapr.stub import StubApp, stub_app
from tests.support import wait_until
from tools.dapr.local import COMPONENTS, ControlPlane, Sidecar

RETRIES = 3


@pytest.fixture
async def stub() -> AsyncIterator[StubApp]:
    async with stub_app() as stub:
        yield stub


@pytest.fixture
async def sidecar(tmp_path: Path, stub: StubApp) -> AsyncIterator[Sidecar]:
    """A sidecar with our components, save that it gives up after three retries in place of two minutes."""
    binaries = required_runtime()
    components = shutil.copytree(COMPONENTS, tmp_path / "components")
    resiliency = yaml.safe_load((components / "resiliency.yaml").read_text())
    resiliency["spec"]["policies"]["retries"]["events"]["maxRetries"] = RETRIES
    (components / "resiliency.yaml").write_text(json.dumps(resiliency))
    async with ControlPlane(tmp_path, binaries=binaries) as plane:
        sidecar = plane.sidecar(app_port=stub.port, resources=components)
        await sidecar.start()
        yield sidecar
        sidecar.kill()  # the stub does not end, and would be waited for


async def publish(sidecar: Sidecar, data: object) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.post(
            f"http://127.0.0.1:{sidecar.http_port}/v1.0/publish/{PUBSUB}/{USER_CHAT}", json=data
        )
        assert answer.status_code == 204, answer.text


async def test_an_event_that_is_taken_is_delivered_once(sidecar: Sidecar, stub: StubApp) -> None:
    """As a CloudEvent of Dapr's own type, by the default route, with its data as an object."""
    await publish(sidecar, {"number": 1})
    await wait_until(lambda: bool(stub.events), description="the event is delivered")
    assert stub.events[0]["type"] == "com.dapr.event.sent"
    assert [event["data"] for event in stub.events] == [{"number": 1}]
    assert stub.dead_letters == []


async def test_a_dropped_event_is_a_dead_letter(sidecar: Sidecar, stub: StubApp) -> None:
    """DROP is not tried again, and the dead letter is the event as it was."""
    stub.answers = ["DROP"]
    await publish(sidecar, {"number": 1})
    await wait_until(lambda: bool(stub.dead_letters), description="the dead letter is delivered")
    assert len(stub.events) == 1
    assert stub.dead_letters[0]["id"] == stub.events[0]["id"]
    assert stub.dead_letters[0]["data"] == {"number": 1}


async def test_an_event_is_tried_again_until_it_is_taken(sidecar: Sidecar, stub: StubApp) -> None:
    """RETRY leaves it to the retries of our resiliency policy."""
    stub.answers = ["RETRY", "RETRY", "SUCCESS"]
    await publish(sidecar, {"number": 1})
    await wait_until(lambda: len(stub.events) == 3, description="the event is taken at the third attempt")
    assert stub.dead_letters == []


async def test_an_event_that_keeps_failing_is_a_dead_letter(sidecar: Sidecar, stub: StubApp) -> None:
    """After the last retry, while other events go by."""
    stub.answers = ["RETRY"] * (RETRIES + 1)
    await publish(sidecar, {"number": 1})
    await wait_until(lambda: bool(stub.dead_letters), description="the dead letter is delivered")
    assert len(stub.events) == RETRIES + 1
    assert stub.dead_letters[0]["data"] == {"number": 1}
