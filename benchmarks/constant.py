"""The least that an application on Dapr can do: actors that answer from constants, in bare ASGI.

``POST /chat/{id}`` calls one actor through the sidecar, with the service's own client. ``POST /turn/{id}`` takes the
way of a whole turn: three actors call each other, two of them save one key, an event is published after the reply,
comes back, and a third key is saved. What a turn costs beside that is our work; what this costs itself is Dapr's,
HTTP's and Redis's.
"""

import asyncio
import json
import os
from typing import Any

import uvicorn
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope

from multi_actor.hosting.sidecar import Sidecar, SidecarAddress

FIXED = {"/dapr/config": json.dumps({"entities": ["Constant"]}).encode(), "/dapr/subscribe": b"[]"}
MESSAGE = {"role": "assistant", "content": "Memory: user: How are you today?. Got your message: How are you today?"}
ANSWER = json.dumps({"response": MESSAGE}).encode()
EVENT = json.dumps({"input": MESSAGE, "output": MESSAGE})
CHANGES = json.dumps([{"operation": "upsert", "request": {"key": "messages", "value": [MESSAGE] * 5}}]).encode()
SUCCESS = json.dumps({"status": "SUCCESS"}).encode()
sidecar = Sidecar(SidecarAddress.from_environment(), timeout=30)
publishing: set[asyncio.Task[bytes]] = set()


async def call(actor_id: str, method: str, body: bytes) -> bytes:
    return await sidecar.ask("PUT", "actors", "Constant", actor_id, "method", method, body=body)


async def save(actor_id: str) -> None:
    await sidecar.ask("POST", "actors", "Constant", actor_id, "state", body=CHANGES)


async def act(actor_id: str, method: str, body: bytes) -> bytes:
    """Do what an actor does when the sidecar calls it."""
    user = actor_id.rpartition("-")[2]
    match method:
        case "Chat":
            await call(f"response-{user}", "Respond", body)
            await save(actor_id)
            event = json.dumps({"user": user, "event": EVENT}).encode()
            task = asyncio.create_task(sidecar.ask("POST", "publish", "daca-pubsub", "user-chat", body=event))
            publishing.add(task)
            task.add_done_callback(publishing.discard)
        case "Respond":
            await call(f"memory-{user}", "Answer", body)
            await save(actor_id)
        case "Update":
            await save(actor_id)
    return ANSWER


async def answer(path: str, body: bytes) -> bytes:
    match path.split("/")[1:]:
        case "chat", user:
            return await call(user, "Answer", body)
        case "turn", user:
            return await call(user, "Chat", body)
        case "actors", _, actor_id, "method", method:
            return await act(actor_id, method, body)
        case ("subscribe",):
            await call(f"memory-{json.loads(body)['data']['user']}", "Update", body)
            return SUCCESS
    return FIXED.get(path, ANSWER)


async def app(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await sidecar.__aenter__()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await sidecar.__aexit__(None, None, None)
        await send({"type": "lifespan.shutdown.complete"})
        return
    message: Any = await receive()
    body = message["body"]
    while message["more_body"]:
        message = await receive()
        body += message["body"]
    found = await answer(scope["path"], body)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(found)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers, "trailers": False})
    await send({"type": "http.response.body", "body": found, "more_body": False})


if __name__ == "__main__":
    uvicorn.run(
        app, host="127.0.0.1", port=int(os.environ["PORT"]), log_config=None, access_log=False, proxy_headers=False
    )
