"""An agent's state and what it published are kept together, or not at all."""

from collections.abc import Mapping
from typing import Any

import pytest

from multi_actor.errors import RetryableError
from multi_actor.messaging import (
    AgentId,
    AgentRuntime,
    MessageContext,
    NotAccessibleError,
    RegistrationError,
    RemoteHandlerError,
    RuntimeStoppedError,
    TypePrefixSubscription,
    TypeSubscription,
    UnavailableError,
)
from tests.messaging.durable.harness import DurableHarness
from tests.messaging.harness import Do, Probe, Reply, within


class Keeper(Probe):
    """Keeps what it was told."""

    def __init__(self, harness: DurableHarness) -> None:
        super().__init__(harness)
        self.texts: list[str] = []

    async def save_state(self) -> Mapping[str, Any]:
        return {"texts": self.texts}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        self.texts = list(state["texts"])
        self.journal.note("loaded", str(self.id), *self.texts)


async def start(harness: DurableHarness) -> AgentRuntime:
    """Start a runtime with two types of keepers; `b` is subscribed to `news`."""

    @harness.can
    async def keep(probe: Probe, message: Do, ctx: MessageContext) -> Reply:
        assert isinstance(probe, Keeper)
        probe.texts.append(message.text)
        return Reply(" ".join(probe.texts))

    @harness.can
    async def keep_and_tell(probe: Probe, message: Do, ctx: MessageContext) -> Reply:
        await probe.tell("news/1", "keep", message.text)
        probe.journal.fail_if_asked("keep_and_tell")
        return await keep_(probe, message, ctx)

    @harness.can
    async def keep_and_fail(probe: Probe, message: Do, ctx: MessageContext) -> None:
        await keep_(probe, message, ctx)
        if probe.journal.failures[f"{probe.id} for now"]:
            probe.journal.failures[f"{probe.id} for now"] -= 1
            raise RuntimeStoppedError("as good as any error that may pass")
        if message.text.startswith("bad"):
            raise ValueError(message.text)

    async def keep_(probe: Probe, message: Do, ctx: MessageContext) -> Reply:
        reply = await keep(probe, message, ctx)
        assert isinstance(reply, Reply)
        return reply

    runtime = harness.make()
    for agent_type in ("a", "b"):
        await runtime.register(agent_type, lambda: Keeper(harness))
    await runtime.add_subscription(TypeSubscription("news", "b"))
    return runtime.start()


async def texts(harness: DurableHarness, agent_id: str) -> list[str]:
    state = await within(harness.runtime.agent_save_state(AgentId.from_str(agent_id)))
    return list(state["texts"])


async def test_an_agent_is_what_it_was_before_the_restart(harness: DurableHarness) -> None:
    """Its state is loaded when its next message comes."""
    runtime = await start(harness)
    for text in ("one", "two"):
        await harness.do("a/1", "keep", text)
    await within(runtime.stop())
    await start(harness)
    assert await harness.do("a/1", "keep", "three") == Reply("one two three")
    assert await harness.do("a/2", "keep", "other") == Reply("other")
    assert harness.journal.count("loaded") == 1


async def test_a_key_may_be_any_text(harness: DurableHarness) -> None:
    """Whatever a URL or a store makes of its letters."""
    keys = ["a/b", "a b", "ä", "a=b", "=41", "%41", "A", "~", "||", "a.b-c_d", "日本"]
    runtime = await start(harness)
    for key in keys:
        await harness.do(f"a/{key}", "keep", key)
    await within(runtime.stop())
    await start(harness)
    for key in keys:
        assert await texts(harness, f"a/{key}") == [key]


async def test_a_handler_that_raises_leaves_nothing(harness: DurableHarness) -> None:
    """No state, also in memory, and nothing of what it published."""
    await start(harness)
    await harness.do("a/1", "keep", "good")
    harness.journal.failures["keep_and_tell"] = 1
    with pytest.raises(RemoteHandlerError, match="PlannedError: keep_and_tell"):
        await harness.do("a/1", "keep_and_tell", "lost")
    assert await harness.do("a/1", "keep_and_tell", "kept") == Reply("good kept")
    await harness.idle()
    assert [note[3] for note in harness.journal.notes if note[:2] == ("end", "b/1")] == ["kept"]


async def test_a_save_that_fails_leaves_nothing_either(harness: DurableHarness) -> None:
    """The sender hears that it may try again."""
    await start(harness)
    await harness.do("a/1", "keep", "good")
    harness.fail_next_save()
    with pytest.raises(UnavailableError, match="a planned fault") as raised:
        await harness.do("a/1", "keep_and_tell", "lost")
    assert isinstance(raised.value, RetryableError)
    assert await harness.do("a/1", "keep_and_tell", "kept") == Reply("good kept")
    await harness.idle()
    assert [note[3] for note in harness.journal.notes if note[:2] == ("end", "b/1")] == ["kept"]


