"""Messages and ids are data: copies share nothing, ids are frozen and checked."""

import copy
import pickle
from dataclasses import FrozenInstanceError, dataclass, field
from typing import Any

import pytest
from pydantic import BaseModel, PrivateAttr, TypeAdapter

from multi_actor.messaging import AgentId, AgentType, DefaultTopicId, InvalidIdError, TopicId
from multi_actor.messaging.messages import own_copies


@dataclass
class Flat:
    text: str
    number: int = 1


@dataclass
class Deep:
    inner: Flat
    items: list[dict[str, Flat]] = field(default_factory=list)


@dataclass(slots=True)
class Slotted:
    items: list[int]


@dataclass(frozen=True)
class Frozen:
    text: str
    items: tuple[Flat, ...] = ()


class Copied(Flat):
    def __deepcopy__(self, memo: dict[int, Any]) -> "Copied":
        return Copied(f"{self.text}, copied")


class Model(BaseModel):
    text: str
    items: list[Flat] = []


class Secretive(BaseModel):
    text: str
    _secret: list[int] = PrivateAttr(default_factory=lambda: [1])


MESSAGES: list[Any] = [
    Flat("a"),
    Deep(Flat("a"), [{"b": Flat("c")}]),
    Slotted([1]),
    Frozen("a", (Flat("b"),)),
    Model(text="a", items=[Flat("b")]),
    Model(text="a"),
    Secretive(text="a"),
]


@pytest.mark.parametrize("message", MESSAGES, ids=repr)
def test_a_copy_is_equal_and_shares_nothing_that_can_change(message: Any) -> None:
    """Nor do two copies share anything."""
    first, second = own_copies(message, 2)
    assert first == second == message
    assert type(first) is type(message)
    original = {id(part) for part in parts(message)}
    assert not original & {id(part) for part in parts(first)}
    assert not {id(part) for part in parts(first)} & {id(part) for part in parts(second)}


def parts(value: Any) -> list[Any]:
    """Everything in ``value`` that can change."""
    match value:
        case str() | int():
            return []
        case list() | tuple():
            return [*([value] if isinstance(value, list) else []), *(p for item in value for p in parts(item))]
        case dict():
            return [value, *(p for item in value.values() for p in parts(item))]
    names = [*getattr(value, "__dict__", {}), *getattr(value, "__slots__", ())]
    private = getattr(value, "__pydantic_private__", None) or {}
    held = [*(getattr(value, name) for name in names if not name.startswith("__")), *private.values()]
    return [value, *(part for item in held for part in parts(item))]


def test_a_message_may_say_how_it_is_copied() -> None:
    """As `copy.deepcopy` does."""
    assert own_copies(Copied("a"), 1) == [Copied("a, copied")]


def test_ids_are_frozen_and_compared_by_value() -> None:
    """And usable as keys."""
    agent, topic = AgentId("a", "1"), TopicId("a", "1")
    assert {agent: 1}[AgentId(AgentType("a"), "1")] == {topic: 1}[TopicId("a", "1")] == 1
    assert agent != topic
    assert DefaultTopicId("a", "1") == topic
    with pytest.raises(FrozenInstanceError):
        agent.key = "2"  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        topic.source = "2"  # type: ignore[misc]


def test_an_id_is_its_text() -> None:
    """Which can be read again, whatever the key holds."""
    agent, topic = AgentId("a", "x/y z"), TopicId("a:b=c", "http://x/y")
    assert (str(agent), str(topic)) == ("a/x/y z", "a:b=c/http://x/y")
    assert (AgentId.from_str(str(agent)), TopicId.from_str(str(topic))) == (agent, topic)
    assert repr(agent) == "AgentId(type='a', key='x/y z')"


@pytest.mark.parametrize("bad", ["", "a b", "a/b", "a:b", "ä ö", "a\n"])
def test_an_agent_type_has_letters_digits_and_few_signs(bad: str) -> None:
    """Anything else is refused when the id is made."""
    for make in (AgentType, lambda bad: AgentId(bad, "1")):
        with pytest.raises(InvalidIdError):
            make(bad)


@pytest.mark.parametrize("bad", ["", "a\nb", "a\0", "\ud800", 7, None])
def test_a_key_is_printable_text(bad: Any) -> None:
    """So is a topic's source."""
    for make in (AgentId, TopicId):
        with pytest.raises(ValueError, match="not the name of one a"):
            make("a", bad)


@pytest.mark.parametrize("read", [AgentId.from_str, TopicId.from_str])
def test_what_has_no_slash_is_no_id(read: Any) -> None:
    """It says so."""
    with pytest.raises(InvalidIdError, match="has no '/'"):
        read("agent")


def test_ids_can_be_copied_and_be_part_of_messages() -> None:
    """They are data like everything else in a message."""

    @dataclass
    class Forward:
        to: AgentId
        about: TopicId

    message = Forward(AgentId("a", "1"), TopicId("b", "2"))
    adapter = TypeAdapter(Forward)
    assert adapter.validate_json(adapter.dump_json(message)) == message
    assert copy.deepcopy(message) == message
    assert pickle.loads(pickle.dumps(message.to)) == message.to  # noqa: S301
    with pytest.raises(ValueError, match="not a type"):
        adapter.validate_json('{"to": {"type": "a b", "key": "1"}, "about": {"type": "b", "source": "2"}}')
