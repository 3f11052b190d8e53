"""Child processes that can be stopped, killed, paused and started again, and that die with their parent."""

import asyncio
import atexit
import http.client
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import weakref
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

LOOPBACK = "127.0.0.1"

Probe = Callable[[], Awaitable[bool]]

_given: set[int] = set()
_children: "weakref.WeakSet[Process]" = weakref.WeakSet()
_random = random.SystemRandom()


class ProcessError(Exception):
    """A process ended by itself, or did not get ready."""

    def __init__(self, name: str, reason: str, log: Path) -> None:
        lines = log.read_text(errors="replace").splitlines()[-15:] if log.exists() else []
        super().__init__("\n  ".join([f"{name} {reason}; the end of {log}:", *lines]))
        self.name = name


def free_port() -> int:
    """Return a TCP port of the loopback interface that nothing uses, and that this program has not got before.

    It lies below the ports that systems give to outgoing connections (from 32768 on Linux), so that none of those
    takes it while its process is down to be started again.
    """
    while True:
        port = _random.randrange(20_000, 32_768)
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
        _given.add(port)
        return port


async def http_get(port: int, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
    """Return status and body of a GET on the loopback interface; status 0 where nobody answers within 2 s."""

    def get() -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(LOOPBACK, port, timeout=2)
        try:
            connection.request("GET", path, headers=dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            connection.close()

    return await asyncio.to_thread(get)


def answers(port: int, path: str) -> Probe:
    """Return a probe that holds once a GET of ``path`` is answered with 2xx."""

    async def probe() -> bool:
        status, _ = await http_get(port, path)
        return status // 100 == 2  # noqa: PLR2004

    return probe


class Process:
    """One program, started any number of times with the same arguments.

    ``log`` takes what every run writes, one after the other. ``ready`` tells whether a run has come up; without it a
    run counts as up at once.
    """

    patience = 10.0
    """Seconds that a good end may take."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        ready: Probe | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self._command = [str(word) for word in command]
        self._environment = environment
        self._folder = folder
        self._ready = ready
        # Not asyncio's: it would belong to one event loop, and tests have one each.
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of the current or the last run."""
        if self._child is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether a run goes on, paused or not."""
        return self._child is not None and self._child.poll() is None

    @property
    def output(self) -> str:
        """What all runs have written so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    async def start(self, within: float = 30) -> None:
        """Start a run and return once it is ready.

        Raises:
            ProcessError: it ended, or was not ready within that many seconds; it does not run any more.
        """
        if self.running:
            raise RuntimeError(f"{self.name} runs already")
        self._spawn()
        deadline = time.monotonic() + within
        while self._ready is not None and not await self._ready():
            if not self.running:
                raise ProcessError(self.name, f"ended with status {await self.wait()}", self.log)
            if time.monotonic() > deadline:
                self.kill()
                raise ProcessError(self.name, f"was not ready within {within:g} s", self.log)
            await asyncio.sleep(0.05)

    async def wait(self) -> int:
        """Return the exit status of the run, or of the last one, once it has ended; 0 where there was none."""
        while self.running:  # noqa: ASYNC110 (nobody sets an event when a child of this kind ends)
            await asyncio.sleep(0.02)
        return (self._child.returncode or 0) if self._child else 0

    async def stop(self, within: float | None = None) -> None:
        """End the run in good order; kill it if that takes longer than ``within`` seconds (default: ``patience``)."""
        if self._child is None or not self.running:
            return
        self.resume()
        self._child.terminate()
        try:
            await asyncio.wait_for(self.wait(), self.patience if within is None else within)
        except TimeoutError:
            self.kill()

    def kill(self) -> None:
        """End the run at once, as a crash would; it is gone when this returns."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()

    def pause(self) -> None:
        """Stop its clock: connections stay open and nothing answers."""
        if self._child is not None:
            self._child.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after ``pause``."""
        if self._child is not None:
            self._child.send_signal(signal.SIGCONT)

    def _spawn(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                [*_dying_with_us(), *self._command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env=self._environment,
                start_new_session=True,  # a terminal's Ctrl-C goes to us alone: we say who stops first
            )
        _children.add(self)


def _dying_with_us() -> Sequence[str]:
    """Return the words before a command that have the kernel end it when we die, however; macOS has no such thing."""
    setpriv = shutil.which("setpriv") if sys.platform == "linux" else None  # util-linux
    if setpriv is None:
        return []
    # The shell is for a death before setpriv got to work: its parent is another process then.
    return [setpriv, "--pdeathsig", "KILL", "--", "sh", "-c", 'test $PPID = "$0" && exec "$@"', str(os.getpid())]


@atexit.register
def _end_all() -> None:
    """Where nothing else does: end what was left running."""
    for process in _children:
        process.kill()
