"""The base of every actor here: a turn is all or nothing."""

from typing import Any

from dapr.actor import Actor, ActorId
from dapr.actor.runtime._method_context import ActorMethodContext
from dapr.actor.runtime.context import ActorRuntimeContext


class TransactionalActor(Actor):
    """A plain SDK actor whose turn either saves all that it changed or leaves no trace.

    The SDK keeps what a turn changed in a cache and saves it after the method. Only for errors of its own does it
    forget the changes of a failed turn; after any other exception, a cancelled call or a failed save, the next turn
    would see them, and save them. So a turn that did not reach its end is remembered, and the next begins by
    reading the store. (``ActorManager._dispatch_internal`` of dapr 1.19.)
    """

    def __init__(self, ctx: ActorRuntimeContext, actor_id: ActorId) -> None:
        super().__init__(ctx, actor_id)
        self._half_done = False

    async def _on_pre_actor_method(self, method_context: ActorMethodContext) -> None:  # noqa: ARG002
        if self._half_done:
            await self._state_manager.clear_cache()
            self._on_roll_back()
        self._half_done = True

    async def _save_state_internal(self) -> None:
        await super()._save_state_internal()  # type: ignore[no-untyped-call]  # the SDK types it not
        self._half_done = False
        self._on_saved()

    def _on_saved(self) -> None:
        """Do what follows a turn that is kept."""

    def _on_roll_back(self) -> None:
        """Forget what the last turn kept outside its state."""

    async def _get(self, name: str, default: Any) -> Any:
        """Return the state under ``name``; it must not be changed in place, but set again."""
        found, value = await self._state_manager.try_get_state(name)
        return value if found else default

    async def _remove(self, name: str) -> None:
        """Delete the state under ``name``; it is not read first, as ``remove_state`` alone would do."""
        await self._state_manager.set_state(name, None)
        await self._state_manager.remove_state(name)

    def _evict(self, name: str) -> None:
        """Keep what was saved under ``name`` out of the cache: the SDK has no limit for it, and looks at all of it."""
        self._state_manager._default_state_change_tracker.pop(name, None)  # noqa: SLF001

    async def _set(self, name: str, value: Any) -> None:
        await self._state_manager.set_state(name, value)
