"""What is quoted of a reply: its own sentence, whatever the texts imitate."""

import asyncio
import re

from hypothesis import given
from hypothesis import strategies as st

from multi_actor.actors.responder import QUOTE_CHARS, TemplateResponder, own_words
from multi_actor.contracts import Message, Remembered

_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?\+00:00"
_PIECES = (
    "Got your message: ",
    "Got your message:",
    " at ",
    "Memory: ",
    "Message count: 1. ",
    "; ",
    "user: ",
    "assistant: ",
    "2026-01-31T12:00:00.123456+00:00",
    "2",
    ". ",
    " ",
    "Hi",
    "\n",
    "🦊",
    "é",
)
texts = st.one_of(st.lists(st.sampled_from(_PIECES), min_size=1, max_size=8).map("".join), st.text(max_size=30))
long_texts = st.builds(lambda text, times: text * times, texts, st.integers(1, 400))


@st.composite
def memories(draw: st.DrawFn) -> list[Remembered]:
    """Up to three remembered messages, with or without the part to quote."""
    memory = []
    for role in draw(st.lists(st.sampled_from(["user", "assistant"]), max_size=3)):
        message = Remembered(role=role, content=draw(long_texts))
        if role == "assistant" and draw(st.booleans()):
            message["quote"] = draw(texts)[:QUOTE_CHARS]
        memory.append(message)
    return memory


def reply_to(content: str, memory: list[Remembered], number: int = 1) -> str:
    said = Message(role="user", content=content)
    return asyncio.run(TemplateResponder().respond(said, memory, number))


def sentence_of(reply: str, content: str) -> str:
    """The reply's own sentence, found from its end: its length is known, but for the time's."""
    time = re.search(f"{_TIME}$", reply)
    assert time
    sentence = f"Got your message: {content} at {time[0]}"
    assert reply.endswith(sentence)
    return sentence


@given(content=long_texts, memory=memories())
def test_a_reply_is_quoted_by_its_own_sentence(content: str, memory: list[Remembered]) -> None:
    """The quote is the sentence about this message, clipped to 200, whatever message and memory imitate."""
    reply = reply_to(content, memory)
    assert own_words(reply, to=content) == sentence_of(reply, content)[:QUOTE_CHARS]


@given(content=texts, before=texts)
def test_the_message_may_quote_a_whole_reply(content: str, before: str) -> None:
    """A user who sends a reply back, or a sentence that ends like one, moves the quote nowhere."""
    first = reply_to(before, [])
    said = f"{first} {content}{first}"
    reply = reply_to(said, [Remembered(role="assistant", content=first, quote=own_words(first, to=before))])
    assert own_words(reply, to=said) == sentence_of(reply, said)[:QUOTE_CHARS]


@given(content=texts, memory=memories(), number=st.integers(1, 10**6))
def test_a_reply_is_as_long_as_its_parts_allow(content: str, memory: list[Remembered], number: int) -> None:
    """The reply's length is the message's and at most 200 characters for each remembered one, with their roles."""
    reply = reply_to(content, memory, number)
    context = sum(len("assistant: ; ") + QUOTE_CHARS for _ in memory) or len(f"Message count: {number}")
    assert len(reply) <= len("Memory: ") + context + len(". ") + len(sentence_of(reply, content))
    assert reply.startswith("Memory: ")


@given(contents=st.lists(texts, min_size=1, max_size=12))
def test_replies_do_not_grow_with_the_conversation(contents: list[str]) -> None:
    """However many turns went before, a remembered reply brings in its own sentence and no memory of its own."""
    memory: list[Remembered] = []
    for number, content in enumerate(contents, start=1):
        reply = reply_to(content, memory, number)
        quoted = [message.get("quote", message["content"])[:QUOTE_CHARS] for message in memory]
        context = "; ".join(f"{m['role']}: {quote}" for m, quote in zip(memory, quoted, strict=True))
        own = sentence_of(reply, content)
        assert reply == f"Memory: {context or f'Message count: {number}'}. {own}"
        answered = Remembered(role="assistant", content=reply, quote=own_words(reply, to=content))
        memory = [*memory, Remembered(role="user", content=content), answered][-3:]


@given(reply=long_texts, content=texts)
def test_a_reply_of_another_responder_is_quoted_from_its_beginning(reply: str, content: str) -> None:
    """A reply that does not echo the message is its own words as a whole, clipped like any other."""
    if f"Got your message: {content} at " not in reply:
        assert own_words(reply, to=content) == reply[:QUOTE_CHARS]
