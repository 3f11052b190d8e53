"""The application of a program beside a sidecar: what it tells the sidecar, and what becomes of what that brings."""

import contextlib
import logging
import secrets
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from multi_actor.hosting.abc import CloudEvent, Delivery
from multi_actor.hosting.dapr import DaprHost
from multi_actor.hosting.sidecar import SidecarAddress
from multi_actor.messaging import DaprAgentRuntime
from multi_actor.sidecar_app import sidecar_app
from tests.messaging.durable import ledgers

TOKEN = secrets.token_hex()


@pytest.fixture
def host() -> DaprHost:
    """A host of no sidecar."""
    return DaprHost(SidecarAddress("http://127.0.0.1:1"))


def client(host: DaprHost, **options: Any) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(sidecar_app(host, **options))
    return httpx.AsyncClient(transport=transport, base_url="http://test")


async def test_the_sidecar_is_told_agents_and_topics(host: DaprHost) -> None:
    """Each topic that a subscription needs, and where what is given up goes."""
    runtime = DaprAgentRuntime(host)
    await ledgers.register(runtime)
    await runtime.join()
    async with client(host) as asked:
        assert (await asked.get("/healthz")).status_code == 200
        assert set((await asked.get("/dapr/config")).json()["entities"]) == set(ledgers.LEDGERS)
        told = (await asked.get("/dapr/subscribe")).json()
    assert {each["topic"] for each in told if "deadLetterTopic" in each} == {*ledgers.LEDGERS, "numbers", "doubled"}
    assert [each for each in told if each["topic"].startswith("numbers")] == [
        {
            "pubsubname": "daca-pubsub",
            "topic": "numbers",
            "routes": {"default": "/subscribe"},
            "deadLetterTopic": "numbers-dead-letter",
        },
        {"pubsubname": "daca-pubsub", "topic": "numbers-dead-letter", "routes": {"default": "/dead-letter"}},
    ]


async def test_an_event_goes_to_its_topics_subscribers(host: DaprHost, caplog: pytest.LogCaptureFixture) -> None:
    """And a dead letter to those who take them; what is nobody's, or no event, is dropped with a line in the log."""
    seen: list[tuple[str, str]] = []

    async def take(event: CloudEvent) -> Delivery:
        seen.append(("event", event["id"]))
        return Delivery.RETRY

    async def bury(event: CloudEvent) -> Delivery:
        seen.append(("dead letter", event["id"]))
        return Delivery.SUCCESS

    host.subscribe("news", take, dead_letters=bury)
    host.subscribe("other", take)
    async with client(host) as sidecar:

        async def bring(path: str, event: object) -> str:
            return str((await sidecar.post(path, json=event)).json()["status"])

        assert await bring("/subscribe", {"id": "1", "topic": "news", "data": {}}) == "RETRY"
        assert await bring("/dead-letter", {"id": "1", "topic": "news", "data": {}}) == "SUCCESS"
        assert seen == [("event", "1"), ("dead letter", "1")]
        with caplog.at_level(logging.WARNING):
            for path in ("/subscribe", "/dead-letter"):
                assert await bring(path, {"id": "2", "topic": "unknown", "data": {}}) == "DROP"
                assert await bring(path, ["no event"]) == "DROP"
            assert await bring("/dead-letter", {"id": "3", "topic": "other", "data": {}}) == "DROP"
        assert len(caplog.records) == 5
    assert len(seen) == 2


async def test_whoever_has_not_the_token_is_refused(host: DaprHost) -> None:
    """But for the question whether the process is up."""
    async with client(host, token=TOKEN) as anybody:
        for method, path in (
            ("GET", "/dapr/config"),
            ("GET", "/dapr/subscribe"),
            ("POST", "/subscribe"),
            ("POST", "/dead-letter"),
            ("PUT", "/actors/entry/1/method/Deliver"),
        ):
            assert (await anybody.request(method, path)).status_code == 401
        assert (await anybody.get("/healthz")).status_code == 200
        told = await anybody.get("/dapr/subscribe", headers={"dapr-api-token": TOKEN})
        assert told.json() == []


async def test_an_agent_of_a_type_that_is_not_here_is_not_found(host: DaprHost) -> None:
    """Another program of the same name may have it."""
    async with client(host) as sidecar:
        for path in ("method/Deliver", "method/remind/outbox"):
            assert (await sidecar.put(f"/actors/nobody/1/{path}", json={})).status_code == 404


async def test_a_program_lives_in_the_lifespan(host: DaprHost) -> None:
    """What it enters there is up before the first question of the sidecar, and left at the end."""
    lived: list[str] = []

    @contextlib.asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        lived.append("up")
        yield
        lived.append("down")

    said: list[str] = []
    asked = iter(["lifespan.startup", "lifespan.shutdown"])

    async def receive() -> dict[str, Any]:
        return {"type": next(asked)}

    async def send(message: Any) -> None:
        said.append(f"{message['type']} after {lived[-1]}")

    await sidecar_app(host, lifespan=lifespan)({"type": "lifespan", "state": {}}, receive, send)
    assert said == ["lifespan.startup.complete after up", "lifespan.shutdown.complete after down"]
