"""The embedded host: Dapr's actor contract inside this process, through the SDK's own seams."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

from dapr.actor import Actor, ActorRuntime

from multi_actor.errors import HostStoppingError
from multi_actor.hosting.abc import (
    ActorCallError,
    ActorFactory,
    ActorHost,
    ActorKey,
    CloudEvent,
    Delivery,
    HostMetadata,
    Subscriber,
)
from multi_actor.hosting.activations import Activations, HostedType
from multi_actor.hosting.broker import Broker
from multi_actor.hosting.client import EmbeddedActorClient
from multi_actor.hosting.clock import Cancellable, Clock, SystemClock
from multi_actor.hosting.events import ask_all
from multi_actor.hosting.proxies import ProxyFactory, bare_proxies
from multi_actor.hosting.queue import RetryPolicy
from multi_actor.hosting.registration import register_actor
from multi_actor.hosting.reminders import Reminders
from multi_actor.hosting.state_store import StateStore, StoredEvent
from multi_actor.hosting.timers import Timers
from multi_actor.hosting.turn import Turn
from multi_actor.hosting.turns import Turns
from multi_actor.serialization import PlainJSONSerializer

_log = logging.getLogger(__name__)
_SCAN_INTERVAL = timedelta(seconds=30)  # Dapr's default, for a configuration that names none
_PURGE_SECONDS = 60.0  # how often what has outlived its time-to-live is freed


class EmbeddedHost(ActorHost):
    """Hosts actors, reminders, timers and topics in this process, on a state store.

    ``turn_timeout`` bounds a chain of calls and ``drain_timeout`` a shutdown, in seconds. Actor settings (idle
    time-out, scan interval, reentrancy, per type as well) are those of ``ActorRuntime.set_actor_config``.
    """

    kind = "embedded"

    def __init__(
        self,
        store: StateStore,
        *,
        app_id: str = "multi-actor",
        pubsub: str = "daca-pubsub",
        turn_timeout: float = 30.0,
        drain_timeout: float = 5.0,
        clock: Clock | None = None,
        retry: RetryPolicy | None = None,
    ) -> None:
        self._store = store
        self._clock = clock or SystemClock()
        self._drain_timeout = drain_timeout
        self._turns = Turns(timeout=turn_timeout)
        self._reminders = Reminders(store, self._clock, self._fire_reminder)
        self._broker = Broker(store, self._clock, source=app_id, pubsub=pubsub, retry=retry)
        self._actors = Activations(self._clock)
        self._client = EmbeddedActorClient(self.invoke, store, self._clock, self._reminders, self._actors.timers_of)
        self.proxies = ProxyFactory(self._client, PlainJSONSerializer())
        self._bare_proxies = contextlib.ExitStack()
        self._housekeeping: list[Cancellable] = []
        self._at_work: set[asyncio.Task[None]] = set()
        self._ready = False

    async def register(
        self, actor: type[Actor], factory: ActorFactory | None = None, *, plain_json: bool = True
    ) -> None:
        self._actors.add_type(actor.__name__)

        def activated(key: ActorKey, instance: Actor) -> None:
            self._actors.add(key, instance, Timers(key, self._clock, self._fire_timer))

        await register_actor(actor, factory, self._client, plain_json=plain_json, activated=activated)

    # -- life

    async def __aenter__(self) -> Self:
        await self._store.__aenter__()
        self._bare_proxies.enter_context(bare_proxies(self._client))
        self._turns.open()
        try:
            await self._broker.start()
            await self._reminders.start()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        scan = ActorRuntime.get_actor_config().actor_scan_interval or _SCAN_INTERVAL
        self._every(scan.total_seconds(), lambda: self._actors.deactivate_idle(self._turns))
        self._every(_PURGE_SECONDS, lambda: self._store.purge(now=self._clock.now()))
        self._ready = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.drain()
        for call in self._housekeeping:
            call.cancel()
        self._actors.stop_timers()
        # Deliveries and ticks under way still need turns; what calls from outside meets the closed queue after them.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._drain_timeout):
                await asyncio.gather(self._broker.stop(), self._reminders.stop())
        await self._turns.close(within=self._drain_timeout)
        latest = asyncio.get_running_loop().time() + self._drain_timeout
        await self._actors.deactivate_all(still=lambda: asyncio.get_running_loop().time() < latest)
        self._bare_proxies.close()
        await self._store.__aexit__(kind, error, trace)

    @property
    def ready(self) -> bool:
        return self._ready

    def drain(self) -> None:
        self._ready = False

    async def metadata(self) -> HostMetadata:
        return HostMetadata(
            host=self.kind,
            actors=self._actors.count(),
            reminders=len(self._reminders),
            topics=await self._broker.status(),
        )

    # -- topics

    def subscribe(
        self,
        topic: str,
        subscriber: Subscriber,
        *,
        dead_letters: Subscriber | None = None,
        name: str = "",
        background: bool = False,
    ) -> None:
        self._broker.subscribe(topic, subscriber, dead_letters, name=name, background=background)

    async def deliver(self, event: CloudEvent) -> Delivery:
        return await ask_all(self._broker.subscribers(event.get("topic")), event)

    async def publish(self, topic: str, data: Mapping[str, Any], *, event_id: str) -> None:
        await self._broker.publish(topic, data, event_id=event_id)

    async def dead_letters(self, topic: str, *, after: int = 0, limit: int = 1000) -> list[StoredEvent]:
        """Return the dead letters of a topic with an id above ``after``, oldest first, at most ``limit``."""
        return await self._store.events(topic, after=after, limit=limit, dead=True)

    # -- turns

    async def invoke(self, key: ActorKey, method: str, data: bytes) -> bytes:
        """Call a method in a turn of the actor and return the JSON of its result.

        Raises:
            ActorCallError: the actor raised, or could not be called.
        """
        try:
            result: bytes = await self._in_turn(
                key, method, lambda turn: ActorRuntime.dispatch(*key, method, data, turn.reentrancy_id)
            )
        except Exception as error:
            raise ActorCallError.of(key, method, error) from error
        return result

    async def _fire_reminder(self, key: ActorKey, name: str, body: bytes) -> None:
        await self._in_turn(key, f"reminder {name}", lambda _: ActorRuntime.fire_reminder(*key, name, body))

    async def _fire_timer(self, key: ActorKey, name: str, body: bytes) -> None:
        await self._in_turn(key, f"timer {name}", lambda _: ActorRuntime.fire_timer(*key, name, body))

    def _in_turn(self, key: ActorKey, method: str, call: Callable[[Turn], Awaitable[Any]]) -> Awaitable[Any]:
        hosted = self._actors.type_of(key)

        async def work(turn: Turn) -> Any:
            known = key.actor_id in hosted.active
            try:
                return await call(turn)
            except BaseException:
                await self._roll_back(key, hosted, known=known)
                raise
            finally:
                self._actors.used(hosted, key.actor_id)

        return self._turns.run(key, method, work, reentrancy=hosted.reentrancy)

    async def _roll_back(self, key: ActorKey, hosted: HostedType, *, known: bool) -> None:
        """Forget what a failed turn left in the actor's cache: the SDK does so for errors of its own only."""
        activation = hosted.active.get(key.actor_id)
        if activation and known:
            await activation.actor._state_manager.clear_cache()  # noqa: SLF001  # actors use it under this name
        elif activation:
            # It failed on the way up, or in its very first turn: the next call starts from nothing.
            await self._actors.deactivate(key)

    # -- housekeeping

    def _every(self, seconds: float, job: Callable[[], Awaitable[None]]) -> None:
        place = len(self._housekeeping)

        async def once() -> None:
            try:
                await job()
            except HostStoppingError:
                return
            except Exception:  # noqa: BLE001  # a delivery loop of sorts: it goes on
                _log.exception("housekeeping failed; it runs again in %g s", seconds)
            if self._ready:
                self._housekeeping[place] = self._clock.call_later(seconds, tick)

        def tick() -> None:
            task = asyncio.get_running_loop().create_task(once())
            self._at_work.add(task)
            task.add_done_callback(self._at_work.discard)

        self._housekeeping.append(self._clock.call_later(seconds, tick))
