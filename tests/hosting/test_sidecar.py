"""The client of the sidecar: what it sends, and what it makes of each answer."""

import asyncio
import json

import pytest

from multi_actor.errors import SidecarUnavailableError, TurnTimeoutError, WaitsForItselfError
from multi_actor.hosting.abc import ActorCallError, ActorKey
from multi_actor.hosting.sidecar import Sidecar, SidecarAddress, SidecarAnswerError
from multi_actor.hosting.sidecar_client import SidecarActorClient, origin_of
from multi_actor.hosting.turn import HERE, Origin
from multi_actor.hosting.turns import Turns
from multi_actor.logs import correlation_id, trace_context
from tests.hosting.sidecar import Asked, fake_daprd
from tests.support import wait_until

KEY = ActorKey("Account", "a/b ?#%ü")


async def test_names_are_quoted_and_the_token_goes_along() -> None:
    """Whatever an actor's id or a state's name holds, it stays one part of the path."""
    async with fake_daprd() as daprd, Sidecar(daprd.address, timeout=5) as sidecar:
        await SidecarActorClient(sidecar, {}).get_state("Account", "a/b ?#%ü", "x/../y")
    assert daprd.asked == [
        Asked(
            "GET",
            "/v1.0/actors/Account/a%2Fb%20%3F%23%25%C3%BC/state/x%2F..%2Fy",
            {
                "host": f"127.0.0.1:{daprd.port}",
                "dapr-api-token": "secret",
                "content-type": "application/json",
                "content-length": "0",
            },
            b"",
        )
    ]


async def test_connections_are_kept_and_used_again() -> None:
    """Ten requests one after the other take one connection, ten at once ten, which the next ten use again."""
    async with fake_daprd() as daprd, Sidecar(daprd.address, timeout=5) as sidecar:
        for _ in range(10):
            await sidecar.ask("GET", "metadata")
        assert daprd.connections == 1
        for _ in range(2):
            await asyncio.gather(*(sidecar.ask("GET", "metadata") for _ in range(10)))
        assert daprd.connections == 10


async def test_a_connection_that_the_sidecar_closed_is_not_used_again() -> None:
    """A sidecar that was started again is reached by the next request."""
    async with fake_daprd() as daprd, Sidecar(daprd.address, timeout=5) as sidecar:
        await sidecar.ask("GET", "metadata")
        daprd.hang_up()
        await wait_until(lambda: daprd.left == 1, description="the connection is closed")
        await asyncio.sleep(0)
        await sidecar.ask("GET", "metadata")
        assert daprd.connections == 2


async def test_a_sidecar_that_hangs_up_in_mid_call_is_unavailable() -> None:
    """The call is not repeated: nobody knows whether it was done."""

    async def hang_up(_: Asked) -> tuple[int, bytes]:
        raise ConnectionResetError

    async with fake_daprd(hang_up) as daprd, Sidecar(daprd.address, timeout=5) as sidecar:
        with pytest.raises(SidecarUnavailableError):
            await sidecar.ask("POST", "publish", "broker", "topic", body=b"{}")
        assert len(daprd.asked) == 1


async def test_no_sidecar_is_unavailable() -> None:
    """A port where nobody listens is a fault that may pass."""
    async with fake_daprd() as daprd:
        address = daprd.address
    async with Sidecar(address, timeout=5) as sidecar:
        with pytest.raises(SidecarUnavailableError):
            await sidecar.ask("GET", "metadata")


async def test_a_sidecar_that_does_not_answer_is_unavailable_after_the_timeout() -> None:
    """And it sees that nobody waits for the answer any more."""
    never = asyncio.Event()

    async def hang(_: Asked) -> tuple[int, bytes]:
        await never.wait()
        return 200, b""

    async with fake_daprd(hang) as daprd, Sidecar(daprd.address, timeout=0.05) as sidecar:
        with pytest.raises(SidecarUnavailableError):
            await sidecar.ask("GET", "metadata")
        never.set()
        await wait_until(lambda: daprd.left == 1, description="the connection was cut")


async def test_what_is_no_http_is_unavailable() -> None:
    """Something else may listen on the port."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"+OK redis\r\n")
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with Sidecar(SidecarAddress(f"http://127.0.0.1:{port}"), timeout=5) as sidecar:
        with pytest.raises(SidecarUnavailableError):
            await sidecar.ask("GET", "metadata")
    server.close()


@pytest.mark.parametrize("body", [b"no JSON", b"[]", b"{}", b"null", b"\xff"])
async def test_an_error_without_daprs_form_is_still_one(body: bytes) -> None:
    """A proxy in between may answer as it likes."""

    async def fail(_: Asked) -> tuple[int, bytes]:
        return 502, body

    async with fake_daprd(fail) as daprd, Sidecar(daprd.address, timeout=5) as sidecar:
        with pytest.raises(SidecarAnswerError) as raised:
            await sidecar.ask("GET", "metadata")
        assert raised.value.status == 502


@pytest.mark.parametrize(
    ("said", "retryable"),
    [
        ('error invoke actor method: error from actor service: (503) {"detail":"store"}', True),
        ('error invoke actor method: error from actor service: (500) {"detail":"bug"}', False),
        ("error invoke actor method: failed to lookup actor: did not find address for actor", True),
        ("error invoke actor method: actor method not found: actors/Account/1/method/Nope", False),
    ],
)
async def test_a_failed_call_tells_whether_asking_again_may_help(said: str, retryable: bool) -> None:  # noqa: FBT001
    """Dapr wraps the called application's answer in a sentence; its status is in there."""

    async def fail(_: Asked) -> tuple[int, bytes]:
        return 500, json.dumps({"errorCode": "ERR_ACTOR_INVOKE_METHOD", "message": said}).encode()

    async with fake_daprd(fail) as daprd, Sidecar(daprd.address, timeout=5) as sidecar:
        with pytest.raises(ActorCallError) as raised:
            await SidecarActorClient(sidecar, {}).invoke_method("Account", "1", "Deposit", b"1")
    assert raised.value.retryable is retryable


