"""What the embedded host's store promises: state, reminders and events."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from multi_actor.hosting.abc import ActorKey, TopicStatus


@dataclass(frozen=True, slots=True)
class StoredReminder:
    """A reminder as it is kept.

    ``body`` is its registration in Dapr's JSON; ``due`` (the next tick) and ``expires`` (after which there is none)
    are seconds since the epoch.
    """

    key: ActorKey
    name: str
    body: str
    due: float
    expires: float | None
    fired: int = 0
    """Ticks so far; a period with repetitions ends by it."""


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event that a topic holds: ``body`` is the CloudEvent as JSON. Ids grow in order of publication."""

    id: int
    topic: str
    body: str


class StateStore(ABC):
    """Durable state of the embedded host.

    A coroutine that returns has its effect on disk as far as the sync level goes; one that raises has none. Calls
    take effect in the order in which they were made, so a read sees every write that was asked for before it.
    Each raises ``StoreUnavailableError`` when the disk is full, damaged or closed.
    """

    @abstractmethod
    async def __aenter__(self) -> Self:
        """Open, and bring an older schema up to date.

        Raises:
            StartupError: the file is in use, damaged, or of a newer version.
        """

    @abstractmethod
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish what was asked for and close."""

    @abstractmethod
    async def get(self, key: ActorKey, name: str, *, now: float) -> bytes | None:
        """Return the JSON kept under ``name``, or None; what expired before ``now`` is not there."""

    @abstractmethod
    async def transact(self, key: ActorKey, operations: bytes, *, now: float) -> None:
        """Apply upserts and deletes together or not at all; ``operations`` is Dapr's JSON for them.

        https://docs.dapr.io/reference/api/actors_api/#actor-state-transactions
        """

    @abstractmethod
    async def purge(self, *, now: float) -> None:
        """Free what expired before ``now``."""

    @abstractmethod
    async def save_reminder(self, reminder: StoredReminder) -> None:
        """Keep a reminder, in place of one of the same actor and name."""

    @abstractmethod
    async def delete_reminder(self, key: ActorKey, name: str) -> None:
        """Forget a reminder; no error if there is none."""

    @abstractmethod
    async def reminders(self) -> list[StoredReminder]:
        """Return every reminder."""

    @abstractmethod
    async def append(self, body: str, *topics: str) -> list[StoredEvent]:
        """Add an event to each topic, or to none."""

    @abstractmethod
    async def acknowledge(self, event: StoredEvent) -> None:
        """Forget an event that was delivered."""

    @abstractmethod
    async def bury(self, event: StoredEvent, *, keep: int) -> None:
        """Make an event a dead letter; of its topic's dead letters the newest ``keep`` stay."""

    @abstractmethod
    async def events(self, topic: str, *, after: int = 0, limit: int = 1000, dead: bool = False) -> list[StoredEvent]:
        """Return up to ``limit`` waiting events (or dead letters) with an id above ``after``, oldest first."""

    @abstractmethod
    async def count_events(self) -> dict[str, TopicStatus]:
        """Return how many events each topic holds."""
