"""Which actor ids there are, and that no other reaches an actor."""

import httpx
import pytest

from tests.test_conversation import say

BAD = [
    pytest.param("%2e%2e", id="dots"),
    pytest.param("%2e", id="dot"),
    pytest.param("..%2f..%2fetc", id="a way up"),
    pytest.param("a%2Fb", id="encoded slash"),
    pytest.param("a%5Cb", id="backslash"),
    pytest.param("a||b", id="the state store's own separator"),
    pytest.param("%7C%7C", id="encoded separator"),
    pytest.param("a%3Fb", id="question mark"),
    pytest.param("a+b", id="plus"),
    pytest.param("a%20b", id="space"),
    pytest.param("a%23b", id="hash"),
    pytest.param("a%25b", id="per cent"),
    pytest.param("a:b", id="colon"),
    pytest.param("J%C3%BCrgen", id="unicode letter"),
    pytest.param("%F0%9F%98%80", id="emoji"),
    pytest.param("%D9%A1%D9%A2", id="digits of another script"),
    pytest.param("%EF%BD%81", id="full-width letter"),
    pytest.param("%FF", id="not UTF-8"),
    pytest.param("a" * 65, id="65 characters"),
    pytest.param("user1%0A", id="trailing newline"),
    pytest.param("user1%0D%0A", id="trailing line end"),
    pytest.param("%0Auser1", id="leading newline"),
    pytest.param("user1%00", id="U+0000"),
    pytest.param("-a", id="leading hyphen"),
    pytest.param("_a", id="leading underscore"),
    pytest.param(".a", id="leading dot"),
]
ROUTES = [("POST", "/chat/{}"), ("GET", "/chat/{}/history"), ("GET", "/response/{}/count"), ("GET", "/memory/{}")]


@pytest.mark.parametrize("actor_id", BAD)
async def test_a_bad_actor_id_is_refused_on_every_route_and_creates_no_actor(
    client: httpx.AsyncClient, actor_id: str
) -> None:
    """The answer is 422, or 404 where the path no longer matches, and no actor is active after it."""
    for method, path in ROUTES:
        body = {"role": "user", "content": "Hi"} if method == "POST" else None
        answer = await client.request(method, path.format(actor_id), json=body)
        assert answer.status_code in {404, 422}, f"{method} {path}: {answer.text}"
        assert set(answer.json()) == {"detail"}
        if answer.status_code == 422:
            assert answer.json()["detail"][0]["loc"] == ["path", "actor_id"]
    held = (await client.get("/metadata")).json()
    assert set(held["actors"].values()) == {0}
    assert not held["reminders"]  # None where nobody counts them


@pytest.mark.parametrize("actor_id", ["a", "7", "a" * 64, "Jane.Doe_1-x", "a..b", "response-user1", "0.-_"])
async def test_a_good_actor_id_is_a_user(client: httpx.AsyncClient, actor_id: str) -> None:
    """Letters, digits, `_`, `.` and `-`, 1 to 64 of them, with a letter or a digit first."""
    reply = await say(client, actor_id, "Hi")
    history = (await client.get(f"/chat/{actor_id}/history")).json()["history"]
    assert history == [{"role": "user", "content": "Hi"}, reply]
    assert (await client.get(f"/response/{actor_id}/count")).json() == {"count": 1}


async def test_a_query_is_no_part_of_the_id(client: httpx.AsyncClient) -> None:
    """What follows an unencoded question mark is left aside."""
    await say(client, "user1", "Hi")
    assert (await client.get("/response/user1/count?x=1")).json() == {"count": 1}
