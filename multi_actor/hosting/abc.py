"""What an actor host promises."""

import enum
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NamedTuple, Self

from dapr.actor import Actor, ActorId
from dapr.actor.client.proxy import ActorFactoryBase
from dapr.actor.runtime.context import ActorRuntimeContext
from dapr.clients.exceptions import DaprHttpError

from multi_actor.errors import MultiActorError, may_pass
from multi_actor.serialization import PlainJSONSerializer


class ActorKey(NamedTuple):
    """Names one actor. ``str()`` is ``type/id``."""

    actor_type: str
    actor_id: str

    def __str__(self) -> str:
        return f"{self.actor_type}/{self.actor_id}"


class Delivery(enum.StrEnum):
    """A subscriber's answer to an event, with Dapr's statuses.

    https://docs.dapr.io/reference/api/pubsub_api/#expected-http-response
    """

    SUCCESS = "SUCCESS"
    RETRY = "RETRY"
    DROP = "DROP"


CloudEvent = Mapping[str, Any]
"""A CloudEvent 1.0 in its JSON form; ``data`` is the event, ``correlationid`` the request that caused it."""
Subscriber = Callable[[CloudEvent], Awaitable[Delivery]]
ActorFactory = Callable[[ActorRuntimeContext, ActorId], Actor]


@dataclass(frozen=True, slots=True)
class TopicStatus:
    """A topic's events that wait (``backlog``) and those that were given up (``dead_letters``), in events."""

    backlog: int
    dead_letters: int


@dataclass(frozen=True, slots=True)
class HostMetadata:
    """What a host holds now."""

    host: str
    actors: Mapping[str, int]
    """Active actors per type."""
    reminders: int | None  # None where the host keeps no count of them
    topics: Mapping[str, TopicStatus] = field(default_factory=dict)


class ActorCallError(MultiActorError, DaprHttpError):
    """An actor call failed. What an actor written for Dapr catches (``DaprHttpError``, status 500) catches it too.

    ``retryable`` tells whether the same call may succeed later; the reason is in ``__cause__`` where the actor
    ran in this process.
    """

    def __init__(self, key: ActorKey, method: str, reason: str, *, retryable: bool) -> None:
        self.key = key
        self.method = method
        self.retryable = retryable
        text = f"{key}.{method}: {reason}"
        body = PlainJSONSerializer().serialize({"message": text, "errorCode": "ERR_ACTOR_INVOKE_METHOD"})
        DaprHttpError.__init__(self, PlainJSONSerializer(), body, 500, "Internal Server Error")

    @classmethod
    def of(cls, key: ActorKey, method: str, error: Exception) -> Self:
        """Wrap what the called actor, or the way to it, raised."""
        reason = str(error) if isinstance(error, MultiActorError) else f"{type(error).__name__}: {error}"
        return cls(key, method, reason, retryable=may_pass(error))

    def __str__(self) -> str:
        return str(self.message)


class ActorHost(ABC):
    """Gives actors their turns, state, reminders, timers and topics.

    Actors are registered and topics subscribed before the host is entered (``async with``); from then until it is
    left it takes calls. One host per process: the SDK's ``ActorRuntime`` is global.
    """

    kind: str
    """``embedded`` or ``dapr``."""

    proxies: ActorFactoryBase
    """For ``ActorProxy.create(…, actor_proxy_factory=host.proxies)``."""

    @abstractmethod
    async def register(
        self, actor: type[Actor], factory: ActorFactory | None = None, *, plain_json: bool = True
    ) -> None:
        """Host this type of actor; ``factory`` makes its instances.

        With ``plain_json`` off its messages and state go through the SDK's default serializer.
        """

    @abstractmethod
    def subscribe(
        self,
        topic: str,
        subscriber: Subscriber,
        *,
        dead_letters: Subscriber | None = None,
        name: str = "",
        background: bool = False,
    ) -> None:
        """Deliver each event of ``topic`` at least once, in any order, several at a time.

        ``RETRY``, or an exception, delivers it again after a growing delay; ``DROP``, or too many attempts, sends
        it to ``dead_letters``, once, and keeps it where it can be listed.

        Subscribers of one topic have different names. The embedded host keeps a queue for each; in the ``background``
        it lets everything else go first. Dapr delivers to an application, as many at once as the component says; its
        subscribers are asked in the order in which they came, and what one of them wants again all get again.
        """

    @abstractmethod
    async def deliver(self, event: CloudEvent) -> Delivery:
        """Hand an event that came in from outside to every subscriber of its topic: the one answer of them all."""

    @abstractmethod
    async def publish(self, topic: str, data: Mapping[str, Any], *, event_id: str) -> None:
        """Return once the broker has the event for good.

        Raises:
            RetryableError: the broker does not take it now.
        """

    @property
    @abstractmethod
    def ready(self) -> bool:
        """Whether actors can be called here now."""

    @abstractmethod
    def drain(self) -> None:
        """Say that this instance is going: ``ready`` turns false, while calls are still served."""

    @abstractmethod
    async def metadata(self) -> HostMetadata:
        """Return what the host holds now."""

    @abstractmethod
    async def __aenter__(self) -> Self:
        """Start.

        Raises:
            StartupError: it cannot; the message says why.
        """

    @abstractmethod
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take no new turns, finish those that run, deactivate the actors, keep what is durable."""
