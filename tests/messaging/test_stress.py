"""Everything at once: whatever goes wrong, every sender is answered and the runtime comes to rest."""

import asyncio
import os
import secrets
from collections import Counter
from random import Random

import pytest

from multi_actor.errors import MultiActorError
from multi_actor.messaging import (
    AgentId,
    CancellationToken,
    DefaultInterventionHandler,
    DropMessage,
    MessageContext,
    TopicId,
    TypeSubscription,
)
from tests.conformance.harness import PlannedError
from tests.messaging.harness import Do, Harness, Probe, Reply, within
from tests.support import wait_until

TYPES = ("a", "b", "c")


class Chaos(DefaultInterventionHandler):
    """Drops some messages, fails on some, and is slow with some."""

    def __init__(self, random: Random) -> None:
        self.random = random

    async def on_send(self, message: Do, *, message_context: MessageContext, recipient: AgentId) -> object:
        return await self._see(message)

    async def on_publish(self, message: Do, *, message_context: MessageContext) -> object:
        return await self._see(message)

    async def on_response(self, message: Reply, *, sender: AgentId, recipient: AgentId | None) -> object:
        return await self._see(message)

    async def _see(self, message: Do | Reply) -> object:
        match self.random.randrange(40):
            case 0:
                return DropMessage
            case 1:
                raise PlannedError("intervention")
            case 2:
                await asyncio.sleep(0)
        return message


def add_scripts(harness: Harness, random: Random) -> None:
    @harness.can
    async def anything(probe: Probe, message: Do, ctx: MessageContext) -> Reply:
        match random.randrange(12):
            case 0:
                raise PlannedError("handler")
            case 1:
                raise asyncio.CancelledError
            case 2:
                await asyncio.sleep(random.random() * 0.002)
            case 3 | 4:
                await probe.do(f"{random.choice(TYPES)}/{random.randrange(5)}", "anything")
            case 5:
                await probe.tell(f"{random.choice(TYPES)}-news/{random.randrange(5)}", "nothing")
            case 6:
                asked = [probe.do(f"{kind}/{random.randrange(5)}", "anything") for kind in TYPES]
                await asyncio.gather(*asked, return_exceptions=True)
        return Reply(message.text)


@pytest.mark.timeout(300)
async def test_everybody_is_answered_and_the_runtime_comes_to_rest(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    """Thousands of messages, some dropped, failing, cancelled, slow or calling others, and a stop in the middle."""
    caplog.set_level("CRITICAL")
    seed = os.environ.get("STRESS_SEED") or secrets.token_hex(4)
    print(f"\nSTRESS_SEED={seed} repeats this run")  # noqa: T201  # a failure can be repeated by it
    random = Random(seed)
    add_scripts(harness, random)

    def factory() -> Probe:
        if random.random() < 0.2:
            raise PlannedError("factory")
        return harness.probe()

    runtime = harness.make(intervention_handlers=[Chaos(random)], max_queue=500)
    for kind in TYPES:
        await runtime.register(kind, factory)
        for topic in TYPES[: TYPES.index(kind) + 1]:
            await runtime.add_subscription(TypeSubscription(f"{topic}-news", kind))
    runtime.start()
    outcomes: Counter[str] = Counter()
    messages = harness.MANY

    async def send(number: int) -> None:
        token = CancellationToken()
        to = AgentId(random.choice(TYPES), str(random.randrange(5)))
        try:
            if random.random() < 0.3:
                topic = TopicId(f"{to.type}-news", to.key)
                await runtime.publish_message(Do("anything", str(number)), topic, cancellation_token=token)
                outcomes["published"] += 1
                return
            asking = asyncio.ensure_future(
                runtime.send_message(Do("anything", str(number)), to, cancellation_token=token)
            )
            if random.random() < 0.1:
                await asyncio.sleep(random.random() * 0.01)
                (token.cancel if random.random() < 0.5 else asking.cancel)()
            outcomes[type(await asking).__name__] += 1
        except (PlannedError, MultiActorError, asyncio.CancelledError) as error:
            outcomes[type(error).__name__] += 1

    sent = [asyncio.create_task(send(number)) for number in range(messages)]
    await wait_until(lambda: sum(outcomes.values()) > messages * 0.8, description="most are answered", within=120)
    await within(runtime.stop())
    await within(asyncio.gather(*sent))
    print(outcomes)  # noqa: T201  # pytest -s shows what happened
    assert outcomes.total() == messages
    assert set(outcomes) >= {"Reply", "published", "PlannedError", "CancelledError", "RuntimeStoppedError"}
    assert harness.left() == 0
    runtime.start()
    await harness.idle()
    assert harness.left() == 0
