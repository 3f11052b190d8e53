"""Published messages: everybody who is subscribed gets one, and the publisher hears nothing."""

import asyncio
import logging

import pytest

from multi_actor.messaging import (
    AgentId,
    DefaultTopicId,
    MessageContext,
    TopicId,
    TypePrefixSubscription,
    TypeSubscription,
)
from tests.conformance.harness import PlannedError
from tests.messaging.harness import Do, Harness, Probe, Unknown, within


async def test_every_subscriber_gets_it_once(harness: Harness) -> None:
    """A topic's source is the key of the agents that get it; publishing returns None."""
    runtime = await harness.start("alice", "bob", "carol", topics=[("news", "alice"), ("news", "bob"), ("x", "carol")])
    assert await within(runtime.publish_message(Do("nothing", "hi"), TopicId("news", "7"))) is None  # type: ignore[func-returns-value]
    await harness.idle()
    assert sorted(note[1] for note in harness.journal.notes if note[0] == "begin") == ["alice/7", "bob/7"]


async def test_several_matching_subscriptions_are_one_message(harness: Harness) -> None:
    """However an agent is subscribed."""
    also = [TypePrefixSubscription("new", "alice"), TypePrefixSubscription("n", "alice")]
    if not harness.takes_any_prefix:
        also = [TypePrefixSubscription("news:", "alice")]
    await harness.start("alice", topics=[("news:x", "alice")], also=also)
    await harness.tell("news:x/1")
    await harness.idle()
    assert harness.journal.count("begin", "alice/1") == 1


async def test_everybody_gets_a_copy_of_their_own(harness: Harness) -> None:
    """What one changes in it the others do not see, nor the publisher; what that changes later, nobody sees."""

    @harness.can
    async def change(probe: Probe, message: Do, ctx: MessageContext) -> None:
        probe.journal.note("saw", message.text)
        message.text += " changed"

    runtime = await harness.start("a", "b", "c", topics=[("news", name) for name in "abc"])
    message = Do("change", "as sent")
    await within(runtime.publish_message(message, TopicId("news", "1")))
    message.text = "changed afterwards"
    await harness.idle()
    assert harness.journal.count("saw", "as sent") == 3
    assert message.text == "changed afterwards"


async def test_a_handler_is_told_the_topic(harness: Harness) -> None:
    """And who published; a reply has nowhere to go."""

    @harness.can
    async def look(probe: Probe, message: Do, ctx: MessageContext) -> str:
        probe.journal.note("told", str(ctx.sender), str(ctx.topic_id), ctx.is_rpc, ctx.message_id)
        return "thrown away"

    @harness.can
    async def publish(probe: Probe, message: Do, ctx: MessageContext) -> None:
        await probe.tell("news/5", "look")

    await harness.start("alice", "bob", topics=[("news", "bob")])
    await harness.tell("news/5", "look", message_id="mine")
    await harness.do("alice/1", "publish")
    await harness.idle()
    told = sorted(note[1:] for note in harness.journal.notes if note[0] == "told")
    assert told[0] == ("None", "news/5", False, "mine")
    assert told[1][:3] == ("alice/1", "news/5", False)


async def test_an_agent_does_not_receive_what_it_published(harness: Harness) -> None:
    """Another agent of the same type does."""

    @harness.can
    async def publish(probe: Probe, message: Do, ctx: MessageContext) -> None:
        await probe.tell("news/1", "nothing", f"from {probe.id}")

    await harness.start("alice", topics=[("news", "alice")])
    await harness.do("alice/1", "publish")
    await harness.do("alice/2", "publish")
    await harness.idle()
    got = [note[1:] for note in harness.journal.notes if note[:1] == ("begin",) and note[2] == "nothing"]
    assert got == [("alice/1", "nothing", "from alice/2")]


async def test_the_default_topic_is_that_of_the_handling_agents_key(harness: Harness) -> None:
    """Outside of handlers its source is `default`."""

    @harness.can
    async def publish(probe: Probe, message: Do, ctx: MessageContext) -> None:
        await probe.publish_message(Do("nothing"), DefaultTopicId())

    runtime = await harness.start("alice", "bob", topics=[("default", "bob")])
    await harness.do("alice/mine", "publish")
    await within(runtime.publish_message(Do("nothing"), DefaultTopicId()))
    await harness.idle()
    assert {note[1] for note in harness.journal.notes if note[2] == "nothing"} == {"bob/mine", "bob/default"}


