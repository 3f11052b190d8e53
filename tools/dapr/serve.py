"""``make dapr``: the application and a whole Dapr runtime in one terminal, until Ctrl-C."""

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

from tools.dapr.local import ControlPlane
from tools.dapr.parts import MissingProgramError, environment
from tools.dapr.processes import LOOPBACK, Process, ProcessError, answers

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".data" / "dapr"
STARTED_WITHIN = 60  # seconds


class StartError(Exception):
    """It cannot start; the message says why."""


async def serve() -> None:
    """Run everything until this task is cancelled.

    Raises:
        StartError, MissingProgramError: something is in the way.
        ProcessError: a part ended by itself.
    """
    port = int(os.environ.get("PORT", "8000"))
    _check_free(port)
    with _alone():
        shutil.rmtree(FOLDER / "logs", ignore_errors=True)
        plane = ControlPlane(FOLDER, binaries=_binaries())
        sidecar = plane.sidecar(
            app_port=port,
            app_api_token=os.environ.get("APP_API_TOKEN"),
            dapr_api_token=os.environ.get("DAPR_API_TOKEN"),
        )
        app = _app(port, sidecar.env())
        everything = [plane.redis, plane.placement, plane.scheduler, sidecar, app]
        async with _shown(everything), plane:
            try:
                await sidecar.start()
                await app.start(STARTED_WITHIN)
                _say(f"actors run on Dapr: http://localhost:{port} (sidecar: {sidecar.http_port}); Ctrl-C stops")
                await _first_end(everything)
            finally:
                _say("stopping")
                # Together, as Kubernetes does: the sidecar takes no more events and stays until the application ends.
                await asyncio.gather(app.stop(), sidecar.stop())


def _app(port: int, found: dict[str, str]) -> Process:
    settings = {"ACTOR_HOST": "dapr", "PORT": str(port)}
    if sys.stdout.isatty():
        settings["LOG_FORMAT"] = os.environ.get("LOG_FORMAT", "text")  # it writes to a file, which we show
    return Process(
        "app",
        [sys.executable, "main.py"],
        log=FOLDER / "logs" / "app.log",
        environment=environment(found | settings),
        folder=ROOT,
        ready=answers(port, "/readyz"),
    )


async def _first_end(processes: Sequence[Process]) -> None:
    while True:
        for process in processes:
            if not process.running:
                raise ProcessError(process.name, f"ended by itself with status {await process.wait()}", process.log)
        await asyncio.sleep(0.2)


@contextlib.asynccontextmanager
async def _shown(processes: Sequence[Process]) -> AsyncIterator[None]:
    """Show what processes write, each line with its process's name."""
    width = max(len(process.name) for process in processes)
    shown = {process.name: 0 for process in processes}

    def show(*, to_the_end: bool = False) -> None:
        for process in processes:
            if not process.log.exists():
                continue
            with process.log.open("rb") as log:
                log.seek(shown[process.name])
                text = log.read()
            if not to_the_end:
                text = text[: text.rfind(b"\n") + 1]  # no half lines
            shown[process.name] += len(text)
            for line in text.decode(errors="replace").splitlines():
                print(f"{process.name:<{width}} | {line}", flush=True)  # noqa: T201 (what this program is for)

    async def follow() -> None:
        while True:
            show()
            await asyncio.sleep(0.1)

    following = asyncio.create_task(follow())
    try:
        yield
    finally:
        following.cancel()
        show(to_the_end=True)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Keep a second one from the same data."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartError(f"another `make dapr` uses {FOLDER}") from None
        yield


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise StartError(f"port {port} cannot be had ({error.strerror}); PORT=… chooses another") from error


def _binaries() -> Path:
    found = subprocess.run([ROOT / "tools/dapr/runtime"], stdout=subprocess.PIPE, text=True, check=False)
    if found.returncode:
        raise StartError("there is no Dapr runtime; the reason stands above")
    return Path(found.stdout.split("\n")[-2])


def _say(text: str) -> None:
    print(f"make dapr: {text}", file=sys.stderr, flush=True)  # noqa: T201


async def _main() -> None:
    serving = asyncio.create_task(serve())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, serving.cancel)  # SIGINT does so by itself
    await serving


if __name__ == "__main__":
    try:
        asyncio.run(_main())
    except (KeyboardInterrupt, asyncio.CancelledError):
        _say("stopped")
    except (StartError, MissingProgramError, ProcessError) as failure:
        _say(str(failure))
        sys.exit(1)
