"""The service on a real sidecar, end to end."""

import json
from pathlib import Path
from typing import Any

import httpx

from multi_actor.contracts import PUBSUB, USER_CHAT
from tests.dapr.instance import Instance, instance, read
from tests.support import wait_until
from tools.dapr.local import ControlPlane
from tools.dapr.processes import LOOPBACK

TAMPERED = ("-m", "tests.dapr.tampered")
SLOW = 60.0  # seconds within which what passes through the broker has arrived
ACTORS = ("ChatAgent", "ResponseAgent", "MemoryAgentActor")
BY_TOPIC = ("UpdateMemory", "Deliver")  # an event brings its request's id along, and not its trace
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


async def say(client: httpx.AsyncClient, one: Instance, content: str, **headers: str) -> str:
    answer = await client.post(f"{one.url}/chat/ada", json={"role": "user", "content": content}, headers=headers)
    assert answer.status_code == 200, answer.text
    reply: str = answer.json()["response"]["content"]
    return reply


async def memory_holds(client: httpx.AsyncClient, one: Instance, messages: int) -> None:
    async def holds() -> bool:
        return len((await read(client, f"{one.url}/memory/ada"))["memory"]) == messages

    await wait_until(holds, description=f"{messages} messages are remembered; {one.app.log}", within=SLOW)


async def test_a_conversation(plane: ControlPlane, client: httpx.AsyncClient) -> None:
    """A reply, the history, the count at once; the memory follows over the topic; the next reply quotes it."""
    async with instance(plane, client) as one:
        assert await read(client, f"{one.url}/chat/ada/history") == {"history": []}
        assert await read(client, f"{one.url}/memory/ada") == {"memory": []}
        assert await read(client, f"{one.url}/response/ada/count") == {"count": 0}

        first = await say(client, one, "My name is Ada")
        assert first.startswith("Memory: Message count: 1. Got your message: My name is Ada at ")
        history = [{"role": "user", "content": "My name is Ada"}, {"role": "assistant", "content": first}]
        assert await read(client, f"{one.url}/chat/ada/history") == {"history": history}
        assert await read(client, f"{one.url}/response/ada/count") == {"count": 1}
        await memory_holds(client, one, 2)
        assert await read(client, f"{one.url}/memory/ada") == {"memory": history}

        second = await say(client, one, "Who am I?")
        assert second.startswith("Memory: user: My name is Ada; assistant: Got your message: My name is Ada at ")
        await memory_holds(client, one, 3)
        metadata = await read(client, f"{one.url}/metadata")
        assert metadata["host"] == "dapr"
        assert set(metadata["actors"]) == {*ACTORS, "SentimentAgent", "ConversationLog"}
        assert {name: metadata["actors"][name] for name in ACTORS} == dict.fromkeys(ACTORS, 1)
        assert {line["level"] for line in one.lines} <= {"INFO", "WARNING"}
        assert [line["message"] for line in one.lines if line["level"] == "WARNING"] == [
            "APP_API_TOKEN is not set: whoever reaches this port can forge events and actor calls"
        ]


async def test_readiness_follows_the_sidecar(plane: ControlPlane, client: httpx.AsyncClient) -> None:
    """Without its sidecar an instance lives, is not ready and refuses turns; with it again it goes on."""
    async with instance(plane, client) as one:
        reply = await say(client, one, "Hi")
        one.sidecar.kill()

        async def unready() -> bool:
            return (await client.get(f"{one.url}/readyz")).status_code == 503

        await wait_until(unready, description="the instance is not ready", within=SLOW)
        assert await read(client, f"{one.url}/healthz") == {"status": "ok"}
        refused = await client.post(f"{one.url}/chat/ada", json={"role": "user", "content": "Are you there?"})
        assert refused.status_code == 503
        assert "retry-after" in refused.headers
        assert (await client.get(f"{one.url}/metadata")).status_code == 503

        await one.sidecar.start()
        await one.ready(client)
        await say(client, one, "Are you there?")
        history = (await read(client, f"{one.url}/chat/ada/history"))["history"]
        assert [message["content"] for message in history[:3]] == ["Hi", reply, "Are you there?"]
        assert len(history) == 4


async def test_one_id_and_one_trace_follow_a_turn(
    plane: ControlPlane, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    """Each line that a turn logs has its request's id, and each actor that it calls its client's trace."""
    heard = tmp_path / "heard"
    async with instance(plane, client, program=TAMPERED, HEARD=str(heard)) as one:
        headers = {"X-Request-ID": "request-1", "traceparent": f"00-{TRACE_ID}-00f067aa0ba902b7-01"}
        await say(client, one, "Hi", **headers)
        await memory_holds(client, one, 2)
        lines = [line["message"] for line in one.lines if line["correlation_id"] == "request-1"]
        assert sorted(lines) == [
            "Processed message for history-ada",
            "Published event for history-ada",
            "Received event for ada",
            "ResponseAgent processed message for response-count-ada",
            "Updated memory for memory-ada",
        ]
    calls: list[dict[str, Any]] = [json.loads(line) for line in heard.read_text().splitlines()]
    traces = {
        call["path"].removeprefix("/actors/"): call["headers"].get("traceparent", "").split("-")[1:2]
        for call in calls
        if call["headers"].get("x-request-id") == "request-1" and not call["path"].endswith(BY_TOPIC)
    }
    assert traces == {
        "ChatAgent/ada/method/ProcessMessage": [TRACE_ID],
        "ResponseAgent/response-ada/method/ProcessMessage": [TRACE_ID],
        "MemoryAgentActor/memory-ada/method/GetMemory": [TRACE_ID],
    }


async def test_an_event_that_can_never_be_processed_is_a_dead_letter(
    plane: ControlPlane, client: httpx.AsyncClient
) -> None:
    """It comes back over the dead letter topic, is counted, and changes nothing."""
    async with instance(plane, client) as one:
        publish = f"http://{LOOPBACK}:{one.sidecar.http_port}/v1.0/publish/{PUBSUB}/{USER_CHAT}"
        data = {"event_type": "ConversationUpdated", "actor_id": "ada", "event_id": "unfit", "sequence": "one"}
        assert (await client.post(publish, json=data)).status_code == 204

        async def buried() -> bool:
            metadata = await read(client, f"{one.url}/metadata")
            return bool(metadata["topics"][USER_CHAT]["dead_letters"] == 1)

        await wait_until(buried, description=f"the dead letter is counted; {one.app.log}", within=SLOW)
        said = [line["message"] for line in one.lines if line["logger"] == "multi_actor.subscriptions"]
        assert len(said) == 2
        assert "dropped: bad" in said[0]
        assert said[1].startswith("dead letter ")
        assert said[1].endswith(" of user-chat: event unfit for ada")
        assert await read(client, f"{one.url}/memory/ada") == {"memory": []}


async def test_an_event_that_failed_comes_again(plane: ControlPlane, client: httpx.AsyncClient) -> None:
    """A memory that fails twice gets the event a third time, without its being published again."""
    async with instance(plane, client, program=TAMPERED, STUMBLES="2") as one:
        await say(client, one, "Hi")
        await memory_holds(client, one, 2)
        messages = [line["message"] for line in one.lines]
        assert messages.count("Received event for ada") == 3
        assert messages.count("Published event for history-ada") == 1
        assert messages.count("Updated memory for memory-ada") == 1
