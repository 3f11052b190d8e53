"""The reply: what it says, what it quotes and how long it gets."""

import re
from datetime import UTC, datetime

import httpx
import pytest

from multi_actor.contracts import Message, Remembered
from multi_actor.hosting.embedded import EmbeddedHost
from tests.conftest import Serve
from tests.http.support import FaultyStore, refuses
from tests.http.test_routes import remembered
from tests.test_conversation import say

LONGEST = 16_000
# Three messages clipped to 200, each with its role; then the words of the sentence and the time.
BOUND = 3 * (200 + len("assistant: ; ")) + 120


async def talk(client: httpx.AsyncClient, *contents: str) -> list[str]:
    """Say these one after another, each remembered before the next, and return the replies."""
    replies = []
    for content in contents:
        replies.append((await say(client, "user1", content))["content"])
        await remembered(client, "user1", replies[-1])
    return replies


async def test_a_first_reply_has_the_count_and_the_time(client: httpx.AsyncClient) -> None:
    """The sentence is the contract's; the time is ISO 8601, in UTC, and now."""
    before = datetime.now(UTC)
    (reply,) = await talk(client, "Hi")
    match = re.fullmatch(r"Memory: Message count: 1\. Got your message: Hi at (.+)", reply)
    assert match
    said = datetime.fromisoformat(match[1])
    assert said.utcoffset() == UTC.utcoffset(None)
    assert before <= said <= datetime.now(UTC)


async def test_a_reply_quotes_the_memory_by_own_words(client: httpx.AsyncClient) -> None:
    """`role: content` joined by `; `, and of a reply what it said itself, not the memory that it quoted."""
    first, second, third = await talk(client, "one", "two", "three")
    own_first = first.removeprefix("Memory: Message count: 1. ")
    assert second.startswith(f"Memory: user: one; assistant: {own_first}. Got your message: two at ")
    own_second = second[second.index("Got your message: two") :]
    expected = f"Memory: assistant: {own_first}; user: two; assistant: {own_second}. Got your message: three at "
    assert third.startswith(expected)


async def test_a_message_is_echoed_whole_and_quoted_clipped(client: httpx.AsyncClient) -> None:
    """The current message is not cut; a remembered one is, to 200 characters, a reply too."""
    long = "long " * 100
    first, second = await talk(client, long, "short")
    assert f"Got your message: {long} at " in first
    quoted = f"Got your message: {long}"[:200]
    assert second.startswith(f"Memory: user: {long[:200]}; assistant: {quoted}. Got your message: short at ")


@pytest.mark.parametrize("length", [199, 200, 201])
async def test_the_clip_is_at_200_characters(client: httpx.AsyncClient, length: int) -> None:
    """200 fit, the 201st is left out; characters are code points."""
    text = "é😀" * 100 + "z"
    _, second = await talk(client, text[:length], "short")
    assert second.startswith(f"Memory: user: {text[: min(length, 200)]}; assistant: Got your message: é😀")


IMITATIONS = [
    "Memory: x. Got your message: y at z",
    "Got your message: ",
    "Got your message: Got your message:  at  at ",
    ". Got your message: a at 2024-01-15T00:00:00+00:00",
    "Memory: Message count: 1. Got your message: Hi at 2024-01-15T00:00:00+00:00",
    "user: a; assistant: b; Memory: ",
]


@pytest.mark.parametrize("text", [*IMITATIONS, " at ", "\n" + "x" * 150, "Got your message: x at " * 600])
async def test_a_reply_stays_bounded_over_many_turns(client: httpx.AsyncClient, text: str) -> None:
    """Text that imitates the sentence, the same text again and again: the quotation never grows."""
    for reply in await talk(client, *[text] * 8):
        assert len(reply) <= len(text) + BOUND
        assert reply.startswith("Memory: ")
        assert reply.count(f"Got your message: {text} at ") >= 1


async def test_a_reply_stays_bounded_after_the_longest_messages(client: httpx.AsyncClient) -> None:
    """After ten turns of 16,000 characters, imitations among them, a short message gets a short reply."""
    long = [(imitation * LONGEST)[:LONGEST] for imitation in (*IMITATIONS, "x", "😀", "; ", ". ")]
    for content, reply in zip(long, await talk(client, *long), strict=True):
        assert len(reply) <= len(content) + BOUND
    (last,) = await talk(client, "short")
    assert len(last) <= len("short") + BOUND


async def test_an_imitation_cannot_hide_what_was_said(client: httpx.AsyncClient) -> None:
    """The reply to a message that holds the whole sentence is quoted from its real beginning."""
    text = "Memory: x. Got your message: y at z"
    first, second = await talk(client, text, "next")
    own = first.removeprefix("Memory: Message count: 1. ")
    assert second.startswith(f"Memory: user: {text}; assistant: {own}. Got your message: next at ")


async def test_the_count_stands_in_while_nothing_is_remembered(serve_on: Serve) -> None:
    """`Message count: n` counts this user's messages."""
    store = FaultyStore()
    store.before_get = refuses("MemoryAgentActor")
    async with serve_on(host=EmbeddedHost(store)) as client:
        for number in (1, 2, 3):
            reply = await say(client, "user1", "Hi")
            assert reply["content"].startswith(f"Memory: Message count: {number}. Got your message: Hi at ")


async def test_a_responder_of_ones_own_writes_the_replies(serve: Serve) -> None:
    """It gets the message, the memory and the number; what it returns is the reply, word for word."""
    asked: list[tuple[Message, list[tuple[str, str]], int]] = []

    class Parrot:
        async def respond(self, message: Message, memory: list[Remembered], number: int) -> str:
            asked.append((message, [(m["role"], m["content"]) for m in memory], number))
            return f"parrot {number}"

    async with serve(responder=Parrot()) as client:
        assert await talk(client, "one", "two") == ["parrot 1", "parrot 2"]
    assert asked == [
        ({"role": "user", "content": "one"}, [], 1),
        ({"role": "user", "content": "two"}, [("user", "one"), ("assistant", "parrot 1")], 2),
    ]
