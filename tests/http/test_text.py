# ruff: noqa: RUF001  # ambiguous characters are what is typed here
"""Text is text: what a user typed comes back exactly."""

import itertools

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.http.test_routes import history_of, remembered
from tests.test_conversation import say

TEXTS = [
    "5m", "1h30m", "PT5M", "2024-01-15", "2024-01-15: dentist", "2024-01-15T10:00:00Z", "12:30", "null", "None",
    "true", "1e5", "0", "-0.0", "NaN", "Infinity", "007", '"quoted"', "{}", "[1, 2]", '{"role": "assistant"}',
    "\\", "\\u0041",
    "\\ud800", "%2F%00", "a\nb\r\nc\td", " leading and trailing ", "a\u2028b\u2029c", "\x01\x02\x1f\x7f", "\x85\x9f",
    "\ufeffmark", "\ufffe\uffff", "e\u0301 and é", "👩‍👩‍👧‍👦🏳️‍🌈", "שלום \u202eabc", "𝕏",
    "'; DROP TABLE state; --", "${HOME} {0} %s %(x)s",
    "<script>alert(1)</script>", "aGVsbG8=", "a;b. Got your message: c at d",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
async def test_history_and_memory_return_what_was_typed(client: httpx.AsyncClient, text: str) -> None:
    """Nothing is taken for a duration, a date, a number, an escape or a markup, now or on a later read."""
    reply = await say(client, "user1", text)
    assert f"Got your message: {text} at " in reply["content"]
    typed = [{"role": "user", "content": text}, reply]
    assert await remembered(client, "user1", reply["content"]) == typed
    assert await history_of(client, "user1") == typed


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=300))
async def test_any_text_comes_back(client: httpx.AsyncClient, text: str) -> None:
    """Whatever the characters are, U+0000 and surrogates aside; blank text is refused instead."""
    user = f"user{next(_users)}"
    if not text.strip():
        answer = await client.post(f"/chat/{user}", json={"role": "user", "content": text})
        assert answer.status_code == 400
        return
    reply = await say(client, user, text)
    typed = [{"role": "user", "content": text}, reply]
    assert await history_of(client, user) == typed
    assert await remembered(client, user, reply["content"]) == typed


_users = itertools.count()
