"""The published messages that an agent has handled last, so that each has its effect once."""

from collections.abc import Awaitable, Callable
from typing import Any

_CHUNKS = 8
_SIZE = 128  # ids in a chunk: the one that is written with each message stays below 5 kB


class Seen:
    """Remembers the ids of at least the last 896 messages, in chunks under the state keys ``{prefix}-{n}``."""

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
        return message_id in await self._ids()

    async def add(self, message_id: str) -> None:
        """Remember this message; it is saved with the turn."""
        known = await self._ids()
        if len(self._chunk) >= _SIZE:
            self._number, self._chunk = self._number + 1, []
        self._chunk = [*self._chunk, message_id]
        await self._set(f"{self._prefix}-{self._number % _CHUNKS}", [self._number, self._chunk])
        known[message_id] = None
        if len(known) > _CHUNKS * _SIZE:
            del known[next(iter(known))]

    async def _ids(self) -> dict[str, None]:
        if self._known is None:
            first = await self._get(f"{self._prefix}-0", None)
            numbers = range(1, _CHUNKS) if first else ()
            kept = [first, *[await self._get(f"{self._prefix}-{number}", None) for number in numbers]]
            chunks = sorted(chunk for chunk in kept if chunk)
            self._known = {message_id: None for _, ids in chunks for message_id in ids}
            self._number, self._chunk = chunks[-1] if chunks else (0, [])
        return self._known
