"""Faults at every place where a turn waits for something else."""

import asyncio
import enum
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, Self, TypeVar

from multi_actor.errors import StoreUnavailableError
from multi_actor.hosting.abc import ActorKey
from multi_actor.hosting.state_store import StoredReminder
from multi_actor.hosting.stores import SqliteStore
from tests.support import wait_until

_T = TypeVar("_T")

PUBLISH = "publish"
RESPOND = "respond"
HANGS_FOR = 0.6
"""Seconds, unless it is cancelled before."""


class Kind(enum.Enum):
    BEFORE = "fails before it does anything"
    AFTER = "fails after it has done it"
    HANG = "hangs before it does anything, until it is cancelled or fails"
    HANG_AFTER = "hangs after it has done it, until it is cancelled or fails"
    LOST = "says that it has done it, and has not"
    LEFT = "works, while the client goes away"


class Fault(NamedTuple):
    """What goes wrong: ``place``, the how manieth call of it (from 0), and in which way."""

    place: str
    call: int
    kind: Kind


class Faults:
    """The faults that are planned, and the calls made since they were."""

    def __init__(self) -> None:
        self._plan: set[Fault] = set()
        self._calls: dict[str, int] = {}
        self.clients: set[asyncio.Task[Any]] = set()
        """Requests under way: they go where the client goes."""

    def plan(self, faults: Iterable[Fault]) -> None:
        self._plan = set(faults)
        self._calls.clear()

    def heal(self) -> None:
        """No faults from now on."""
        self.plan(())

    @asynccontextmanager
    async def around(self, place: str) -> AsyncIterator[Kind | None]:
        """Let the block do what it stands around, unless a fault says otherwise; yields the fault."""
        call = self._calls[place] = self._calls.get(place, -1) + 1
        kind = next((kind for kind in Kind if Fault(place, call, kind) in self._plan), None)
        if kind is Kind.BEFORE:
            raise StoreUnavailableError(place, "planned, nothing done")
        if kind is Kind.HANG:
            await self._hang(place)
        if kind is Kind.LEFT:
            for client in self.clients:
                client.cancel()
        yield kind
        if kind is Kind.AFTER:
            raise StoreUnavailableError(place, "planned, all done")
        if kind is Kind.HANG_AFTER:
            await self._hang(place)

    @staticmethod
    async def _hang(place: str) -> None:
        # A turn's deadline cuts it off before; what waits outside of a turn must come to an end as well.
        await asyncio.sleep(HANGS_FOR)
        raise StoreUnavailableError(place, "planned, no answer")


class FaultyStore(SqliteStore):
    """A store in memory, with faults in what actors wait for: ``ChatAgent.transact`` and the like.

    It outlives the hosts that come and go on it, as a file outlives processes. ``on_call`` hears of each call, with
    the actor, and a transaction's JSON.
    """

    def __init__(self, faults: Faults) -> None:
        super().__init__(":memory:")
        self._faults = faults
        self.on_call: Callable[[str, ActorKey, bytes], None] = lambda *_: None

    async def open(self) -> None:
        await super().__aenter__()

    async def close(self) -> None:
        await super().__aexit__(None, None, None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def _call(self, name: str, key: ActorKey, work: Awaitable[_T], body: bytes = b"") -> _T:
        self.on_call(name, key, body)
        try:
            async with self._faults.around(f"{key.actor_type}.{name}"):
                return await work
        finally:
            if inspect.iscoroutine(work):
                work.close()

    async def get(self, key: ActorKey, name: str, *, now: float) -> bytes | None:
        return await self._call("get", key, super().get(key, name, now=now))

    async def transact(self, key: ActorKey, operations: bytes, *, now: float) -> None:
        await self._call("transact", key, super().transact(key, operations, now=now), operations)

    async def save_reminder(self, reminder: StoredReminder) -> None:
        await self._call("save_reminder", reminder.key, super().save_reminder(reminder))

    async def delete_reminder(self, key: ActorKey, name: str) -> None:
        await self._call("delete_reminder", key, super().delete_reminder(key, name))


async def quiet() -> None:
    """Return once every task but this one has ended."""

    def ended() -> bool:
        return len(asyncio.all_tasks()) == 1

    await wait_until(ended, description="every task has ended")
