"""One tree of errors; whether asking again may help is told by type.

``RetryableError``: the fault may pass (503 at the HTTP edge, ``RETRY`` to a broker).
``TerminalError``: asking again gives the same answer (a bug, or input that can never be processed).
"""


class MultiActorError(Exception):
    """Base of every error that this package raises."""

    retryable = False
    """Whether asking again may help."""


class RetryableError(MultiActorError):
    """The fault may pass: the same request may be sent again."""

    retryable = True


class TerminalError(MultiActorError):
    """The same request fails again, however often it is sent."""


def may_pass(error: Exception) -> bool:
    """Whether asking again may help, of any error: what is not ours is a bug."""
    return isinstance(error, MultiActorError) and error.retryable


class HostStoppingError(RetryableError):
    """The host is shutting down, or has not started: it takes no new turns."""

    def __init__(self) -> None:
        super().__init__("this host takes no new turns: it is starting or shutting down")


class TurnTimeoutError(RetryableError, TimeoutError):
    """A turn, or the wait for it, reached the deadline of its call chain.

    ``chain`` is the calls from the outermost to the one that was cut off, as ``type/id``.
    """

    def __init__(self, chain: tuple[str, ...], seconds: float) -> None:
        self.chain = chain
        self.seconds = seconds
        super().__init__(f"no end within {seconds:g} s: {' → '.join(chain)}")


class TurnCancelledError(RetryableError):
    """A turn was cancelled from within: something that it awaited was.

    ``chain`` is the calls from the outermost to the one that was cancelled, as ``type/id``.
    """

    def __init__(self, chain: tuple[str, ...]) -> None:
        self.chain = chain
        super().__init__(f"cancelled: {' → '.join(chain)}")


class LogUnavailableError(RetryableError):
    """The database of the conversation log does not answer: what it was asked to take it may not have taken."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"conversation log: {reason}")


class ResponderFailedError(RetryableError):
    """The responder raised, so there is no reply to this message."""

    def __init__(self, actor_id: str) -> None:
        self.actor_id = actor_id
        super().__init__(f"the responder failed for {actor_id}")


class StoreUnavailableError(RetryableError):
    """The state store refused a read or a write; nothing of that write is kept."""

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"state store {path}: {reason}")


class SidecarUnavailableError(RetryableError):
    """The Dapr sidecar, or what it needs for this request, is not there now."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the sidecar does not serve this now: {reason}")


class WaitsForItselfError(TerminalError):
    """A call chain came back to an actor that waits in it, while reentrancy is off."""

    def __init__(self, chain: tuple[str, ...]) -> None:
        self.chain = chain
        super().__init__(f"the call chain waits for itself: {' → '.join(chain)} (reentrancy is off)")


class ReentrancyTooDeepError(TerminalError):
    """A reentrant call chain entered one actor more often than ``limit`` allows."""

    def __init__(self, chain: tuple[str, ...], limit: int) -> None:
        self.chain = chain
        self.limit = limit
        super().__init__(f"more than {limit} turns of one chain in one actor: {' → '.join(chain)}")


class UnknownActorTypeError(TerminalError):
    """No actor of this type is registered on this host."""

    def __init__(self, actor_type: str, registered: tuple[str, ...]) -> None:
        self.actor_type = actor_type
        self.registered = registered
        super().__init__(f"actor type {actor_type!r} is not registered here; these are: {', '.join(registered)}")


class InvalidDurationError(TerminalError, ValueError):
    """A due time, period or ttl that no rule of Dapr's reads."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(f"not a Go duration, ISO 8601 duration or RFC 3339 time: {text!r}")


class StartupError(TerminalError):
    """The service cannot start; the message says what to change."""


class StateFileInUseError(StartupError):
    """Another process has the state file open."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(
            f"{path} is in use by another process: stop it, or give this one a file of its own with STATE_FILE"
        )


class StateFileUnreadableError(StartupError):
    """The state file is not a database of ours, is damaged, or cannot be opened."""

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path} cannot be used ({reason}): restore it from a copy, or name another with STATE_FILE")


class SeveralWorkersError(StartupError):
    """Several workers of one instance would each host the same actors."""

    def __init__(self) -> None:
        super().__init__(
            "one process per instance hosts the actors: start it with one worker, "
            "and add replicas (on Dapr) instead of workers"
        )
