"""Events as a sidecar delivers them."""

import json
from typing import Any

import httpx
import pytest

from multi_actor.hosting.embedded import EmbeddedHost
from tests.conftest import Serve
from tests.http.support import FaultyStore, Log, cloud_event, event, nothing, refuses
from tests.test_conversation import memory_of

PROBLEMS = {"WARNING", "ERROR", "CRITICAL"}


async def deliver(client: httpx.AsyncClient, body: object) -> str:
    """Send this as a structured CloudEvent and return the status that the broker gets."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"content-type": "application/cloudevents+json"}
    answer = await client.post("/subscribe", content=content, headers=headers)
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"status"}
    return str(answer.json()["status"])


@pytest.mark.parametrize("wrap", [lambda data: data, json.dumps], ids=["object", "JSON string"])
async def test_an_event_updates_the_memory(client: httpx.AsyncClient, wrap: Any) -> None:
    """Its data may be an object or the JSON of it in a string."""
    assert await deliver(client, cloud_event(wrap(event("user1", 1)))) == "SUCCESS"
    assert await memory_of(client, "user1") == [
        {"role": "user", "content": "question 1"},
        {"role": "assistant", "content": "answer 1"},
    ]


async def test_an_event_that_comes_again_changes_nothing(client: httpx.AsyncClient) -> None:
    """A duplicate is a SUCCESS, under a new id as well: the sequence tells."""
    for event_id in ("first", "first", "second"):
        assert await deliver(client, cloud_event(event("user1", 1, event_id=event_id), id=event_id)) == "SUCCESS"
    assert len(await memory_of(client, "user1")) == 2


async def test_late_events_take_their_place(client: httpx.AsyncClient) -> None:
    """In whatever order turns arrive, the memory is in the order of the conversation."""
    for sequence in (3, 1, 2):
        assert await deliver(client, cloud_event(event("user1", sequence))) == "SUCCESS"
    contents = [message["content"] for message in await memory_of(client, "user1")]
    assert contents == ["answer 2", "question 3", "answer 3"]


NEVER = [
    pytest.param(b"", id="nothing"),
    pytest.param(b"no JSON", id="not JSON"),
    pytest.param(b'{"data": ', id="cut off"),
    pytest.param(b"\xff\xfe\x00", id="not text"),
    pytest.param(b"[" * 100_000, id="nested too deeply"),
    pytest.param(b'{"data":' * 50_000 + b"1" + b"}" * 50_000, id="data nested too deeply"),
    pytest.param(b"[]", id="array"),
    pytest.param(b"null", id="null"),
    pytest.param(b"{}", id="empty"),
    pytest.param(event(), id="the event without its envelope"),
    pytest.param(cloud_event(None), id="data null"),
    pytest.param(cloud_event([event()]), id="data array"),
    pytest.param(cloud_event(5), id="data number"),
    pytest.param(cloud_event("Hi"), id="data text"),
    pytest.param(cloud_event("[" * 100_000), id="data string nested too deeply"),
    pytest.param(cloud_event(json.dumps(json.dumps(event()))), id="data a string of a string"),
    *[pytest.param(cloud_event({k: v for k, v in event().items() if k != name}), id=f"no {name}") for name in event()],
    pytest.param(cloud_event(event(event_type="Unknown")), id="unknown event type"),
    pytest.param(cloud_event(event(event_type=["ConversationUpdated"])), id="event type a list"),
    pytest.param(cloud_event(event(actor_type="Other")), id="unknown actor type"),
    pytest.param(cloud_event(event("..")), id="actor id dots"),
    pytest.param(cloud_event(event("a/b")), id="actor id slash"),
    pytest.param(cloud_event(event("a||b")), id="actor id separator"),
    pytest.param(cloud_event(event("a\n")), id="actor id newline"),
    pytest.param(cloud_event(event("ü")), id="actor id unicode"),
    pytest.param(cloud_event(event("a" * 65)), id="actor id too long"),
    pytest.param(cloud_event(event(actor_id="")), id="actor id empty"),
    pytest.param(cloud_event(event(actor_id=1)), id="actor id number"),
    pytest.param(cloud_event(event(event_id=1)), id="event id number"),
    pytest.param(cloud_event(event(sequence="1")), id="sequence text"),
    pytest.param(cloud_event(event(sequence=1.5)), id="sequence fraction"),
    pytest.param(cloud_event(event(sequence=True)), id="sequence bool"),
    pytest.param(cloud_event(event(sequence=0)), id="sequence zero"),
    pytest.param(cloud_event(event(sequence=-1)), id="sequence negative"),
    pytest.param(cloud_event(event(input="Hi")), id="input text"),
    pytest.param(cloud_event(event(input={"role": "user"})), id="input without content"),
    pytest.param(cloud_event(event(input={"role": "user", "content": 5})), id="content number"),
    pytest.param(cloud_event(event(output={"role": "nobody", "content": "Hi"})), id="unknown role"),
    pytest.param(cloud_event(event(input={"role": "user", "content": "\ud800"})), id="a lone surrogate"),
]


@pytest.mark.parametrize("body", NEVER)
async def test_what_can_never_be_processed_is_dropped_and_logged_once(
    client: httpx.AsyncClient, log: Log, body: object
) -> None:
    """DROP sends it to the dead letters; no actor hears of it."""
    assert await deliver(client, body) == "DROP"
    assert len(log.messages(levels=PROBLEMS)) == 1
    assert (await client.get("/metadata")).json()["actors"]["MemoryAgentActor"] == 0


async def test_a_dropped_event_is_logged_without_what_users_wrote(client: httpx.AsyncClient, log: Log) -> None:
    """The line has the event's id and the field that is wrong."""
    data = event(input={"role": "user", "content": "a private word", "more": 1}, sequence="a private number")
    assert await deliver(client, cloud_event(data, id="cloud-77")) == "DROP"
    (line,) = log.messages(levels=PROBLEMS)
    assert "cloud-77" in line
    assert "sequence" in line
    assert "private" not in log.text


