"""The three programs that sidecars need, each as a process on the loopback interface."""

import asyncio
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from tools.dapr.processes import LOOPBACK, Process, answers, free_port


class MissingProgramError(Exception):
    """A program that is needed is not installed; the message names what to install."""


def environment(added: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this program's environment with ``added``, and without what some other sidecar left in it."""
    dropped = ("DAPR_", "APP_API_TOKEN", "NAMESPACE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return {**kept, **(added or {})}


def redis(folder: Path, *, port: int, password: str, appendonly: bool) -> Process:
    """Return a Redis server with its data under ``folder``; its password is not among its arguments.

    Raises:
        MissingProgramError: there is no ``redis-server``.
    """
    program = shutil.which("redis-server")
    if program is None:
        raise MissingProgramError(
            "redis-server is not installed: it is in the package redis-server of Debian and Ubuntu "
            "(apt-get install redis-server), and in redis of Homebrew"
        )
    settings = {
        "bind": LOOPBACK,
        "port": port,
        "requirepass": password,
        # Every write goes to a file, which is synced once a second. A Redis that is killed loses what it had not yet
        # written there: nothing, unless a sync takes longer than a second.
        "appendonly": "yes" if appendonly else "no",
        "appendfsync": "everysec",
        "save": '""',
        "dir": f'"{_made(folder / "redis")}"',
    }
    file = folder / "redis.conf"
    file.touch(mode=0o600)
    file.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))

    async def ready() -> bool:
        """Whether it has read its file: until then it answers with ``LOADING``."""
        try:
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
        except OSError:
            return False
        try:
            writer.write(f"AUTH {password}\r\nPING\r\n".encode())
            return [await reader.readline(), await reader.readline()] == [b"+OK\r\n", b"+PONG\r\n"]
        except OSError:
            return False
        finally:
            writer.close()

    return Process("redis", [program, file], log=folder / "logs" / "redis.log", ready=ready)


def placement(folder: Path, binaries: Path, *, port: int) -> Process:
    """Return the service that says which replica has which actor. It keeps nothing: sidecars tell it again."""
    healthz = free_port()
    return Process(
        "placement",
        [
            binaries / "placement",
            f"--port={port}",
            f"--listen-address={LOOPBACK}",
            f"--initial-cluster=dapr-placement-0={LOOPBACK}:{free_port()}",  # Raft's own port
            f"--healthz-port={healthz}",
            f"--healthz-listen-address={LOOPBACK}",  # 1.18.2 does not heed it, here and below
            "--enable-metrics=false",
        ],
        log=folder / "logs" / "placement.log",
        environment=environment(),
        ready=answers(healthz, "/healthz"),
    )


def scheduler(folder: Path, binaries: Path, *, port: int) -> Process:
    """Return the service that fires reminders, with the etcd in it that keeps them under ``folder``."""
    healthz = free_port()
    return Process(
        "scheduler",
        [
            binaries / "scheduler",
            f"--port={port}",
            f"--listen-address={LOOPBACK}",
            # Sidecars are told to come back to this address; of itself it would be the machine's.
            f"--override-broadcast-host-port={LOOPBACK}:{port}",
            f"--etcd-data-dir={_made(folder / 'scheduler')}",
            f"--etcd-client-listen-address={LOOPBACK}",
            f"--etcd-client-port={free_port()}",
            f"--etcd-initial-cluster=dapr-scheduler-server-0=http://{LOOPBACK}:{free_port()}",
            f"--healthz-port={healthz}",
            f"--healthz-listen-address={LOOPBACK}",
            "--enable-metrics=false",
        ],
        log=folder / "logs" / "scheduler.log",
        environment=environment(),
        ready=answers(healthz, "/healthz"),
    )


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