async def test_a_call_carries_its_chain_its_time_and_its_trace() -> None:
    """What the called instance needs to know of the calls that led to it."""
    correlation_id.set("request-1")
    trace_context.set({"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})
    turns = Turns(timeout=7)
    turns.open()
    async with fake_daprd() as daprd, Sidecar(daprd.address, timeout=5) as sidecar:
        client = SidecarActorClient(sidecar, {})
        await turns.run(KEY, "Ask", lambda _: client.invoke_method("Account", "2", "Deposit", b"1"))
    headers = daprd.asked[0].headers
    assert headers["x-request-id"] == "request-1"
    assert headers["traceparent"] == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    origin = origin_of(headers)
    assert origin.chain == (str(KEY),)
    assert origin.seconds_left is not None
    assert 0 < origin.seconds_left <= 7


async def test_a_chain_from_another_process_is_refused_where_it_would_wait_for_itself() -> None:
    """The error names it, and the sidecar, which would wait until somebody gives up, is not asked."""
    turns = Turns(timeout=7)
    turns.open()
    here, origin = ActorKey("Account", "2"), Origin(("Account/1",), 5.0)
    async with fake_daprd() as daprd, Sidecar(daprd.address, timeout=5) as sidecar:
        client = SidecarActorClient(sidecar, {})
        with pytest.raises(ActorCallError) as raised:
            await turns.run(here, "Ask", lambda _: client.invoke_method("Account", "1", "Ask"), origin=origin)
        assert isinstance(raised.value.__cause__, WaitsForItselfError)
        assert raised.value.__cause__.chain == ("Account/1", "Account/2", "Account/1")
        assert daprd.asked == []


async def test_a_turn_ends_with_the_time_that_its_chain_has_left() -> None:
    """However long this process would give it."""
    turns = Turns(timeout=60)
    turns.open()
    with pytest.raises(TurnTimeoutError):
        await turns.run(KEY, "Ask", lambda _: asyncio.Event().wait(), origin=Origin(("Account/1",), 0.05))


async def test_a_reentrant_call_from_another_process_is_let_in_by_its_id() -> None:
    """Its chain holds the actor's turn; a call with another id waits for that turn's end."""
    turns = Turns(timeout=5)
    turns.open()
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def hold(_: object) -> str:
        inside.set()
        await go_on.wait()
        return "outer"

    async def note(_: object) -> str:
        return "inner"

    outer = asyncio.create_task(turns.run(KEY, "Ask", hold, origin=Origin(("Account/1",), 5.0, "chain-1")))
    await inside.wait()
    other = asyncio.create_task(turns.run(KEY, "Ask", note, origin=Origin(("Account/3",), 5.0, "chain-2")))
    assert await turns.run(KEY, "Ask", note, origin=Origin(("Account/1",), 5.0, "chain-1")) == "inner"
    assert not other.done()
    go_on.set()
    assert (await outer, await other) == ("outer", "inner")


@pytest.mark.parametrize("left", ["", "soon", "1e"])
def test_odd_headers_are_no_origin(left: str) -> None:
    """Somebody else's call may carry anything."""
    assert origin_of({}) is HERE
    assert origin_of({"x-actor-chain": "Account/1", "x-actor-seconds-left": left}).seconds_left is None


def test_the_address_is_what_dapr_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    """``DAPR_HTTP_PORT`` beside the application, ``DAPR_HTTP_ENDPOINT`` anywhere else."""
    for name in ("DAPR_HTTP_PORT", "DAPR_HTTP_ENDPOINT", "DAPR_RUNTIME_HOST", "DAPR_API_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    assert SidecarAddress.from_environment() == SidecarAddress("http://127.0.0.1:3500")
    monkeypatch.setenv("DAPR_HTTP_PORT", "3501")
    monkeypatch.setenv("DAPR_API_TOKEN", "t")
    assert SidecarAddress.from_environment() == SidecarAddress("http://127.0.0.1:3501", "t")
    assert "'t'" not in repr(SidecarAddress.from_environment())
    monkeypatch.setenv("DAPR_HTTP_ENDPOINT", "https://dapr.example.com/")
    assert SidecarAddress.from_environment().url == "https://dapr.example.com"
