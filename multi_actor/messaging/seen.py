"""The published messages that an agent has handled last, so that each has its effect once."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

_CHUNKS = 17  # so that all that one outbox may publish again (OUTBOX_LIMIT, 1,000) is still known
_SIZE = 64  # digests in a chunk: the one that is written with each message stays below 1.3 kB


class Seen:
    """Remembers at least the last 1,024 messages, by digests of their ids, in chunks under ``{prefix}-{n}``."""

    def __init__(
        self, get: Callable[[str, Any], Awaitable[Any]], set_: Callable[[str, Any], Awaitable[None]], prefix: str
    ) -> None:
        self._get = get
        self._set = set_
        self._prefix = prefix
        self._known: dict[str, None] | None = None
        self._number = 0
        self._chunk: list[str] = []

    def forget(self) -> None:
        """Read what is kept again: what was added since may not have been saved."""
        self._known = None

    async def knows(self, message_id: str) -> bool:
        """Whether this message was handled."""
        return _digest(message_id) in await self._digests()

    async def add(self, message_id: str) -> None:
        """Remember this message; it is saved with the turn."""
        known = await self._digests()
        digest = _digest(message_id)
        if len(self._chunk) >= _SIZE:
            self._number, self._chunk = self._number + 1, []
        self._chunk = [*self._chunk, digest]
        await self._set(f"{self._prefix}-{self._number % _CHUNKS}", [self._number, self._chunk])
        known[digest] = None
        if len(known) > _CHUNKS * _SIZE:
            del known[next(iter(known))]

    async def _digests(self) -> dict[str, None]:
        if self._known is None:
            first = await self._get(f"{self._prefix}-0", None)
            numbers = range(1, _CHUNKS) if first else ()
            kept = [first, *[await self._get(f"{self._prefix}-{number}", None) for number in numbers]]
            chunks = sorted(chunk for chunk in kept if chunk)
            self._known = {digest: None for _, digests in chunks for digest in digests}
            self._number, self._chunk = chunks[-1] if chunks else (0, [])
        return self._known


def _digest(message_id: str) -> str:
    return hashlib.blake2b(message_id.encode(), digest_size=8).hexdigest()
