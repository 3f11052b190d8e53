"""The service, except that it kills itself when it comes to the point that ``DIES`` names."""

import os
import signal
from typing import Any

import uvicorn

import main
from multi_actor.actors.outbox import Publisher
from multi_actor.contracts import CHAT
from multi_actor.hosting.abc import ActorKey
from multi_actor.hosting.state_store import StoredEvent
from multi_actor.hosting.stores import SqliteStore

BEFORE_SAVE = "before the chat's save"
AFTER_SAVE = "between the chat's save and the publishing"
AFTER_PUBLISH = "between the publishing and the delivery"
BEFORE_ACKNOWLEDGE = "between the delivery and its acknowledgement"

_transact, _append = SqliteStore.transact, SqliteStore.append


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def _transact_unless_chat(store: SqliteStore, key: ActorKey, operations: bytes, *, now: float) -> None:
    if key.actor_type == CHAT:
        _die()
    await _transact(store, key, operations, now=now)


async def _append_and_die(store: SqliteStore, body: str, *topics: str) -> list[StoredEvent]:
    events = await _append(store, body, *topics)
    _die()
    return events


_PATCHES: dict[str, tuple[type, str, Any]] = {
    BEFORE_SAVE: (SqliteStore, "transact", _transact_unless_chat),
    AFTER_SAVE: (Publisher, "soon", lambda *_: _die()),
    AFTER_PUBLISH: (SqliteStore, "append", _append_and_die),
    BEFORE_ACKNOWLEDGE: (SqliteStore, "acknowledge", lambda *_: _die()),
}

if __name__ == "__main__":
    setattr(*_PATCHES[os.environ["DIES"]])
    uvicorn.run(main.app, host=main.settings.listen, port=main.settings.port, log_config=None, access_log=False)