async def test_an_error_in_a_handler_is_logged_and_stays_there(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    """With its traceback, once; neither the publisher nor another receiver hears of it."""

    @harness.can
    async def fail_for_alice(probe: Probe, message: Do, ctx: MessageContext) -> None:
        if probe.id.type == "alice":
            raise PlannedError("oh")

    await harness.start("alice", "bob", topics=[("news", "alice"), ("news", "bob")])
    with caplog.at_level(logging.ERROR):
        await harness.tell("news/1", "fail_for_alice")
        await harness.idle()
    assert harness.journal.count("end", "bob/1") == 1
    assert harness.journal.count("begin", "alice/1") == 1
    errors = [record for record in caplog.records if record.exc_info and record.exc_info[0] is PlannedError]
    assert len(errors) == 1
    assert "alice/1" in errors[0].getMessage()


async def test_a_published_message_without_a_handler_is_no_error(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    """Many types go over one topic; an agent takes those that it knows."""
    runtime = await harness.start("alice", topics=[("news", "alice")])
    with caplog.at_level(logging.WARNING):
        await within(runtime.publish_message(Unknown(), TopicId("news", "1")))
        await harness.idle()
    assert not caplog.records


async def test_a_topic_of_nobodys_is_a_warning_that_names_near_misses(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    """No error: somebody may subscribe later."""
    await harness.start("alice", topics=[("default", "alice")])
    with caplog.at_level(logging.WARNING):
        await harness.tell("deafult/1")
        await harness.idle()
    assert any("'deafult'; did you mean default?" in record.getMessage() for record in caplog.records)


async def test_what_was_published_in_a_handler_is_on_its_way_before_the_reply(harness: Harness) -> None:
    """After the reply, stopping still lets it be delivered."""

    @harness.can
    async def publish(probe: Probe, message: Do, ctx: MessageContext) -> None:
        await probe.tell("news/1", "nothing")

    runtime = await harness.start("alice", "bob", topics=[("news", "bob")])
    await harness.do("alice/1", "publish")
    await within(runtime.stop())
    assert harness.journal.count("end", "bob/1", "nothing") == 1


async def test_what_is_published_before_the_start_waits_for_it(harness: Harness) -> None:
    """Those who are subscribed by then get it, as it was."""
    runtime = harness.make()
    message = Do("nothing", "early")
    await within(runtime.publish_message(message, TopicId("news", "1")))
    message.text = "changed afterwards"
    await runtime.register("alice", harness.probe)
    await runtime.add_subscription(TypeSubscription("news", "alice"))
    runtime.start()
    await harness.idle()
    assert harness.journal.count("end", "alice/1", "nothing", "early") == 1


async def test_a_registered_class_gets_the_topic_of_its_type(harness: Harness) -> None:
    """`type:anything` reaches the agents of a type without a subscription of theirs."""
    runtime = harness.make()
    await Probe.register(runtime, "alice", harness.probe)
    runtime.start()
    await harness.tell("alice:anything/5")
    await harness.idle()
    assert harness.journal.count("end", "alice/5") == 1


async def test_a_subscription_can_be_removed(harness: Harness) -> None:
    """Before the start on every runtime."""
    runtime = harness.make()
    await runtime.register("alice", harness.probe)
    subscription = TypeSubscription("news", "alice")
    await runtime.add_subscription(subscription)
    await runtime.remove_subscription(subscription.id)
    runtime.start()
    await harness.tell("news/1")
    await harness.idle()
    assert harness.journal.count("begin") == 0


async def test_many_messages_all_arrive(harness: Harness) -> None:
    """Each once, whoever publishes them, at once or one by one."""

    @harness.can
    async def publish(probe: Probe, message: Do, ctx: MessageContext) -> None:
        for number in range(20):
            await probe.tell("news/1", "nothing", f"{probe.id} {number}")

    runtime = await harness.start("alice", "bob", "carol", topics=[("news", "bob"), ("news", "carol")])
    asked = [runtime.send_message(Do("publish"), AgentId("alice", str(key))) for key in range(5)]
    await within(asyncio.gather(*asked))
    await harness.idle()
    for subscriber in ("bob/1", "carol/1"):
        got = [note[3] for note in harness.journal.notes if note[:3] == ("end", subscriber, "nothing")]
        assert sorted(got) == sorted(f"alice/{key} {number}" for key in range(5) for number in range(20))
