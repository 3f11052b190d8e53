"""What is too much: bodies, content, events that wait."""

from collections.abc import AsyncIterator

import httpx
import pytest

from multi_actor.hosting.embedded import EmbeddedHost
from tests.conftest import Serve
from tests.http.support import FaultyStore, cloud_event, event, nothing, refuses, send_by_hand
from tests.http.test_routes import history_of, remembered
from tests.support import wait_until
from tests.test_conversation import say

MAX_BODY = 262_144
JSON = (b"content-type", b"application/json")


def body_of(size: int) -> bytes:
    """Return a valid body of this many bytes; the surplus is blanks, not content."""
    return b'{"role": "user", "content": "Hi"}'.ljust(size)


async def test_a_body_of_the_longest_size_is_read(client: httpx.AsyncClient) -> None:
    """The limit itself is allowed."""
    answer = await client.post("/chat/user1", content=body_of(MAX_BODY), headers={"content-type": "application/json"})
    assert answer.status_code == 200


async def test_a_body_that_says_it_is_too_long_is_not_read(client: httpx.AsyncClient) -> None:
    """A content-length over the limit is answered 413 before the first byte."""
    headers = [JSON, (b"content-length", str(MAX_BODY + 1).encode())]
    assert await send_by_hand(client, "POST", "/chat/user1", [body_of(MAX_BODY + 1)], headers) == (413, 0)
    assert await history_of(client, "user1") == []


async def test_a_body_that_does_not_say_its_length_is_read_up_to_the_limit(client: httpx.AsyncClient) -> None:
    """In chunks, the one that goes over the limit is the last that is read."""
    chunks = [b" " * 65_536] * 100
    status, read = await send_by_hand(client, "POST", "/chat/user1", chunks, [JSON])
    assert (status, read) == (413, MAX_BODY // 65_536 + 1)


async def test_a_body_longer_than_it_says_is_read_up_to_the_limit(client: httpx.AsyncClient) -> None:
    """The declared length is not what the limit trusts."""
    headers = [JSON, (b"content-length", b"10")]
    status, read = await send_by_hand(client, "POST", "/chat/user1", [b" " * 65_536] * 100, headers)
    assert (status, read) == (413, MAX_BODY // 65_536 + 1)


@pytest.mark.parametrize("length", [b"-1", b"ten", b"1e9", b"", b"99999999999999999999"])
async def test_a_length_that_is_none_is_refused(client: httpx.AsyncClient, length: bytes) -> None:
    """A content-length that is no number of bytes never gets as far as a turn."""
    status, _ = await send_by_hand(client, "POST", "/chat/user1", [body_of(100)], [JSON, (b"content-length", length)])
    assert status in {400, 413}
    assert await history_of(client, "user1") == []


async def test_the_limit_of_a_body_is_a_setting(serve: Serve) -> None:
    """MAX_BODY_BYTES counts bytes."""
    async with serve(max_body_bytes=2_000) as client:
        for size, status in ((2_000, 200), (2_001, 413)):
            answer = await client.post(
                "/chat/user1", content=body_of(size), headers={"content-type": "application/json"}
            )
            assert answer.status_code == status
        assert set(answer.json()) == {"detail"}


async def test_a_body_in_chunks_is_refused_in_the_shape_of_every_error(serve: Serve) -> None:
    """The answer to a body that turns out too long says how much is allowed."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b" " * 1_000

    async with serve(max_body_bytes=2_000) as client:
        answer = await client.post("/chat/user1", content=chunks(), headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()) == (413, {"detail": "Body over 2000 bytes"})


@pytest.mark.parametrize("path", ["/subscribe", "/dead-letter"])
async def test_the_sidecar_may_send_four_mebibytes(client: httpx.AsyncClient, path: str) -> None:
    """An event holds two messages and their envelope: the client's limit is not its limit."""
    four = 4 * 1024 * 1024
    event_of = str(cloud_event(event())).replace("'", '"').encode()
    headers = {"content-type": "application/cloudevents+json"}
    answer = await client.post(path, content=event_of.ljust(four), headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"status": "SUCCESS"})
    assert (await client.post(path, content=event_of.ljust(four + 1), headers=headers)).status_code == 413


@pytest.mark.parametrize("character", ["a", "é", "😀"])
async def test_content_is_counted_in_code_points(client: httpx.AsyncClient, character: str) -> None:
    """16,000 of any character are kept whole, and one more is 413 without a turn."""
    whole = character * 16_000
    assert (await client.post("/chat/user1", json={"role": "user", "content": whole + "."})).status_code == 413
    assert await history_of(client, "user1") == []
    await say(client, "user1", whole)
    assert (await history_of(client, "user1"))[0]["content"] == whole


async def test_the_limit_of_content_is_a_setting(serve: Serve) -> None:
    """MAX_CONTENT_CHARS; the answer has the shape of every error."""
    async with serve(max_content_chars=3) as client:
        await say(client, "user1", "one")
        answer = await client.post("/chat/user1", json={"role": "user", "content": "four"})
        assert answer.status_code == 413
        assert "content" in answer.json()["detail"]


async def test_a_chat_goes_on_until_too_many_events_wait(serve_on: Serve) -> None:
    """With its consumer out of order OUTBOX_LIMIT turns are answered, then 503, until it is back; others go on."""
    store = FaultyStore()
    store.before_get = refuses("MemoryAgentActor")
    async with serve_on(host=EmbeddedHost(store), outbox_limit=2) as client:
        await say(client, "user1", "one")
        await say(client, "user1", "two")
        full = await client.post("/chat/user1", json={"role": "user", "content": "three"})
        assert full.status_code == 503
        assert int(full.headers["retry-after"]) >= 1
        assert set(full.json()) == {"detail"}
        assert len(await history_of(client, "user1")) == 4
        await say(client, "user2", "one")

        store.before_get = nothing

        async def taken() -> bool:
            answer = await client.post(
                "/chat/user1", json={"role": "user", "content": "three"}, headers={"Idempotency-Key": "three"}
            )
            return answer.status_code == 200

        await wait_until(taken, description="the events that waited have arrived and there is room again")
        history = await history_of(client, "user1")
        assert [m["content"] for m in history if m["role"] == "user"] == ["two", "three"]
        memory = await remembered(client, "user1", history[-1]["content"])
        assert [m["content"] for m in memory if m["role"] == "user"] == ["three"]


async def test_a_repeated_key_is_answered_although_too_many_events_wait(serve_on: Serve) -> None:
    """Asking again for an answered turn makes no event, so the limit does not concern it."""
    store = FaultyStore()
    store.before_get = refuses("MemoryAgentActor")
    async with serve_on(host=EmbeddedHost(store), outbox_limit=1) as client:
        first = await say(client, "user1", "one", **{"Idempotency-Key": "key-1"})
        assert (await client.post("/chat/user1", json={"role": "user", "content": "two"})).status_code == 503
        assert await say(client, "user1", "one", **{"Idempotency-Key": "key-1"}) == first
