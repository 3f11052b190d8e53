"""The same three actors as the Dapr Python SDK's documentation leads to, for ``dapr.py`` to measure against.

Nothing in it is slower than that documentation: default clients, proxies and serializers, a ``DaprClient`` for each
event, state in one list per actor that grows. It keeps none of this service's promises (a turn that is whole or
absent, events that survive, repeated requests, checked input); reply, event and log lines are the service's.

https://docs.dapr.io/developing-applications/sdks/python/python-sdk-extensions/python-fastapi/
https://docs.dapr.io/developing-applications/sdks/python/python-actor/
"""

# mypy: disable-error-code="empty-body, untyped-decorator"
# (@actormethod is untyped, and makes a method abstract in its own way)

import contextlib
import json
import logging
import os
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import uvicorn
from dapr.actor import Actor, ActorId, ActorInterface, ActorProxy, actormethod
from dapr.actor.runtime.context import ActorRuntimeContext
from dapr.clients import DaprClient
from dapr.ext.fastapi import DaprActor
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

logging.basicConfig(level=logging.INFO)
logger = logging.getLogger(__name__)


class ChatAgentInterface(ActorInterface):
    @actormethod(name="ProcessMessage")
    async def process_message(self, message: dict[str, str]) -> dict[str, str]: ...

    @actormethod(name="GetConversationHistory")
    async def get_conversation_history(self) -> list[dict[str, str]]: ...


class ResponseAgentInterface(ActorInterface):
    @actormethod(name="ProcessMessage")
    async def process_message(self, message: dict[str, str]) -> dict[str, str]: ...

    @actormethod(name="GetMessageCount")
    async def get_message_count(self) -> int: ...


class MemoryAgentInterface(ActorInterface):
    @actormethod(name="UpdateMemory")
    async def update_memory(self, event: dict[str, Any]) -> None: ...

    @actormethod(name="GetMemory")
    async def get_memory(self) -> list[dict[str, str]]: ...


class ChatAgent(Actor, ChatAgentInterface):
    def __init__(self, ctx: ActorRuntimeContext, actor_id: ActorId) -> None:
        super().__init__(ctx, actor_id)
        self._history_key = f"history-{actor_id.id}"

    async def process_message(self, message: dict[str, str]) -> dict[str, str]:
        user = self.id.id
        proxy: Any = ActorProxy.create("ResponseAgent", ActorId(f"response-{user}"), ResponseAgentInterface)
        reply: dict[str, str] = await proxy.ProcessMessage(message)

        _, history = await self._state_manager.try_get_state(self._history_key)
        history = [*(history or []), message, reply]
        await self._state_manager.set_state(self._history_key, history)
        logger.info("Processed message for %s", self._history_key)

        event = {
            "event_id": str(uuid.uuid4()),
            "sequence": len(history) // 2,
            "actor_id": user,
            "history_key": self._history_key,
            "actor_type": "ChatAgent",
            "event_type": "ConversationUpdated",
            "input": message,
            "output": reply,
        }
        with DaprClient() as client:
            client.publish_event(
                pubsub_name="daca-pubsub",
                topic_name="user-chat",
                data=json.dumps(event),
                data_content_type="application/json",
            )
        logger.info("Published event for %s", self._history_key)
        return reply

    async def get_conversation_history(self) -> list[dict[str, str]]:
        _, history = await self._state_manager.try_get_state(self._history_key)
        return (history or [])[-5:]


