"""Which actors are active here, and since when they rest."""

import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from dapr.actor import Actor, ActorRuntime
from dapr.actor.runtime.config import ActorReentrancyConfig

from multi_actor.errors import UnknownActorTypeError
from multi_actor.hosting.abc import ActorKey
from multi_actor.hosting.clock import Clock
from multi_actor.hosting.registration import deactivate_actor, own_config, reentrancy_of
from multi_actor.hosting.timers import Timers
from multi_actor.hosting.turn import Turn
from multi_actor.hosting.turns import Turns

_log = logging.getLogger(__name__)
_IDLE_TIMEOUT = timedelta(hours=1)  # Dapr's default, for a configuration that names none


@dataclass(slots=True, eq=False)
class Activation:
    """One active actor."""

    actor: Actor
    timers: Timers
    last_used: float


@dataclass(slots=True)
class HostedType:
    """One registered actor type; ``active`` is ordered by last use, so a scan ends at the first that is in use."""

    reentrancy: ActorReentrancyConfig
    idle_seconds: float
    active: OrderedDict[str, Activation] = field(default_factory=OrderedDict)


class Activations:
    """The actors that are active in this process, per type. Settings are those of the SDK's ``ActorRuntime``."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._types: dict[str, HostedType] = {}

    def add_type(self, name: str) -> None:
        """Host this type from now on, with its own settings where it has some."""
        own = own_config(name)
        all_types = ActorRuntime.get_actor_config().actor_idle_timeout
        idle = (own and own.actor_idle_timeout) or all_types or _IDLE_TIMEOUT
        self._types[name] = HostedType(reentrancy_of(name), idle.total_seconds())

    def type_of(self, key: ActorKey) -> HostedType:
        """Return the actor's type.

        Raises:
            UnknownActorTypeError: it is not hosted here.
        """
        hosted = self._types.get(key.actor_type)
        if hosted is None:
            raise UnknownActorTypeError(key.actor_type, tuple(self._types))
        return hosted

    def add(self, key: ActorKey, actor: Actor, timers: Timers) -> None:
        """Take in an actor that is being activated."""
        self._types[key.actor_type].active[key.actor_id] = Activation(actor, timers, self._clock.now())

    def used(self, hosted: HostedType, actor_id: str) -> None:
        """Count the idle time of an actor from now on."""
        activation = hosted.active.get(actor_id)
        if activation:
            activation.last_used = self._clock.now()
            hosted.active.move_to_end(actor_id)

    def timers_of(self, key: ActorKey) -> Timers:
        """Return the timers of an active actor."""
        return self._types[key.actor_type].active[key.actor_id].timers

    def count(self) -> dict[str, int]:
        """Return the number of active actors of each type."""
        return {name: len(hosted.active) for name, hosted in self._types.items()}

    def stop_timers(self) -> None:
        """Have no timer tick any more."""
        for hosted in self._types.values():
            for activation in hosted.active.values():
                activation.timers.clear()

    async def deactivate(self, key: ActorKey) -> None:
        """Deactivate an active actor, in a turn of its own; what its ``_on_deactivate`` raises is logged."""
        activation = self._types[key.actor_type].active.pop(key.actor_id)
        activation.timers.clear()
        await deactivate_actor(key)

    async def deactivate_idle(self, turns: Turns) -> None:
        """Deactivate what has rested for its type's idle time-out; a long turn is no rest."""
        now = self._clock.now()
        for name, hosted in self._types.items():
            for actor_id, activation in list(hosted.active.items()):
                if now - activation.last_used < hosted.idle_seconds:
                    break
                key = ActorKey(name, actor_id)
                if not turns.is_busy(key):
                    await turns.run(key, "deactivation", self._deactivate_if_idle)

    async def deactivate_all(self, *, still: Callable[[], bool]) -> None:
        """Deactivate every actor, as long as ``still`` says that there is time."""
        for name, hosted in self._types.items():
            for actor_id in list(hosted.active):
                if still():
                    await self.deactivate(ActorKey(name, actor_id))

    async def _deactivate_if_idle(self, turn: Turn) -> None:
        hosted = self._types[turn.key.actor_type]
        activation = hosted.active.get(turn.key.actor_id)
        if activation and self._clock.now() - activation.last_used >= hosted.idle_seconds:
            await self.deactivate(turn.key)
