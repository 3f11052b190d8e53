"""MemoryAgentActor: what is remembered of a user."""

import bisect
import logging
from typing import TypedDict

from dapr.actor import ActorId
from dapr.actor.runtime.context import ActorRuntimeContext

from multi_actor.actors.responder import own_words
from multi_actor.actors.transactional import TransactionalActor
from multi_actor.contracts import ConversationEvent, MemoryAgentInterface, Remembered

_log = logging.getLogger(__name__)

AHEAD_LIMIT = 900
"""Turns that may be known beyond a missing one; past it the missing one is given up: the key stays bounded, and the
outbox (``OUTBOX_LIMIT``, 1,000 by default) does not fill up for good behind an event that the store has lost."""


class _Entry(Remembered):
    """A remembered message with the number of its turn."""

    sequence: int


class _Seen(TypedDict):
    """How many turns there were, up to which number all of them, and which beyond it."""

    count: int
    watermark: int
    ahead: list[int]


_NOTHING = _Seen(count=0, watermark=0, ahead=[])


class MemoryAgentActor(TransactionalActor, MemoryAgentInterface):
    """Takes in each of a user's turns once and in its place, in whatever order and however often they arrive.

    State: ``memory-{user}`` the last messages, each with its turn's number; ``memory-count-{user}`` how many
    turns there were (``count``), up to which number all of them (``watermark``) and which beyond it (``ahead``).
    """

    def __init__(self, ctx: ActorRuntimeContext, actor_id: ActorId, *, memory_limit: int) -> None:
        super().__init__(ctx, actor_id)
        user = actor_id.id.removeprefix("memory-")
        self._memory_limit = memory_limit
        self._memory_key = f"memory-{user}"
        self._count_key = f"memory-count-{user}"

    async def update_memory(self, event: ConversationEvent) -> bool:
        """Take in one turn; return whether it was new."""
        sequence = event["sequence"]
        seen: _Seen = await self._get(self._count_key, _NOTHING)
        if sequence <= seen["watermark"] or sequence in seen["ahead"]:
            return False

        entries: list[_Entry] = await self._get(self._memory_key, [])
        said, reply = event["input"], event["output"]
        quote = own_words(reply["content"], to=said["content"])
        turn = [
            _Entry(sequence=sequence, role=said["role"], content=said["content"]),
            _Entry(sequence=sequence, role=reply["role"], content=reply["content"], quote=quote),
        ]
        place = bisect.bisect(entries, sequence, key=lambda entry: entry["sequence"])
        await self._set(self._memory_key, [*entries[:place], *turn, *entries[place:]][-self._memory_limit :])
        await self._set(self._count_key, _count(seen, sequence))
        _log.info("Updated memory for %s", self._memory_key)
        return True

    async def get_memory(self) -> list[Remembered]:
        """Return the last remembered messages, oldest first."""
        entries: list[_Entry] = await self._get(self._memory_key, [])
        return [_without_sequence(entry) for entry in entries]

    async def get_sequence(self) -> int:
        """Return the watermark: every turn up to it has been taken in."""
        seen: _Seen = await self._get(self._count_key, _NOTHING)
        return seen["watermark"]


def _without_sequence(entry: _Entry) -> Remembered:
    message = Remembered(role=entry["role"], content=entry["content"])
    if "quote" in entry:
        message["quote"] = entry["quote"]
    return message


def _count(seen: _Seen, sequence: int) -> _Seen:
    """Add one turn to what was seen; the watermark moves over all that follows it without a gap."""
    watermark, ahead = seen["watermark"], sorted([*seen["ahead"], sequence])
    while ahead and (ahead[0] == watermark + 1 or len(ahead) > AHEAD_LIMIT):
        watermark = ahead.pop(0)
    return _Seen(count=seen["count"] + 1, watermark=watermark, ahead=ahead)
