"""Names of agents and topics: frozen, and checked when they are made."""

import re
from dataclasses import dataclass
from typing import Self

from multi_actor.messaging.exceptions import InvalidIdError

_AGENT_TYPE = re.compile(r"[\w.\-]+")
_TOPIC_TYPE = re.compile(r"[\w.:=\-]+")


def _check(name: str, pattern: re.Pattern[str], part: str = "x") -> None:
    if not (isinstance(name, str) and pattern.fullmatch(name)):
        raise InvalidIdError(f"not a type: {name!r} does not match {pattern.pattern}")
    if not (isinstance(part, str) and part and part.isprintable()):
        raise InvalidIdError(f"not the name of one {name}: {part!r} is empty, or not printable text")


def _split(text: str) -> list[str]:
    if "/" not in text:
        raise InvalidIdError(f"not an id: {text!r} has no '/'")
    return text.split("/", 1)


@dataclass(frozen=True, slots=True)
class AgentType:
    """The name under which a factory of agents is registered: letters, digits and ``_-.``."""

    type: str

    def __post_init__(self) -> None:
        _check(self.type, _AGENT_TYPE)


@dataclass(frozen=True, slots=True, init=False)
class AgentId:
    """Names one agent: its type, and which of that type's agents it is. ``str()`` is ``type/key``.

    Raises:
        InvalidIdError: the type is none, or the key is empty or not printable.
    """

    type: str
    key: str

    def __init__(self, type: str | AgentType, key: str) -> None:
        object.__setattr__(self, "type", type.type if isinstance(type, AgentType) else type)
        object.__setattr__(self, "key", key)
        self.__post_init__()

    def __post_init__(self) -> None:
        # Apart from __init__, because pydantic fills in a dataclass's fields itself and calls this only.
        _check(self.type, _AGENT_TYPE, self.key)

    def __str__(self) -> str:
        return f"{self.type}/{self.key}"

    @classmethod
    def from_str(cls, agent_id: str) -> Self:
        """Read ``type/key``; raises ``InvalidIdError``."""
        return cls(*_split(agent_id))


@dataclass(frozen=True, eq=False)
class TopicId:
    """Names a topic: what kind of thing happens there, and to whom (``source``).

    Raises:
        InvalidIdError: the type has other characters than letters, digits and ``_-.:=``; or the source is empty or
            not printable.
    """

    type: str
    source: str

    def __post_init__(self) -> None:
        _check(self.type, _TOPIC_TYPE, self.source)

    # By hand, because a dataclass's own would tell a DefaultTopicId from the same TopicId.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, TopicId) and (self.type, self.source) == (other.type, other.source)

    def __hash__(self) -> int:
        return hash((self.type, self.source))

    def __str__(self) -> str:
        return f"{self.type}/{self.source}"

    @classmethod
    def from_str(cls, topic_id: str) -> Self:
        """Read ``type/source``; raises ``InvalidIdError``."""
        return cls(*_split(topic_id))
