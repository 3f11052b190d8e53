"""A repeated request is one turn."""

import asyncio

import httpx
import pytest

from tests.conftest import Serve
from tests.http.support import FaultyResponder
from tests.http.test_routes import history_of
from tests.support import wait_until
from tests.test_conversation import say

HI = {"role": "user", "content": "Hi"}


async def count_of(client: httpx.AsyncClient, user: str) -> int:
    return int((await client.get(f"/response/{user}/count")).json()["count"])


async def post(
    client: httpx.AsyncClient, key: bytes | str, content: str = "Hi", user: str = "user1"
) -> httpx.Response:
    headers = {b"Idempotency-Key": key.encode() if isinstance(key, str) else key}
    return await client.post(f"/chat/{user}", json={"role": "user", "content": content}, headers=headers)


async def test_the_same_key_gets_the_same_reply_and_changes_nothing(client: httpx.AsyncClient) -> None:
    """The reply comes back whole, its time included; history and count stay as they were."""
    first = await post(client, "key-1")
    again = [await post(client, "key-1") for _ in range(3)]
    assert first.status_code == 200
    assert [(answer.status_code, answer.json()) for answer in again] == [(200, first.json())] * 3
    assert len(await history_of(client, "user1")) == 2
    assert await count_of(client, "user1") == 1


async def test_the_same_key_at_the_same_time_is_one_turn(serve: Serve) -> None:
    """Requests that arrive while the first is answered wait for it and get its reply."""
    responder = FaultyResponder()
    go_on = responder.hang()
    async with serve(responder=responder) as client:
        requests = [asyncio.create_task(post(client, "key-1")) for _ in range(8)]
        await wait_until(lambda: bool(responder.asked), description="the first request is being answered")
        go_on.set()
        answers = await asyncio.gather(*requests)
        assert {answer.status_code for answer in answers} == {200}
        assert all(answer.json() == answers[0].json() for answer in answers)
        assert responder.asked == ["Hi"]
        assert len(await history_of(client, "user1")) == 2
        assert await count_of(client, "user1") == 1


async def test_without_a_key_equal_messages_are_turns_of_their_own(client: httpx.AsyncClient) -> None:
    """Who says the same twice said it twice."""
    await say(client, "user1", "Hi")
    await say(client, "user1", "Hi")
    assert await count_of(client, "user1") == 2


async def test_a_key_belongs_to_one_user(client: httpx.AsyncClient) -> None:
    """The same key of another user is another turn."""
    for user in ("user1", "user2"):
        assert (await post(client, "key-1", f"I am {user}", user=user)).status_code == 200
        assert (await history_of(client, user))[0]["content"] == f"I am {user}"


async def test_a_key_that_came_with_another_body_is_refused(client: httpx.AsyncClient) -> None:
    """The answer is 422 and names the header; the first body still gets its reply."""
    first = await post(client, "key-1", "one")
    other = await post(client, "key-1", "two")
    assert other.status_code == 422
    assert "Idempotency-Key" in str(other.json()["detail"])
    assert (await post(client, "key-1", "one")).json() == first.json()
    assert len(await history_of(client, "user1")) == 2


@pytest.mark.parametrize("key", ["k", "k" * 255, "!~", "a:b/c?d=e&f|g", '"quoted"', "{}"])
async def test_a_key_is_visible_ascii(client: httpx.AsyncClient, key: str) -> None:
    """1 to 255 characters from `!` to `~` are a key, which works like any other."""
    first = await post(client, key)
    assert first.status_code == 200
    assert (await post(client, key)).json() == first.json()
    assert await count_of(client, "user1") == 1


@pytest.mark.parametrize("key", [b"", b"k" * 256, b"a b", b"a\tb", b"k\xc3\xbc", b"\xff", b"k\x7f", b"k\x01"])
async def test_what_is_no_key_is_refused(inside: httpx.AsyncClient, key: bytes) -> None:
    """Empty, too long, with a blank or outside ASCII: 422 that names the header, and no turn."""
    answer = await post(inside, key)
    assert answer.status_code == 422
    assert "idempotency-key" in answer.text.lower()
    assert await history_of(inside, "user1") == []


async def test_the_last_32_keys_are_kept(client: httpx.AsyncClient) -> None:
    """The 32 latest turns can be asked for again; the one before them is a turn anew."""
    replies = {n: (await post(client, f"key-{n}")).json() for n in range(1, 34)}
    for n in range(2, 34):
        assert (await post(client, f"key-{n}")).json() == replies[n], f"turn {n}"
    assert await count_of(client, "user1") == 33
    assert (await post(client, "key-1")).json() != replies[1]
    assert await count_of(client, "user1") == 34


async def test_a_turn_without_a_key_takes_a_place_among_the_last_32(client: httpx.AsyncClient) -> None:
    """The edge makes up a key for it, so what is kept stays bounded and in order."""
    first = (await post(client, "key-1")).json()
    for _ in range(31):
        await say(client, "user1", "Hi")
    assert (await post(client, "key-1")).json() == first
    await say(client, "user1", "Hi")
    assert (await post(client, "key-1")).json() != first
