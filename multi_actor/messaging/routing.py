"""Routing: which handler of an agent gets a message, by its type."""

import inspect
import logging
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar, get_type_hints, overload

from multi_actor.messaging.agent import BaseAgent
from multi_actor.messaging.context import MessageContext
from multi_actor.messaging.exceptions import CantHandleException, InvalidHandlerError, WrongReplyError
from multi_actor.messaging.messages import Message, message_classes, reply_classes

_log = logging.getLogger(__name__)

S = TypeVar("S")
M = TypeVar("M", bound=Message)
R = TypeVar("R")
Match = Callable[[Any, MessageContext], bool]
Function = Callable[[S, M, MessageContext], Coroutine[Any, Any, R]]


@dataclass(frozen=True, slots=True)
class Handler:
    """What a decorator declared: ``function`` takes messages of ``takes``, if they come in the right way and match.

    ``takes`` has for each class what its messages are read as when they come from outside of the process. ``returns``
    is None where the reply may be anything; a reply of another type is an error, or with ``strict`` off a warning in
    the log.
    """

    function: Callable[[Any, Any, MessageContext], Coroutine[Any, Any, Any]]
    takes: dict[type, Any]
    returns: tuple[type, ...] | None
    direct: bool
    published: bool
    match: Match | None
    strict: bool

    def refuse(self, reply: Any) -> None:
        """Raise ``WrongReplyError``: this is no reply that was declared."""
        declared = [cls.__name__ for cls in self.returns or ()]
        error = WrongReplyError(self.function.__qualname__, type(reply).__name__, declared)
        if self.strict:
            raise error
        _log.warning("%s", error)


def _declare(
    function: Callable[..., Any] | None,
    match: Match | None,
    *,
    strict: bool,
    direct: bool = True,
    published: bool = True,
) -> Any:
    def declare(function: Callable[..., Any]) -> Callable[..., Any]:
        name = function.__qualname__
        if not inspect.iscoroutinefunction(function):
            raise InvalidHandlerError(f"{name}: a handler is an `async def`")
        try:
            hints = get_type_hints(function)
        except NameError as error:
            raise InvalidHandlerError(
                f"{name}: {error}; messages are known before the agents that handle them"
            ) from error
        parameters = list(inspect.signature(function).parameters)
        if len(parameters) != 3:  # noqa: PLR2004
            raise InvalidHandlerError(f"{name}: a handler takes (self, message, ctx), not ({', '.join(parameters)})")
        for annotated in (parameters[1], "return"):
            if annotated not in hints:
                raise InvalidHandlerError(f"{name}: {annotated!r} has no annotation; messages are routed by it")
        takes = message_classes(hints[parameters[1]], handler=name)
        returns = reply_classes(hints["return"])
        if not direct and returns != (type(None),):
            raise InvalidHandlerError(f"{name}: a handler of events returns None: nobody waits for a reply")
        handler = Handler(function, takes, returns, direct, published, match, strict)
        function.__handler__ = handler  # type: ignore[attr-defined]  # found by the class that it becomes part of
        return function

    return declare if function is None else declare(function)


@overload
def message_handler(function: Function[S, M, R]) -> Function[S, M, R]: ...
@overload
def message_handler(
    function: None = None, *, match: Match | None = None, strict: bool = True
) -> Callable[[Function[S, M, R]], Function[S, M, R]]: ...
def message_handler(function: Any = None, *, match: Match | None = None, strict: bool = True) -> Any:
    """Declare a handler of direct and published messages: ``async (self, message: T, ctx: MessageContext) -> R``.

    ``T`` may be a union. Of the handlers for one type the first, by name, whose ``match(message, ctx)`` holds gets
    the message. The reply must be an ``R``, else its sender gets ``WrongReplyError`` (with ``strict`` off, the log a
    warning).

    Raises:
        InvalidHandlerError: it is not async, lacks annotations, or ``T`` is not pure data.
    """
    return _declare(function, match, strict=strict)


@overload
def event(function: Function[S, M, None]) -> Function[S, M, None]: ...
@overload
def event(
    function: None = None, *, match: Match | None = None, strict: bool = True
) -> Callable[[Function[S, M, None]], Function[S, M, None]]: ...
def event(function: Any = None, *, match: Match | None = None, strict: bool = True) -> Any:
    """Declare a handler of published messages only; it returns None. Else as ``message_handler``."""
    return _declare(function, match, strict=strict, direct=False)


@overload
def rpc(function: Function[S, M, R]) -> Function[S, M, R]: ...
@overload
def rpc(
    function: None = None, *, match: Match | None = None, strict: bool = True
) -> Callable[[Function[S, M, R]], Function[S, M, R]]: ...
def rpc(function: Any = None, *, match: Match | None = None, strict: bool = True) -> Any:
    """Declare a handler of direct messages only. Else as ``message_handler``."""
    return _declare(function, match, strict=strict, published=False)


class RoutedAgent(BaseAgent):
    """An agent whose messages go to the handlers that its class declares, by their type.

    The message's own class comes first, then its bases, the nearest first.
    """

    handlers: ClassVar[tuple[Handler, ...]] = ()
    """The class's handlers, by name."""

    _routes: ClassVar[dict[tuple[type, bool], tuple[Handler, ...]]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        declared = (getattr(getattr(cls, name, None), "__handler__", None) for name in dir(cls))
        cls.handlers = tuple(handler for handler in declared if isinstance(handler, Handler))
        cls._routes = {}

    async def on_message_impl(self, message: Any, ctx: MessageContext) -> Any:
        route = type(message), ctx.is_rpc
        handlers = self._routes.get(route)
        if handlers is None:
            handlers = self._routes[route] = tuple(self._find(*route))
        for handler in handlers:
            if handler.match is None or handler.match(message, ctx):
                reply = await handler.function(self, message, ctx)
                if handler.returns is not None and not isinstance(reply, handler.returns):
                    handler.refuse(reply)
                return reply
        return await self.on_unhandled_message(message, ctx)

    async def on_unhandled_message(self, message: Any, ctx: MessageContext) -> Any:
        """Answer what no handler is for: an error for a direct message, a line in the log for a published one."""
        fitting = [each for each in self.handlers if (each.direct if ctx.is_rpc else each.published)]
        known = sorted({cls.__name__ for handler in fitting for cls in handler.takes})
        error = CantHandleException(agent=str(self.id), message_type=type(message).__name__, handles=known)
        if ctx.is_rpc:
            raise error
        _log.info("%s", error)

    @classmethod
    def _find(cls, message_type: type, is_rpc: bool) -> Iterator[Handler]:  # noqa: FBT001
        for base in message_type.__mro__:
            for handler in cls.handlers:
                if base in handler.takes and (handler.direct if is_rpc else handler.published):
                    yield handler


TypeRoutedAgent = RoutedAgent
