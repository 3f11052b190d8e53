"""The public routes: HTTP in, actor calls out."""

import re
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from dapr.actor import ActorId, ActorInterface, ActorProxy
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.routing import APIRoute
from pydantic import ValidationError

from multi_actor.callbacks import CONFIG, actor_config
from multi_actor.contracts import (
    APP_ID,
    CHAT,
    MEMORY,
    RESPONSE,
    USER_CHAT,
    USER_ID_PATTERN,
    ChatAgentInterface,
    MemoryAgentInterface,
    ResponseAgentInterface,
)
from multi_actor.edge import RETRY_AFTER_SECONDS
from multi_actor.hosting.abc import ActorHost
from multi_actor.logs import new_id
from multi_actor.schemas import (
    CLOUD_EVENT_BODY,
    IDEMPOTENCY_KEY,
    ActorIdPath,
    ChatReply,
    Count,
    DeliveryStatus,
    History,
    Memory,
    Metadata,
    Ready,
    Status,
    Topic,
    UserMessageIn,
    errors,
)
from multi_actor.serialization import write_json
from multi_actor.settings import Settings
from multi_actor.subscriptions import Subscriptions, read_envelope

_USER_ID = re.compile(USER_ID_PATTERN)
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class TurnRoute(APIRoute):
    """Reads a well-formed turn by itself: FastAPI's general way costs a tenth of a turn more.

    Whatever is not well-formed goes the general way, which says what is wrong with it.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        general = super().get_route_handler()

        async def answer(request: Request) -> Response:
            actor_id = request.path_params["actor_id"]
            body = await request.body()  # kept by the request: the general way reads it again
            if request.headers.get("content-type") != "application/json" or not _USER_ID.fullmatch(actor_id):
                return await general(request)
            try:
                message = UserMessageIn.model_validate_json(body)
            except ValidationError:
                return await general(request)
            response: Response = await self.endpoint(actor_id, message, request)
            return response

        return answer


def conversation_routes(host: ActorHost, settings: Settings) -> APIRouter:
    """Return what clients call."""
    router = APIRouter(tags=["conversation"])

    def actor(actor_type: str, actor_id: str, interface: type[ActorInterface]) -> Any:
        return ActorProxy.create(actor_type, ActorId(actor_id), interface, host.proxies)

    async def chat(actor_id: ActorIdPath, message: UserMessageIn, request: Request) -> Response:
        """Have the user's ChatAgent answer a message and remember the turn.

        A client that got no answer, or 503, may send the same `Idempotency-Key` again: the turn happens once.
        """
        # Read by hand: a declared header costs as much as all the rest of this function.
        idempotency_key = request.headers.get("idempotency-key")
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
        # What an actor of ours returned is not validated again.
        return Response(write_json({"response": result}), media_type="application/json")

    router.add_api_route(
        "/chat/{actor_id}",
        chat,
        methods=["POST"],
        summary="Say something",
        response_model=ChatReply,
        responses=errors(400, 413, 422),
        openapi_extra=IDEMPOTENCY_KEY,
        route_class_override=TurnRoute,
    )

    @router.get("/chat/{actor_id}/history", summary="Read a conversation", responses=errors(422))
    async def history(actor_id: ActorIdPath) -> History:
        """Return the last messages of the user's conversation, oldest first."""
        return History(history=await actor(CHAT, actor_id, ChatAgentInterface).GetConversationHistory())

    @router.get("/response/{actor_id}/count", summary="Count the answered turns", responses=errors(422))
    async def count(actor_id: ActorIdPath) -> Count:
        """Return how many turns the user's ResponseAgent answered."""
        response = actor(RESPONSE, f"response-{actor_id}", ResponseAgentInterface)
        return Count(count=await response.GetMessageCount())

    @router.get("/memory/{actor_id}", summary="Read what is remembered", responses=errors(422))
    async def memory(actor_id: ActorIdPath) -> Memory:
        """Return the last messages that came back over the topic to the user's MemoryAgentActor, oldest first."""
        return Memory(memory=await actor(MEMORY, f"memory-{actor_id}", MemoryAgentInterface).GetMemory())

    return router


def sidecar_routes(host: ActorHost, subscriptions: Subscriptions) -> APIRouter:
    """Return what the sidecar calls, actors' own callbacks aside."""
    router = APIRouter(tags=["sidecar"], responses=errors(401))

    @router.post(
        "/subscribe",
        summary="Take in an event",
        response_model=DeliveryStatus,
        responses=errors(413),
        openapi_extra=CLOUD_EVENT_BODY,
    )
    async def subscribe(request: Request) -> Response:
        """Answer `SUCCESS`, `RETRY` (a passing fault) or `DROP` (it can never be processed: a dead letter)."""
        envelope = read_envelope(await request.body())
        status = await host.deliver({"topic": USER_CHAT, **(envelope or {})})
        return Response(write_json({"status": status}), media_type="application/json")

    @router.post(
        "/dead-letter", summary="Take in a dead letter", responses=errors(413), openapi_extra=CLOUD_EVENT_BODY
    )
    async def dead_letter(request: Request) -> DeliveryStatus:
        """Log an event that was given up, and count it."""
        envelope = read_envelope(await request.body())
        return DeliveryStatus(status=await subscriptions.bury(envelope if envelope is not None else {}))

    @router.get(
        CONFIG,
        summary="Name the actor types",
        openapi_extra={"responses": {"200": {"content": {"application/json": {
            "example": {"entities": [CHAT, RESPONSE, MEMORY, "SentimentAgent"], "actorIdleTimeout": "0h10m0s0ms0μs"},
        }}}}},
    )  # fmt: skip
    async def dapr_config() -> Response:
        """Return the registered actor types (`entities`) and the actor settings, as the sidecar reads them."""
        return Response(actor_config(), media_type="application/json")

    return router


def operations_routes(host: ActorHost, subscriptions: Subscriptions) -> APIRouter:
    """Return what probes and operators call."""
    router = APIRouter(tags=["operations"], responses=errors())

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
            # A host that keeps dead letters counts them over restarts; else it is those that came in here.
            topic = topics.setdefault(name, Topic(backlog=0, dead_letters=0))
            topic.dead_letters = max(topic.dead_letters, subscriptions.dead_letters[name])
        return Metadata(
            app_id=APP_ID, host=held.host, actors=dict(held.actors), reminders=held.reminders, topics=topics
        )

    return router


def retry_after() -> Mapping[str, str]:
    """Return the header that goes with a 503."""
    return {"Retry-After": str(RETRY_AFTER_SECONDS)}
