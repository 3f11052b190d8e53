"""What a turn costs on a real Dapr runtime, as ratios within one run.

``.venv/bin/python benchmarks/dapr.py [--seconds 6] [--only load|floor|flat]``. Three applications stand beside each
other, each with a sidecar of its own, on the same Redis, placement and scheduler: the service as its users start it;
``straightforward.py`` ("plain"), the same three actors as the SDK's documentation leads to; and ``constant.py``, whose
actors answer from constants: what daprd and HTTP take. One of them is under load at a time, in short slices, so that a
noisy neighbour is in each. They have the same components (each its own database in that Redis), server options and
log lines.

A user talks for 20 turns, then there is a new one: what the straightforward version's growing lists cost is the
second measurement's, not the first's. Processor time counts until a slice's events have been taken in as well.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[0] = str(ROOT)  # in place of this folder, whose dapr.py would be taken for the SDK

from benchmarks.load import Connection, get, load, turn  # noqa: E402
from benchmarks.versions import Version, running  # noqa: E402
from tools.dapr.processes import LOOPBACK  # noqa: E402

CLIENTS = (1, 8, 32)
SLICES = 4
USER_TURNS = 20


@dataclass(slots=True)
class Sample:
    """What one version did at one number of clients."""

    rates: list[float] = field(default_factory=list)
    late: float = 0
    """Seconds of work for its events after the last reply."""
    times: list[float] = field(default_factory=list)
    cpu: Counter[str] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        return statistics.mean(self.rates)

    @property
    def p50(self) -> float:
        return statistics.median(self.times)

    @property
    def p99(self) -> float:
        return statistics.quantiles(self.times, n=100)[98]


class Users:
    """Who speaks: each client's next user comes after ``USER_TURNS`` turns, over all slices."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._asked: Counter[int] = Counter()

    def __call__(self, client: int, _: int) -> bytes:
        self._asked[client] += 1
        return turn(self._user(client))

    def _user(self, client: int) -> str:
        return f"{self._name}-{client}-{(self._asked[client] - 1) // USER_TURNS}"

    async def check(self, version: Version) -> None:
        """Raise if a client's last user was not answered, or not remembered, as often as it asked."""
        _, connection = await asyncio.get_running_loop().create_connection(Connection, LOOPBACK, version.port)
        for client, asked in self._asked.items():
            user, turns = self._user(client), (asked - 1) % USER_TURNS + 1
            count = _json(await connection.ask(get(f"/response/{user}/count")))["count"]
            memory = _json(await connection.ask(get(f"/memory/{user}")))["memory"]
            if count != turns or len(memory) != min(2 * turns, 3):
                raise RuntimeError(f"{version.name}: {user} asked {turns} times; {count} answered, memory {memory}")
        connection._transport.close()


