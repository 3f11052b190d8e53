"""The service, with what a test wants done to it.

``UNWELL``: while this file is there, the application tells its sidecar that it is unwell.
``HEARD``: a file that takes a line of JSON for each request of the sidecar to an actor: its path and headers.
``STUMBLES``: how many times the memory actor fails before it takes an event in.
"""

import json
import os
from pathlib import Path

import uvicorn
from starlette.types import Receive, Scope, Send

import main
from multi_actor.actors.memory import MemoryAgentActor
from multi_actor.contracts import ConversationEvent
from multi_actor.errors import RetryableError

_unwell = os.environ.get("UNWELL", "/nowhere")
_heard = Path(os.environ.get("HEARD", os.devnull))
_stumbles = [RetryableError("stumbled")] * int(os.environ.get("STUMBLES", "0"))
_update_memory = MemoryAgentActor.update_memory


async def _stumble(memory: MemoryAgentActor, event: ConversationEvent) -> bool:
    if _stumbles:
        raise _stumbles.pop()
    return await _update_memory(memory, event)


def _overhear(scope: Scope) -> None:
    headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
    with _heard.open("a") as file:
        file.write(json.dumps({"path": scope["path"], "headers": headers}) + "\n")


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    path = scope.get("path", "")
    if path.startswith("/actors/"):
        _overhear(scope)
    if path == "/healthz" and os.access(_unwell, os.F_OK):
        await send({"type": "http.response.start", "status": 503, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})
        return
    await main.app(scope, receive, send)


if __name__ == "__main__":
    setattr(MemoryAgentActor, "update_memory", _stumble)  # noqa: B010  # by its name: the types forbid it
    uvicorn.run(app, host=main.settings.listen, port=main.settings.port, log_config=None, access_log=False)
