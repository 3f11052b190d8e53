"""The wire: messages and replies by the classes that handlers declare, errors by what they are and say."""

import asyncio
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Generic, TypeVar

import pytest
from pydantic import BaseModel, ConfigDict

from multi_actor.errors import TurnTimeoutError, WaitsForItselfError
from multi_actor.messaging import (
    AgentId,
    CantHandleException,
    MessageContext,
    RemoteHandlerError,
    RoutedAgent,
    RuntimeStoppedError,
    UndeliverableException,
    WrongReplyError,
    message_handler,
)
from multi_actor.messaging.wire import Wire, pack_error, unpack_error

T = TypeVar("T")


class Mood(StrEnum):
    GOOD = "good"


class Model(BaseModel):
    model_config = ConfigDict(strict=True)

    when: datetime
    price: Decimal
    mood: Mood = Mood.GOOD


@dataclass
class Inner:
    numbers: set[int]
    pair: tuple[int, str]


@dataclass
class Message:
    inner: Inner
    models: list[Model] = field(default_factory=list)
    to: AgentId | None = None


@dataclass
class Special(Message):
    more: bytes = b"bytes"


@dataclass
class Box(Generic[T]):
    inside: T


@dataclass
class Answer:
    text: str


class Verdict(BaseModel):
    text: str


@dataclass
class Undeclared:
    text: str


class Agent(RoutedAgent):
    @message_handler
    async def on_message_(self, message: Message | Box[Inner], ctx: MessageContext) -> Answer | Verdict | Box[Answer]:
        return Answer("")


def through_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


MODEL = Model(when=datetime(2024, 1, 15, tzinfo=UTC), price=Decimal("1.50"))
INNER = Inner({1, 2}, (1, "5m"))


@pytest.mark.parametrize(
    "message",
    [
        Message(INNER, [MODEL], AgentId("a", "1")),
        Special(INNER),
        Answer("2024-01-15"),
        Verdict(text="2024-01-15"),
        Box(INNER),
        None,
        "5m",
        7,
        1.5,
        True,
        [1, ["a", None]],
        {"a": {"b": []}},
    ],
    ids=repr,
)
def test_what_is_sent_is_what_arrives(message: object) -> None:
    """In another process, which knows the classes by the handlers that declare them."""
    assert Wire().unpack(through_json(Wire().pack(message))) == message


def test_a_class_that_nobody_declares_is_not_made() -> None:
    """Unless it is this process that packed it."""
    wire = Wire()
    packed = through_json(wire.pack(Undeclared("x")))
    assert wire.unpack(packed) == Undeclared("x")
    with pytest.raises(CantHandleException, match=r"Undeclared is not declared here"):
        Wire().unpack(packed)
    with pytest.raises(CantHandleException):
        Wire().unpack({"type": "builtins.dict", "value": {}})


@pytest.mark.parametrize(
    "value", [object(), {1: "a"}, (1, 2), [Answer("a")], b"bytes", {"a": {1}}], ids=lambda value: type(value).__name__
)
def test_what_is_no_message_and_no_json_cannot_leave(value: object) -> None:
    """Whoever sends or returns it is told."""
    with pytest.raises(TypeError, match="cannot leave its process"):
        Wire().pack(value)


def test_a_message_that_is_not_what_it_declares_cannot_leave() -> None:
    """It could not be read."""
    with pytest.raises(ValueError, match="Expected `str`"):
        Wire().pack(Answer(7))  # type: ignore[arg-type]


class OwnError(Exception):
    pass


class AlmostTimeoutError(TimeoutError):
    pass


@pytest.mark.parametrize(
    "error",
    [
        CantHandleException(agent="a/1", message_type="M", handles=["N"]),
        CantHandleException("free text"),
        UndeliverableException(recipient="a/1", near=["b"]),
        RuntimeStoppedError("stopped"),
        WaitsForItselfError(("a/1", "b/1", "a/1")),
        TurnTimeoutError(("a/1",), 2.0),
        WrongReplyError("f", "int", ["str"]),
        RemoteHandlerError("Other", "text"),
        ValueError("no"),
        KeyError("k"),
        KeyError(("a", "b")),
        FileNotFoundError(2, "no file"),
        TimeoutError(),
        asyncio.CancelledError(),
    ],
    ids=repr,
)
def test_an_error_crosses_as_itself(error: BaseException) -> None:
    """With its fields, if it is one of ours, else with what it says."""
    (packed,) = through_json(pack_error(error)).values()
    arrived = unpack_error(packed)
    if isinstance(error, KeyError) and isinstance(error.args[0], tuple):
        assert isinstance(arrived, RemoteHandlerError)
        return
    assert type(arrived) is type(error)
    assert str(arrived) == str(error)
    assert vars(arrived) == vars(error)


@pytest.mark.parametrize(
    "error", [OwnError("mine"), AlmostTimeoutError("late"), UnicodeDecodeError("a", b"", 0, 1, "b")]
)
def test_any_other_error_is_a_remote_one(error: Exception) -> None:
    """By the name of its class, and what it says."""
    (packed,) = through_json(pack_error(error)).values()
    arrived = unpack_error(packed)
    assert isinstance(arrived, RemoteHandlerError)
    assert (arrived.type, arrived.message) == (type(error).__name__, str(error))


def test_a_name_from_outside_makes_nothing_but_errors() -> None:
    """Whatever it names."""
    for name in ("dict", "SystemExit", "eval", "__import__", "ExceptionGroup"):
        arrived = unpack_error({"type": name, "text": "x", "args": ["x"]})
        assert isinstance(arrived, RemoteHandlerError)
