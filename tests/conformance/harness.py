"""What a test may do with a host, whichever it is."""

import asyncio
import heapq
import json
from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

from dapr.actor import Actor, ActorId, ActorProxy, ActorRuntime
from dapr.actor.client.proxy import ActorFactoryBase
from dapr.actor.runtime._type_utils import get_actor_interfaces
from dapr.actor.runtime.config import ActorRuntimeConfig
from dapr.actor.runtime.context import ActorRuntimeContext

from multi_actor.errors import StoreUnavailableError
from multi_actor.hosting.abc import ActorHost, ActorKey, Subscriber, TopicStatus
from multi_actor.hosting.embedded import EmbeddedHost
from multi_actor.hosting.queue import RetryPolicy
from multi_actor.hosting.state_store import StoredEvent
from multi_actor.hosting.stores import SqliteStore
from tests.support import ManualClock, wait_until


class PlannedError(Exception):
    """An actor failed because a test asked it to."""


class Journal:
    """What actors did, in order, and what a test asks of them: to wait at a gate, to fail."""

    def __init__(self) -> None:
        self.notes: list[tuple[Any, ...]] = []
        self.failures: Counter[str] = Counter()
        """How often each kind of work still has to fail."""
        self._gates: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def note(self, *what: Any) -> None:
        self.notes.append(what)

    def count(self, *start: Any) -> int:
        """How many notes begin like this."""
        return sum(note[: len(start)] == start for note in self.notes)

    def gate(self, name: str) -> asyncio.Event:
        return self._gates[name]

    def fail_if_asked(self, work: str) -> None:
        if self.failures[work]:
            self.failures[work] -= 1
            raise PlannedError(work)

    async def until(self, *start: Any, times: int = 1) -> None:
        """Return once that many notes begin like this."""
        await wait_until(lambda: self.count(*start) >= times, description=f"{start} {times} times in {self.notes}")


class Probe(Actor):
    """A plain SDK actor that keeps a journal where the test can read it."""

    def __init__(self, ctx: ActorRuntimeContext, actor_id: ActorId, *, harness: "Harness") -> None:
        super().__init__(ctx, actor_id)
        self.harness = harness
        self.journal = harness.journal


@dataclass(frozen=True)
class Setup:
    """What a host is started with, and again by a restart."""

    actors: tuple[type[Actor], ...] = ()
    config: ActorRuntimeConfig = field(default_factory=ActorRuntimeConfig)
    topics: Mapping[str, Subscriber] = field(default_factory=dict)
    buried: Subscriber | None = None
    """Receives the dead letters of every topic."""
    plain_json: bool = True
    turn_timeout: float = 20.0


class Harness(ABC):
    """One host under test.

    Its broker delivers an event ``ATTEMPTS`` times at most, the second time no sooner than after ``FIRST_DELAY``
    seconds, and each further time after a delay that is at least ``GROWTH`` times as long.
    """

    ATTEMPTS = 4
    FIRST_DELAY = 0.5
    GROWTH = 2.0
    GIVEN_UP_WITHIN = 10.0
    """Seconds after which an event that keeps failing is a dead letter."""
    TAKEN_UP_WITHIN = 3.0
    """Seconds after a start within which the events that a stop interrupted are delivered again."""

    host: ActorHost

    def __init__(self) -> None:
        self.journal = Journal()
        self.setup = Setup()

    async def start(self, *actors: type[Actor], **options: Any) -> Self:
        """Host these actors; ``options`` are the other fields of ``Setup``."""
        self.setup = Setup(actors, **options)
        await self._open()
        return self

    async def restart(self, *, down_for: float = 0.0, topics: Mapping[str, Subscriber] | None = None) -> None:
        """Stop, and start again after ``down_for`` seconds with what was kept, and with these topics if given."""
        await self.stop()
        if down_for:
            await self.elapse(down_for)
        if topics is not None:
            self.setup = Setup(**{**vars(self.setup), "topics": topics})
        await self._open()

    @property
    def proxies(self) -> ActorFactoryBase:
        return self.host.proxies

    def actor(self, actor: type[Actor], actor_id: str) -> Any:
        """Return a proxy of one actor."""
        interface = get_actor_interfaces(actor)[0]
        return ActorProxy.create(actor.__name__, ActorId(actor_id), interface, self.proxies)

    async def _register(self) -> None:
        for actor in self.setup.actors:
            factory = partial(actor, harness=self) if issubclass(actor, Probe) else None
            await self.host.register(actor, factory, plain_json=self.setup.plain_json)
        for topic, subscriber in self.setup.topics.items():
            self.host.subscribe(topic, subscriber, dead_letters=self.setup.buried)

    @abstractmethod
    async def _open(self) -> None:
        """Make a host, register, subscribe and enter it."""

    @abstractmethod
    async def stop(self) -> None:
        """Leave the host; what is durable is kept for the next start."""

    @abstractmethod
    async def close(self) -> None:
        """Leave the host if it runs, and let go of all that it used."""

    @abstractmethod
    def now(self) -> float:
        """Seconds since the epoch by the host's clock."""

    @abstractmethod
    async def elapse(self, seconds: float) -> None:
        """Let time pass, and what falls due in it run to its end."""

    @abstractmethod
    def fail_next_save(self) -> None:
        """Make the store refuse the next transaction of an actor."""

    @abstractmethod
    def fail_next_publish(self) -> None:
        """Make the broker refuse the next event."""

    @abstractmethod
    async def dead_letters(self, topic: str) -> list[str]:
        """Return the ids of a topic's dead letters, in any order."""

    @abstractmethod
    async def status(self, topic: str) -> TopicStatus:
        """Count what waits in a topic, and its dead letters."""

    @abstractmethod
    async def armed(self) -> int:
        """Count the reminders that are to come."""


