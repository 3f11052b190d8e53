"""Proxies over a host's own client, and the one place where a bare ``ActorProxy.create`` learns of it."""

import contextlib
from collections.abc import Iterator
from functools import lru_cache

from dapr.actor import ActorId, ActorInterface, ActorProxy
from dapr.actor.client.proxy import ActorFactoryBase
from dapr.clients.base import DaprActorClientBase
from dapr.serializers import DefaultJSONSerializer, Serializer


class ProxyFactory(ActorFactoryBase):
    """Makes proxies that call through one client."""

    def __init__(self, client: DaprActorClientBase, serializer: Serializer) -> None:
        # A proxy holds no state, and reads its interface anew each time it is made: those in use are kept.
        self._make = lru_cache(maxsize=4096)(
            lambda actor_type, actor_id, interface: ActorProxy(client, actor_type, actor_id, interface, serializer)
        )

    def create(
        self, actor_type: str, actor_id: ActorId, actor_interface: type[ActorInterface] | None = None
    ) -> ActorProxy:
        """Return a proxy of one actor."""
        return self._make(actor_type, actor_id, actor_interface)


@contextlib.contextmanager
def bare_proxies(client: DaprActorClientBase) -> Iterator[None]:
    """Have ``ActorProxy.create`` without a factory use ``client``: the SDK has no other seam for it."""
    previous = ActorProxy._default_proxy_factory  # noqa: SLF001
    ActorProxy._default_proxy_factory = ProxyFactory(client, DefaultJSONSerializer())  # type: ignore[assignment]  # noqa: SLF001
    try:
        yield
    finally:
        ActorProxy._default_proxy_factory = previous  # noqa: SLF001
