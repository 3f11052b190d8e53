"""What the messaging layer raises: one tree, under ``MultiActorError``.

Fields are plain data (agents as ``type/key``, types as their names), so an error keeps them when it crosses a wire.
"""

from collections.abc import Sequence

from multi_actor.errors import MultiActorError, RetryableError, TerminalError


class MessagingError(MultiActorError):
    """Base of every error of this layer."""


class CantHandleException(MessagingError, TerminalError):
    """The recipient has no handler for this type of message; ``handles`` is what it has handlers for."""

    def __init__(
        self, reason: str = "", *, agent: str = "", message_type: str = "", handles: Sequence[str] = ()
    ) -> None:
        self.agent, self.message_type, self.handles = agent, message_type, tuple(handles)
        known = ", ".join(handles) or "nothing"
        super().__init__(reason or f"{agent} has no handler for {message_type}; it handles {known}")


class UndeliverableException(MessagingError, TerminalError, LookupError):
    """The recipient's type is not registered; ``near`` are registered ones with a similar name."""

    def __init__(self, reason: str = "", *, recipient: str = "", near: Sequence[str] = ()) -> None:
        self.recipient, self.near = recipient, tuple(near)
        agent_type = recipient.partition("/")[0]
        super().__init__(reason or f"{recipient}: no agent type {agent_type!r} is registered{did_you_mean(near)}")


class MessageDroppedException(MessagingError, TerminalError):
    """An intervention handler dropped the message, or its reply."""


class NotAccessibleError(MessagingError, TerminalError):
    """What was asked for does not live in this process."""


class RuntimeStoppedError(MessagingError, RetryableError):
    """The runtime takes no messages; ``state`` is ``not started``, ``stopping`` or ``stopped``."""

    def __init__(self, state: str) -> None:
        self.state = state
        super().__init__(f"the runtime takes no messages: it is {state}")


class UnavailableError(MessagingError, RetryableError):
    """The recipient, in another process perhaps, could not be reached, or did not answer in time."""

    def __init__(self, recipient: str, reason: str) -> None:
        self.recipient, self.reason = recipient, reason
        super().__init__(f"{recipient}: {reason}")


class InvalidHandlerError(MessagingError, TerminalError, TypeError):
    """A handler is declared in a way that could not work; the message says which and why."""


class WrongReplyError(MessagingError, TerminalError, ValueError):
    """A handler returned another type than it declares."""

    def __init__(self, handler: str, returned: str, declared: Sequence[str]) -> None:
        self.handler, self.returned, self.declared = handler, returned, tuple(declared)
        super().__init__(f"{handler} returned {returned}; it declares {' | '.join(declared)}")


class RegistrationError(MessagingError, TerminalError, ValueError):
    """An agent type, instance or subscription cannot be registered, or is not what it was registered as."""


class InvalidIdError(MessagingError, TerminalError, ValueError):
    """A name that an agent or a topic cannot have."""


class RemoteHandlerError(MessagingError, TerminalError):
    """A handler in another process raised what has no class here: ``type`` is its name, ``message`` what it said."""

    def __init__(self, type: str, message: str) -> None:
        self.type, self.message = type, message
        super().__init__(f"{type}: {message}")


def did_you_mean(near: Sequence[str]) -> str:
    """Return the end of a sentence that names what was probably meant; empty if there is nothing near."""
    return f"; did you mean {' or '.join(near)}?" if near else ""
