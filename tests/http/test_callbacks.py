"""The actor callbacks, as a sidecar calls them."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from multi_actor.callbacks import ActorCallbacks
from multi_actor.errors import RetryableError, SidecarUnavailableError, UnknownActorTypeError
from multi_actor.hosting.abc import ActorCallError, ActorKey

USER = ActorKey("ChatAgent", "user1")


class Host:
    """Notes what it is called with; raises ``error`` if a test set one."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.error: Exception | None = None

    def _note(self, *call: object) -> None:
        self.calls.append(call)
        if self.error:
            raise self.error

    async def invoke(self, key: ActorKey, method: str, data: bytes, *, headers: Mapping[str, str]) -> bytes:
        self._note("invoke", key, method, data, headers["x-request-id"])
        return b'{"said":"Hi"}'

    async def remind(self, key: ActorKey, name: str, body: bytes) -> None:
        self._note("remind", key, name, body)

    async def tick(self, key: ActorKey, name: str, body: bytes) -> None:
        self._note("tick", key, name, body)

    async def deactivate(self, key: ActorKey) -> None:
        self._note("deactivate", key)

    def start_over(self) -> None:
        self._note("start over")


async def elsewhere(_: Scope, __: Receive, send: Send) -> None:
    """The application behind."""
    await send({"type": "http.response.start", "status": 418, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
async def sidecar(host: Host) -> AsyncIterator[httpx.AsyncClient]:
    """A client in the sidecar's place."""
    transport = httpx.ASGITransport(ActorCallbacks(elsewhere, host=host))
    headers = {"x-request-id": "r1"}
    async with httpx.AsyncClient(transport=transport, base_url="http://app", headers=headers) as client:
        yield client


async def test_a_method_is_called_and_its_result_is_the_body(host: Host, sidecar: httpx.AsyncClient) -> None:
    """With the call's own headers: the chain and its deadline are in there."""
    answer = await sidecar.put("/actors/ChatAgent/user1/method/ProcessMessage", content=b'{"content":"Hi"}')
    assert (answer.status_code, answer.json()) == (200, {"said": "Hi"})
    assert host.calls == [("invoke", USER, "ProcessMessage", b'{"content":"Hi"}', "r1")]


async def test_reminders_timers_and_deactivation_reach_the_host(host: Host, sidecar: httpx.AsyncClient) -> None:
    """Each by its own path."""
    await sidecar.put("/actors/ChatAgent/user1/method/remind/outbox", content=b"{}")
    await sidecar.put("/actors/ChatAgent/user1/method/timer/t1", content=b"{}")
    await sidecar.delete("/actors/ChatAgent/user1")
    assert host.calls == [("remind", USER, "outbox", b"{}"), ("tick", USER, "t1", b"{}"), ("deactivate", USER)]


async def test_names_come_back_unquoted(host: Host, sidecar: httpx.AsyncClient) -> None:
    """An actor's id may hold a slash, a space and more."""
    await sidecar.delete("/actors/Account/a%2Fb%20%3F%C3%BC")
    assert host.calls == [("deactivate", ActorKey("Account", "a/b ?ü"))]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ActorCallError(USER, "ProcessMessage", "the store is away", retryable=True), 503),
        (ActorCallError(USER, "ProcessMessage", "KeyError: 'x'", retryable=False), 500),
        (SidecarUnavailableError("gone"), 503),
        (RetryableError("later"), 503),
        (UnknownActorTypeError("ChatAgent", ("Account",)), 404),
    ],
)
async def test_a_fault_that_may_pass_is_told_from_a_bug(
    host: Host, sidecar: httpx.AsyncClient, error: Exception, status: int
) -> None:
    """By the status, which the sidecar passes on to the caller; the reason is in the one shape of errors."""
    host.error = error
    answer = await sidecar.put("/actors/ChatAgent/user1/method/ProcessMessage")
    assert (answer.status_code, list(answer.json())) == (status, ["detail"])


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("GET", "/actors/ChatAgent/user1"),
        ("POST", "/actors/ChatAgent/user1/method/ProcessMessage"),
        ("PUT", "/actors/ChatAgent/user1/method"),
        ("PUT", "/actors/ChatAgent/user1/method/remind/a/b"),
        ("PUT", "/actors/"),
    ],
)
async def test_what_no_sidecar_asks_for_is_not_found(
    host: Host, sidecar: httpx.AsyncClient, verb: str, path: str
) -> None:
    """And calls nobody."""
    answer = await sidecar.request(verb, path)
    assert (answer.status_code, json.loads(answer.content)) == (404, {"detail": "Not Found"})
    assert host.calls == []


async def test_a_sidecar_that_starts_finds_no_actor_active(host: Host, sidecar: httpx.AsyncClient) -> None:
    """Its first question is for the configuration, which the application behind answers."""
    assert (await sidecar.get("/dapr/config")).status_code == 418
    assert host.calls == [("start over",)]


async def test_everything_else_passes_through(host: Host, sidecar: httpx.AsyncClient) -> None:
    """The routes of the service are none of its business."""
    assert (await sidecar.get("/healthz")).status_code == 418
    assert host.calls == []


async def test_a_look_at_its_health_that_was_missed_starts_over(
    host: Host, sidecar: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Actors may have been elsewhere where the sidecar found nobody for a while; not while it looks steadily."""
    now = asyncio.get_running_loop().time()
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
    for passed, over in ((0.0, 0), (1.1, 0), (1.1, 0), (2.1, 1), (1.0, 1)):
        now += passed
        await sidecar.get("/healthz")
        assert host.calls.count(("start over",)) == over


async def test_the_kubelets_looks_are_not_the_sidecars(
    host: Host, sidecar: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They hide no look that the sidecar missed."""
    now = asyncio.get_running_loop().time()
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
    for agent in ("Go-http-client/1.1", "kube-probe/1.34", "Go-http-client/1.1"):
        await sidecar.get("/healthz", headers={"user-agent": agent})
        now += 1.0
    assert host.calls == [("start over",)]
