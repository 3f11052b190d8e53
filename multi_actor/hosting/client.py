"""The SDK's outward seam in this process: what actors and proxies talk to in place of a sidecar."""

from collections.abc import Awaitable, Callable

from dapr.clients.base import DaprActorClientBase

from multi_actor.hosting.abc import ActorKey
from multi_actor.hosting.clock import Clock
from multi_actor.hosting.reminders import Reminders
from multi_actor.hosting.state_store import StateStore
from multi_actor.hosting.timers import Timers

Invoke = Callable[[ActorKey, str, bytes], Awaitable[bytes]]


class EmbeddedActorClient(DaprActorClientBase):
    """The seven calls of the sidecar's actor API.

    https://docs.dapr.io/reference/api/actors_api/
    """

    def __init__(
        self,
        invoke: Invoke,
        store: StateStore,
        clock: Clock,
        reminders: Reminders,
        timers_of: Callable[[ActorKey], Timers],
    ) -> None:
        self._invoke = invoke
        self._store = store
        self._clock = clock
        self._reminders = reminders
        self._timers_of = timers_of

    async def invoke_method(self, actor_type: str, actor_id: str, method: str, data: bytes | None = None) -> bytes:
        """Call an actor and return the JSON of its result; raises ``ActorCallError``."""
        return await self._invoke(ActorKey(actor_type, actor_id), method, data or b"")

    async def save_state_transactionally(self, actor_type: str, actor_id: str, data: bytes) -> None:
        """Keep a turn's changes, all or none."""
        await self._store.transact(ActorKey(actor_type, actor_id), data, now=self._clock.now())

    async def get_state(self, actor_type: str, actor_id: str, name: str) -> bytes:
        """Return the JSON under ``name``; empty if there is none."""
        return await self._store.get(ActorKey(actor_type, actor_id), name, now=self._clock.now()) or b""

    async def register_reminder(self, actor_type: str, actor_id: str, name: str, data: bytes) -> None:
        """Keep a reminder, in place of one of the same name."""
        await self._reminders.register(ActorKey(actor_type, actor_id), name, data)

    async def unregister_reminder(self, actor_type: str, actor_id: str, name: str) -> None:
        """Forget a reminder."""
        await self._reminders.unregister(ActorKey(actor_type, actor_id), name)

    async def register_timer(self, actor_type: str, actor_id: str, name: str, data: bytes) -> None:
        """Start a timer of the actor's activation, in place of one of the same name."""
        self._timers_of(ActorKey(actor_type, actor_id)).register(name, data)

    async def unregister_timer(self, actor_type: str, actor_id: str, name: str) -> None:
        """Stop a timer."""
        self._timers_of(ActorKey(actor_type, actor_id)).unregister(name)