async def test_a_passing_fault_is_retried_until_it_has_passed(serve_on: Serve) -> None:
    """RETRY while the memory actor's store is away; the same event is a SUCCESS afterwards."""
    store = FaultyStore()
    async with serve_on(host=EmbeddedHost(store)) as client:
        for fault in ("before_get", "before_transact"):
            setattr(store, fault, refuses("MemoryAgentActor"))
            assert await deliver(client, cloud_event(event())) == "RETRY"
            setattr(store, fault, nothing)
        assert await memory_of(client, "user1") == []
        assert await deliver(client, cloud_event(event())) == "SUCCESS"
        assert len(await memory_of(client, "user1")) == 2


async def test_dead_letters_of_topics_that_are_not_ours_are_counted_together(client: httpx.AsyncClient) -> None:
    """Names that somebody makes up fill no memory."""
    for number in range(3):
        await client.post("/dead-letter", json=cloud_event(event(), topic=f"made-up-{number}"))
    await client.post("/dead-letter", json=cloud_event(event()))
    topics = (await client.get("/metadata")).json()["topics"]
    assert topics["user-chat"] == {"backlog": 0, "dead_letters": 1}
    assert not any(name.startswith("made-up") for name in topics)


async def test_a_dead_letter_is_logged_with_its_ids_and_counted(client: httpx.AsyncClient, log: Log) -> None:
    """The line names the envelope, the topic, the event and its user, and not what was said."""
    answer = await client.post("/dead-letter", json=cloud_event(event("user7", 5, event_id="event-5"), id="cloud-5"))
    assert (answer.status_code, answer.json()) == (200, {"status": "SUCCESS"})
    (line,) = log.messages(levels=PROBLEMS)
    for part in ("dead letter", "cloud-5", "user-chat", "event-5", "user7"):
        assert part in line
    assert "question" not in log.text


@pytest.mark.parametrize("body", [b"", b"no JSON", b"[]", b"\xff", b'{"id": 5, "topic": ["a"], "data": "x"}'])
async def test_a_dead_letter_of_any_kind_is_taken(client: httpx.AsyncClient, log: Log, body: bytes) -> None:
    """There is nowhere further for it to go: SUCCESS, and a line in the log."""
    answer = await client.post("/dead-letter", content=body)
    assert (answer.status_code, answer.json()) == (200, {"status": "SUCCESS"})
    assert len(log.messages(levels=PROBLEMS)) == 1


async def test_ids_cannot_forge_log_lines(client: httpx.AsyncClient, log: Log) -> None:
    """Line ends in an id of somebody else's stay inside their line."""
    await client.post("/dead-letter", json=cloud_event(event(event_id="a\nb"), id="x\n2026 ERROR y", topic="t\r\n"))
    (line,) = log.messages(levels=PROBLEMS)
    assert "\n" not in line
    assert "\r" not in line
