"""Messages: pydantic models and dataclasses, pure data."""

import copy
import types
from collections.abc import Iterator
from dataclasses import is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, Union, get_args, get_origin, is_typeddict
from uuid import UUID

from pydantic import BaseModel, TypeAdapter
from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError
from pydantic.json_schema import GenerateJsonSchema

from multi_actor.messaging.exceptions import InvalidHandlerError
from multi_actor.messaging.ids import AgentId, TopicId

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Message: TypeAlias = "BaseModel | DataclassInstance"
"""What agents send each other."""

# Values that nobody can change: copies may share them.
_ATOMIC = {str, int, float, bool, bytes, type(None), date, datetime, time, timedelta, Decimal, UUID, AgentId, TopicId}


@lru_cache(maxsize=4096)
def adapter(annotation: Any) -> TypeAdapter[Any]:
    """Return what reads and writes the JSON of a type."""
    return TypeAdapter(annotation)


def own_copies(message: Any, number: int) -> list[Any]:
    """Return copies that share nothing with ``message``, nor with each other, that could change."""
    cls: Any = type(message)
    plain = _plain(cls)
    if not plain or not _ATOMIC.issuperset(map(type, vars(message).values())):
        return [copy.deepcopy(message) for _ in range(number)]
    if plain is BaseModel:
        whole = message.__pydantic_extra__ is None and message.__pydantic_private__ is None
        return [message.model_copy(deep=not whole) for _ in range(number)]
    # A tenth of the cost of deepcopy, and nearly every message is as flat as this.
    copies = [object.__new__(cls) for _ in range(number)]
    for each in copies:
        each.__dict__.update(message.__dict__)
    return copies


@lru_cache(maxsize=4096)
def _plain(cls: type) -> type | None:
    """Return what kind of message has all that it is in its ``__dict__``, and no copying of its own."""
    if issubclass(cls, BaseModel):
        return BaseModel if cls.__deepcopy__ is BaseModel.__deepcopy__ else None
    own = ("__copy__", "__deepcopy__", "__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__new__")
    usual = all(getattr(cls, name, None) is getattr(object, name, None) for name in own)
    slots = any(vars(base).get("__slots__") for base in cls.__mro__)
    return cls if usual and is_dataclass(cls) and not slots else None


def message_classes(annotation: Any, *, handler: str) -> dict[type, Any]:
    """Return the classes that a handler's annotation stands for, each with what it is to be read as.

    Raises:
        InvalidHandlerError: one is no pydantic model and no dataclass, or holds something that has no JSON form.
    """
    classes: dict[type, Any] = {}
    for each in _members(annotation):
        cls = get_origin(each) or each
        if not (isinstance(cls, type) and (is_dataclass(cls) or issubclass(cls, BaseModel))):
            raise InvalidHandlerError(f"{handler}: a message is a pydantic model or a dataclass, not {_shown(each)}")
        try:
            TypeAdapter(each).json_schema(mode="serialization", schema_generator=_QuietSchema)
        except PydanticUserError as error:
            if error.code != "class-not-fully-defined":
                raise InvalidHandlerError(f"{handler}: {_shown(each)} is not pure data: {error}") from error
        except PydanticUndefinedAnnotation:  # this, too, names a class that is defined further down
            pass
        classes[cls] = classes[cls] | each if cls in classes else each
    return classes


def reply_classes(annotation: Any) -> tuple[type, ...] | None:
    """Return the classes of which a handler's reply must be; None if anything goes."""
    classes: list[type] = []
    for each in _members(annotation):
        origin = get_origin(each) or each
        if origin is Literal:
            classes += map(type, get_args(each))
        elif is_typeddict(origin):
            classes.append(dict)
        elif not isinstance(origin, type) or origin in (object, Any) or getattr(origin, "_is_protocol", False):
            return None
        else:
            classes += (float, int) if origin is float else (origin,)
    return tuple(classes)


class _QuietSchema(GenerateJsonSchema):
    """The schema is only asked for to see whether there is one."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default", "skipped-discriminator"}  # noqa: RUF012


def _members(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) in (Union, types.UnionType):
        for each in get_args(annotation):
            yield from _members(each)
    elif hasattr(annotation, "__supertype__"):  # a NewType
        yield from _members(annotation.__supertype__)
    elif hasattr(annotation, "__value__"):  # a type alias
        yield from _members(annotation.__value__)
    else:
        yield type(None) if annotation is None else annotation


def _shown(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)
