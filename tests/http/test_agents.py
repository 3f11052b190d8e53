"""The agents that join the conversation's broadcast."""

import json
from typing import Any

import httpx
import pytest
from sqlalchemy.exc import OperationalError

from multi_actor.agents.turn_log import TurnLog
from multi_actor.hosting.embedded import EmbeddedHost
from multi_actor.hosting.stores import SqliteStore
from tests.conftest import Serve
from tests.http.support import Log, cloud_event, event
from tests.support import ManualClock, wait_until

SAID = ["I love this!", "The table is brown.", "What an awful mess."]


async def say(client: httpx.AsyncClient, text: str, user: str = "ada") -> dict[str, str]:
    answer = await client.post(f"/chat/{user}", json={"role": "user", "content": text})
    assert answer.status_code == 200, answer.text
    reply: dict[str, str] = answer.json()["response"]
    return reply


async def read(client: httpx.AsyncClient, path: str) -> Any:
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def followed(client: httpx.AsyncClient, turns: int, user: str = "ada") -> None:
    async def there() -> bool:
        rated = (await read(client, f"/sentiment/{user}"))["messages"]
        return bool(rated >= turns <= len((await read(client, f"/log/{user}"))["turns"]))

    await wait_until(there, description="the agents have followed")


async def test_agents_follow_a_conversation(serve: Serve) -> None:
    """Each turn is rated, and logged as it was said."""
    async with serve() as client:
        replies = [await say(client, text) for text in SAID]
        await followed(client, 3)
        tone = await read(client, "/sentiment/ada")
        assert [each["tone"] for each in tone["recent"]] == ["positive", "neutral", "negative"]
        logged = (await read(client, "/log/ada"))["turns"]
        assert [each["sequence"] for each in logged] == [1, 2, 3]
        assert [each["input"] for each in logged] == [{"role": "user", "content": text} for text in SAID]
        assert [each["output"] for each in logged] == replies
        assert (await read(client, "/log/ada?limit=1"))["turns"] == logged[-1:]


async def test_of_a_fresh_user_agents_know_nothing(client: httpx.AsyncClient, log: Log) -> None:
    """That is no error, and no warning."""
    assert await read(client, "/sentiment/nobody") == {
        "messages": 0,
        "average": 0.0,
        "tones": {"positive": 0, "neutral": 0, "negative": 0},
        "recent": [],
    }
    assert await read(client, "/log/nobody") == {"turns": []}
    assert log.messages(levels={"WARNING", "ERROR", "CRITICAL"}) == []


@pytest.mark.parametrize("path", ["/sentiment/a%20b", "/log/..x", "/log/ada?limit=0", "/log/ada?limit=1001",
                                  "/log/ada?limit=x", "/sentiment/" + "a" * 65])  # fmt: skip
async def test_what_cannot_be_asked_is_422(client: httpx.AsyncClient, path: str) -> None:
    """It names what is wrong."""
    answer = await client.get(path)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][-1] in {"actor_id", "limit"}


async def test_an_event_that_comes_again_is_taken_in_once(client: httpx.AsyncClient) -> None:
    """By the agents too; an agent's own messages on the topic are left to them."""
    for number in range(3):
        answer = await client.post("/subscribe", json=cloud_event(event("ada"), id=str(number)))
        assert answer.json() == {"status": "SUCCESS"}
    assert (await read(client, "/sentiment/ada"))["messages"] == 1
    assert len((await read(client, "/log/ada"))["turns"]) == 1


async def test_without_agents_there_is_the_conversation_only(serve: Serve) -> None:
    """`AGENTS=none` leaves no trace of them."""
    async with serve(agents="none") as client:
        await say(client, "Hi")
        assert (await client.get("/sentiment/ada")).status_code == 404
        assert (await client.get("/log/ada")).status_code == 404
        assert set((await read(client, "/metadata"))["actors"]) == {"ChatAgent", "ResponseAgent", "MemoryAgentActor"}


async def test_a_log_that_cannot_be_written_disturbs_nobody(
    serve_on: Serve, monkeypatch: pytest.MonkeyPatch, log: Log
) -> None:
    """Turns, memory and the other agent go on; `GET /log` is 503; in the end each turn is there once."""
    broken = True
    create = TurnLog._create

    def fail_while_broken(self: TurnLog) -> None:
        if broken:
            raise OperationalError("SELECT * FROM nowhere", {}, OSError("disk I/O error"))
        create(self)

    monkeypatch.setattr(TurnLog, "_create", fail_while_broken)
    monkeypatch.setattr(TurnLog, "REST_SECONDS", 0.0)
    clock = ManualClock()
    async with serve_on(host=EmbeddedHost(SqliteStore(":memory:"), clock=clock)) as client:
        for text in SAID:
            await say(client, text)

        async def remembered() -> bool:
            return len((await read(client, "/memory/ada"))["memory"]) == 3

        async def rated() -> bool:
            return bool((await read(client, "/sentiment/ada"))["messages"] == 3)

        await wait_until(remembered, description="the memory has the turns")
        await wait_until(rated, description="the tone is known")
        refused = await client.get("/log/ada")
        assert refused.status_code == 503
        assert "nowhere" not in refused.text
        assert any("conversation log: " in line for line in log.messages(levels={"WARNING"}))
        assert (await read(client, "/metadata"))["topics"]["user-chat/agents"] == {"backlog": 0, "dead_letters": 0}
        broken = False
        await followed(client, 3)
        assert len((await read(client, "/log/ada"))["turns"]) == 3
        assert (await read(client, "/sentiment/ada"))["messages"] == 3


async def test_agents_leave_each_others_messages_on_the_topic_to_themselves(client: httpx.AsyncClient) -> None:
    """What an agent publishes on `user-chat` is no turn: it is acknowledged, as an object or as text."""
    said = {"event_id": "e1", "message": {"value": "x"}, "topic": "user-chat/ada"}
    message: dict[str, Any] = {**said, "sender": None, "chain": [], "trace": {}}
    for data in (message, json.dumps(message)):
        answer = await client.post("/subscribe", json=cloud_event(data))
        assert answer.json() == {"status": "SUCCESS"}
    assert (await read(client, "/memory/ada")) == {"memory": []}
    bad = await client.post("/subscribe", json=cloud_event({**message, "trace": [1]}))
    assert bad.json() == {"status": "DROP"}
