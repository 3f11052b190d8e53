"""Faults stay where they are."""

import asyncio

import pytest

from multi_actor.contracts import Message
from multi_actor.hosting.abc import ActorKey
from multi_actor.hosting.embedded import EmbeddedHost
from tests.conftest import Serve
from tests.http.support import FaultyResponder, FaultyStore, Log, nothing, refuses
from tests.http.test_routes import history_of, remembered
from tests.test_conversation import say


async def test_a_broken_memory_costs_its_part_of_the_reply_only(serve_on: Serve, log: Log) -> None:
    """The chat is answered without memory; that is a warning in the log, and mends itself with nothing lost."""
    store = FaultyStore()
    async with serve_on(host=EmbeddedHost(store)) as client:
        first = await say(client, "user1", "one")
        await remembered(client, "user1", first["content"])
        store.before_transact = refuses("MemoryAgentActor")
        store.before_get = refuses("MemoryAgentActor")
        second = await say(client, "user2", "two")
        assert second["content"].startswith("Memory: Message count: 1. Got your message: two at ")
        assert any("without memory" in line for line in log.messages(levels={"WARNING"}))

        store.before_transact = store.before_get = nothing
        await remembered(client, "user2", second["content"])
        third = await say(client, "user2", "three")
        assert third["content"].startswith("Memory: user: two; assistant: Got your message: two at ")


async def test_a_slow_memory_is_not_waited_for(serve_on: Serve, log: Log) -> None:
    """After MEMORY_TIMEOUT_SECONDS the reply is made without it, and the log says so."""
    store = FaultyStore()
    go_on = asyncio.Event()

    async def hang(key: ActorKey) -> None:
        if key.actor_type == "MemoryAgentActor":
            await go_on.wait()

    store.before_get = hang
    async with serve_on(host=EmbeddedHost(store), memory_timeout_seconds=0.05) as client:
        reply = await say(client, "user1", "Hi")
        assert reply["content"].startswith("Memory: Message count: 1. Got your message: Hi at ")
        assert any("without memory" in line for line in log.messages(levels={"WARNING"}))
        go_on.set()
        await remembered(client, "user1", reply["content"])


@pytest.mark.parametrize("kind", ["raises", "hangs"])
async def test_a_broken_responder_of_one_user_touches_nobody_else(serve: Serve, kind: str) -> None:
    """While one user gets 503, or waits, the others are answered."""
    responder = FaultyResponder()
    go_on = asyncio.Event()

    async def break_for_user1(message: Message) -> None:
        if message["content"].startswith("user1"):
            if kind == "hangs":
                await go_on.wait()
            raise RuntimeError

    responder.before = break_for_user1
    async with serve(responder=responder) as client:
        broken = asyncio.create_task(client.post("/chat/user1", json={"role": "user", "content": "user1 says hi"}))
        for turn in (1, 2):
            for user in ("user2", "user3"):
                await say(client, user, f"{user} says {turn}")
        go_on.set()
        assert (await broken).status_code == 503
        assert await history_of(client, "user1") == []
        for user in ("user2", "user3"):
            assert len(await history_of(client, user)) == 4
            assert (await client.get(f"/response/{user}/count")).json() == {"count": 2}


async def test_the_count_leads_by_one_at_most_after_unanswered_turns(serve_on: Serve) -> None:
    """However often a turn fails after its reply was made, it is counted once, and the next makes it even."""
    store = FaultyStore()
    async with serve_on(host=EmbeddedHost(store)) as client:
        await say(client, "user1", "one")
        store.before_transact = refuses("ChatAgent")
        for _ in range(3):
            answer = await client.post("/chat/user1", json={"role": "user", "content": "lost"})
            assert answer.status_code == 503
            assert (await client.get("/response/user1/count")).json()["count"] in {1, 2}
        store.before_transact = nothing
        assert len(await history_of(client, "user1")) == 2
        await say(client, "user1", "two")
        assert (await client.get("/response/user1/count")).json() == {"count": 2}


async def test_one_users_messages_are_answered_in_order_of_arrival(serve: Serve) -> None:
    """However many are sent at once."""
    async with serve(history_limit=40) as client:
        await asyncio.gather(*(say(client, "user1", f"message {n}") for n in range(20)))
        said = [m["content"] for m in await history_of(client, "user1") if m["role"] == "user"]
        assert said == [f"message {n}" for n in range(20)]


async def test_messages_that_one_user_sends_at_once_are_turns_one_after_another(serve: Serve) -> None:
    """Each has its answer behind it; none is lost and none doubled."""
    async with serve(history_limit=40) as client:
        messages = [f"message {n}" for n in range(20)]
        answers = await asyncio.gather(*(say(client, "user1", message) for message in messages))
        history = await history_of(client, "user1")
        said, answered = history[::2], history[1::2]
        assert sorted(m["content"] for m in said) == sorted(messages)
        replies = dict(zip(messages, answers, strict=True))
        assert answered == [replies[m["content"]] for m in said]
        assert (await client.get("/response/user1/count")).json() == {"count": 20}
