"""The tone of what a user says."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from multi_actor.agents import sentiment
from multi_actor.agents.sentiment import GetSentiment, Sentiment, SentimentAgent, rate, tone_of
from multi_actor.contracts import USER_CHAT
from multi_actor.messaging import AgentId, SingleThreadedAgentRuntime, TopicId
from tests.agents.turns import turn

ADA = AgentId("SentimentAgent", "ada")


@pytest.fixture
async def runtime() -> AsyncIterator[SingleThreadedAgentRuntime]:
    """An agent of ours on the runtime of one process: it cannot tell."""
    async with SingleThreadedAgentRuntime() as runtime:
        await SentimentAgent.register(runtime, "SentimentAgent", SentimentAgent)
        yield runtime


async def broadcast(runtime: SingleThreadedAgentRuntime, *said: str) -> Sentiment:
    for sequence, text in enumerate(said, 1):
        await runtime.publish_message(turn(sequence, text), TopicId(USER_CHAT, "ada"))
    sentiment: Sentiment = await runtime.send_message(GetSentiment(), ADA)
    return sentiment


async def test_each_message_has_a_tone(runtime: SingleThreadedAgentRuntime) -> None:
    """Good, bad, or neither; in the order of the turns."""
    found = await broadcast(runtime, "I love this, it is great!", "The table is brown.", "What an awful, sad mess.")
    assert [(each.sequence, each.tone) for each in found.recent] == [(1, "positive"), (2, "neutral"), (3, "negative")]
    assert found.tones.model_dump() == {"positive": 1, "neutral": 1, "negative": 1}
    assert found.messages == 3
    assert found.average == pytest.approx(sum(each.score for each in found.recent) / 3)


async def test_the_last_five_are_listed(runtime: SingleThreadedAgentRuntime) -> None:
    """The others are in the counts: what is kept of a user does not grow."""
    found = await broadcast(runtime, *["fine"] * 12)
    assert [each.sequence for each in found.recent] == [8, 9, 10, 11, 12]
    assert found.messages == found.tones.positive == 12


async def test_a_turn_that_was_overtaken_takes_its_place(runtime: SingleThreadedAgentRuntime) -> None:
    """A topic promises no order."""
    for sequence in (2, 3, 1):
        await runtime.publish_message(turn(sequence, "fine"), TopicId(USER_CHAT, "ada"))
    found = await runtime.send_message(GetSentiment(), ADA)
    assert [each.sequence for each in found.recent] == [1, 2, 3]


async def test_of_nobody_nothing_is_known(runtime: SingleThreadedAgentRuntime) -> None:
    """A user who said nothing has no tone."""
    assert await broadcast(runtime) == Sentiment()


async def test_its_state_goes_on_elsewhere(runtime: SingleThreadedAgentRuntime) -> None:
    """What one agent saved the next one knows."""
    found = await broadcast(runtime, "fine", "awful")
    other = SingleThreadedAgentRuntime()
    await SentimentAgent.register(other, "SentimentAgent", SentimentAgent)
    await other.load_state(await runtime.save_state())
    async with other:
        assert await other.send_message(GetSentiment(), ADA) == found


@pytest.mark.parametrize(
    "text", ["", " \n ", "😀" * 16_000, "good but " * 1_700, "x" * 16_000, "null", "\x01\x7f", "5m"]
)
async def test_any_text_is_rated_in_short_pieces(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's time grows with the square of a text's length: it gets little at once, and little in all."""
    pieces: list[str] = []
    analyzer = sentiment._analyzer()

    class Recording:
        def polarity_scores(self, piece: str) -> Any:
            pieces.append(piece)
            return analyzer.polarity_scores(piece)

    monkeypatch.setattr(sentiment, "_analyzer", Recording)
    assert -1 <= await rate(text) <= 1
    assert max(map(len, pieces)) <= 140
    assert sum(map(len, pieces)) <= 1_000


@pytest.mark.parametrize(
    ("score", "tone"),
    [(1.0, "positive"), (0.05, "positive"), (0.049, "neutral"), (0.0, "neutral"), (-0.049, "neutral"),
     (-0.05, "negative"), (-1.0, "negative")],
)  # fmt: skip
def test_a_tone_begins_where_the_lexicons_authors_say(score: float, tone: str) -> None:
    """At 0.05, on either side."""
    assert tone_of(score) == tone
