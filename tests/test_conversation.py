"""A first conversation, as a client has it."""

import re
from typing import Any

import httpx

from tests.support import wait_until


async def say(client: httpx.AsyncClient, user: str, content: str, **headers: str) -> dict[str, Any]:
    answer = await client.post(f"/chat/{user}", json={"role": "user", "content": content}, headers=headers)
    assert answer.status_code == 200, answer.text
    response: dict[str, Any] = answer.json()["response"]
    return response


async def memory_of(client: httpx.AsyncClient, user: str) -> list[dict[str, str]]:
    memory: list[dict[str, str]] = (await client.get(f"/memory/{user}")).json()["memory"]
    return memory


async def test_a_conversation_is_answered_counted_and_remembered(client: httpx.AsyncClient) -> None:
    """Two turns are in the history and the count at once, and reach the memory over the topic."""
    first = await say(client, "user1", "Hi")
    assert re.fullmatch(
        r"Memory: Message count: 1\. Got your message: Hi at \d{4}-\d\d-\d\dT[\d:.]+\+00:00", first["content"]
    )

    async def remembered() -> bool:
        return len(await memory_of(client, "user1")) == 2

    await wait_until(remembered, description="the first turn is remembered")
    second = await say(client, "user1", "How are you?")
    own = first["content"].removeprefix("Memory: Message count: 1. ")
    assert second["content"].startswith(f"Memory: user: Hi; assistant: {own}. Got your message: How are you? at ")

    history = (await client.get("/chat/user1/history")).json()["history"]
    assert history == [
        {"role": "user", "content": "Hi"},
        first,
        {"role": "user", "content": "How are you?"},
        second,
    ]
    assert (await client.get("/response/user1/count")).json() == {"count": 2}