async def test_a_message_that_the_broker_brings_twice_is_handled_once(harness: DurableHarness) -> None:
    """By the same agent, in the same process or the next."""
    runtime = await start(harness)
    for _ in range(2):
        await harness.tell("news/1", "keep", "once", message_id="same")
    await harness.idle()
    await within(runtime.stop())
    await start(harness)
    await harness.tell("news/1", "keep", "once", message_id="same")
    await harness.tell("news/1", "keep", "more", message_id="other")
    await harness.tell("news/2", "keep", "other agent", message_id="same")
    await harness.idle()
    await start(harness)
    assert [await texts(harness, "b/1"), await texts(harness, "b/2")] == [["once", "more"], ["other agent"]]


async def test_an_agent_remembers_many_messages(harness: DurableHarness) -> None:
    """Some hundreds, each of which may come again."""
    messages = range(min(600, harness.MANY))

    async def tell_all() -> None:
        for number in messages:
            await harness.tell("news/1", "keep", str(number), message_id=f"message {number}")

    runtime = await start(harness)
    await tell_all()
    await tell_all()
    await harness.idle()
    await within(runtime.stop())
    await start(harness)
    assert sorted(map(int, await texts(harness, "b/1"))) == list(messages)
    await tell_all()
    await harness.idle()
    await start(harness)
    assert len(await texts(harness, "b/1")) == len(messages)


async def test_an_error_that_may_pass_brings_the_message_again(harness: DurableHarness) -> None:
    """Until it is handled, once; any other error ends it."""
    await start(harness)
    harness.journal.failures["b/1 for now"] = 2
    await harness.tell("news/1", "keep_and_fail", "good")
    await harness.tell("news/2", "keep_and_fail", "bad")
    await harness.idle()
    assert harness.journal.count("begin", "b/1") == 3
    assert harness.journal.count("begin", "b/2") == 1
    await start(harness)
    assert [await texts(harness, "b/1"), await texts(harness, "b/2")] == [["good"], []]


async def test_a_message_that_never_can_be_handled_is_given_up(harness: DurableHarness) -> None:
    """After some attempts; the runtime comes to rest, and the host keeps it as a dead letter."""
    await start(harness)
    harness.journal.failures["b/1 for now"] = 1000
    await harness.tell("news/1", "keep_and_fail", "good")
    await harness.idle()
    assert 1 < harness.journal.count("begin", "b/1") < 1000


async def test_what_was_not_delivered_waits_for_the_next_process(harness: DurableHarness) -> None:
    """The broker did not take it: the outbox has it, and the reminder brings it."""
    runtime = await start(harness)
    harness.fail_next_publish()
    await harness.do("a/1", "keep_and_tell", "late")
    harness.runtime._patience = 0.05
    await within(runtime.stop())
    assert harness.journal.count("begin", "b/1") == 0
    harness.skip_to_reminders()
    await start(harness)
    await harness.journal.until("end", "b/1", "keep", "late")
    await harness.idle()
    assert harness.journal.count("begin", "b/1") == 1


async def test_agents_and_subscriptions_are_registered_before_the_start(harness: DurableHarness) -> None:
    """The host has to know them; and what it cannot carry is refused."""
    runtime = await start(harness)
    await harness.do("a/1")
    with pytest.raises(RegistrationError, match="before the start"):
        await runtime.register("late", harness.probe)
    with pytest.raises(RegistrationError, match="before the start"):
        await runtime.add_subscription(TypeSubscription("late", "a"))
    await within(runtime.stop())
    runtime = harness.make()
    with pytest.raises(RegistrationError, match="a prefix holds a ':'"):
        await runtime.add_subscription(TypePrefixSubscription("any", "a"))
    with pytest.raises(NotAccessibleError):
        await runtime.register_agent_instance(harness.probe(), AgentId("x", "1"))
    await runtime.register("a", harness.probe)
    with pytest.raises(NotAccessibleError):
        await runtime.try_get_underlying_agent_instance(AgentId("a", "1"), Probe)


async def test_a_host_may_be_entered_by_somebody_else(harness: DurableHarness) -> None:
    """A service, for instance, that hosts other actors as well; it leaves the host, too."""
    runtime: Any = harness.make()
    await runtime.register("a", lambda: Keeper(harness))
    await runtime.join()
    async with runtime._host as host:
        runtime.start()
        assert await harness.do("a/1", text="hi") == Reply("hi")
        await within(runtime.stop())
        assert host.ready
        assert (await host.metadata()).actors == {"a": 1}
