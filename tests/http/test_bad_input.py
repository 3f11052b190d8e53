"""Input that is refused: what the answer is, and that nothing happened."""

import httpx
import pytest

from tests.http.support import Log
from tests.http.test_routes import history_of

JSON = {"content-type": "application/json"}


def fields_of(answer: httpx.Response) -> set[str]:
    """Return the fields that a 422 names."""
    return {str(problem["loc"][-1]) for problem in answer.json()["detail"]}


@pytest.mark.parametrize("content", ["", " ", "\n\t", "\u2003", "\u00a0 \r\n"])
async def test_blank_content_is_refused_with_its_own_message(client: httpx.AsyncClient, content: str) -> None:
    """Empty or blank content is a 400 with the message of the contract, and no turn."""
    answer = await client.post("/chat/user1", json={"role": "user", "content": content})
    assert (answer.status_code, answer.json()) == (400, {"detail": "Invalid or missing 'content' field"})
    assert await history_of(client, "user1") == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"role": "user"}', "content"),
        ('{"role": "user", "content": null}', "content"),
        ('{"role": "user", "content": 5}', "content"),
        ('{"role": "user", "content": true}', "content"),
        ('{"role": "user", "content": ["Hi"]}', "content"),
        ('{"role": "user", "content": {"text": "Hi"}}', "content"),
        ('{"content": "Hi"}', "role"),
        ('{"role": null, "content": "Hi"}', "role"),
        ('{"role": 1, "content": "Hi"}', "role"),
        ('{"role": "", "content": "Hi"}', "role"),
        ('{"role": "User", "content": "Hi"}', "role"),
        ('{"role": "system", "content": "Hi"}', "role"),
        ('{"role": "assistant", "content": "Hi"}', "role"),
        (r'{"role": "user", "content": "a\u0000b"}', "content"),
        (r'{"role": "user", "content": "\u0000"}', "content"),
        (r'{"role": "user", "content": "\ud800"}', "content"),
        (r'{"role": "user", "content": "a\udfffb"}', "content"),
        (r'{"role": "user", "content": "\udc00\ud800"}', "content"),
    ],
)
async def test_a_field_that_is_not_what_it_must_be_is_named(client: httpx.AsyncClient, body: str, field: str) -> None:
    """A missing field, a wrong type, a role that no client has and text that is none are 422, without a turn."""
    answer = await client.post("/chat/user1", content=body, headers=JSON)
    assert answer.status_code == 422, answer.text
    assert fields_of(answer) == {field}
    assert await history_of(client, "user1") == []


async def test_every_field_that_is_wrong_is_named(client: httpx.AsyncClient) -> None:
    """One answer is enough to mend a request."""
    answer = await client.post("/chat/user1", json={})
    assert answer.status_code == 422
    assert fields_of(answer) == {"role", "content"}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"Hi", id="text"),
        pytest.param(b'{"role": "user", "content": "Hi"', id="cut off"),
        pytest.param(b'{"role": "user", "content": "Hi"} {}', id="two documents"),
        pytest.param(b'{"role": "user", "content": "\xff\xfe"}', id="not UTF-8"),
        pytest.param(b'{"role": "user", "content": "\xed\xa0\x80"}', id="a surrogate in UTF-8"),
        pytest.param(b"\xff", id="no encoding at all"),
        pytest.param(b"[" * 100_000, id="open brackets"),
        pytest.param(b'{"a":' * 40_000 + b"1" + b"}" * 40_000, id="nested objects"),
        pytest.param(b'{"role": "user", "content": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", id="nested content"),
        pytest.param(b"[]", id="an array"),
        pytest.param(b"null", id="null"),
        pytest.param(b'"Hi"', id="a string"),
        pytest.param(b"1" * 5_000, id="a number of 5,000 digits"),
        pytest.param(b"NaN", id="not a number"),
    ],
)
async def test_a_body_that_is_no_json_object_is_refused(client: httpx.AsyncClient, log: Log, body: bytes) -> None:
    """Whatever the bytes are, the answer is 422 or 400 in the shape of every error, and no fault of ours."""
    answer = await client.post("/chat/user1", content=body, headers=JSON)
    assert answer.status_code in {400, 422}, answer.text
    assert set(answer.json()) == {"detail"}
    assert log.messages(levels={"ERROR", "CRITICAL"}) == []
    assert await history_of(client, "user1") == []


@pytest.mark.parametrize("headers", [{}, {"content-type": "text/plain"}, {"content-type": "application/xml"}])
async def test_a_body_that_is_not_declared_as_json_is_refused(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    """A form that another site posts cannot speak for a user."""
    answer = await client.post("/chat/user1", content=b'{"role": "user", "content": "Hi"}', headers=headers)
    assert answer.status_code == 422
    assert await history_of(client, "user1") == []


async def test_a_refusal_does_not_repeat_what_was_sent(client: httpx.AsyncClient) -> None:
    """Neither the value nor Python's view of it is in the answer."""
    answer = await client.post("/chat/user1", json={"role": "marker-one", "content": {"marker-two": 1}})
    assert answer.status_code == 422
    assert "marker" not in answer.text
    assert "ctx" not in answer.text
    assert "Error(" not in answer.text


async def test_fields_that_nobody_asked_for_change_nothing(client: httpx.AsyncClient) -> None:
    """A client can bring neither a sequence nor a key in the body."""
    body = {"role": "user", "content": "Hi", "sequence": 77, "key": "mine"}
    assert (await client.post("/chat/user1", json=body)).status_code == 200
    assert (await client.post("/chat/user1", json=body)).status_code == 200
    assert (await client.get("/response/user1/count")).json() == {"count": 2}
