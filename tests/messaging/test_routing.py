"""Routing: by the exact class first, then the nearest base; a handler that could not work is refused at once."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any, Generic, Literal, NewType, TypeVar

import pytest
from pydantic import BaseModel

from multi_actor.messaging import (
    AgentId,
    CantHandleException,
    InvalidHandlerError,
    MessageContext,
    RoutedAgent,
    TopicId,
    TypeRoutedAgent,
    WrongReplyError,
    event,
    message_handler,
    rpc,
)
from tests.messaging.harness import Harness, within

T = TypeVar("T")


@dataclass
class Animal:
    name: str


@dataclass
class Dog(Animal):
    pass


@dataclass
class Puppy(Dog):
    pass


class Model(BaseModel):
    text: str


@dataclass
class Nested:
    inner: Animal
    models: list[Model]
    either: Animal | Model | None = None


@dataclass
class Box(Generic[T]):
    inside: T


class ModelBox(BaseModel, Generic[T]):
    inside: T


async def ask(harness: Harness, agent: Callable[[], RoutedAgent], message: object, topic: str = "") -> Any:
    """Have a fresh agent handle one message, published if there is a topic."""
    runtime = harness.make()
    await runtime.register("agent", agent)
    async with runtime:
        if topic:
            await within(runtime.publish_message(message, TopicId.from_str(topic)))
            return None
        return await within(runtime.send_message(message, AgentId("agent", "1")))


class Zoo(RoutedAgent):
    def __init__(self) -> None:
        super().__init__("a zoo")

    @message_handler
    async def on_dog(self, message: Dog, ctx: MessageContext) -> str:
        return f"dog {message.name}"

    @message_handler
    async def on_animal(self, message: Animal, ctx: MessageContext) -> str:
        return f"animal {message.name}"

    @message_handler
    async def on_the_rest(self, message: Model | Nested | Box[int] | ModelBox[int], ctx: MessageContext) -> str:
        return f"{message!r}"


@pytest.mark.parametrize(
    ("message", "reply"),
    [
        (Animal("Ann"), "animal Ann"),
        (Dog("Dan"), "dog Dan"),
        (Puppy("Pat"), "dog Pat"),
        (Model(text="hi"), "Model(text='hi')"),
        (
            Nested(Animal("a"), [Model(text="b")], Model(text="c")),
            "Nested(inner=Animal(name='a'), models=[Model(text='b')], either=Model(text='c'))",
        ),
        (Box(1), "Box(inside=1)"),
        (ModelBox[int](inside=1), "ModelBox[int](inside=1)"),
    ],
    ids=repr,
)
async def test_the_nearest_handler_gets_the_message(harness: Harness, message: object, reply: str) -> None:
    """By its own class, or else by its nearest base class; unions and nested types are handled too."""
    assert await ask(harness, Zoo, message) == reply


class Ways(TypeRoutedAgent):
    """One handler for each way that a message can come."""

    def __init__(self) -> None:
        super().__init__("both ways")

    @rpc
    async def direct(self, message: Dog, ctx: MessageContext) -> str:
        return "direct"

    @event
    async def published(self, message: Puppy, ctx: MessageContext) -> None:
        raise AssertionError("a direct message is no event")

    @rpc(match=lambda message, _: message.text == "first")
    async def a_first(self, message: Model, ctx: MessageContext) -> str:
        return "a_first"

    @message_handler(match=lambda message, _: message.text in ("first", "second"))
    async def b_second(self, message: Model, ctx: MessageContext) -> str:
        return "b_second"


async def test_rpc_and_event_take_one_way_only(harness: Harness) -> None:
    """A puppy that is sent goes to the handler of dogs, for the one of puppies takes events."""
    assert await ask(harness, Ways, Puppy("Pat")) == "direct"


@pytest.mark.parametrize(("text", "reply"), [("first", "a_first"), ("second", "b_second")])
async def test_the_first_handler_that_matches_gets_the_message(harness: Harness, text: str, reply: str) -> None:
    """In the order of their names."""
    assert await ask(harness, Ways, Model(text=text)) == reply


async def test_a_message_that_nothing_matches_is_not_handled(harness: Harness) -> None:
    """The error names what the agent handles when it comes that way."""
    with pytest.raises(CantHandleException, match=r"it handles Dog, Model$"):
        await ask(harness, Ways, Model(text="third"))


async def test_a_subclass_inherits_and_replaces_handlers(harness: Harness) -> None:
    """By their method's name."""

    class Petting(Zoo):
        @message_handler
        async def on_dog(self, message: Dog, ctx: MessageContext) -> str:
            return f"good dog {message.name}"

    assert await ask(harness, Petting, Dog("Dan")) == "good dog Dan"
    assert await ask(harness, Petting, Animal("Ann")) == "animal Ann"


async def test_an_agent_may_answer_what_it_has_no_handler_for(harness: Harness) -> None:
    """In `on_unhandled_message`."""

    class Polite(Zoo):
        async def on_unhandled_message(self, message: Any, ctx: MessageContext) -> str:
            return f"sorry, no {type(message).__name__}"

    assert await ask(harness, Polite, Box2(1)) == "sorry, no Box2"


@dataclass
class Box2:
    inside: int


class Liar(RoutedAgent):
    """Returns what it gets, whatever it says."""

    def __init__(self) -> None:
        super().__init__("a liar")

    @message_handler
    async def says_str(self, message: Box2, ctx: MessageContext) -> str:
        return message.inside  # type: ignore[return-value]

    @message_handler(strict=False)
    async def says_nothing(self, message: Model, ctx: MessageContext) -> None:
        return message.text  # type: ignore[return-value]

    @message_handler
    async def says_many(
        self, message: Box[Any], ctx: MessageContext
    ) -> list[int] | Literal["a"] | float | Animal | None:
        result: list[int] | Literal["a"] | float | Animal | None = REPLIES[message.inside]
        return result


