"""Agents on real Dapr, in this process, beside a sidecar that serves one test after the other."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from dapr.actor import ActorRuntime

from multi_actor.errors import SidecarUnavailableError
from multi_actor.hosting.abc import ActorHost
from multi_actor.hosting.dapr import DaprHost
from multi_actor.hosting.sidecar import Sidecar
from multi_actor.sidecar_app import sidecar_app
from tests.dapr.shared import READY_WITHIN, Asked, SharedRuntime, Wanted, served
from tests.messaging.durable.harness import DurableHarness
from tests.support import wait_until

RETRIES = 4
# A sidecar asks for the agent types and topics once, so that of the first test serves those of all of them. A test
# that has another one gets a sidecar of its own.
AGENTS = frozenset({
    *("a", "b", "c", "agent", "alice", "bob", "carol", "counter", "plain", "broken", "helper", "none", "other"),
    *("error", "ignore", "out", "warn"),
    *("my_agent", "inner_agent", "outer_agent", "broadcasting_agent", "receiving_agent"),
})  # fmt: skip
TOPICS = frozenset({
    *("default", "news", "x", "a-news", "b-news", "c-news"),
    *("alice", "other", "error", "ignore", "out", "warn", "broadcasting_agent", "receiving_agent"),
})  # fmt: skip


class OnDapr(DurableHarness):
    """Agents on the Dapr host; time cannot be moved, so it is waited for."""

    MANY = 1_000
    keeps_order = False

    def __init__(self, runtime: SharedRuntime) -> None:
        super().__init__()
        self.shared = runtime
        self.faults: Counter[str] = Counter()
        self.asked: list[Asked] = []
        self.serving = contextlib.AsyncExitStack()
        """The application that listens now."""
        self.published: set[str] = set()
        self.failed = False
        """Whether the test has, so that it may have left anything."""

    def host(self) -> ActorHost:
        return _Host(self)

    def fail_next_save(self) -> None:
        self.faults["save"] += 1

    def fail_next_publish(self) -> None:
        self.faults["publish"] += 1

    async def forget(self) -> None:
        await self.shared.redis("FLUSHALL")

    async def fail_if_asked(self, method: str, *path: str) -> None:
        """Fail what a test wants to; called with each request to the sidecar."""
        work = "save" if (method, path[-1]) == ("POST", "state") else path[0]
        if self.faults[work]:
            self.faults[work] -= 1
            raise SidecarUnavailableError("a planned fault")

    async def close(self) -> None:
        """Leave nothing to the next test, or no sidecar."""
        rests = False
        try:
            await super().close()
            async with Sidecar(self.shared.address, timeout=5) as sidecar:
                for actor_type, actor_id, name in {one for asked in self.asked for one in asked.reminders}:
                    await sidecar.ask("DELETE", "actors", actor_type, actor_id, "reminders", name)
            rests = await self._comes_to_rest()
        finally:
            if self.failed or not rests:
                self.shared.discard()
            await self.serving.aclose()

    async def _comes_to_rest(self) -> bool:
        for _ in range(20):
            if await self.shared.rests(self.published):
                return True
            await asyncio.sleep(0.05)
        return False


class _Host(DaprHost):
    """A host that has itself served beside the sidecar, which it provides."""

    def __init__(self, harness: OnDapr) -> None:
        super().__init__(harness.shared.address, turn_timeout=3.0)
        self._harness = harness

    @property
    def topics(self) -> tuple[str, ...]:
        return tuple(sorted(TOPICS.union(super().topics)))

    async def publish(self, topic: str, data: Mapping[str, Any], *, event_id: str) -> None:
        if topic in self.topics:  # else nobody takes it up
            self._harness.published.add(topic)
        await super().publish(topic, data, event_id=event_id)

    async def __aenter__(self) -> Self:
        harness = self._harness
        types = sorted(AGENTS.union(self._types))
        ActorRuntime.get_actor_config().update_entities(types)
        asked = Asked(self)
        asked.faults.append(harness.fail_if_asked)
        harness.asked.append(asked)
        await harness.serving.enter_async_context(served(sidecar_app(self), port=harness.shared.app_port))
        wanted = Wanted(f"agents {' '.join(types)}", self.topics, RETRIES)
        await harness.shared.provide(wanted, same=len(harness.asked) > 1)
        await super().__aenter__()
        await wait_until(lambda: self.ready, description="the sidecar hosts actors", within=READY_WITHIN)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.drain()
        await self._harness.serving.aclose()
        await super().__aexit__(kind, error, trace)
