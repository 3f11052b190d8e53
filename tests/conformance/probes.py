"""Actors written for the plain SDK, each for one part of a host's contract."""

# mypy: disable-error-code="empty-body, untyped-decorator"
# @actormethod is untyped, and makes a method abstract in its own way.

import asyncio
import json
from datetime import timedelta
from typing import Any

from dapr.actor import ActorId, ActorInterface, ActorProxy, Remindable, actormethod
from dapr.actor.runtime.failure_policy import ActorReminderFailurePolicy
from dapr.clients.exceptions import DaprHttpError

from tests.conformance.harness import PlannedError, Probe


class WorkerInterface(ActorInterface):
    @actormethod(name="Work")
    async def work(self, label: int) -> int: ...

    @actormethod(name="Hold")
    async def hold(self, gate: str) -> str: ...

    @actormethod(name="Open")
    async def open(self, gate: str) -> None: ...

    @actormethod(name="Held")
    async def held(self) -> list[str]: ...


class Worker(Probe, WorkerInterface):
    """Notes when it is activated, deactivated, and when each piece of work begins and ends."""

    async def _on_activate(self) -> None:
        self.journal.note("activated", self.id.id)
        await self._state_manager.set_state("greeting", "hello")
        await asyncio.sleep(0)
        self.journal.fail_if_asked("activation")

    async def _on_deactivate(self) -> None:
        self.journal.note("deactivated", self.id.id)
        self.journal.fail_if_asked("deactivation")

    async def work(self, label: int) -> int:
        self.journal.note("begin", self.id.id, label)
        await asyncio.sleep(0)
        self.journal.note("end", self.id.id, label)
        return label

    async def hold(self, gate: str) -> str:
        """Keep the turn until the gate opens."""
        self.journal.note("holds", self.id.id, gate)
        held = await self._state_manager.get_or_add_state("held", [])
        await self._state_manager.set_state("held", [*(held or []), gate])
        await self.journal.gate(gate).wait()
        self.journal.note("released", self.id.id, gate)
        return gate

    async def open(self, gate: str) -> None:
        self.journal.gate(gate).set()

    async def held(self) -> list[str]:
        found, held = await self._state_manager.try_get_state("held")
        return held if found and held else []


class NotebookInterface(ActorInterface):
    @actormethod(name="Change")
    async def change(self, change: dict[str, Any]) -> None: ...

    @actormethod(name="AppendInPlace")
    async def append_in_place(self, entry: dict[str, Any]) -> None: ...

    @actormethod(name="Read")
    async def read(self, names: list[str]) -> dict[str, Any]: ...

    @actormethod(name="Forget")
    async def forget(self) -> None: ...


class Notebook(Probe, NotebookInterface):
    """Writes state as it is told, and can forget what it has in memory."""

    async def change(self, change: dict[str, Any]) -> None:
        """Upsert ``put``, remove ``remove``, give those in ``ttl`` that many seconds; then raise if ``fail``."""
        ttl = change.get("ttl", {})
        for name, value in change.get("put", {}).items():
            await self._state_manager.set_state_ttl(name, value, ttl.get(name))
        for name in change.get("remove", []):
            await self._state_manager.remove_state(name)
        if change.get("fail"):
            raise PlannedError("after the changes")

    async def append_in_place(self, entry: dict[str, Any]) -> None:
        """Change the very list that the state manager returned."""
        found, items = await self._state_manager.try_get_state("items")
        items = items if found and items is not None else []
        items.append(entry["item"])
        await self._state_manager.set_state("items", items)
        if entry.get("fail"):
            raise PlannedError("after the append")

    async def read(self, names: list[str]) -> dict[str, Any]:
        """Return those that are there."""
        there = {}
        for name in names:
            found, value = await self._state_manager.try_get_state(name)
            if found:
                there[name] = value
        return there

    async def forget(self) -> None:
        """Have the next read come from the store."""
        await self._state_manager.clear_cache()


class AlarmInterface(ActorInterface):
    @actormethod(name="Arm")
    async def arm(self, request: dict[str, Any]) -> None: ...

    @actormethod(name="ArmAsWritten")
    async def arm_as_written(self, request: dict[str, Any]) -> None: ...

    @actormethod(name="ArmAndHold")
    async def arm_and_hold(self, gate: str) -> None: ...

    @actormethod(name="Disarm")
    async def disarm(self, name: str) -> None: ...

    @actormethod(name="Rings")
    async def rings(self) -> int: ...