def _json(answer: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return found


async def slice_of(version: Version, sample: Sample, users: Users, clients: int, seconds: float) -> None:
    before = version.cpu()
    rate, times = await load(version.port, clients, seconds, users)
    sample.rates.append(rate)
    sample.times += times
    sample.late += await version.settle()
    sample.cpu += version.cpu() - before


async def under_load(versions: Sequence[Version], seconds: float) -> None:
    ours, theirs = versions
    samples = {(v.name, n): Sample() for v in versions for n in CLIENTS}
    for clients in CLIENTS:
        users = {v.name: Users(f"load{clients}") for v in versions}
        for _ in range(SLICES):
            for version in versions:
                sample = samples[version.name, clients]
                await slice_of(version, sample, users[version.name], clients, seconds / SLICES)
        for version in versions:
            await users[version.name].check(version)
    print("\n         turns/s               p50 ms                p99 ms")
    print("clients     ours  plain  ratio    ours  plain  ratio    ours  plain")
    for clients in CLIENTS:
        mine, other = samples[ours.name, clients], samples[theirs.name, clients]
        print(
            f"{clients:7} {mine.rate:8.1f} {other.rate:6.1f} {mine.rate / other.rate:6.2f}"
            f" {mine.p50:7.1f} {other.p50:6.1f} {mine.p50 / other.p50:6.2f} {mine.p99:7.1f} {other.p99:6.1f}"
        )
    print("\nprocessor milliseconds per turn, events included")
    print("clients  version             app  daprd  redis  scheduler   all   still at work after the last reply")
    for clients in CLIENTS:
        for version in versions:
            one = samples[version.name, clients]
            app, daprd, redis, scheduler = (
                one.cpu[k] / len(one.times) for k in ("app", "daprd", "redis", "scheduler")
            )
            total = app + daprd + redis + scheduler
            print(
                f"{clients:7}  {version.name:15} {app:7.2f} {daprd:6.2f} {redis:6.2f} {scheduler:10.2f} {total:5.1f}"
                f"   {one.late / SLICES:.2f} s of {seconds / SLICES:.2f} s"
            )


async def floor(constant: Version, seconds: float) -> None:
    """Print what is left when the application answers from a constant."""

    def direct(client: int, _: int) -> bytes:
        return turn(f"direct{client}/method/Answer", route="v1.0/actors/Constant")

    cases: dict[str, tuple[int, Callable[[int, int], bytes]]] = {
        "app": (constant.port, lambda *_: turn("x", route="constant")),
        "daprd → app": (constant.sidecar.http_port, direct),
        "app → daprd → app": (constant.port, lambda client, _: turn(f"hop{client}")),
        "the way of a turn": (constant.port, lambda client, _: turn(f"shape{client}", route="turn")),
    }
    print(
        "\nthe floor, answered from a constant     requests/s  p50 ms  p99 ms   app ms  daprd ms  redis ms (processor)"
    )
    for clients in CLIENTS:
        for name, (port, request) in cases.items():
            before = constant.cpu()
            rate, times = await load(port, clients, seconds, request)
            await constant.settle()
            cpu = constant.cpu() - before
            cuts = statistics.quantiles(times, n=100)
            print(
                f"{clients:7} clients  {name:20} {rate:13.0f} {cuts[49]:7.2f} {cuts[98]:7.2f}"
                f" {cpu['app'] / len(times):8.2f} {cpu['daprd'] / len(times):9.2f} {cpu['redis'] / len(times):9.2f}"
            )


async def flat(versions: Sequence[Version], turns: int) -> None:
    """Print what one user's turns around the given one take beside turns 8 to 12 of others, at the same moment."""
    print()
    for version in versions:
        began = time.perf_counter()
        _, connection = await asyncio.get_running_loop().create_connection(Connection, LOOPBACK, version.port)
        for _ in range(turns - 40):
            await connection.ask(turn("old"))
        grown = time.perf_counter() - began
        times: dict[str, list[float]] = {"old": [], "young": []}
        for fresh in range(16):
            for _ in range(7):
                await connection.ask(turn(f"young{fresh}"))
            for _ in range(5):
                for user, taken in ((f"young{fresh}", times["young"]), ("old", times["old"])):
                    await asyncio.sleep(0.05)  # the last turn's event is not this one's load
                    began = time.perf_counter()
                    await connection.ask(turn(user))
                    taken.append((time.perf_counter() - began) * 1e3)
        connection._transport.close()
        young, old = (statistics.median(times[name]) for name in ("young", "old"))
        print(
            f"{version.name:15} turn 10: {young:6.1f} ms, turn {turns:,}: {old:6.1f} ms, ratio {old / young:5.2f}"
            f"   ({grown:.0f} s to get there)"
        )


async def measure(folder: Path, binaries: Path, options: argparse.Namespace) -> None:
    async with running(folder, binaries) as (ours, theirs, constant):
        for version in (ours, theirs):
            await load(version.port, 8, 1, Users("warm"))
            await version.settle()
        if options.only in (None, "load"):
            await under_load((ours, theirs), options.seconds)
        if options.only in (None, "floor"):
            await floor(constant, options.seconds / 4)
        if options.only in (None, "flat"):
            await flat((ours, theirs), options.turns)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=6.0, help="of load per row and version")
    parser.add_argument("--turns", type=int, default=2000, help="of one user, in the measurement of growth")
    parser.add_argument("--only", choices=("load", "floor", "flat"))
    parser.add_argument("--folder", type=Path, help="where logs and data go and stay; else a temporary one")
    options = parser.parse_args()
    found = subprocess.run([ROOT / "tools/dapr/runtime"], stdout=subprocess.PIPE, text=True, check=True)
    with tempfile.TemporaryDirectory() as temporary:
        asyncio.run(measure(options.folder or Path(temporary), Path(found.stdout.splitlines()[-1]), options))


if __name__ == "__main__":
    main()
