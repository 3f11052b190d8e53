"""What a test may do with a runtime, whichever it is."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from multi_actor.messaging import (
    AgentId,
    AgentRuntime,
    MessageContext,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    Subscription,
    TopicId,
    TypeSubscription,
    message_handler,
)
from tests.conformance.harness import Journal

T = TypeVar("T")
WITHIN = 20.0
"""Seconds that anything at all may take."""


@dataclass
class Do:
    """Asks a probe to do what the test has put under this name."""

    what: str
    text: str = ""


@dataclass
class Reply:
    """What a probe did."""

    text: str


@dataclass
class Unknown:
    """No probe has a handler for it."""

    text: str = ""


Script = Callable[["Probe", Do, MessageContext], Awaitable[Any]]


class Probe(RoutedAgent):
    """Does what tests ask, and keeps a journal that they can read."""

    def __init__(self, harness: "Harness") -> None:
        super().__init__("a probe")
        self.harness = harness
        self.journal = harness.journal

    @message_handler
    async def on_do(self, message: Do, ctx: MessageContext) -> Any:
        self.journal.note("begin", str(self.id), message.what, message.text)
        reply = await self.harness.scripts[message.what](self, message, ctx)
        self.journal.note("end", str(self.id), message.what, message.text)
        return reply

    async def do(self, to: str, what: str, text: str = "") -> Any:
        """Ask another agent, or this one."""
        return await self.send_message(Do(what, text), AgentId.from_str(to))

    async def tell(self, topic: str, what: str, text: str = "") -> None:
        """Ask whoever is subscribed."""
        await self.publish_message(Do(what, text), TopicId.from_str(topic))


async def nothing(probe: Probe, message: Do, ctx: MessageContext) -> Reply:
    """What a probe does unless it is told otherwise."""
    return Reply(message.text)


async def hold(probe: Probe, message: Do, ctx: MessageContext) -> Reply:
    """Wait at the gate that the message names."""
    await probe.journal.gate(message.text).wait()
    return Reply(message.text)


class Harness(ABC):
    """One runtime under test; ``scripts`` is what probes can do."""

    runtime: AgentRuntime
    MANY = 10_000
    """How many messages are many."""
    takes_any_prefix = True
    """Whether a subscription by prefix may end anywhere, not at a colon only."""
    keeps_order = True
    """Whether messages arrive in the order of their sending."""

    def __init__(self) -> None:
        self.journal = Journal()
        self.scripts: dict[str, Script] = {"nothing": nothing, "hold": hold}

    def can(self, script: Script) -> Script:
        """Let probes do this; a decorator."""
        self.scripts[script.__name__] = script
        return script

    def probe(self) -> Probe:
        """Make a probe: the factory of agent types that a test registers."""
        return Probe(self)

    async def start(
        self, *types: str, topics: Iterable[tuple[str, str]] = (), also: Iterable[Subscription] = (), **options: Any
    ) -> AgentRuntime:
        """Start a runtime with probes of these types; ``topics`` are pairs of topic type and agent type."""
        self.make(**options)
        for agent_type in types:
            await self.runtime.register(agent_type, self.probe)
        for topic_type, agent_type in topics:
            await self.runtime.add_subscription(TypeSubscription(topic_type, agent_type))
        for subscription in also:
            await self.runtime.add_subscription(subscription)
        return self.runtime.start()

    @staticmethod
    def subscription(topic_type: str, agent_type: str) -> Subscription:
        """Subscribe one to the other."""
        return TypeSubscription(topic_type, agent_type)

    async def do(self, to: str, what: str = "nothing", text: str = "", **options: Any) -> Any:
        """Ask an agent, from outside; it takes 20 s at most."""
        return await within(self.runtime.send_message(Do(what, text), AgentId.from_str(to), **options))

    def begin(self, to: str, what: str = "nothing", text: str = "", **options: Any) -> "asyncio.Task[Any]":
        """Ask an agent, from outside, and do not wait for the reply."""
        return asyncio.create_task(self.do(to, what, text, **options))

    @staticmethod
    def spawn(work: Awaitable[T]) -> "asyncio.Task[T]":
        """Do ``work`` beside the test; it takes 20 s at most."""
        return asyncio.create_task(within(work))

    async def tell(self, topic: str, what: str = "nothing", text: str = "", **options: Any) -> None:
        """Publish, from outside."""
        await within(self.runtime.publish_message(Do(what, text), TopicId.from_str(topic), **options))

    async def idle(self) -> None:
        """Wait for all work, and stop."""
        await within(self.runtime.stop_when_idle())

    @abstractmethod
    def make(self, **options: Any) -> AgentRuntime:
        """Make the runtime, not started, with the options that every runtime takes."""

    @abstractmethod
    def left(self) -> int:
        """Return how many messages of this process wait or are handled."""

    @abstractmethod
    async def forget(self) -> None:
        """Lose what outlives a runtime."""

    async def close(self) -> None:
        """Leave nothing behind."""
        if hasattr(self, "runtime"):
            await within(self.runtime.close())


class InProcess(Harness):
    """The runtime of one process."""

    def make(self, **options: Any) -> AgentRuntime:
        self.runtime = SingleThreadedAgentRuntime(**options)
        return self.runtime

    def left(self) -> int:
        assert isinstance(self.runtime, SingleThreadedAgentRuntime)
        return self.runtime.unprocessed_messages_count + sum(
            box.running is not None for box in self.runtime._boxes.values()
        )

    async def forget(self) -> None:
        pass


async def within(work: Awaitable[T]) -> T:
    """Return what ``work`` does, which must not hang."""
    async with asyncio.timeout(WITHIN):
        return await work
