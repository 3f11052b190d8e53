"""What a turn costs on the embedded host, as ratios within one run.

``make bench`` or ``.venv/bin/python benchmarks/embedded.py [--seconds 3]``. The service is started as its users start
it (SQLite file, default settings), load comes from this process over loopback, and the measure is a bare route of the
same application that takes and returns the same JSON as a turn (``served.py``): what HTTP alone costs on this machine
at this moment. ``GET /healthz``, which takes nothing, stands beside it.

The three actors alone come first, then with the agents that follow the conversation: replies go first, and ``agents
s/s`` is how long the agents go on after a second of load. What comes after the tables is with them.
"""

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[0] = str(ROOT)  # in place of this folder, whose dapr.py would be taken for the SDK

from benchmarks.load import Connection, Request, first_answer, get, load, turn  # noqa: E402
from tools.dapr.processes import free_port  # noqa: E402


@contextlib.contextmanager
def service(folder: str, **settings: str) -> Iterator[tuple[int, int]]:
    """Start the service; yields its port and its process id once it has answered."""
    port = free_port()
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PORT": str(port), "STATE_FILE": f"{folder}/{port}.db", **settings}
    with (Path(folder) / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.served"], cwd=ROOT, env=env, stderr=log, stdout=log
        )
    try:
        asyncio.run(first_answer(port))
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(20)


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


async def throughput(port: int, seconds: float) -> None:
    print(
        "clients  healthz/s   bare/s  turns/s  turns:bare  turns:healthz  turn p50 ms  p99 ms  bare p50 ms  agents s/s"
    )
    for clients in (1, 8, 32):
        rates: dict[str, list[float]] = {"healthz": [], "bare": [], "turn": []}
        times: dict[str, list[float]] = {"healthz": [], "bare": [], "turn": []}
        late = 0.0
        for part in range(4):  # interleaved, so that a noisy neighbour is in each
            requests: dict[str, Request] = {
                "healthz": lambda *_: get("/healthz"),
                "bare": lambda client, _: turn(f"u{client}", route="bare"),
                "turn": partial(turns_of, f"u{clients}-{part}"),
            }
            for name, request in requests.items():
                rate, sample = await load(port, clients, seconds / 4, request)
                rates[name].append(rate)
                times[name] += sample
            late += await followed(port)  # what turns leave to do is not the next part's load
        mean = {name: statistics.mean(values) for name, values in rates.items()}
        cuts = statistics.quantiles(times["turn"], n=100)
        print(
            f"{clients:7} {mean['healthz']:10.0f} {mean['bare']:8.0f} {mean['turn']:8.0f}"
            f" {mean['turn'] / mean['bare']:11.2f} {mean['turn'] / mean['healthz']:14.2f}"
            f" {cuts[49]:12.2f} {cuts[98]:7.2f} {statistics.median(times['bare']):12.2f}"
            f" {late / seconds:11.2f}"
        )


async def followed(port: int) -> float:
    """Return the seconds until all that was published has been taken in: agents follow when there is time."""
    began = time.perf_counter()
    _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", port)
    while True:
        answer = await connection.ask(get("/metadata"))
        topics = json.loads(answer[answer.index(b"\r\n\r\n") :])["topics"]
        if not any(topic["backlog"] for topic in topics.values()):
            return time.perf_counter() - began
        await asyncio.sleep(0.05)


def turns_of(name: str, client: int, _: int) -> bytes:
    return turn(f"{name}-{client}")


async def flat_cost(port: int, turns: int) -> None:
    """One user's turns, against another new user's at the same moment."""
    _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", port)
    for _ in range(turns):
        await connection.ask(turn("old"))
    await followed(port)
    young: list[float] = []
    old: list[float] = []
    for fresh in range(60):
        for _ in range(10):
            await connection.ask(turn(f"young{fresh}"))
        for user, times in ((f"young{fresh}", young), ("old", old)):
            for _ in range(10):
                began = time.perf_counter()
                await connection.ask(turn(user))
                times.append(time.perf_counter() - began)
    ratio = statistics.median(old) / statistics.median(young)
    print(f"turn {turns:,} against turn 10 of one user: {ratio:.3f} of its time")


async def memory_growth(port: int, pid: int, users: int) -> None:
    before = resident_mb(pid)

    async def some(first: int) -> None:
        _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", port)
        for user in range(first, users, 16):
            await connection.ask(turn(f"m{user}"))

    await asyncio.gather(*(some(first) for first in range(16)))
    await followed(port)
    grown = resident_mb(pid) - before
    print(f"memory over {users:,} users: {before:.0f} MB + {grown:.0f} MB, {grown * 1024 / users:.1f} kB a user")


def start_up(folder: str) -> None:
    times = []
    for _ in range(5):
        began = time.perf_counter()
        with service(folder):
            times.append(time.perf_counter() - began)
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    bare = time.perf_counter() - began
    median = statistics.median(times)
    print(f"start to first answered turn: {median:.2f} s ({median / bare:.0f} times a bare interpreter's start)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="of load per row, each of bare route and turns")
    parser.add_argument("--only", choices=("throughput", "flat", "memory", "start"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.only in (None, "throughput"):
            for agents in ("none", "all"):
                print(f"AGENTS={agents}")
                with service(folder, AGENTS=agents) as (port, _):
                    asyncio.run(load(port, 8, 1, lambda c, _: turn(f"warm{c}")))
                    asyncio.run(followed(port))
                    asyncio.run(throughput(port, options.seconds))
        if options.only in (None, "flat"):
            with service(folder) as (port, _):
                asyncio.run(flat_cost(port, 10_000))
        if options.only in (None, "memory"):
            with service(folder) as (port, pid):
                asyncio.run(memory_growth(port, pid, 10_000))
        if options.only in (None, "start"):
            start_up(folder)


if __name__ == "__main__":
    main()
