"""The SDK's outward seam over a sidecar: calls, state, reminders and timers, with the call chain carried along."""

import asyncio
import re
from collections.abc import Mapping
from urllib.parse import quote, unquote

from dapr.actor.runtime.config import ActorReentrancyConfig
from dapr.clients.base import DaprActorClientBase
from dapr.common.reentrancy_context import reentrancy_ctx

from multi_actor.errors import SidecarUnavailableError, TurnTimeoutError, WaitsForItselfError
from multi_actor.hosting.abc import ActorCallError, ActorKey
from multi_actor.hosting.sidecar import Sidecar, SidecarAnswerError
from multi_actor.hosting.turn import HERE, Origin, current_turn
from multi_actor.logs import correlation_id, trace_context
from multi_actor.serialization import read_json

CHAIN = "x-actor-chain"
SECONDS_LEFT = "x-actor-seconds-left"
REENTRANCY_ID = "dapr-reentrancy-id"
_FROM_APP = re.compile(r"error from actor service: \((\d+)\) (.*)", re.DOTALL)
_BUG = {400, 404, 500}
"""Statuses of the called application after which asking again gives the same answer."""


class SidecarActorClient(DaprActorClientBase):
    """The seven calls of the sidecar's actor API, names quoted.

    https://docs.dapr.io/reference/api/actors_api/
    """

    def __init__(self, sidecar: Sidecar, reentrancy: Mapping[str, ActorReentrancyConfig]) -> None:
        self._sidecar = sidecar
        self._reentrancy = reentrancy
        self.timers: dict[ActorKey, set[str]] = {}
        """Those that were started, until whoever hosts the actor ends its activation and them."""

    async def invoke_method(self, actor_type: str, actor_id: str, method: str, data: bytes | None = None) -> bytes:
        """Call an actor and return the JSON of its result; raises ``ActorCallError``."""
        key = ActorKey(actor_type, actor_id)
        try:
            return await self._sidecar.ask(
                "POST", "actors", *key, "method", method, body=data, headers=self._headers(key)
            )
        except SidecarAnswerError as error:
            raise _call_error(key, method, error) from None
        except (SidecarUnavailableError, TurnTimeoutError, WaitsForItselfError) as error:
            raise ActorCallError.of(key, method, error) from error

    def _headers(self, key: ActorKey) -> dict[str, str]:
        """Return who asks and why, the calls that led here, and the time they have left.

        daprd passes headers on to the called application. (``onDirectActorMessage`` of 1.18.)
        """
        headers = {"content-type": "application/json", **trace_context.get()}
        if (caused_by := correlation_id.get()) != "-":
            headers["x-request-id"] = caused_by
        turn = current_turn()
        if turn is None:
            return headers
        chain = turn.names()
        reentrancy = self._reentrancy.get(key.actor_type)
        if str(key) in chain and not (reentrancy and reentrancy.enabled):
            raise WaitsForItselfError((*chain, str(key)))  # daprd would wait until somebody gives up
        left = turn.when - asyncio.get_running_loop().time()
        if left <= 0:
            raise TurnTimeoutError((*chain, str(key)), 0)
        headers[CHAIN] = ",".join(map(quote, chain))
        headers[SECONDS_LEFT] = f"{left:.3f}"
        if reentrancy_id := reentrancy_ctx.get():
            headers[REENTRANCY_ID] = reentrancy_id
        return headers

    async def save_state_transactionally(self, actor_type: str, actor_id: str, data: bytes) -> None:
        """Keep a turn's changes, all or none."""
        await self._keep("POST", actor_type, actor_id, "state", body=data)

    async def get_state(self, actor_type: str, actor_id: str, name: str) -> bytes:
        """Return the JSON under ``name``; empty if there is none."""
        return await self._keep("GET", actor_type, actor_id, "state", name)

    async def register_reminder(self, actor_type: str, actor_id: str, name: str, data: bytes) -> None:
        """Keep a reminder, in place of one of the same name."""
        await self._keep("POST", actor_type, actor_id, "reminders", name, body=data)

    async def unregister_reminder(self, actor_type: str, actor_id: str, name: str) -> None:
        """Forget a reminder."""
        await self._keep("DELETE", actor_type, actor_id, "reminders", name)

    async def register_timer(self, actor_type: str, actor_id: str, name: str, data: bytes) -> None:
        """Start a timer of the actor's activation, in place of one of the same name."""
        self.timers.setdefault(ActorKey(actor_type, actor_id), set()).add(name)
        await self._keep("POST", actor_type, actor_id, "timers", name, body=data)

    async def unregister_timer(self, actor_type: str, actor_id: str, name: str) -> None:
        """Stop a timer."""
        self.timers.get(ActorKey(actor_type, actor_id), set()).discard(name)
        await self._keep("DELETE", actor_type, actor_id, "timers", name)

    async def _keep(self, verb: str, actor_type: str, actor_id: str, *path: str, body: bytes | None = None) -> bytes:
        return await self._sidecar.ask(verb, "actors", actor_type, actor_id, *path, body=body)


def origin_of(headers: Mapping[str, str]) -> Origin:
    """Return where a call began, from the headers that ``SidecarActorClient`` gave it."""
    chain, left, reentrancy_id = headers.get(CHAIN), headers.get(SECONDS_LEFT), headers.get(REENTRANCY_ID)
    if chain is None and reentrancy_id is None:
        return HERE
    try:
        seconds = float(left) if left else None
    except ValueError:
        seconds = None
    return Origin(tuple(map(unquote, chain.split(","))) if chain else (), seconds, reentrancy_id)


def _call_error(key: ActorKey, method: str, error: SidecarAnswerError) -> ActorCallError:
    """Find out what the called application said: daprd wraps its status and body in a sentence."""
    found = _FROM_APP.search(error.message)
    if not found:
        return ActorCallError(key, method, error.reason, retryable="actor method not found" not in error.message)
    status, body = int(found[1]), found[2]
    try:
        reason = str(read_json(body)["detail"])
    except (ValueError, TypeError, KeyError):
        reason = body[:1000]
    return ActorCallError(key, method, reason, retryable=status not in _BUG)