class ResponseAgent(Actor, ResponseAgentInterface):
    def __init__(self, ctx: ActorRuntimeContext, actor_id: ActorId) -> None:
        super().__init__(ctx, actor_id)
        self._user = actor_id.id.removeprefix("response-")
        self._count_key = f"response-count-{self._user}"

    async def process_message(self, message: dict[str, str]) -> dict[str, str]:
        _, count = await self._state_manager.try_get_state(self._count_key)
        count = (count or 0) + 1
        proxy: Any = ActorProxy.create("MemoryAgentActor", ActorId(f"memory-{self._user}"), MemoryAgentInterface)
        memory: list[dict[str, str]] = await proxy.GetMemory()
        context = "; ".join(f"{m['role']}: {quoted(m['content'])}" for m in memory) or f"Message count: {count}"
        now = datetime.now(UTC).isoformat()
        await self._state_manager.set_state(self._count_key, count)
        logger.info("ResponseAgent processed message for %s", self._count_key)
        return {
            "role": "assistant",
            "content": f"Memory: {context}. Got your message: {message['content']} at {now}",
        }

    async def get_message_count(self) -> int:
        _, count = await self._state_manager.try_get_state(self._count_key)
        return count or 0


class MemoryAgentActor(Actor, MemoryAgentInterface):
    def __init__(self, ctx: ActorRuntimeContext, actor_id: ActorId) -> None:
        super().__init__(ctx, actor_id)
        self._memory_key = f"memory-{actor_id.id.removeprefix('memory-')}"

    async def update_memory(self, event: dict[str, Any]) -> None:
        _, memory = await self._state_manager.try_get_state(self._memory_key)
        memory = [*(memory or []), event["input"], event["output"]]
        await self._state_manager.set_state(self._memory_key, memory)
        logger.info("Updated memory for %s", self._memory_key)

    async def get_memory(self) -> list[dict[str, str]]:
        _, memory = await self._state_manager.try_get_state(self._memory_key)
        return (memory or [])[-3:]


def quoted(content: str) -> str:
    """Return a remembered message by its own words: replies that quote replies would double with every turn."""
    return content[max(content.rfind("Got your message: "), 0) :][:200]


class Message(BaseModel):
    role: str
    content: str


@contextlib.asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    await actor.register_actor(ChatAgent)
    await actor.register_actor(ResponseAgent)
    await actor.register_actor(MemoryAgentActor)
    yield


app = FastAPI(title="MultiAgentService", lifespan=lifespan)
actor = DaprActor(app)


@app.post("/chat/{actor_id}")
async def chat(actor_id: str, message: Message) -> dict[str, dict[str, str]]:
    if not message.content.strip():
        raise HTTPException(400, "Invalid or missing 'content' field")
    proxy: Any = ActorProxy.create("ChatAgent", ActorId(actor_id), ChatAgentInterface)
    return {"response": await proxy.ProcessMessage(message.model_dump())}


@app.get("/chat/{actor_id}/history")
async def history_of(actor_id: str) -> dict[str, list[dict[str, str]]]:
    proxy: Any = ActorProxy.create("ChatAgent", ActorId(actor_id), ChatAgentInterface)
    return {"history": await proxy.GetConversationHistory()}


@app.get("/response/{actor_id}/count")
async def count_of(actor_id: str) -> dict[str, int]:
    proxy: Any = ActorProxy.create("ResponseAgent", ActorId(f"response-{actor_id}"), ResponseAgentInterface)
    return {"count": await proxy.GetMessageCount()}


@app.get("/memory/{actor_id}")
async def memory_of(actor_id: str) -> dict[str, list[dict[str, str]]]:
    proxy: Any = ActorProxy.create("MemoryAgentActor", ActorId(f"memory-{actor_id}"), MemoryAgentInterface)
    return {"memory": await proxy.GetMemory()}


@app.post("/subscribe")
async def subscribe(event: dict[str, Any]) -> dict[str, str]:
    data = event["data"]
    logger.info("Received event for %s", data["actor_id"])
    proxy: Any = ActorProxy.create("MemoryAgentActor", ActorId(f"memory-{data['actor_id']}"), MemoryAgentInterface)
    await proxy.UpdateMemory(data)
    return {"status": "SUCCESS"}


@app.post("/dead-letter")
async def dead_letter(event: dict[str, Any]) -> dict[str, str]:
    logger.error("dead letter %s", event.get("id"))
    return {"status": "SUCCESS"}


if __name__ == "__main__":
    uvicorn.run(
        app, host="127.0.0.1", port=int(os.environ["PORT"]), log_config=None, access_log=False, proxy_headers=False
    )
