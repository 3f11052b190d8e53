"""The Dapr host: the same actors behind a real sidecar."""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Self

from dapr.actor import Actor, ActorRuntime
from dapr.actor.runtime.config import ActorReentrancyConfig

from multi_actor.errors import SidecarUnavailableError, UnknownActorTypeError
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
from multi_actor.hosting.events import ask_all, cloud_event
from multi_actor.hosting.proxies import ProxyFactory, bare_proxies
from multi_actor.hosting.registration import deactivate_actor, reentrancy_of, register_actor
from multi_actor.hosting.sidecar import Sidecar, SidecarAddress
from multi_actor.hosting.sidecar_client import SidecarActorClient, origin_of
from multi_actor.hosting.turn import HERE, Origin, Turn
from multi_actor.hosting.turns import Turns
from multi_actor.serialization import PlainJSONSerializer, read_json, write_json

_log = logging.getLogger(__name__)
_ASK_SECONDS = 0.25  # between two looks at the sidecar while it is not ready
_LOOK_SECONDS = 2.0  # and while it is
_CLOUD_EVENT = {"content-type": "application/cloudevents+json"}


class DaprHost(ActorHost):
    """Hosts actors that a sidecar places, calls, remembers and reminds.

    daprd lets one call at a time into an actor, but when a caller goes away it lets the next one in while Python
    still runs the last; and whoever reaches the app's port gets round it. So each actor has its own queue here as
    well. ``turn_timeout`` bounds a chain of calls and ``drain_timeout`` a shutdown, in seconds.
    """

    kind = "dapr"

    def __init__(
        self,
        address: SidecarAddress,
        *,
        app_id: str = "multi-actor",
        pubsub: str = "daca-pubsub",
        turn_timeout: float = 30.0,
        drain_timeout: float = 5.0,
    ) -> None:
        self._app_id = app_id
        self.pubsub = pubsub
        self._drain_timeout = drain_timeout
        self._sidecar = Sidecar(address, timeout=turn_timeout)
        self._turns = Turns(timeout=turn_timeout)
        self._topics: dict[str, dict[str, tuple[Subscriber, Subscriber | None]]] = {}
        self._types: dict[str, ActorReentrancyConfig] = {}
        self._active: dict[ActorKey, tuple[Actor, int]] = {}
        self._generation = 0
        self._client = SidecarActorClient(self._sidecar, self._types)
        self.proxies = ProxyFactory(self._client, PlainJSONSerializer())
        self._bare_proxies = contextlib.ExitStack()
        self._looking: asyncio.Task[None] | None = None
        self._ready = False
        self._draining = False

    async def register(
        self, actor: type[Actor], factory: ActorFactory | None = None, *, plain_json: bool = True
    ) -> None:
        self._types[actor.__name__] = reentrancy_of(actor.__name__)

        def activated(key: ActorKey, instance: Actor) -> None:
            self._active[key] = instance, self._generation

        await register_actor(actor, factory, self._client, plain_json=plain_json, activated=activated)

    # -- life

    async def __aenter__(self) -> Self:
        await self._sidecar.__aenter__()
        self._bare_proxies.enter_context(bare_proxies(self._client))
        self._turns.open()
        self._ready = self._draining = False
        # Not waited for: the sidecar itself waits for this application to listen.
        self._looking = asyncio.get_running_loop().create_task(self._look_for_readiness())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.drain()
        if self._looking:
            self._looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._looking
        await self._turns.close(within=self._drain_timeout)
        for key in list(self._active):
            await self._deactivate(key)
        self._bare_proxies.close()
        await self._sidecar.__aexit__(kind, error, trace)

    @property
    def ready(self) -> bool:
        return self._ready and not self._draining

    def drain(self) -> None:
        self._draining = True

    async def metadata(self) -> HostMetadata:
        await self._ask_metadata()  # without the sidecar nothing is active
        # Not as the sidecar counts: it takes an actor for active whose activation has failed.
        active = Counter(key.actor_type for key, (_, since) in self._active.items() if since == self._generation)
        # The sidecar keeps no count of reminders, and none of what waits in a topic.
        return HostMetadata(host=self.kind, actors={name: active[name] for name in self._types}, reminders=None)

    async def _ask_metadata(self) -> dict[str, Any]:
        try:
            told: dict[str, Any] = read_json(await self._sidecar.ask("GET", "metadata"))
        except ValueError as error:
            raise SidecarUnavailableError(str(error)) from None
        return told

    async def _look_for_readiness(self) -> None:
        while True:
            try:
                told = await self._ask_metadata()
                ready = bool((told.get("actorRuntime") or {}).get("hostReady"))
            except SidecarUnavailableError:
                ready = False
            if ready != self._ready:
                _log.info("the sidecar is %s", "ready to host actors" if ready else "not ready")
            self._ready = ready
            await asyncio.sleep(_LOOK_SECONDS if ready else _ASK_SECONDS)

    # -- topics

    def subscribe(
        self,
        topic: str,
        subscriber: Subscriber,
        *,
        dead_letters: Subscriber | None = None,
        name: str = "",
        background: bool = False,  # noqa: ARG002  # the sidecar knows no such thing
    ) -> None:
        self._topics.setdefault(topic, {})[name] = subscriber, dead_letters

    async def deliver(self, event: CloudEvent) -> Delivery:
        subscribed = self._topics.get(str(event.get("topic")), {})
        return await ask_all((subscriber for subscriber, _ in subscribed.values()), event)

    async def bury(self, event: CloudEvent) -> Delivery:
        """Hand a dead letter to those who take them for its topic, which its envelope still names."""
        subscribed = self._topics.get(str(event.get("topic")), {})
        return await ask_all((dead_letters for _, dead_letters in subscribed.values() if dead_letters), event)

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that somebody here subscribes to."""
        return tuple(sorted(self._topics))

    async def publish(self, topic: str, data: Mapping[str, Any], *, event_id: str) -> None:
        # As a whole CloudEvent: Dapr's own envelope has no place for the request that caused the event.
        event = cloud_event(data, event_id=event_id, source=self._app_id)
        await self._sidecar.ask("POST", "publish", self.pubsub, topic, body=write_json(event), headers=_CLOUD_EVENT)

    # -- what the sidecar calls

    async def invoke(self, key: ActorKey, method: str, data: bytes, *, headers: Mapping[str, str]) -> bytes:
        """Call a method in a turn of the actor and return the JSON of its result; ``headers`` are the call's.

        Raises:
            ActorCallError: the actor raised, or could not be called.
            UnknownActorTypeError: there are none of its type here.
        """
        turn = self._in_turn(
            key, method, lambda turn: ActorRuntime.dispatch(*key, method, data, turn.reentrancy_id), origin_of(headers)
        )
        try:
            result: bytes = await turn
        except Exception as error:
            raise ActorCallError.of(key, method, error) from error
        return result

    async def remind(self, key: ActorKey, name: str, body: bytes) -> None:
        """Have a reminder tick."""
        await self._in_turn(key, f"reminder {name}", lambda _: ActorRuntime.fire_reminder(*key, name, body))

    async def tick(self, key: ActorKey, name: str, body: bytes) -> None:
        """Have a timer tick; one of an earlier activation, which 1.18 keeps, is taken back."""

        async def tick(_: Turn) -> None:
            if name in self._client.timers.get(key, ()):
                await ActorRuntime.fire_timer(*key, name, body)
            else:
                await self._client.unregister_timer(*key, name)

        await self._in_turn(key, f"timer {name}", tick)

    def start_over(self) -> None:
        """Take no actor for active any more: each may have been elsewhere, and its state here is old."""
        self._generation += 1

    async def deactivate(self, key: ActorKey) -> None:
        """Deactivate an actor, and cancel what runs in it; no error if it is not active."""
        self._turns.cancel(key)
        if key in self._active:
            await self._turns.run(key, "deactivation", lambda _: self._deactivate(key))

    def _in_turn(
        self, key: ActorKey, method: str, call: Callable[[Turn], Awaitable[Any]], origin: Origin = HERE
    ) -> Awaitable[Any]:
        if key.actor_type not in self._types:
            raise UnknownActorTypeError(key.actor_type, tuple(self._types))

        async def work(turn: Turn) -> Any:
            known = key in self._active
            if known and self._active[key][1] != self._generation:
                await self._deactivate(key)
                known = False
            try:
                return await call(turn)
            except BaseException:
                await self._roll_back(key, known=known)
                raise

        return self._turns.run(key, method, work, reentrancy=self._types[key.actor_type], origin=origin)

    async def _roll_back(self, key: ActorKey, *, known: bool) -> None:
        """Forget what a failed turn left in the actor's cache: the SDK does so for errors of its own only."""
        active = self._active.get(key)
        if active and known:
            await active[0]._state_manager.clear_cache()  # noqa: SLF001  # actors use it under this name
        elif active:  # it failed on the way up, or in its very first turn: the next call starts from nothing
            await self._deactivate(key)

    async def _deactivate(self, key: ActorKey) -> None:
        self._active.pop(key, None)
        self._client.timers.pop(key, None)
        await deactivate_actor(key)
