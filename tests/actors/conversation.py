"""The three actors and their topic on a host of their own, where a test can put faults and move the time."""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from dapr.actor import ActorId, ActorProxy, ActorRuntime
from dapr.actor.runtime.config import ActorRuntimeConfig
from hypothesis import Phase
from hypothesis.stateful import RuleBasedStateMachine

from multi_actor.actors.chat import ChatAgent
from multi_actor.actors.memory import MemoryAgentActor
from multi_actor.actors.outbox import Publisher
from multi_actor.actors.response import ResponseAgent
from multi_actor.contracts import (
    CHAT,
    MEMORY,
    RESPONSE,
    USER_CHAT,
    ChatAgentInterface,
    MemoryAgentInterface,
    Message,
    Remembered,
    ResponseAgentInterface,
)
from multi_actor.deadlines import TimeLimit
from multi_actor.hosting.abc import ActorKey
from multi_actor.hosting.embedded import EmbeddedHost
from multi_actor.subscriptions import conversation_subscriptions
from tests.actors.faults import PUBLISH, RESPOND, Faults, FaultyStore, Kind, quiet
from tests.support import ManualClock

_T = TypeVar("_T")

USER = "ada"
QUICK_PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
"""Without shrinking: a step takes real time, so that would outlast the test's time-out and hide what failed."""


class Conversation:
    """One user's actors. ``start`` after ``stop`` brings up a new host on what the store holds."""

    def __init__(
        self,
        *,
        history_limit: int = 5,
        memory_limit: int = 3,
        outbox_limit: int = 1000,
        turn_timeout: float = 30.0,
        memory_timeout: float = 2.0,
    ) -> None:
        self.faults = Faults()
        self.store = FaultyStore(self.faults)
        self.clock = ManualClock()
        self.published: list[dict[str, Any]] = []
        """Every event that went to the broker, in order, the lost ones included."""
        self.broker_works = True
        self._replies = 0
        self._history_limit = history_limit
        self._memory_limit = memory_limit
        self._outbox_limit = outbox_limit
        self._turn_timeout = turn_timeout
        self._memory_timeout = memory_timeout

    async def open(self) -> None:
        await self.store.open()
        await self.start()

    async def close(self) -> None:
        await self.stop()
        await self.store.close()

    async def start(self) -> None:
        ActorRuntime._actor_managers.clear()
        ActorRuntime.set_actor_config(
            ActorRuntimeConfig(actor_idle_timeout=timedelta(seconds=20), actor_scan_interval=timedelta(seconds=10))
        )
        self.clock = ManualClock(self.clock.now())  # what the last host waited for went with it
        self.host = host = EmbeddedHost(self.store, clock=self.clock, turn_timeout=self._turn_timeout)
        proxies = host.proxies
        await host.register(
            ChatAgent,
            partial(
                ChatAgent,
                proxies=proxies,
                publisher=Publisher(self._publish),
                history_limit=self._history_limit,
                outbox_limit=self._outbox_limit,
            ),
        )
        await host.register(
            ResponseAgent,
            partial(ResponseAgent, proxies=proxies, responder=self, memory_time=TimeLimit(self._memory_timeout)),
        )
        await host.register(MemoryAgentActor, partial(MemoryAgentActor, memory_limit=self._memory_limit))
        subscriptions = conversation_subscriptions(proxies)
        host.subscribe(USER_CHAT, subscriptions.deliver, dead_letters=subscriptions.bury)
        await host.__aenter__()
        self.chat: Any = ActorProxy.create(CHAT, ActorId(USER), ChatAgentInterface, proxies)
        self.response: Any = ActorProxy.create(RESPONSE, ActorId(f"response-{USER}"), ResponseAgentInterface, proxies)
        self.memory: Any = ActorProxy.create(MEMORY, ActorId(f"memory-{USER}"), MemoryAgentInterface, proxies)

    async def stop(self) -> None:
        self.faults.heal()
        await self.quiet()
        await self.host.__aexit__(None, None, None)

    async def say(self, content: str, key: str | None = None) -> Any:
        """Have one message answered; returns the reply, or the refusal."""
        return await self.chat.ProcessMessage({"role": "user", "content": content, "key": key or content})

    async def kept(self, key: ActorKey, name: str) -> Any:
        """Return what the store holds of an actor under ``name``; ``None`` where it holds nothing."""
        value = await self.store.get(key, name, now=self.clock.now())
        return json.loads(value) if value else None

    async def quiet(self) -> None:
        """Return once nothing is under way any more."""
        await quiet()

    async def pass_time(self, seconds: float) -> None:
        await self.clock.advance(seconds)
        await self.quiet()

    async def respond(self, message: Message, memory: list[Remembered], number: int) -> str:
        """Write a reply, as a responder does; each making of one is told from the others."""
        async with self.faults.around(RESPOND):
            self._replies += 1
            return f"{self._replies}: {message['content']}, number {number} after {len(memory)}"

    async def _publish(self, event: Any, event_id: str) -> None:
        self.published.append(event)
        if not self.broker_works:
            raise ConnectionError("no broker")
        async with self.faults.around(PUBLISH) as kind:
            if kind is not Kind.LOST:
                await self.host.publish(USER_CHAT, event, event_id=event_id)


@asynccontextmanager
async def opened(**limits: int) -> AsyncIterator[Conversation]:
    conversation = Conversation(**limits)
    await conversation.open()
    try:
        yield conversation
    finally:
        await conversation.close()


class ConversationMachine(RuleBasedStateMachine):
    """Rules over one conversation, whose tasks live on from one rule to the next."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return self.runner.run(work)
