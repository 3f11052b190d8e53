"""Tokens on a real sidecar: what it sends is let in, what anybody else sends is not."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from tests.dapr.instance import Instance, instance, read
from tests.support import wait_until
from tools.dapr.local import ControlPlane
from tools.dapr.processes import LOOPBACK

APP_TOKEN = "sidecar-to-app"  # noqa: S105  # made up for this test
API_TOKEN = "app-to-sidecar"  # noqa: S105
SLOW = 60.0

FORGED = [
    ("POST", "/subscribe"),
    ("POST", "/dead-letter"),
    ("GET", "/dapr/config"),
    ("PUT", "/actors/ChatAgent/ada/method/ProcessMessage"),
    ("PUT", "/actors/ChatAgent/ada/method/remind/outbox"),
    ("DELETE", "/actors/ChatAgent/ada"),
]
OPEN = ["/healthz", "/readyz", "/metadata", "/docs", "/openapi.json", "/chat/ada/history", "/memory/ada"]


async def converse(client: httpx.AsyncClient, one: Instance) -> list[dict[str, Any]]:
    """Have one turn, and return its messages once they are remembered."""
    answer = await client.post(f"{one.url}/chat/ada", json={"role": "user", "content": "Hi"})
    assert answer.status_code == 200, answer.text
    history: list[dict[str, Any]] = (await read(client, f"{one.url}/chat/ada/history"))["history"]

    async def remembered() -> bool:
        return bool((await read(client, f"{one.url}/memory/ada"))["memory"] == history)

    await wait_until(remembered, description=f"the turn is remembered; {one.app.log}", within=SLOW)
    return history


async def status_of_headers(url: str, verb: str, path: str, headers: Mapping[str, str]) -> int:
    """Send the head of a request whose body never comes; return the status of the answer."""
    parts = httpx.URL(url)
    reader, writer = await asyncio.open_connection(parts.host, parts.port)
    lines = [f"{verb} {path} HTTP/1.1", f"host: {parts.netloc.decode()}", "content-length: 1000"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    async with asyncio.timeout(SLOW):
        line = await reader.readline()
    writer.close()
    return int(line.split()[1])


async def test_the_sidecar_alone_is_let_in(plane: ControlPlane, client: httpx.AsyncClient) -> None:
    """A conversation works; without the token, or with a wrong one, 401 comes before the body and changes nothing."""
    async with instance(plane, client, app_api_token=APP_TOKEN) as one:
        history = await converse(client, one)
        for headers in ({}, {"dapr-api-token": "guessed"}, {"dapr-api-token": ""}, {"dapr-api-token": API_TOKEN}):
            for verb, path in FORGED:
                assert await status_of_headers(one.url, verb, path, headers) == 401, (verb, path, headers)
        event = {
            "event_id": "forged", "sequence": 2, "actor_id": "ada", "history_key": "history-ada",
            "actor_type": "ChatAgent", "event_type": "ConversationUpdated",
            "input": {"role": "user", "content": "forged"}, "output": {"role": "assistant", "content": "forged"},
        }  # fmt: skip
        assert (await client.post(f"{one.url}/subscribe", json={"id": "1", "data": event})).status_code == 401
        call = await client.put(
            f"{one.url}/actors/ChatAgent/ada/method/ProcessMessage", json={"role": "user", "content": "forged"}
        )
        assert call.status_code == 401
        for path in OPEN:
            assert (await client.get(f"{one.url}{path}")).status_code == 200, path
        assert await read(client, f"{one.url}/chat/ada/history") == {"history": history}
        assert await read(client, f"{one.url}/memory/ada") == {"memory": history}
        assert await read(client, f"{one.url}/response/ada/count") == {"count": 1}
        assert not [line for line in one.lines if line["level"] != "INFO"]


async def test_the_application_sends_the_sidecars_token(plane: ControlPlane, client: httpx.AsyncClient) -> None:
    """A sidecar that asks for a token is used with it: calls, state, reminders and topics."""
    async with instance(plane, client, dapr_api_token=API_TOKEN) as one:
        await converse(client, one)
        bare = await client.get(f"http://{LOOPBACK}:{one.sidecar.http_port}/v1.0/metadata")
        assert bare.status_code == 401  # so it is the token that opens it


@pytest.mark.parametrize("token", ["wrong", ""])
async def test_a_wrong_token_is_a_503(token: str, plane: ControlPlane, client: httpx.AsyncClient) -> None:
    """An application that its sidecar does not let in is not ready, and refuses turns at once."""
    one = Instance(plane, dapr_api_token=API_TOKEN, DAPR_API_TOKEN=token)
    try:
        await one.start()

        async def up() -> bool:
            try:
                return (await client.get(f"{one.url}/healthz")).status_code == 200
            except httpx.TransportError:
                return False

        await wait_until(up, description="the application answers", within=SLOW)
        turn = await client.post(f"{one.url}/chat/ada", json={"role": "user", "content": "Hi"}, timeout=20)
        assert turn.status_code == 503, turn.text
        assert "401" not in turn.text
        for path in ("/chat/ada/history", "/memory/ada", "/response/ada/count", "/readyz", "/metadata"):
            assert (await client.get(f"{one.url}{path}", timeout=20)).status_code == 503, path
    finally:
        await one.stop()
