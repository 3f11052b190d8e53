"""The SDK's inward seam, as both hosts use it: registering a type of actor, and letting an actor go."""

import contextlib
import logging
from collections.abc import Callable
from functools import lru_cache

from dapr.actor import Actor, ActorId, ActorRuntime
from dapr.actor.runtime.config import ActorReentrancyConfig, ActorTypeConfig
from dapr.actor.runtime.context import ActorRuntimeContext
from dapr.clients.base import DaprActorClientBase
from dapr.serializers import DefaultJSONSerializer, Serializer

from multi_actor.hosting.abc import ActorFactory, ActorKey
from multi_actor.hosting.state import PlainContext
from multi_actor.serialization import PlainJSONSerializer

_log = logging.getLogger(__name__)


async def register_actor(
    actor: type[Actor],
    factory: ActorFactory | None,
    client: DaprActorClientBase,
    *,
    plain_json: bool,
    activated: Callable[[ActorKey, Actor], None],
) -> None:
    """Have the SDK dispatch to this type of actor; ``activated`` hears of each instance that is made."""
    plain = lru_cache(PlainContext) if plain_json else lambda context: context

    def activate(context: ActorRuntimeContext, actor_id: ActorId) -> Actor:
        instance = (factory or actor)(plain(context), actor_id)
        activated(ActorKey(actor.__name__, actor_id.id), instance)
        return instance

    serializer: Serializer = PlainJSONSerializer() if plain_json else DefaultJSONSerializer()
    await ActorRuntime.register_actor(
        actor,
        message_serializer=serializer,
        state_serializer=serializer,
        actor_factory=activate,
        actor_client=client,
    )


def own_config(actor_type: str) -> ActorTypeConfig | None:
    """Return the settings that a type has for itself."""
    return next((c for c in ActorRuntime.get_actor_config().actor_type_configs if c.actor_type == actor_type), None)


def reentrancy_of(actor_type: str) -> ActorReentrancyConfig:
    """Return a type's own setting where it has one, else that of all."""
    own = own_config(actor_type)
    return (own and own.reentrancy) or ActorRuntime.get_actor_config().reentrancy or ActorReentrancyConfig()


async def deactivate_actor(key: ActorKey) -> None:
    """Have the SDK let an actor go; what its ``_on_deactivate`` raises is logged."""
    try:
        with contextlib.suppress(ValueError):  # it never got as far as being active
            await ActorRuntime.deactivate(*key)
    except Exception:  # noqa: BLE001  # the actor's own code
        _log.exception("%s failed while it was deactivated", key)
