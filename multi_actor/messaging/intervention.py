"""Intervention: look at messages on their way, change them, or drop them."""

import warnings
from collections.abc import Iterable
from typing import Any, Protocol, final

from multi_actor.messaging.context import MessageContext, intervening
from multi_actor.messaging.exceptions import MessageDroppedException
from multi_actor.messaging.ids import AgentId, TopicId
from multi_actor.messaging.logging import MessageDroppedEvent, MessageKind
from multi_actor.messaging.tracing import Tracing


@final
class DropMessage:
    """Returned by an intervention handler, as class or instance, it ends the message there."""


class InterventionHandler(Protocol):
    """Sees every message of a runtime, in its sender's task, before it is queued.

    Each method returns the message that goes on, or ``DropMessage``. None means "unchanged", with a warning. What
    ``on_send`` and ``on_response`` raise reaches the sender; what ``on_publish`` raises is logged, and the message
    goes nowhere.
    """

    async def on_send(self, message: Any, *, message_context: MessageContext, recipient: AgentId) -> Any:  # noqa: ARG002
        """See a direct message."""
        return message

    async def on_publish(self, message: Any, *, message_context: MessageContext) -> Any:  # noqa: ARG002
        """See a published message, once, whoever gets it."""
        return message

    async def on_response(self, message: Any, *, sender: AgentId, recipient: AgentId | None) -> Any:  # noqa: ARG002
        """See the reply that ``sender`` gave to ``recipient`` (None: somebody outside)."""
        return message


class DefaultInterventionHandler(InterventionHandler):
    """Lets everything through; a subclass says what it does otherwise."""


_METHODS = {
    MessageKind.DIRECT: "on_send",
    MessageKind.PUBLISH: "on_publish",
    MessageKind.RESPOND: "on_response",
}


class Interventions:
    """A runtime's intervention handlers; each sees what the one before it returned."""

    def __init__(self, handlers: Iterable[InterventionHandler], tracing: Tracing) -> None:
        self._handlers = tuple(handlers)
        self._tracing = tracing

    def __bool__(self) -> bool:
        return bool(self._handlers)

    async def see(
        self, kind: MessageKind, message: Any, origin: AgentId | None, receiver: AgentId | TopicId | None, **told: Any
    ) -> Any:
        """Show a message to each handler's method for its kind, with ``told``; return what goes on.

        Raises:
            MessageDroppedException: a handler dropped it.
            Exception: whatever a handler raised.
        """
        method = _METHODS[kind]
        token = intervening.set(True)
        try:
            for handler in self._handlers:
                name = type(handler).__name__
                with self._tracing.span("intercept", name):
                    seen = await getattr(handler, method)(message, **told)
                if seen is DropMessage or isinstance(seen, DropMessage):
                    MessageDroppedEvent.log(payload=message, sender=origin, receiver=receiver, kind=kind)
                    raise MessageDroppedException(f"{name}.{method} dropped a {type(message).__name__}")
                if seen is None:
                    text = f"{name}.{method} returned None: the message goes on unchanged"
                    warnings.warn(text, RuntimeWarning, stacklevel=2)
                else:
                    message = seen
        finally:
            intervening.reset(token)
        return message
