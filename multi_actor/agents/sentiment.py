"""The tone of what a user says."""

import asyncio
import textwrap
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from multi_actor.contracts import USER_CHAT, ConversationUpdated
from multi_actor.messaging import MessageContext, RoutedAgent, event, rpc, type_subscription

RECENT = 5
_RATED_CHARS = 1_000
_PIECE_CHARS = 140  # rating takes the square of a text's length: of 16,000 emoji it took 98 s, of these 5 ms

Tone = Literal["positive", "neutral", "negative"]


class GetSentiment(BaseModel):
    """Asks for the tone of what a user said."""


class RatedMessage(BaseModel):
    """The tone of one message. ``score`` is from -1 (negative) to 1; ``sequence`` counts the user's turns from 1."""

    sequence: int
    tone: Tone
    score: float


class Tones(BaseModel):
    """How many messages were of which tone."""

    positive: int = 0
    neutral: int = 0
    negative: int = 0


class Sentiment(BaseModel):
    """The tone of what a user said: of all messages, and of the last ones, oldest first."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "messages": 1,
                    "average": 0.6369,
                    "tones": {"positive": 1, "neutral": 0, "negative": 0},
                    "recent": [{"sequence": 1, "tone": "positive", "score": 0.6369}],
                }
            ]
        }
    )

    messages: int = 0
    average: float = 0.0
    tones: Tones = Tones()
    recent: list[RatedMessage] = []


@type_subscription(USER_CHAT)
class SentimentAgent(RoutedAgent):
    """Rates each message of one user, whose id is the agent's key, when its turn is broadcast."""

    def __init__(self) -> None:
        super().__init__("The tone of what a user says")
        self._sentiment = Sentiment()

    @event
    async def on_turn(self, message: ConversationUpdated, ctx: MessageContext) -> None:
        """Take a turn in; turns may overtake each other."""
        score = await rate(message.input.content)
        rated = RatedMessage(sequence=message.sequence, tone=tone_of(score), score=score)
        known = self._sentiment
        total = known.average * known.messages + score
        self._sentiment = Sentiment(
            messages=known.messages + 1,
            average=total / (known.messages + 1),
            tones=known.tones.model_copy(update={rated.tone: getattr(known.tones, rated.tone) + 1}),
            recent=sorted([*known.recent, rated], key=lambda each: each.sequence)[-RECENT:],
        )

    @rpc
    async def on_question(self, message: GetSentiment, ctx: MessageContext) -> Sentiment:
        """Tell what was found so far."""
        return self._sentiment

    async def save_state(self) -> Mapping[str, Any]:
        """Return what was found so far."""
        return self._sentiment.model_dump()

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self._sentiment = Sentiment.model_validate(state)


async def rate(text: str) -> float:
    """Return the tone of the first 1,000 characters, piece by piece: from -1 to 1.

    By VADER's lexicon; of several sentences the mean, as its authors do.
    https://github.com/cjhutto/vaderSentiment
    """
    pieces = textwrap.wrap(text[:_RATED_CHARS], _PIECE_CHARS) or [""]
    if len(pieces) == 1:
        return _rate(pieces)
    return await asyncio.to_thread(_rate, pieces)


def tone_of(score: float) -> Tone:
    """Return the tone that a score stands for, by the thresholds that VADER's authors name."""
    if abs(score) < 0.05:  # noqa: PLR2004
        return "neutral"
    return "positive" if score > 0 else "negative"


def _rate(pieces: list[str]) -> float:
    analyzer = _analyzer()
    scores: list[float] = [analyzer.polarity_scores(piece)["compound"] for piece in pieces]
    return round(sum(scores) / len(scores), 4)


@cache
def _analyzer() -> SentimentIntensityAnalyzer:
    return SentimentIntensityAnalyzer()