class Alarm(Probe, AlarmInterface, Remindable):
    """Notes each reminder and counts them in its state; a reminder may fail, or end or replace itself."""

    async def arm(self, request: dict[str, Any]) -> None:
        """Register through the SDK: ``due``, ``period``, ``ttl`` in seconds, ``data`` in hexadecimal digits."""
        times = {name: _seconds(request.get(name)) for name in ("period", "ttl")}
        await self.register_reminder(
            request["name"],
            bytes.fromhex(request.get("data", "")),
            timedelta(seconds=request["due"]),
            failure_policy=_policy(request.get("policy")),
            **times,
        )

    async def arm_as_written(self, request: dict[str, Any]) -> None:
        """Register with ``body`` as the sidecar's API takes it, which says more than the SDK can."""
        body = json.dumps(request["body"]).encode()
        await self.runtime_ctx.dapr_client.register_reminder("Alarm", self.id.id, request["name"], body)

    async def arm_and_hold(self, gate: str) -> None:
        """Register a reminder that is due at once, and keep the turn until the gate opens."""
        await self.register_reminder("during", b"", timedelta())
        self.journal.note("holds", self.id.id)
        await self.journal.gate(gate).wait()
        self.journal.note("released", self.id.id)

    async def disarm(self, name: str) -> None:
        await self.unregister_reminder(name)

    async def rings(self) -> int:
        found, rings = await self._state_manager.try_get_state("rings")
        return rings if found and rings else 0

    async def receive_reminder(
        self,
        name: str,
        state: bytes,
        due_time: timedelta,  # noqa: ARG002  # the SDK's signature
        period: timedelta,  # noqa: ARG002
        ttl: timedelta | None = None,  # noqa: ARG002
    ) -> None:
        self.journal.note("rang", name, state)
        await self._state_manager.set_state("rings", await self.rings() + 1)
        if name == "lasts":
            await self.journal.gate("lasts").wait()
        if name == "ends itself":
            await self.unregister_reminder(name)
        if name == "replaces itself" and state == b"first":
            await self.register_reminder(name, b"second", timedelta(seconds=2))
        self.journal.fail_if_asked("reminder")


class TickerInterface(ActorInterface):
    @actormethod(name="Start")
    async def start(self, request: dict[str, Any]) -> None: ...

    @actormethod(name="Stop")
    async def stop(self, name: str) -> None: ...

    @actormethod(name="Ticks")
    async def ticks(self) -> int: ...


class Ticker(Probe, TickerInterface):
    """Notes each tick of its timers and counts them in its state."""

    async def start(self, request: dict[str, Any]) -> None:
        """Start a timer; ``due``, ``period`` and ``ttl`` are in seconds."""
        due, period = timedelta(seconds=request["due"]), timedelta(seconds=request["period"])
        ttl = _seconds(request.get("ttl"))
        await self.register_timer(request["name"], self.on_tick, request.get("data"), due, period, ttl)

    async def stop(self, name: str) -> None:
        await self.unregister_timer(name)

    async def ticks(self) -> int:
        found, ticks = await self._state_manager.try_get_state("ticks")
        return ticks if found and ticks else 0

    async def on_tick(self, data: Any) -> None:
        self.journal.note("tick", data)
        await self._state_manager.set_state("ticks", await self.ticks() + 1)
        self.journal.fail_if_asked("timer")


class RelayInterface(ActorInterface):
    @actormethod(name="Pass")
    async def pass_on(self, way: list[str]) -> list[str]: ...

    @actormethod(name="Meet")
    async def meet(self, way: list[str]) -> list[str]: ...

    @actormethod(name="Try")
    async def try_to_pass_on(self, way: list[str]) -> str: ...

    @actormethod(name="PassLater")
    async def pass_later(self, way: list[str]) -> None: ...

    @actormethod(name="Passed")
    async def passed(self) -> int: ...


class Relay(Probe, RelayInterface):
    """Calls the actors on a way (``["B/1", "A/1"]``) one from the other; each counts in its state what it passed."""

    async def pass_on(self, way: list[str]) -> list[str]:
        """Return who was on the way, this actor first."""
        me = f"{type(self).__name__}/{self.id.id}"
        self.journal.note("passes", me)
        await self._state_manager.set_state("passed", await self.passed() + 1)
        if not way:
            self.journal.fail_if_asked("end of the way")
            return [me]
        return [me, *await self._next(way[0]).Pass(way[1:])]

    async def meet(self, way: list[str]) -> list[str]:
        """Begin, and go on once the other chain has begun too."""
        self.journal.note("meets")
        await self.journal.gate("both are in").wait()
        return await self.pass_on(way)

    async def try_to_pass_on(self, way: list[str]) -> str:
        """Return the error that came back, and go on."""
        await self._state_manager.set_state("passed", await self.passed() + 1)
        try:
            await self._next(way[0]).Pass(way[1:])
        except DaprHttpError as error:
            return str(error)
        return "no error"

    async def pass_later(self, way: list[str]) -> None:
        """Leave a call behind that is made when this turn has ended."""

        async def later() -> None:
            await self.journal.gate("later").wait()
            self.journal.note("came back", await self._next(way[0]).Pass(way[1:]))

        self._left_behind = asyncio.create_task(later())

    async def passed(self) -> int:
        found, passed = await self._state_manager.try_get_state("passed")
        return passed if found and passed else 0

    def _next(self, name: str) -> Any:
        actor_type, _, actor_id = name.partition("/")
        return ActorProxy.create(actor_type, ActorId(actor_id), RelayInterface, self.harness.proxies)


class A(Relay):
    """One type of two that call each other."""


class B(Relay):
    """The other."""


def _seconds(value: float | None) -> timedelta | None:
    return None if value is None else timedelta(seconds=value)


def _policy(policy: dict[str, Any] | None) -> ActorReminderFailurePolicy | None:
    if policy is None:
        return None
    if policy.get("drop"):
        return ActorReminderFailurePolicy.drop_policy()
    return ActorReminderFailurePolicy.constant_policy(_seconds(policy.get("interval")), policy.get("max_retries"))
