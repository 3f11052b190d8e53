"""A broker on a test's own store, for its one topic ``news``."""

from multi_actor.hosting.broker import Broker
from multi_actor.hosting.state_store import StateStore
from tests.support import ManualClock


def broker(store: StateStore, clock: ManualClock | None = None, *, keep_dead: int = 10_000) -> Broker:
    return Broker(store, clock or ManualClock(), source="app", pubsub="pubsub", keep_dead=keep_dead)


async def no_backlog(topics: Broker) -> bool:
    return (await topics.status())["news"].backlog == 0