class FaultyStore(SqliteStore):
    """A store that refuses a write on demand; one in memory outlives a restart of the host."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.faults: Counter[str] = Counter()
        self._is_open = False

    async def __aenter__(self) -> Self:
        if not self._is_open:
            await super().__aenter__()
            self._is_open = True
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._path != ":memory:":
            await self.close()

    async def close(self) -> None:
        self._is_open = False
        await super().__aexit__(None, None, None)

    def _fail_if_asked(self, work: str) -> None:
        if self.faults[work]:
            self.faults[work] -= 1
            raise StoreUnavailableError(self._path, "a planned fault")

    async def transact(self, key: ActorKey, operations: bytes, *, now: float) -> None:
        self._fail_if_asked("save")
        await super().transact(key, operations, now=now)

    async def append(self, body: str, *topics: str) -> list[StoredEvent]:
        self._fail_if_asked("publish")
        return await super().append(body, *topics)


class SteppingClock(ManualClock):
    """A clock that a harness moves from call to call, so that each has its effect before the next."""

    def step(self, end: float) -> bool:
        """Make the next call that is due by ``end``; without one, move there and return False."""
        while self._calls and self._calls[0][0] <= end:
            when, _, call, cancelled = heapq.heappop(self._calls)
            if not cancelled[0]:
                self._now = max(self._now, when)
                call()
                return True
        self._now = end
        return False


class EmbeddedHarness(Harness):
    """The embedded host on a clock that is moved by hand."""

    host: EmbeddedHost

    def __init__(self, path: str) -> None:
        super().__init__()
        self._clock = SteppingClock()
        self._store = FaultyStore(path)

    async def _open(self) -> None:
        ActorRuntime._actor_managers.clear()
        ActorRuntime.set_actor_config(self.setup.config)
        self.host = EmbeddedHost(
            self._store,
            turn_timeout=self.setup.turn_timeout,
            clock=self._clock,
            retry=RetryPolicy(initial=self.FIRST_DELAY, longest=8.0, attempts=self.ATTEMPTS),
        )
        await self._register()
        await self.host.__aenter__()

    async def stop(self) -> None:
        await self.host.__aexit__(None, None, None)

    async def close(self) -> None:
        if self._store._is_open:
            await self.stop()
        if self._store._is_open:
            await self._store.close()

    def now(self) -> float:
        return self._clock.now()

    async def elapse(self, seconds: float) -> None:
        end = self._clock.now() + seconds
        await self._rest()
        while self._clock.step(end):
            await self._rest()

    @staticmethod
    async def _rest() -> None:
        """Return once nothing runs beside the test: what ticked has armed its next tick by then."""
        for _ in range(3):  # what was put on the loop for its next round becomes a task there
            await asyncio.sleep(0)
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            _, running = await asyncio.wait(others, timeout=20)
            assert not running, f"time cannot be moved while these run: {running}"

    def fail_next_save(self) -> None:
        self._store.faults["save"] += 1

    def fail_next_publish(self) -> None:
        self._store.faults["publish"] += 1

    async def dead_letters(self, topic: str) -> list[str]:
        return [json.loads(event.body)["id"] for event in await self.host.dead_letters(topic)]

    async def status(self, topic: str) -> TopicStatus:
        return (await self.host.metadata()).topics[topic]

    async def armed(self) -> int:
        count = (await self.host.metadata()).reminders
        assert count is not None
        return count
