"""What is unavailable, too slow or broken, and that the same request succeeds afterwards, once."""

import asyncio
from typing import Any

import httpx
import pytest

from multi_actor.actors.responder import TemplateResponder
from multi_actor.contracts import Message, Remembered
from multi_actor.errors import StoreUnavailableError
from multi_actor.hosting.abc import ActorKey, HostMetadata, TopicStatus
from multi_actor.hosting.embedded import EmbeddedHost
from tests.conftest import Serve
from tests.http.support import FaultyResponder, FaultyStore, Log, nothing, refuses, refuses_topics
from tests.http.test_routes import history_of, remembered
from tests.support import wait_until
from tests.test_conversation import say

HI = {"role": "user", "content": "a private word"}
KEY = {"Idempotency-Key": "key-1"}


class OddError(Exception):
    """Nobody expects it."""


async def ask(client: httpx.AsyncClient) -> httpx.Response:
    return await client.post("/chat/user1", json=HI, headers=KEY)


def assert_unavailable(answer: httpx.Response) -> None:
    """It is the 503 of the contract, which tells nothing of the inside."""
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["retry-after"]) >= 1
    assert set(answer.json()) == {"detail"}
    for inside in ("Agent", "user1", "Error", "disk", "sqlite", "private"):
        assert inside not in answer.text


def assert_internal_error(answer: httpx.Response, log: Log, request_id: str) -> None:
    """The client reads no more than that; the log has the traceback, once, with the request's id."""
    assert (answer.status_code, answer.json()) == (500, {"detail": "Internal error"})
    assert answer.headers["x-request-id"] == request_id
    failures = [line for line in log.lines if line["level"] == "ERROR"]
    assert [line["correlation_id"] for line in failures] == [request_id]
    assert "OddError: a secret of the inside" in failures[0]["exception"]


async def assert_one_whole_turn(client: httpx.AsyncClient, reply: dict[str, str]) -> None:
    """History, count and memory hold the turn once."""
    assert await history_of(client, "user1") == [HI, reply]
    assert (await client.get("/response/user1/count")).json() == {"count": 1}
    assert await remembered(client, "user1", reply["content"]) == [HI, reply]


async def cancels(_: object) -> None:
    raise asyncio.CancelledError


async def test_a_responder_that_is_cancelled_from_within_is_a_503(serve: Serve) -> None:
    """A client of its own that was cancelled is no end of the request."""
    responder = FaultyResponder()
    responder.before = cancels
    async with serve(responder=responder) as client:
        assert_unavailable(await ask(client))
        responder.before = nothing
        answer = await ask(client)
        await assert_one_whole_turn(client, answer.json()["response"])


@pytest.mark.parametrize("reply", [None, 7, "a\0b", "\ud800"])
async def test_a_reply_that_is_no_text_is_a_503_and_no_turn(serve: Serve, reply: Any) -> None:
    """Its event could never be taken in, and would hold up those after it."""

    class Odd(TemplateResponder):
        async def respond(self, message: Message, memory: list[Remembered], number: int) -> str:
            usual = await super().respond(message, memory, number)
            return reply if message["content"] == HI["content"] else usual

    async with serve(responder=Odd()) as client:
        assert_unavailable(await ask(client))
        assert await history_of(client, "user1") == []
        said = await say(client, "user1", "Hello")
        assert await remembered(client, "user1", said["content"]) == [{"role": "user", "content": "Hello"}, said]


async def test_metadata_without_the_store_is_a_503(serve_on: Serve) -> None:
    """Also where no actor was called."""

    class Uncounted(FaultyStore):
        refuses = False

        async def count_events(self) -> dict[str, TopicStatus]:
            if self.refuses:
                raise StoreUnavailableError("state.db", "disk I/O error")
            return await super().count_events()

    store = Uncounted()
    async with serve_on(host=EmbeddedHost(store)) as client:
        assert (await client.get("/metadata")).status_code == 200
        store.refuses = True
        assert_unavailable(await client.get("/metadata"))


@pytest.mark.parametrize("actor_type", ["ChatAgent", "ResponseAgent"])
@pytest.mark.parametrize("fault", ["before_get", "before_transact"])
async def test_a_store_that_refuses_is_a_503_and_the_same_key_is_one_turn_later(
    serve_on: Serve, actor_type: str, fault: str
) -> None:
    """Whichever read or write of a turn fails, the turn is absent until it is asked for again."""
    store = FaultyStore()
    setattr(store, fault, refuses(actor_type))
    async with serve_on(host=EmbeddedHost(store)) as client:
        for _ in range(2):
            assert_unavailable(await ask(client))
        setattr(store, fault, nothing)
        assert await history_of(client, "user1") == []
        answer = await ask(client)
        assert answer.status_code == 200
        assert (await ask(client)).json() == answer.json()
        await assert_one_whole_turn(client, answer.json()["response"])