async def test_a_reply_of_another_type_than_declared_is_an_error(harness: Harness) -> None:
    """It names the handler and both types; the sender gets it. Off by `strict=False`."""
    with pytest.raises(WrongReplyError, match=r"Liar\.says_str returned int; it declares str") as raised:
        await ask(harness, Liar, Box2(1))
    assert isinstance(raised.value, ValueError)
    assert await ask(harness, Liar, Model(text="x")) == "x"


REPLIES: dict[str, Any] = {"list": [1], "a": "a", "int": 1, "float": 1.5, "dog": Dog("Dan"), "None": None, "dict": {}}


@pytest.mark.parametrize("name", sorted(REPLIES.keys() - {"dict"}))
async def test_a_reply_is_compared_by_its_class(harness: Harness, name: str) -> None:
    """Subclasses, and an int for a float, are fine."""
    assert await ask(harness, Liar, Box(name)) == REPLIES[name]


async def test_a_reply_of_no_declared_class_is_an_error(harness: Harness) -> None:
    """Of a union all are named."""
    with pytest.raises(WrongReplyError, match=r"returned dict; it declares list \| str \| float"):
        await ask(harness, Liar, Box("dict"))


# -- declarations

UserName = NewType("UserName", str)


def not_async(self: Any, message: Animal, ctx: MessageContext) -> None: ...


async def without_message_type(self: Any, message, ctx: MessageContext) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001


async def without_return_type(self: Any, message: Animal, ctx: MessageContext): ...  # type: ignore[no-untyped-def]  # noqa: ANN201


async def without_context(self: Any, message: Animal) -> None: ...


async def of_text(self: Any, message: str, ctx: MessageContext) -> None: ...


async def of_a_name(self: Any, message: UserName, ctx: MessageContext) -> None: ...


async def of_anything(self: Any, message: Any, ctx: MessageContext) -> None: ...


async def of_a_dict(self: Any, message: dict[str, int], ctx: MessageContext) -> None: ...


async def of_something_or_text(self: Any, message: Animal | str, ctx: MessageContext) -> None: ...


@dataclass
class Locked:
    lock: Lock = dataclasses.field(default_factory=Lock)


@dataclass
class Calling:
    call: Callable[[], None]


async def of_a_lock(self: Any, message: Locked, ctx: MessageContext) -> None: ...


async def of_a_function(self: Any, message: Calling, ctx: MessageContext) -> None: ...


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (not_async, "a handler is an `async def`"),
        (without_message_type, "'message' has no annotation"),
        (without_return_type, "'return' has no annotation"),
        (without_context, r"takes \(self, message, ctx\), not \(self, message\)"),
        (of_text, "a pydantic model or a dataclass, not str"),
        (of_a_name, "a pydantic model or a dataclass, not str"),
        (of_anything, "a pydantic model or a dataclass, not Any"),
        (of_a_dict, r"a pydantic model or a dataclass, not dict\[str, int\]"),
        (of_something_or_text, "a pydantic model or a dataclass, not str"),
        (of_a_lock, "Locked is not pure data"),
        (of_a_function, "Calling is not pure data"),
    ],
)
@pytest.mark.parametrize("declare", [message_handler, event, rpc])
def test_a_handler_that_could_not_work_is_refused_when_it_is_declared(
    declare: Any, function: Callable[..., Any], why: str
) -> None:
    """With a message that names the handler and says why."""
    with pytest.raises(InvalidHandlerError, match=why) as raised:
        declare(function)
    assert function.__name__ in str(raised.value)
    assert isinstance(raised.value, TypeError)


@dataclass
class Early:
    """Names classes that are defined further down."""

    models: "list[LateModel]"
    late: "Late"


class EarlyModel(BaseModel):
    late: "LateModel"


class Reader(RoutedAgent):
    def __init__(self) -> None:
        super().__init__("reads what names later classes")

    @message_handler
    async def on_early(self, message: Early | EarlyModel, ctx: MessageContext) -> str:
        return f"{message.late!r}"


@dataclass
class Late:
    text: str


class LateModel(BaseModel):
    text: str


async def test_a_message_may_name_a_class_that_comes_later(harness: Harness) -> None:
    """By the time that it is sent the class is there."""
    assert await ask(harness, Reader, Early([LateModel(text="a")], Late("b"))) == "Late(text='b')"
    assert await ask(harness, Reader, EarlyModel(late=LateModel(text="c"))) == "LateModel(text='c')"


def test_a_message_that_is_not_known_where_its_handler_is_declared_is_refused() -> None:
    """It says which name."""

    async def function(self: Any, message: "Unheard", ctx: MessageContext) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(InvalidHandlerError, match=r"function: name 'Unheard' is not defined"):
        message_handler(function)


def test_an_event_has_no_reply() -> None:
    """So its handler must return None."""
    with pytest.raises(InvalidHandlerError, match="a handler of events returns None"):

        @event  # type: ignore[arg-type]
        async def on_event(self: Any, message: Animal, ctx: MessageContext) -> str:
            return ""


def test_a_declared_handler_is_still_the_method() -> None:
    """It can be called, in a test for instance, like any other."""
    assert Zoo.on_dog.__name__ == "on_dog"
    assert [handler.function.__name__ for handler in Zoo.handlers] == ["on_animal", "on_dog", "on_the_rest"]
