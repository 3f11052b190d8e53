"""The Dapr host, behind a real sidecar."""

import asyncio
import contextlib
import time
from collections import Counter

from dapr.actor import ActorRuntime
from dapr.actor.runtime.config import ActorRuntimeConfig

from multi_actor.callbacks import actor_config
from multi_actor.errors import SidecarUnavailableError
from multi_actor.hosting.abc import TopicStatus
from multi_actor.hosting.dapr import DaprHost
from multi_actor.hosting.sidecar import SidecarAnswerError
from multi_actor.sidecar_app import sidecar_app
from tests.conformance.harness import Harness
from tests.dapr.shared import READY_WITHIN, Asked, SharedRuntime, Wanted, served
from tests.support import wait_until

NOT_FOUND = 404
GRACE = 0.5
"""Seconds after which what falls due on the runtime has happened."""


class DaprHarness(Harness):
    """The Dapr host in this process, served beside a real sidecar; time cannot be moved, so it is waited for."""

    host: DaprHost
    ATTEMPTS = 5
    FIRST_DELAY = 0.25  # half a second, spread by half of itself
    GROWTH = 1.5
    GIVEN_UP_WITHIN = 6.5  # the delays' sum, at most
    TAKEN_UP_WITHIN = 12.0

    def __init__(self, runtime: SharedRuntime) -> None:
        super().__init__()
        self._runtime = runtime
        self._serving = contextlib.AsyncExitStack()
        self._asked: list[Asked] = []
        self._up = False
        self._until = 0.0
        self._faults: Counter[str] = Counter()
        self.leaves_traces = False
        """Whether the test may have left something in the sidecar that is known only to itself."""

    async def _open(self) -> None:
        ActorRuntime._actor_managers.clear()
        ActorRuntime.set_actor_config(self.setup.config)
        self.host = DaprHost(self._runtime.address, turn_timeout=self.setup.turn_timeout)
        self._asked.append(Asked(self.host))
        self._asked[-1].faults.append(self._fail_if_asked)
        await self._register()
        self._up = True
        await self._serving.enter_async_context(served(sidecar_app(self.host), port=self._runtime.app_port))
        await self._runtime.provide(
            Wanted(actor_config().decode(), tuple(self.setup.topics), self.ATTEMPTS - 1), same=len(self._asked) > 1
        )
        await self.host.__aenter__()
        await wait_until(lambda: self.host.ready, description="the sidecar hosts actors", within=READY_WITHIN)

    async def _leave(self) -> None:
        """Go as the application does: readiness first, then what runs, then the actors."""
        self._up = False
        self.host.drain()
        await self._serving.aclose()
        await self.host.__aexit__(None, None, None)

    async def stop(self) -> None:
        await self._leave()
        await self._runtime.stop_sidecar()

    async def close(self) -> None:
        """Leave nothing to the next test: what this one has in the sidecar, if it is to serve that one too."""
        if self._up and not (self.leaves_traces or self._leaves_traces):
            for actor_type, actor_id, name in self._asked[0].reminders:
                await self.host._client.unregister_reminder(actor_type, actor_id, name)
            await self._leave()
            return
        self._runtime.discard()
        if self._up:
            await self._leave()

    @property
    def _leaves_traces(self) -> bool:
        restarted = len(self._asked) > 1
        rests = self.setup.config._actor_scan_interval != ActorRuntimeConfig()._actor_scan_interval
        return bool(restarted or rests or self.setup.topics or self._asked[0].timers)

    # -- time

    def now(self) -> float:
        return time.time()

    async def elapse(self, seconds: float) -> None:
        """Wait; one after the other they end in step with what fell due since the first began."""
        now = asyncio.get_running_loop().time()
        if now > self._until + GRACE / 2:
            self._until = now + GRACE
        self._until += seconds
        await asyncio.sleep(max(0.0, self._until - now))

    # -- faults, and what can be looked at

    def fail_next_save(self) -> None:
        self._faults["save"] += 1

    def fail_next_publish(self) -> None:
        self._faults["publish"] += 1

    async def _fail_if_asked(self, method: str, *path: str) -> None:
        work = "save" if (method, path[-1]) == ("POST", "state") else path[0]
        if self._faults[work]:
            self._faults[work] -= 1
            raise SidecarUnavailableError("a planned fault")

    async def dead_letters(self, topic: str) -> list[str]:
        return await self._runtime.dead_letters(topic)

    async def status(self, topic: str) -> TopicStatus:
        return await self._runtime.status(topic)

    async def armed(self) -> int:
        reminders = {one for asked in self._asked for one in asked.reminders}
        return sum([await self._is_armed(*one) for one in reminders])

    async def _is_armed(self, actor_type: str, actor_id: str, name: str) -> bool:
        try:
            return bool(await self.host._sidecar.ask("GET", "actors", actor_type, actor_id, "reminders", name))
        except SidecarAnswerError as error:
            if error.status == NOT_FOUND:
                return False
            raise
