"""One id through everything that a request causes, and what the log says on the way."""

import httpx
import pytest

from tests.conftest import Serve
from tests.http.support import FaultyResponder, Log, cloud_event, event, fails
from tests.support import wait_until
from tests.test_conversation import say

STEPS = [
    "Processed message for history-user1",
    "ResponseAgent processed message for response-count-user1",
    "Published event for history-user1",
    "Received event for user1",
    "Updated memory for memory-user1",
]


@pytest.mark.parametrize("request_id", ["a", "7a5c0f9e-1b2c", "x" * 128, "trace:00-ab_c.d", "me@example"])
async def test_a_sane_id_is_kept(client: httpx.AsyncClient, request_id: str) -> None:
    """What a client calls its request comes back."""
    answer = await client.get("/healthz", headers={"X-Request-ID": request_id})
    assert answer.headers["x-request-id"] == request_id


@pytest.mark.parametrize("request_id", [b"", b" ", b"a b", b"x" * 129, b"a\tb", b'"a"', b"<a>", b"\xff", b"\xc3\xbc"])
async def test_any_other_id_is_replaced(inside: httpx.AsyncClient, request_id: bytes) -> None:
    """What would not fit a log line or a header gets a new id, which differs each time."""
    answers = [await inside.get("/healthz", headers={b"X-Request-ID": request_id}) for _ in range(2)]
    ids = {answer.headers["x-request-id"] for answer in answers}
    assert len(ids) == 2
    assert all(i.isascii() and i.isalnum() and i.encode() != request_id for i in ids)


async def test_a_request_without_an_id_gets_one(client: httpx.AsyncClient) -> None:
    """Each its own."""
    ids = {(await client.get("/healthz")).headers["x-request-id"] for _ in range(5)}
    assert len(ids) == 5


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/nothing", None, 404),
        ("DELETE", "/chat/user1", None, 405),
        ("GET", "/chat/-/history", None, 422),
        ("POST", "/chat/user1", b'{"role": "user", "content": " "}', 400),
        ("POST", "/chat/user1", b"no JSON", 422),
        ("POST", "/chat/user1", b" " * 300_000, 413),
        ("POST", "/chat/user1", b'{"role": "user", "content": "fail"}', 503),
        ("POST", "/subscribe", b"{}", 401),
    ],
)
async def test_answers_that_are_errors_carry_the_id_too(
    serve: Serve, method: str, path: str, body: bytes | None, status: int
) -> None:
    """Whoever reports a failure can name it."""
    responder = FaultyResponder()
    responder.before = fails
    async with serve(responder=responder, app_api_token="token") as client:  # noqa: S106  # of this test only
        headers = {"X-Request-ID": "error-1", "content-type": "application/json"}
        answer = await client.request(method, path, content=body, headers=headers)
        assert answer.status_code == status
        assert answer.headers["x-request-id"] == "error-1"
        assert answer.headers.get_list("x-request-id") == ["error-1"]


async def test_each_step_of_a_turn_is_one_line_with_the_requests_id(client: httpx.AsyncClient, log: Log) -> None:
    """The five lines, each once, through three actors and over the topic; two turns do not mix."""
    for request_id in ("turn-1", "turn-2"):
        await say(client, "user1", "Hi", **{"X-Request-ID": request_id})
    for request_id in ("turn-1", "turn-2"):
        await wait_until(
            lambda request_id=request_id: len(log.messages(levels={"INFO"}, of=request_id)) >= len(STEPS),  # type: ignore[misc]
            description=f"the steps of {request_id} are logged",
        )
        assert sorted(log.messages(of=request_id)) == sorted(STEPS)


async def test_an_events_own_id_is_in_the_lines_that_it_causes(client: httpx.AsyncClient, log: Log) -> None:
    """Delivered by a sidecar, the lines belong to the request that caused the event."""
    await client.post("/subscribe", json=cloud_event(event(), correlationid="cause-1"))
    assert log.messages(of="cause-1") == ["Received event for user1", "Updated memory for memory-user1"]


async def test_lines_of_a_refusal_have_the_requests_id(serve: Serve, log: Log) -> None:
    """What goes wrong in a turn is found by the id that the client got."""
    responder = FaultyResponder()
    responder.before = fails
    async with serve(responder=responder) as client:
        answer = await client.post("/chat/user1", json={"role": "user", "content": "Hi"})
        assert log.messages(levels={"WARNING", "ERROR"}, of=answer.headers["x-request-id"])
        assert log.messages(levels={"WARNING", "ERROR"}) == log.messages(
            levels={"WARNING", "ERROR"}, of=answer.headers["x-request-id"]
        )


async def test_no_line_at_info_says_what_was_written(client: httpx.AsyncClient, log: Log) -> None:
    """Neither a message, nor a reply, nor a remembered message is in the log."""
    for n in range(3):
        await say(client, "user1", f"a private word {n}")
        await wait_until(
            lambda n=n: log.text.count("Updated memory") == n + 1,  # type: ignore[misc]
            description="the turn is remembered",
        )
    await client.post("/chat/user1", json={"role": "private", "content": "a private word"})
    await client.post("/chat/user1", json={"role": "user", "content": "a private word" * 2_000})
    assert "private" not in log.text
    assert "Got your message" not in log.text
