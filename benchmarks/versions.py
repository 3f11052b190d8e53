"""The applications that stand beside each other on one Dapr runtime, each with its sidecar."""

import asyncio
import contextlib
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import yaml

from benchmarks.load import first_answer
from tools.dapr.local import COMPONENTS, ControlPlane
from tools.dapr.parts import environment
from tools.dapr.processes import Process, answers, free_port

ROOT = Path(__file__).parents[1]
TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")


class Version:
    """One application with its sidecar, in a namespace and a database of its own."""

    def __init__(self, plane: ControlPlane, name: str, program: Sequence[str], *, app_id: str, database: int) -> None:
        self.name = name
        self.port = free_port()
        self.sidecar = plane.sidecar(
            app_port=self.port,
            app_id=app_id,
            resources=_resources(plane.folder / name, app_id, database),
            # Placement knows actors by namespace and type: in one namespace each of us would get the other's.
            namespace=name,
        )
        self.app = Process(
            name,
            [sys.executable, *program],
            log=plane.folder / "logs" / f"{name}.log",
            environment=environment(
                # The three actors alone: what stands beside them has no agents either.
                {**self.sidecar.env(), "ACTOR_HOST": "auto", "PORT": str(self.port), "AGENTS": "none"}
            ),
            folder=ROOT,
            ready=answers(self.port, "/healthz"),
        )
        self._plane = plane

    async def start(self) -> None:
        await self.sidecar.start()
        await self.app.start()
        deadline = time.monotonic() + 60
        while not (await self.sidecar.metadata()).get("actorRuntime", {}).get("hostReady"):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name}: the sidecar hosts no actors; logs: {self.app.log.parent}")
            await asyncio.sleep(0.1)
        await first_answer(self.port)

    async def stop(self) -> None:
        await asyncio.gather(self.app.stop(), self.sidecar.stop())

    def cpu(self) -> Counter[str]:
        """Milliseconds of processor time so far, of each that works for this version."""
        plane = self._plane
        processes = {
            "app": self.app, "daprd": self.sidecar, "redis": plane.redis, "scheduler": plane.scheduler
        }  # fmt: skip
        return Counter({name: _cpu_ms(process.pid) for name, process in processes.items()})

    async def settle(self) -> float:
        """Return once nothing is done any more for what was asked, and for how many seconds something was."""
        began = time.perf_counter()
        while (passed := time.perf_counter() - began) < 60:
            before = self.cpu()
            await asyncio.sleep(0.15)
            if sum((self.cpu() - before).values()) <= 2 * TICK_MS:
                return passed
        raise RuntimeError(f"{self.name} does not come to rest")


def _resources(folder: Path, app_id: str, database: int) -> Path:
    """Write the project's components for another application id and another database of the same Redis."""
    folder.mkdir(parents=True)
    for file in COMPONENTS.glob("*.yaml"):
        documents = [one for one in yaml.safe_load_all(file.read_text()) if one["kind"] != "Configuration"]
        for one in documents:
            one["scopes"] = [app_id]
            if one["kind"] == "Component":
                one["spec"]["metadata"].append({"name": "redisDB", "value": str(database)})
        if documents:
            (folder / file.name).write_text(yaml.safe_dump_all(documents))
    return folder


def _cpu_ms(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return round((int(fields[11]) + int(fields[12])) * TICK_MS)


@contextlib.asynccontextmanager
async def running(folder: Path, binaries: Path) -> AsyncIterator[tuple[Version, Version, Version]]:
    async with ControlPlane(folder, binaries=binaries) as plane:
        ours = Version(plane, "multi-actor", ["main.py"], app_id="multi-actor", database=0)
        theirs = Version(
            plane, "straightforward", ["-m", "benchmarks.straightforward"], app_id="straightforward", database=1
        )
        constant = Version(plane, "constant", ["-m", "benchmarks.constant"], app_id="constant", database=2)
        versions = (ours, theirs, constant)
        try:
            for version in versions:
                await version.start()
            yield versions
        finally:
            await asyncio.gather(*(version.stop() for version in versions))
