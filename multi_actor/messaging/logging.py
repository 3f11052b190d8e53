"""Structured log events: each is logged as an object whose ``str()`` is one JSON document.

They hold what was said, so they are off until somebody asks for them:
``logging.getLogger(EVENT_LOGGER_NAME).setLevel(logging.INFO)``.
"""

import logging
from enum import Enum
from typing import Any

from pydantic_core import to_json

ROOT_LOGGER_NAME = "multi_actor.messaging"
# Outside the package's tree, which the service logs at INFO: what users write is not for its log.
EVENT_LOGGER_NAME = "multi_actor_events"
_events = logging.getLogger(EVENT_LOGGER_NAME)

MessageKind = Enum("MessageKind", ["DIRECT", "PUBLISH", "RESPOND"])
DeliveryStage = Enum("DeliveryStage", ["SEND", "DELIVER"])


def is_listened_to() -> bool:
    """Whether anybody asked for the events."""
    return _events.isEnabledFor(logging.INFO)


class _Event:
    """``kwargs`` is what the document holds; ``payload`` is a message, and becomes its JSON."""

    def __init__(self, **kwargs: Any) -> None:
        if "payload" in kwargs:
            kwargs["payload"] = to_json(kwargs["payload"], fallback=str).decode()
        self.kwargs = {name: value if value is None else str(value) for name, value in kwargs.items()}
        self.kwargs["type"] = type(self).__name__.removesuffix("Event")

    def __str__(self) -> str:
        return to_json(self.kwargs).decode()

    @classmethod
    def log(cls, **kwargs: Any) -> None:
        """Log one, if anybody listens."""
        if is_listened_to():
            _events.info(cls(**kwargs))


class MessageEvent(_Event):
    """``payload``, ``sender``, ``receiver``, ``kind``, ``delivery_stage``."""

    @classmethod
    def sent(cls, payload: Any, sender: object, receiver: object, kind: MessageKind) -> None:
        """Log that a message leaves, if anybody listens."""
        if is_listened_to():
            cls.log(payload=payload, sender=sender, receiver=receiver, kind=kind, delivery_stage=DeliveryStage.SEND)

    @classmethod
    def delivered(cls, payload: Any, sender: object, receiver: object, kind: MessageKind) -> None:
        """Log that a message arrives, if anybody listens."""
        if is_listened_to():
            cls.log(payload=payload, sender=sender, receiver=receiver, kind=kind, delivery_stage=DeliveryStage.DELIVER)


class MessageDroppedEvent(_Event):
    """``payload``, ``sender``, ``receiver``, ``kind``."""


class MessageHandlerExceptionEvent(_Event):
    """``payload``, ``handling_agent``, ``exception``."""


class AgentConstructionExceptionEvent(_Event):
    """``agent_id``, ``exception``."""
