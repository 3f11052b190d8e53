"""Messages, replies and errors as JSON: nothing is pickled, and only declared classes are made of what comes in."""

import asyncio
import builtins
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from typing import Any, Literal, NotRequired, TypedDict, TypeGuard

from pydantic import BaseModel
from pydantic_core import to_json

from multi_actor import errors
from multi_actor.errors import MultiActorError
from multi_actor.messaging import exceptions
from multi_actor.messaging.exceptions import CantHandleException, RemoteHandlerError
from multi_actor.messaging.messages import adapter
from multi_actor.messaging.routing import RoutedAgent


class PackedError(TypedDict):
    """An error: the name of its class, what it says, its arguments and fields where those are plain data."""

    type: str
    text: str
    args: NotRequired[list[Any]]
    fields: NotRequired[dict[str, Any]]


class Packed(TypedDict, total=False):
    """A message or reply, with the name of its class unless it is plain JSON; or an error."""

    type: str
    value: Any
    error: PackedError


class Envelope(TypedDict):
    """A message between processes; ``topic`` is None for a direct one, ``chain`` the agents that wait for it."""

    event_id: str
    message: Packed
    sender: str | None
    topic: str | None
    chain: list[str]
    trace: dict[str, str]


def is_envelope(data: object) -> TypeGuard[Envelope]:
    """Tell what an agent published from what others did."""
    return isinstance(data, dict) and Envelope.__required_keys__ <= data.keys()


class Request(TypedDict):
    """What is asked of an agent besides messages."""

    do: Literal["metadata", "save", "load"]
    state: Mapping[str, Any] | None


class Wire:
    """Packs and unpacks; it knows the classes that handlers declare, and those that it packed itself."""

    def __init__(self) -> None:
        self._types: dict[str, Any] = {}

    def pack(self, value: Any) -> Packed:
        """Return JSON; raises ``TypeError`` for what is no message and no plain JSON."""
        cls: Any = type(value)
        if _is_message(cls):
            name = _name(cls)
            self._types.setdefault(name, cls)
            return Packed(type=name, value=adapter(cls).dump_python(value, mode="json", warnings="error"))
        if not _is_plain(value):
            raise TypeError(f"{cls.__name__} cannot leave its process: it is no message, and no plain JSON")
        return Packed(value=value)

    def unpack(self, packed: Packed) -> Any:
        """Return what was packed, or raise it.

        Raises:
            CantHandleException: nobody declares a handler for its class, or a reply of it.
        """
        if "error" in packed:
            raise unpack_error(packed["error"])
        if "type" not in packed:
            return packed.get("value")
        name = packed["type"]
        if name not in self._types:
            self._types.update(_declared())
        if name not in self._types:
            raise CantHandleException(f"{name} is not declared here by any handler")
        return adapter(self._types[name]).validate_json(to_json(packed["value"]))


def _name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _is_message(cls: type) -> bool:
    return is_dataclass(cls) or issubclass(cls, BaseModel)


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    return value is None or type(value) in (str, int, float, bool)


def _declared() -> dict[str, Any]:
    """Return what each class that handlers take or return is read as, and their subclasses, by name."""
    found: dict[str, Any] = {}
    for agent in _subclasses(RoutedAgent):
        for handler in agent.handlers:
            for cls in (*handler.takes, *(handler.returns or ())):
                found.update((_name(each), each) for each in _subclasses(cls) if _is_message(each))
            found.update((_name(cls), annotation) for cls, annotation in handler.takes.items())
    return found


def _subclasses(cls: Any) -> Iterator[Any]:
    yield cls
    for each in type.__subclasses__(cls):
        yield from _subclasses(each)


# -- errors

_OURS = {
    cls.__name__: cls
    for cls in _subclasses(MultiActorError)
    if cls.__module__ in (errors.__name__, exceptions.__name__)
}


def pack_error(error: BaseException) -> Packed:
    """Return an error as JSON; what holds more than plain data is reduced to what it says."""
    packed = PackedError(type=type(error).__name__, text=str(error))
    if _OURS.get(packed["type"]) is type(error):
        fields = {name: list(field) if isinstance(field, tuple) else field for name, field in vars(error).items()}
        packed["fields"] = {name: field for name, field in fields.items() if _is_plain(field)}
    elif getattr(builtins, packed["type"], None) is type(error) and _is_plain(list(error.args)):
        packed["args"] = list(error.args)
    return Packed(error=packed)


def unpack_error(packed: PackedError) -> BaseException:
    """Return the error: of our own classes with their fields, of Python's with their arguments."""
    name = packed["type"]
    if "fields" in packed and name in _OURS:
        cls: type[BaseException] = _OURS[name]
        error = cls.__new__(cls)
        error.args = (packed["text"],)
        for field, value in packed["fields"].items():
            setattr(error, field, tuple(value) if isinstance(value, list) else value)
        return error
    if name == "CancelledError":
        return asyncio.CancelledError(packed["text"])
    known = getattr(builtins, name, None)
    if "args" in packed and isinstance(known, type) and issubclass(known, Exception):
        try:
            return known(*packed["args"])
        except TypeError:
            pass  # it wants other arguments than it has kept
    return RemoteHandlerError(name, packed["text"])
