"""Each route, its shape and its bounds."""

import httpx
import pytest

from tests.conftest import Serve
from tests.http.support import Log
from tests.support import wait_until
from tests.test_conversation import memory_of, say

ACTORS = ("ChatAgent", "ResponseAgent", "MemoryAgentActor", "SentimentAgent", "ConversationLog")


async def remembered(client: httpx.AsyncClient, user: str, last_reply: str) -> list[dict[str, str]]:
    """Return the memory once it ends with this reply."""

    async def is_there() -> bool:
        memory = await memory_of(client, user)
        return bool(memory) and memory[-1]["content"] == last_reply

    await wait_until(is_there, description=f"the last turn of {user} is remembered")
    return await memory_of(client, user)


async def history_of(client: httpx.AsyncClient, user: str) -> list[dict[str, str]]:
    history: list[dict[str, str]] = (await client.get(f"/chat/{user}/history")).json()["history"]
    return history


@pytest.mark.parametrize(
    ("path", "empty"),
    [
        ("/chat/nobody/history", {"history": []}),
        ("/memory/nobody", {"memory": []}),
        ("/response/nobody/count", {"count": 0}),
    ],
)
async def test_a_fresh_user_has_nothing_and_that_is_no_fault(
    client: httpx.AsyncClient, log: Log, path: str, empty: dict[str, object]
) -> None:
    """What nobody wrote yet reads as empty, without an error and without a warning."""
    answer = await client.get(path)
    assert (answer.status_code, answer.json()) == (200, empty)
    assert log.messages(levels={"WARNING", "ERROR", "CRITICAL"}) == []


async def test_a_chat_answers_with_an_assistants_message_and_nothing_else(client: httpx.AsyncClient) -> None:
    """The reply is exactly {"response": {"role", "content"}}."""
    answer = await client.post("/chat/user1", json={"role": "user", "content": "Hi"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert set(body) == {"response"}
    assert set(body["response"]) == {"role", "content"}
    assert body["response"]["role"] == "assistant"


async def test_history_keeps_the_last_five_messages_and_memory_the_last_three(client: httpx.AsyncClient) -> None:
    """Older messages leave, one by one, oldest first; both hold role and content only."""
    replies = [(await say(client, "user1", f"message {n}"))["content"] for n in range(1, 5)]
    memory = await remembered(client, "user1", replies[-1])
    last_five = [
        {"role": "assistant", "content": replies[1]},
        {"role": "user", "content": "message 3"},
        {"role": "assistant", "content": replies[2]},
        {"role": "user", "content": "message 4"},
        {"role": "assistant", "content": replies[3]},
    ]
    assert await history_of(client, "user1") == last_five
    assert memory == last_five[-3:]
    assert (await client.get("/response/user1/count")).json() == {"count": 4}


async def test_the_bounds_of_history_and_memory_are_settings(serve: Serve) -> None:
    """HISTORY_LIMIT and MEMORY_LIMIT count messages."""
    async with serve(history_limit=2, memory_limit=1) as client:
        await say(client, "user1", "one")
        reply = await say(client, "user1", "two")
        assert await remembered(client, "user1", reply["content"]) == [reply]
        assert await history_of(client, "user1") == [{"role": "user", "content": "two"}, reply]


async def test_users_share_nothing(client: httpx.AsyncClient) -> None:
    """What one user says is in nobody else's history, memory or count, ids that differ in case included."""
    reply = await say(client, "user1", "Hi")
    await remembered(client, "user1", reply["content"])
    for other in ("User1", "user11", "response-user1", "memory-user1"):
        assert await history_of(client, other) == []
        assert await memory_of(client, other) == []
        assert (await client.get(f"/response/{other}/count")).json() == {"count": 0}


async def test_probes_answer(client: httpx.AsyncClient) -> None:
    """The process is up, and actors can be called here."""
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    ready = await client.get("/readyz")
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})


async def test_actor_types_are_named_to_the_sidecar(client: httpx.AsyncClient) -> None:
    """The sidecar reads the types and the actor settings from /dapr/config."""
    answer = await client.get("/dapr/config")
    assert answer.status_code == 200
    config = answer.json()
    assert sorted(config["entities"]) == sorted(ACTORS)
    assert "actorIdleTimeout" in config


async def test_metadata_tells_what_the_instance_holds(client: httpx.AsyncClient) -> None:
    """App id, host, active actors per type and the topic, whose backlog empties."""
    fresh = (await client.get("/metadata")).json()
    assert fresh["app_id"] == "multi-actor"
    assert fresh["host"] in {"embedded", "dapr"}
    assert fresh["actors"] == dict.fromkeys(ACTORS, 0)

    await say(client, "user1", "Hi")
    await say(client, "user2", "Hi")

    async def delivered() -> bool:
        held = (await client.get("/metadata")).json()
        nothing_waits = all(topic == {"backlog": 0, "dead_letters": 0} for topic in held["topics"].values())
        return bool("user-chat" in held["topics"] and nothing_waits and held["actors"] == dict.fromkeys(ACTORS, 2))

    await wait_until(delivered, description="the events of both turns are delivered")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("GET", "/chat/user1", 405), ("PUT", "/memory/user1", 405)],
)
async def test_what_is_not_there_has_the_shape_of_every_error(
    client: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    """An unknown path and a wrong method are answered with a detail too."""
    answer = await client.request(method, path)
    assert answer.status_code == status
    assert set(answer.json()) == {"detail"}


async def test_the_interactive_documentation_is_served(client: httpx.AsyncClient) -> None:
    """Swagger UI is under /docs."""
    answer = await client.get("/docs")
    assert answer.status_code == 200
    assert "MultiAgentService" in answer.text
