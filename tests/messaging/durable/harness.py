"""What a test may do with a runtime whose agents outlive it."""

from abc import abstractmethod
from typing import Any

from dapr.actor import ActorRuntime

from multi_actor.hosting.abc import ActorHost
from multi_actor.hosting.clock import SystemClock
from multi_actor.hosting.embedded import EmbeddedHost
from multi_actor.hosting.queue import RetryPolicy
from multi_actor.messaging import AgentRuntime, DaprAgentRuntime
from tests.conformance.harness import FaultyStore
from tests.messaging.harness import Harness


class DurableHarness(Harness):
    """Agents as virtual actors; ``start`` again is the next process."""

    takes_any_prefix = False
    runtime: DaprAgentRuntime

    def make(self, **options: Any) -> AgentRuntime:
        ActorRuntime._actor_managers.clear()
        self.runtime = DaprAgentRuntime(self.host(), patience=10, **options)
        return self.runtime

    @abstractmethod
    def host(self) -> ActorHost:
        """Return a new host, on what was kept."""

    def left(self) -> int:
        return self.runtime._busy + self.runtime._topics.underway

    @abstractmethod
    def fail_next_save(self) -> None:
        """Have the store refuse what the next handler leaves, with an error that may pass."""

    @abstractmethod
    def fail_next_publish(self) -> None:
        """Have the broker refuse the next message, with an error that may pass."""

    def skip_to_reminders(self) -> None:
        """Let the next runtime start when every reminder is due, if time can be moved."""


class LaterClock(SystemClock):
    """The system's clock, ``seconds`` ahead."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def now(self) -> float:
        return super().now() + self._seconds


class Embedded(DurableHarness):
    """Agents on the embedded host; its store outlives a runtime."""

    MANY = 1_000

    def __init__(self, path: str = ":memory:") -> None:
        super().__init__()
        self.store = FaultyStore(path)
        self._later = 0.0

    def host(self) -> ActorHost:
        retry = RetryPolicy(initial=0.05, longest=0.2, attempts=6)
        return EmbeddedHost(self.store, turn_timeout=1.0, retry=retry, clock=LaterClock(self._later))

    def fail_next_save(self) -> None:
        self.store.faults["save"] += 1

    def fail_next_publish(self) -> None:
        self.store.faults["publish"] += 1

    def skip_to_reminders(self) -> None:
        self._later += 60.0

    async def forget(self) -> None:
        await self.store.close()

    async def close(self) -> None:
        await super().close()
        if self.store._is_open:
            await self.store.close()
