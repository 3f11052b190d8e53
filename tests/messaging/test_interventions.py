"""Intervention handlers: they see each message once, and what they return goes on."""

import asyncio
from typing import Any

import pytest

from multi_actor.messaging import (
    AgentId,
    DefaultInterventionHandler,
    DropMessage,
    MessageContext,
    MessageDroppedException,
)
from tests.messaging.harness import Do, Harness, Probe, Reply, within


class Recorder(DefaultInterventionHandler):
    """Notes what it sees, and marks it."""

    def __init__(self, name: str, notes: list[tuple[Any, ...]]) -> None:
        self.name = name
        self.notes = notes

    async def on_send(self, message: Do, *, message_context: MessageContext, recipient: AgentId) -> Do:
        self.notes.append((self.name, "send", message.text, str(message_context.sender), str(recipient)))
        return Do(message.what, f"{message.text} {self.name}")

    async def on_publish(self, message: Do, *, message_context: MessageContext) -> Do:
        self.notes.append((self.name, "publish", message.text, str(message_context.topic_id)))
        return Do(message.what, f"{message.text} {self.name}")

    async def on_response(self, message: Reply, *, sender: AgentId, recipient: AgentId | None) -> Reply:
        self.notes.append((self.name, "response", message.text, str(sender), str(recipient)))
        return Reply(f"{message.text} back {self.name}")


async def test_each_handler_sees_what_the_one_before_it_returned(harness: Harness) -> None:
    """On the way there and on the way back; the recipient and the sender get the last word of them."""
    notes: list[tuple[Any, ...]] = []
    await harness.start("a", intervention_handlers=[Recorder("one", notes), Recorder("two", notes)])
    assert await harness.do("a/1", text="hi") == Reply("hi one two back one back two")
    assert notes == [
        ("one", "send", "hi", "None", "a/1"),
        ("two", "send", "hi one", "None", "a/1"),
        ("one", "response", "hi one two", "a/1", "None"),
        ("two", "response", "hi one two back one", "a/1", "None"),
    ]


async def test_a_published_message_is_seen_once(harness: Harness) -> None:
    """However many get it."""
    notes: list[tuple[Any, ...]] = []
    topics = [("news", "a"), ("news", "b")]
    await harness.start("a", "b", topics=topics, intervention_handlers=[Recorder("one", notes)])
    await harness.tell("news/1", text="hi")
    await harness.idle()
    assert notes == [("one", "publish", "hi", "news/1")]
    assert harness.journal.count("end", "a/1", "nothing", "hi one") == 1
    assert harness.journal.count("end", "b/1", "nothing", "hi one") == 1


@pytest.mark.parametrize("drop", [DropMessage, DropMessage()], ids=["class", "instance"])
async def test_a_dropped_message_is_an_error_for_its_sender_only(harness: Harness, drop: object) -> None:
    """One that was published is just gone."""

    class Dropper(DefaultInterventionHandler):
        async def on_send(self, message: Do, *, message_context: MessageContext, recipient: AgentId) -> object:
            return drop if message.text == "drop" else message

        async def on_publish(self, message: Do, *, message_context: MessageContext) -> object:
            return drop

        async def on_response(self, message: Reply, *, sender: AgentId, recipient: AgentId | None) -> object:
            return drop

    await harness.start("a", topics=[("news", "a")], intervention_handlers=[Dropper()])
    with pytest.raises(MessageDroppedException, match=r"Dropper\.on_send dropped a Do"):
        await harness.do("a/1", text="drop")
    with pytest.raises(MessageDroppedException, match=r"Dropper\.on_response dropped a Reply"):
        await harness.do("a/1", text="go on")
    await harness.tell("news/1", text="published")
    await harness.idle()
    assert harness.journal.notes == [(what, "a/1", "nothing", "go on") for what in ("begin", "end")]


async def test_none_is_unchanged_and_a_warning(harness: Harness) -> None:
    """It was probably forgotten."""

    class Forgetful(DefaultInterventionHandler):
        async def on_send(self, message: Do, *, message_context: MessageContext, recipient: AgentId) -> None:
            pass

    await harness.start("a", intervention_handlers=[Forgetful()])
    with pytest.warns(RuntimeWarning, match=r"Forgetful\.on_send returned None"):
        assert await harness.do("a/1", text="hi") == Reply("hi")


async def test_what_a_publish_handler_raises_stays_in_the_log(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    """The publisher hears of nothing, the message goes nowhere."""

    class Failing(DefaultInterventionHandler):
        async def on_publish(self, message: Do, *, message_context: MessageContext) -> Do:
            raise ValueError("oh no")

    await harness.start("a", topics=[("news", "a")], intervention_handlers=[Failing()])
    await harness.tell("news/1")
    await harness.idle()
    assert not harness.journal.notes
    assert any(record.exc_info and "oh no" in str(record.exc_info[1]) for record in caplog.records)


async def test_a_handler_may_wait_and_send_messages_itself(harness: Harness) -> None:
    """To the very agent that the message it looks at is for; other messages pass meanwhile."""

    class Asker(DefaultInterventionHandler):
        async def on_send(self, message: Do, *, message_context: MessageContext, recipient: AgentId) -> Do:
            if message.text == "ask":
                reply = await harness.runtime.send_message(Do("nothing", "from an intervention"), recipient)
                return Do(message.what, reply.text)
            if message.text == "wait":
                await harness.journal.gate("wait").wait()
            return message

    await harness.start("a", intervention_handlers=[Asker()])
    waiting = harness.begin("a/1", text="wait")
    await asyncio.sleep(0)
    assert await harness.do("a/1", text="ask") == Reply("from an intervention")
    harness.journal.gate("wait").set()
    assert await within(waiting) == Reply("wait")


async def test_a_handler_may_stop_the_runtime(harness: Harness) -> None:
    """The message that it looks at is refused like any other that comes later."""

    class Stopper(DefaultInterventionHandler):
        async def on_publish(self, message: Do, *, message_context: MessageContext) -> Do:
            await harness.runtime.stop()
            return message

    @harness.can
    async def publish(probe: Probe, message: Do, ctx: MessageContext) -> Reply:
        try:
            await probe.tell("news/1", "nothing")
        except RuntimeError as error:
            return Reply(str(error))
        except Exception as error:  # noqa: BLE001  # the test compares it
            return Reply(type(error).__name__)
        return Reply("published")

    await harness.start("a", "b", topics=[("news", "b")], intervention_handlers=[Stopper()])
    assert await harness.do("a/1", "publish") == Reply("RuntimeStoppedError")
    await within(harness.runtime.stop())
