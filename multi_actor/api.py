"""The public routes: HTTP in, actor calls out."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from dapr.actor import ActorId, ActorInterface, ActorProxy, ActorRuntime
from dapr.serializers import DefaultJSONSerializer
from fastapi import APIRouter, Header, HTTPException, Path, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from multi_actor.contracts import (
    APP_ID,
    CHAT,
    MEMORY,
    RESPONSE,
    USER_ID_PATTERN,
    ChatAgentInterface,
    MemoryAgentInterface,
    MessageModel,
    ResponseAgentInterface,
)
from multi_actor.edge import RETRY_AFTER_SECONDS
from multi_actor.hosting.abc import ActorHost, Delivery
from multi_actor.logs import new_id
from multi_actor.settings import Settings
from multi_actor.subscriptions import Subscriptions, read_envelope

_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")


def _text(value: str) -> str:
    if "\0" in value:
        raise ValueError("U+0000 is not text")
    return value


class UserMessageIn(BaseModel):
    """What a client sends."""

    model_config = ConfigDict(strict=True, json_schema_extra={"examples": [{"role": "user", "content": "Hi"}]})

    role: Literal["user"]
    content: Annotated[
        str,
        AfterValidator(_text),
        Field(
            description="what the user says; kept exactly as it was typed",
            json_schema_extra={"minLength": 1, "pattern": r"^[^\u0000]*[^\s\u0000][^\u0000]*$"},
        ),
    ]


class ChatReply(BaseModel):
    """The reply to one message."""

    response: MessageModel


class History(BaseModel):
    """The last messages, oldest first."""

    history: list[MessageModel]


class Count(BaseModel):
    """How many of the user's turns were answered."""

    count: int


class Memory(BaseModel):
    """The last remembered messages, oldest first."""

    memory: list[MessageModel]


class Status(BaseModel):
    """That the process answers."""

    status: Literal["ok"]


class Ready(BaseModel):
    """That actors can be called here."""

    status: Literal["ready"]


class DeliveryStatus(BaseModel):
    """The answer to the broker."""

    status: Delivery


class Topic(BaseModel):
    """Events of a topic: those that wait, and those that were given up."""

    backlog: int
    dead_letters: int


class Metadata(BaseModel):
    """What this instance holds now."""

    app_id: str
    host: str
    actors: dict[str, int]
    reminders: int
    topics: dict[str, Topic]


