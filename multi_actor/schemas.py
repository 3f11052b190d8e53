"""What goes in and out over HTTP, as the OpenAPI document describes it."""

from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field

from multi_actor.contracts import APP_ID, CHAT, MEMORY, RESPONSE, USER_CHAT, USER_ID_PATTERN, MessageModel, Text
from multi_actor.hosting.abc import Delivery

_SAID = {"role": "user", "content": "Hi"}
_REPLY = {
    "role": "assistant",
    "content": "Memory: Message count: 1. Got your message: Hi at 2026-01-31T12:00:00.123456+00:00",
}


def _example(example: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [example]})


class UserMessageIn(BaseModel):
    """What a client sends."""

    model_config = ConfigDict(strict=True, json_schema_extra={"examples": [{"role": "user", "content": "Hi"}]})

    role: Literal["user"]
    content: Annotated[
        Text,
        Field(
            description="what the user says; kept exactly as it was typed",
            json_schema_extra={"minLength": 1, "pattern": r"^[^\u0000]*[^\s\u0000][^\u0000]*$"},
        ),
    ]


class ChatReply(BaseModel):
    """The reply to one message."""

    model_config = _example({"response": _REPLY})

    response: MessageModel


class History(BaseModel):
    """The last messages, oldest first."""

    model_config = _example({"history": [_SAID, _REPLY]})

    history: list[MessageModel]


class Count(BaseModel):
    """How many of the user's turns were answered."""

    model_config = _example({"count": 1})

    count: int


class Memory(BaseModel):
    """The last remembered messages, oldest first."""

    model_config = _example({"memory": [_SAID, _REPLY]})

    memory: list[MessageModel]


class Status(BaseModel):
    """That the process answers."""

    model_config = _example({"status": "ok"})

    status: Literal["ok"]


class Ready(BaseModel):
    """That actors can be called here."""

    model_config = _example({"status": "ready"})

    status: Literal["ready"]


class DeliveryStatus(BaseModel):
    """The answer to the broker."""

    model_config = _example({"status": "SUCCESS"})

    status: Delivery


class Topic(BaseModel):
    """Events of a topic: those that wait, and those that were given up."""

    backlog: int
    dead_letters: int


class Metadata(BaseModel):
    """What this instance holds now."""

    model_config = _example(
        {
            "app_id": APP_ID,
            "host": "embedded",
            "actors": {CHAT: 1, RESPONSE: 1, MEMORY: 1, "SentimentAgent": 1, "ConversationLog": 1},
            "reminders": 1,
            "topics": {USER_CHAT: {"backlog": 0, "dead_letters": 0}},
        }
    )

    app_id: str
    host: str
    actors: dict[str, int]
    reminders: int | None
    topics: dict[str, Topic]


class Error(BaseModel):
    """Every error looks like this."""

    detail: Any


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe a route's error answers; any route may answer 500 or 503."""
    reasons = {
        400: "The content is blank, or the body is not JSON",
        401: "`dapr-api-token` is missing or wrong",
        413: "The body or the content is too long",
        422: "A field, the actor id or the `Idempotency-Key` is not what it must be; the answer names it",
        500: "A bug of ours",
        503: "An actor, the store or the sidecar is not available now; the same request may be sent again",
    }
    return {status: {"model": Error, "description": reasons[status]} for status in (*statuses, 500, 503)}


ActorIdPath = Annotated[str, Path(pattern=USER_ID_PATTERN, description="the user's id", examples=["user1"])]
IDEMPOTENCY_KEY = {
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "description": "the same key is the same turn: it gets the same reply and changes nothing",
            "schema": {"type": "string", "pattern": "^[\\x21-\\x7e]{1,255}$"},
            "example": "7a5c0f9e",
        }
    ]
}
CLOUD_EVENT_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/cloudevents+json": {
                "schema": {},
                "example": {
                    "specversion": "1.0",
                    "id": "1",
                    "source": APP_ID,
                    "type": "com.dapr.event.sent",
                    "topic": "user-chat",
                    "data": {
                        "event_id": "user1-1-0f",
                        "sequence": 1,
                        "actor_id": "user1",
                        "history_key": "history-user1",
                        "actor_type": "ChatAgent",
                        "event_type": "ConversationUpdated",
                        "input": {"role": "user", "content": "Hi"},
                        "output": {"role": "assistant", "content": "Hello"},
                    },
                },
            }
        },
    }
}