@pytest.mark.parametrize("path", ["/chat/user1/history", "/response/user1/count", "/memory/user1"])
async def test_a_read_from_a_store_that_refuses_is_a_503(serve_on: Serve, path: str) -> None:
    """Reading says that the store is away, and reads again when it is back."""
    store = FaultyStore()

    async def refuse(key: ActorKey) -> None:
        await refuses(key.actor_type)(key)

    store.before_get = refuse
    async with serve_on(host=EmbeddedHost(store)) as client:
        assert_unavailable(await client.get(path))
        store.before_get = nothing
        assert (await client.get(path)).status_code == 200


async def test_a_responder_that_raises_is_a_503_and_the_same_key_is_one_turn_later(serve: Serve, log: Log) -> None:
    """Its traceback is in the log, what the user wrote is not."""
    responder = FaultyResponder()

    async def broken(_: object) -> None:
        raise OddError("the model is away")

    responder.before = broken
    async with serve(responder=responder) as client:
        assert_unavailable(await ask(client))
        assert "OddError: the model is away" in log.text
        assert HI["content"] not in log.text
        responder.before = nothing
        answer = await ask(client)
        assert answer.status_code == 200
        await assert_one_whole_turn(client, answer.json()["response"])


async def test_a_responder_that_hangs_is_a_503_and_the_same_key_is_one_turn_later(serve: Serve) -> None:
    """REQUEST_TIMEOUT_SECONDS ends the request, and the turn with it: nobody waits behind it for ever."""
    responder = FaultyResponder()
    responder.hang()
    async with serve(responder=responder, request_timeout_seconds=0.3) as client:
        assert_unavailable(await ask(client))
        responder.before = nothing

        async def answered() -> bool:
            return (await ask(client)).status_code == 200

        await wait_until(answered, description="the turn that hung has ended and the next is answered")
        await assert_one_whole_turn(client, (await ask(client)).json()["response"])


async def test_requests_behind_one_that_hangs_end_in_time_as_well(serve: Serve) -> None:
    """A request that waits for its actor's turn has the same bound as the one that has it."""
    responder = FaultyResponder()
    responder.hang()
    async with serve(responder=responder, request_timeout_seconds=0.3) as client:
        for answer in await asyncio.gather(*(say_anything(client, n) for n in range(4))):
            assert_unavailable(answer)


async def say_anything(client: httpx.AsyncClient, number: int) -> httpx.Response:
    return await client.post("/chat/user1", json={"role": "user", "content": f"message {number}"})


async def test_a_client_that_leaves_and_asks_again_has_one_turn(serve: Serve) -> None:
    """A cancelled request leaves a whole turn or none; the same key then gets the one reply."""
    responder = FaultyResponder()
    go_on = responder.hang()
    async with serve(responder=responder) as client:
        request = asyncio.create_task(ask(client))
        await wait_until(lambda: bool(responder.asked), description="the responder is at work")
        request.cancel()
        go_on.set()
        answer = await ask(client)
        assert answer.status_code == 200
        await assert_one_whole_turn(client, answer.json()["response"])


async def test_a_broker_that_takes_nothing_does_not_stop_a_chat(serve_on: Serve, log: Log) -> None:
    """The turn is answered, its event waits, and that is in the log."""
    store = FaultyStore()
    store.before_append = refuses_topics
    async with serve_on(host=EmbeddedHost(store)) as client:
        reply = await say(client, "user1", HI["content"])
        assert await history_of(client, "user1") == [HI, reply]
        await wait_until(
            lambda: any("was not published" in line for line in log.messages(levels={"WARNING"})),
            description="the log says that the event waits",
        )


async def test_a_bug_in_an_actor_is_an_internal_error(serve_on: Serve, log: Log) -> None:
    """The client reads no more than that; the traceback is in the log, once, with the request's id."""
    store = FaultyStore()

    async def bug(_: ActorKey) -> None:
        raise OddError("a secret of the inside")

    store.before_get = bug
    async with serve_on(host=EmbeddedHost(store)) as client:
        answer = await client.post("/chat/user1", json=HI, headers={"X-Request-ID": "odd-1"})
        assert_internal_error(answer, log, "odd-1")
        assert HI["content"] not in log.text

        store.before_get = nothing
        await say(client, "user1", "Hi")


async def test_a_bug_at_the_edge_is_an_internal_error(serve_on: Serve, log: Log) -> None:
    """Outside the actors it is the same: a detail for the client, the traceback for the log."""

    class BuggyHost(EmbeddedHost):
        async def metadata(self) -> HostMetadata:
            raise OddError("a secret of the inside")

    async with serve_on(host=BuggyHost(FaultyStore())) as client:
        answer = await client.get("/metadata", headers={"X-Request-ID": "odd-2"})
        assert_internal_error(answer, log, "odd-2")


async def test_an_instance_that_is_going_says_so(serve_on: Serve) -> None:
    """Readiness is a 503 from then on, while what arrives is still answered."""
    host = EmbeddedHost(FaultyStore())
    async with serve_on(host=host) as client:
        host.drain()
        assert_unavailable(await client.get("/readyz"))
        await say(client, "user1", "Hi")
        assert (await client.get("/healthz")).status_code == 200
