"""Who may call the sidecar's routes."""

import json

import httpx
import pytest

from tests.conftest import Serve
from tests.http.support import cloud_event, event, send_by_hand
from tests.test_conversation import memory_of, say

TOKEN = "a-token-of-the-sidecar"  # noqa: S105  # of this test only
GUARDED = [
    ("PUT", "/actors/ChatAgent/user1/method/ProcessMessage"),
    ("PUT", "/actors/ChatAgent/user1/method/remind/outbox"),
    ("PUT", "/actors/ChatAgent/user1/method/timer/x"),
    ("DELETE", "/actors/ChatAgent/user1"),
    ("GET", "/dapr/config"),
    ("GET", "/dapr/subscribe"),
    ("POST", "/subscribe"),
    ("POST", "/subscribe/"),
    ("POST", "/dead-letter"),
]
WRONG = [{}, {"dapr-api-token": ""}, {"dapr-api-token": "wrong"}, {"dapr-api-token": TOKEN + "x"},
         {"dapr-api-token": TOKEN[:-1]}, {"dapr-api-token": TOKEN.upper()},
         {"authorization": f"Bearer {TOKEN}"}]  # fmt: skip


async def test_a_path_before_the_routes_opens_nothing(serve_on: Serve) -> None:
    """A server that is told of a root path puts it before the path that the routes see."""
    async with serve_on(app_api_token=TOKEN) as client:
        transport = client._transport
        assert isinstance(transport, httpx.ASGITransport)
        transport.root_path = "/api"
        answer = await client.post("/api/subscribe", json=cloud_event(event()))
        assert answer.status_code == 401


@pytest.mark.parametrize(("method", "path"), GUARDED)
async def test_the_sidecars_routes_want_the_token(serve: Serve, method: str, path: str) -> None:
    """Without it, or with a wrong one, the answer is 401 in the shape of every error, and nothing happens."""
    async with serve(app_api_token=TOKEN) as client:
        for headers in WRONG:
            answer = await client.request(method, path, headers=headers, json=cloud_event(event()))
            assert answer.status_code == 401, headers
            assert set(answer.json()) == {"detail"}
            assert answer.headers["x-request-id"]
            assert TOKEN not in answer.text
        assert await memory_of(client, "user1") == []


@pytest.mark.parametrize("token", [b"\xff\xfe", "ü".encode(), b"x" * 10_000])
async def test_a_token_of_any_bytes_is_just_a_wrong_one(serve: Serve, token: bytes) -> None:
    """Bytes that are no text, and many of them, are compared like any other."""
    async with serve(app_api_token=TOKEN) as client:
        assert (await client.post("/subscribe", headers={b"dapr-api-token": token})).status_code == 401


@pytest.mark.parametrize(("method", "path"), GUARDED)
async def test_nothing_of_a_body_is_read_without_the_token(serve: Serve, method: str, path: str) -> None:
    """A stranger cannot make the service take in bytes there."""
    async with serve(app_api_token=TOKEN) as client:
        assert await send_by_hand(client, method, path, [b"{}"] * 3, []) == (401, 0)


async def test_the_sidecar_comes_in_with_the_token(serve: Serve) -> None:
    """With the right token events are taken in, dead letters counted and the configuration told."""
    headers = {"dapr-api-token": TOKEN}
    async with serve(app_api_token=TOKEN) as client:
        delivered = await client.post("/subscribe", content=json.dumps(cloud_event(event())), headers=headers)
        assert delivered.json() == {"status": "SUCCESS"}
        assert len(await memory_of(client, "user1")) == 2
        assert (await client.post("/dead-letter", json=cloud_event(event()), headers=headers)).status_code == 200
        assert (await client.get("/dapr/config", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "path",
    ["/healthz", "/readyz", "/metadata", "/docs", "/openapi.json", "/chat/user1/history", "/response/user1/count",
     "/memory/user1"],
)  # fmt: skip
async def test_the_public_routes_are_open(serve: Serve, path: str) -> None:
    """The token is between the sidecar and the application: clients and probes need none."""
    async with serve(app_api_token=TOKEN) as client:
        assert (await client.get(path)).status_code == 200


async def test_a_chat_is_open_and_remembered_while_there_is_a_token(serve: Serve) -> None:
    """The host's own deliveries do not pass through the guarded routes."""
    async with serve(app_api_token=TOKEN) as client:
        await say(client, "user1", "Hi")


async def test_without_a_token_the_sidecars_routes_are_open(client: httpx.AsyncClient) -> None:
    """An unset APP_API_TOKEN asks nobody."""
    assert (await client.post("/subscribe", json=cloud_event(event()))).json() == {"status": "SUCCESS"}
    assert (await client.get("/dapr/config")).status_code == 200
