"""Log events: one JSON document for each step of a message, for those who ask for them."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from multi_actor.messaging import EVENT_LOGGER_NAME, DefaultInterventionHandler, DropMessage, MessageContext
from multi_actor.messaging.exceptions import MessageDroppedException
from multi_actor.messaging.logging import MessageEvent
from tests.messaging.harness import Do, Harness, Probe


class _Keeper(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.events: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.events.append(json.loads(record.getMessage()))

    def brief(self) -> list[tuple[Any, ...]]:
        keys = ("type", "kind", "delivery_stage", "sender", "receiver")
        return [tuple(event.get(key) for key in keys) for event in self.events]


@pytest.fixture
def keeper() -> Iterator[_Keeper]:
    logger, keeper = logging.getLogger(EVENT_LOGGER_NAME), _Keeper()
    logger.addHandler(keeper)
    logger.setLevel(logging.INFO)
    yield keeper
    logger.removeHandler(keeper)
    logger.setLevel(logging.NOTSET)


async def test_a_direct_message_has_four_events(harness: Harness, keeper: _Keeper) -> None:
    """Sent and delivered, there and back, with what was said."""
    await harness.start("a")
    await harness.do("a/1", text="hi")
    assert keeper.brief() == [
        ("Message", "MessageKind.DIRECT", "DeliveryStage.SEND", None, "a/1"),
        ("Message", "MessageKind.DIRECT", "DeliveryStage.DELIVER", None, "a/1"),
        ("Message", "MessageKind.RESPOND", "DeliveryStage.SEND", "a/1", None),
        ("Message", "MessageKind.RESPOND", "DeliveryStage.DELIVER", "a/1", None),
    ]
    assert json.loads(keeper.events[0]["payload"]) == {"what": "nothing", "text": "hi"}


async def test_a_published_message_has_one_event_for_each_receiver(harness: Harness, keeper: _Keeper) -> None:
    """And one for the publishing."""
    await harness.start("a", "b", topics=[("news", "a"), ("news", "b")])
    await harness.tell("news/1")
    await harness.idle()
    assert keeper.brief() == [
        ("Message", "MessageKind.PUBLISH", "DeliveryStage.SEND", None, "news/1"),
        *[("Message", "MessageKind.PUBLISH", "DeliveryStage.DELIVER", None, None)] * 2,
    ]


async def test_what_goes_wrong_has_events(harness: Harness, keeper: _Keeper) -> None:
    """A handler's error, a factory's, and a message that was dropped."""

    class Dropper(DefaultInterventionHandler):
        async def on_send(self, message: Do, **_: Any) -> object:
            return DropMessage if message.text == "drop" else message

    @harness.can
    async def fail(probe: Probe, message: Do, ctx: MessageContext) -> None:
        raise ValueError("no")

    def factory() -> Probe:
        raise ValueError("no agent")

    runtime = harness.make(intervention_handlers=[Dropper()])
    await runtime.register("a", harness.probe)
    await runtime.register("b", factory)
    runtime.start()
    with pytest.raises(MessageDroppedException):
        await harness.do("a/1", text="drop")
    for to in ("a/1", "b/1"):
        with pytest.raises(ValueError, match="no"):
            await harness.do(to, "fail")
    found = [event for event in keeper.events if event["type"] != "Message"]
    assert [event["type"] for event in found] == [
        "MessageDropped",
        "MessageHandlerException",
        "AgentConstructionException",
        "MessageHandlerException",
    ]
    assert [event.get("exception") for event in found] == [None, "no", "no agent", "no agent"]


async def test_nothing_that_was_said_is_logged_unasked(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    """Not even where everything of this package is."""
    with caplog.at_level(logging.INFO, logger="multi_actor"):
        await harness.start("a", topics=[("news", "a")])
        await harness.do("a/1", text="secret")
        await harness.tell("news/1", text="secret")
        await harness.idle()
    assert "secret" not in caplog.text
    assert "a" in str(MessageEvent(payload=Do("a")))