class Error(BaseModel):
    """Every error looks like this."""

    detail: Any


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
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
_FREE_FORM_BODY = {
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


def conversation_routes(host: ActorHost, settings: Settings) -> APIRouter:
    """Return what clients call."""
    router = APIRouter(tags=["conversation"])

    def actor(actor_type: str, actor_id: str, interface: type[ActorInterface]) -> Any:
        return ActorProxy.create(actor_type, ActorId(actor_id), interface, host.proxies)

    @router.post("/chat/{actor_id}", summary="Say something", responses=_errors(400, 413, 422))
    async def chat(
        actor_id: ActorIdPath,
        message: UserMessageIn,
        idempotency_key: Annotated[
            str | None,
            Header(
                description="the same key is the same turn: it gets the same reply and changes nothing",
                json_schema_extra={"pattern": "^[\\x21-\\x7e]{1,255}$"},
                examples=["7a5c0f9e"],
            ),
        ] = None,
    ) -> ChatReply:
        """Have the user's ChatAgent answer a message and remember the turn.

        A client that got no answer, or 503, may send the same `Idempotency-Key` again: the turn happens once.
        """
        if idempotency_key is not None and not _IDEMPOTENCY_KEY.fullmatch(idempotency_key):
            raise HTTPException(422, "Idempotency-Key must be 1 to 255 visible ASCII characters")
        if not message.content.strip():
            raise HTTPException(400, "Invalid or missing 'content' field")
        if len(message.content) > settings.max_content_chars:
            raise HTTPException(413, f"'content' over {settings.max_content_chars} characters")
        result = await actor(CHAT, actor_id, ChatAgentInterface).ProcessMessage(
            {"role": message.role, "content": message.content, "key": idempotency_key or new_id()}
        )
        match result.get("error"):
            case "key_reused":
                raise HTTPException(422, "Idempotency-Key was used with another body")
            case "outbox_full":
                raise HTTPException(503, "Too many events of this user wait", headers=retry_after())
        return ChatReply(response=MessageModel.model_construct(**result))

    @router.get("/chat/{actor_id}/history", summary="Read a conversation", responses=_errors(422))
    async def history(actor_id: ActorIdPath) -> History:
        """Return the last messages of the user's conversation, oldest first."""
        return History(history=await actor(CHAT, actor_id, ChatAgentInterface).GetConversationHistory())

    @router.get("/response/{actor_id}/count", summary="Count the answered turns", responses=_errors(422))
    async def count(actor_id: ActorIdPath) -> Count:
        """Return how many turns the user's ResponseAgent answered."""
        response = actor(RESPONSE, f"response-{actor_id}", ResponseAgentInterface)
        return Count(count=await response.GetMessageCount())

    @router.get("/memory/{actor_id}", summary="Read what is remembered", responses=_errors(422))
    async def memory(actor_id: ActorIdPath) -> Memory:
        """Return the last messages that came back over the topic to the user's MemoryAgentActor, oldest first."""
        return Memory(memory=await actor(MEMORY, f"memory-{actor_id}", MemoryAgentInterface).GetMemory())

    return router


def sidecar_routes(subscriptions: Subscriptions) -> APIRouter:
    """Return what the sidecar calls, actors' own callbacks aside."""
    router = APIRouter(tags=["sidecar"], responses=_errors(401, 413))

    @router.post("/subscribe", summary="Take in an event", openapi_extra=_FREE_FORM_BODY)
    async def subscribe(request: Request) -> DeliveryStatus:
        """Answer `SUCCESS`, `RETRY` (a passing fault) or `DROP` (it can never be processed: a dead letter)."""
        envelope = read_envelope(await request.body())
        return DeliveryStatus(status=await subscriptions.deliver(envelope if envelope is not None else {}))

    @router.post("/dead-letter", summary="Take in a dead letter", openapi_extra=_FREE_FORM_BODY)
    async def dead_letter(request: Request) -> DeliveryStatus:
        """Log an event that was given up, and count it."""
        envelope = read_envelope(await request.body())
        return DeliveryStatus(status=await subscriptions.bury(envelope if envelope is not None else {}))

    @router.get(
        "/dapr/config",
        summary="Name the actor types",
        openapi_extra={"responses": {"200": {"content": {"application/json": {
            "example": {"entities": [CHAT, RESPONSE, MEMORY], "actorIdleTimeout": "1h0m0s0ms0μs"},
        }}}}},
    )  # fmt: skip
    async def dapr_config() -> Response:
        """Return the registered actor types (`entities`) and the actor settings, as the sidecar reads them."""
        config = DefaultJSONSerializer().serialize(ActorRuntime.get_actor_config())
        return Response(config, media_type="application/json")

    return router


def operations_routes(host: ActorHost, subscriptions: Subscriptions) -> APIRouter:
    """Return what probes and operators call."""
    router = APIRouter(tags=["operations"], responses=_errors())

    @router.get("/healthz", summary="Is the process up?")
    async def healthz() -> Status:
        """Answer as long as the process runs."""
        return Status(status="ok")

    @router.get("/readyz", summary="Can actors be called here?")
    async def readyz() -> Ready:
        """Answer 200 once actors can be called here, and 503 before that and while it shuts down."""
        if not host.ready:
            raise HTTPException(503, "Actors cannot be called here now", headers=retry_after())
        return Ready(status="ready")

    @router.get("/metadata", summary="What does this instance hold?")
    async def metadata() -> Metadata:
        """Return the active actors per type, the reminders, and each topic's backlog and dead letters."""
        held = await host.metadata()
        topics = {name: Topic(backlog=t.backlog, dead_letters=t.dead_letters) for name, t in held.topics.items()}
        for name in subscriptions.topics():
            topics.setdefault(name, Topic(backlog=0, dead_letters=subscriptions.dead_letters[name]))
        return Metadata(
            app_id=APP_ID, host=held.host, actors=dict(held.actors), reminders=held.reminders, topics=topics
        )

    return router


def retry_after() -> Mapping[str, str]:
    """Return the header that goes with a 503."""
    return {"Retry-After": str(RETRY_AFTER_SECONDS)}
