"""One Dapr runtime for a whole test session, clean for each test: starting it would cost each of them seconds."""

import asyncio
import contextlib
import json
import secrets
import shutil
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx
import uvicorn
import yaml

from multi_actor.contracts import USER_CHAT
from multi_actor.hosting.abc import TopicStatus
from multi_actor.hosting.dapr import DaprHost
from multi_actor.hosting.sidecar import SidecarAddress
from tests.support import wait_until
from tools.dapr.local import COMPONENTS, ControlPlane, Sidecar
from tools.dapr.processes import LOOPBACK, free_port

READY_WITHIN = 60.0  # seconds
OPTIONS = (
    # An application that stops here stops for good: nothing is left to wait for.
    "--enable-app-health-check=false",
    "--dapr-block-shutdown-duration=0s",
    "--dapr-graceful-shutdown-seconds=2",
)


@dataclass(frozen=True)
class Wanted:
    """What a sidecar is started for; one that runs for the same serves the next test too."""

    actors: str
    """The actor types and their settings: a sidecar asks for them once."""
    topics: tuple[str, ...] = ()
    """The topics that the application lists: asked for once, too."""
    retries: int | None = None
    """How often a failed event is delivered again; None leaves it to the project's components."""
    processing: int = 10
    """Seconds after which an event under way counts as lost where ``retries`` are given: more than they all take, or
    the sidecar makes it a dead letter then, and less than a test waits for what a sidecar had when it was killed."""
    token: str | None = None
    """The application's."""


class SharedRuntime:
    """A control plane, and the sidecar that runs now. The application under test always has the same port."""

    def __init__(self, folder: Path, *, binaries: Path) -> None:
        self.plane = ControlPlane(folder, binaries=binaries)
        self.app_port = free_port()
        self._http_port = free_port()
        self._sidecar: Sidecar | None = None
        self._started_for: Wanted | None = None
        self._namespace = ""  # of the sidecar that runs now
        # State with a time to live is a preview feature of 1.18.
        # https://docs.dapr.io/developing-applications/building-blocks/actors/actors-runtime-config/
        feature = {"features": [{"name": "ActorStateTTL", "enabled": True}]}
        self._features = _write_configuration(folder / "features.yaml", feature)

    @property
    def address(self) -> SidecarAddress:
        """Where each of the sidecars listens."""
        return SidecarAddress(f"http://{LOOPBACK}:{self._http_port}")

    async def start(self) -> None:
        """Start what all sidecars need, if it does not run."""
        if not self.plane.redis.running:
            await self.plane.__aenter__()

    async def close(self) -> None:
        """End everything."""
        self.discard()
        await self.plane.__aexit__()

    async def provide(self, wanted: Wanted, *, same: bool = False) -> None:
        """Have a sidecar run for this; what was kept is gone, unless it is for the ``same`` test as before."""
        await self.start()
        if not same:
            if wanted != self._started_for:
                self.discard()
                self._namespace = f"test-{secrets.token_hex(4)}"  # the scheduler keeps each one's reminders apart
            await self.redis("FLUSHALL")
        if self._sidecar and self._sidecar.running:
            return
        folder = self.resources(wanted)
        self._sidecar = self.plane.sidecar(
            app_port=self.app_port,
            http_port=self._http_port,
            resources=folder,
            app_api_token=wanted.token,
            namespace=self._namespace,
            extra=[*OPTIONS, f"--config={self._features}"],
        )
        self._started_for = wanted
        await self._sidecar.start()

    async def stop_sidecar(self) -> None:
        """End it in good order: what it has an answer for is acknowledged."""
        if self._sidecar:
            await self._sidecar.stop()

    def discard(self) -> None:
        """Have the next test get a sidecar of its own."""
        self._started_for = None
        if self._sidecar:
            self._sidecar.kill()

    def resources(self, wanted: Wanted) -> Path:
        """Copy the project's components, with as many retries as a test waits for."""
        folder = self.plane.folder / "tests" / secrets.token_hex(4)
        shutil.copytree(COMPONENTS, folder)
        if wanted.retries is not None:
            (folder / "message-subscription.yaml").unlink()
            resiliency = yaml.safe_load((folder / "resiliency.yaml").read_text())
            resiliency["spec"]["policies"]["retries"]["events"]["maxRetries"] = wanted.retries
            (folder / "resiliency.yaml").write_text(json.dumps(resiliency))
            pubsub = yaml.safe_load((folder / "daca-pubsub.yaml").read_text())
            spec: list[dict[str, str]] = pubsub["spec"]["metadata"]
            own = {
                "processingTimeout": str(wanted.processing * 1000),
                "redeliverInterval": "1000",
                "concurrency": "150",
            }
            for item in spec:
                if item["name"] in own:
                    item["value"] = own[item["name"]]
            # Each topic holds a connection while it waits, and so does that of its dead letters.
            spec.append({"name": "poolSize", "value": str(2 * len(wanted.topics) + 20)})
            (folder / "daca-pubsub.yaml").write_text(json.dumps(pubsub))
        return folder

    # -- what the broker holds

    async def redis(self, *command: str) -> Any:
        """Return Redis's answer."""
        reader, writer = await asyncio.open_connection(LOOPBACK, self.plane.redis_port)
        try:
            for words in (("AUTH", self.plane.redis_password), command):
                writer.write(b"*%d\r\n" % len(words))
                for word in words:
                    writer.write(b"$%d\r\n%s\r\n" % (len(word.encode()), word.encode()))
            await _answer(reader)
            return await _answer(reader)
        finally:
            writer.close()

    async def dead_letters(self, topic: str) -> list[str]:
        """Return the ids of the events that were given up, in the order in which they were."""
        entries = await self.redis("XRANGE", f"{topic}-dead-letter", "-", "+")
        return [json.loads(fields[fields.index(b"data") + 1])["id"] for _, fields in entries]

    async def status(self, topic: str) -> TopicStatus:
        """Count what a topic's stream holds that is not acknowledged, and its dead letters."""
        backlog = 0
        groups = await self.redis("XINFO", "GROUPS", topic) if await self.redis("EXISTS", topic) else []
        known = [dict(zip(group[::2], group[1::2], strict=True)) for group in groups]
        for group in known:
            last: bytes = group[b"last-delivered-id"]
            unread = await self.redis("XRANGE", topic, f"({last.decode()}", "+")
            backlog += group[b"pending"] + len(unread)
        if not known:
            backlog = await self.redis("XLEN", topic)
        return TopicStatus(backlog=backlog, dead_letters=await self.redis("XLEN", f"{topic}-dead-letter"))

    async def rests(self, topics: Iterable[str]) -> bool:
        """Whether nothing waits in these topics."""
        return not any([(await self.status(topic)).backlog for topic in topics])


def _write_configuration(file: Path, spec: Mapping[str, object]) -> Path:
    resource = {"apiVersion": "dapr.io/v1alpha1", "kind": "Configuration", "metadata": {"name": file.stem}}
    file.write_text(json.dumps({**resource, "spec": spec}))
    return file


async def _answer(reader: asyncio.StreamReader) -> Any:
    line = (await reader.readline()).strip()
    kind, rest = line[:1], line[1:]
    match kind:
        case b"*":
            return [await _answer(reader) for _ in range(int(rest))]
        case b"$":
            return None if rest == b"-1" else (await reader.readexactly(int(rest) + 2))[:-2]
        case b":":
            return int(rest)
        case b"-":
            raise AssertionError(rest.decode())
        case _:
            return rest.decode()


class Asked:
    """What a host asks its sidecar for: seen here on its way, so that a test can put a fault before it."""

    def __init__(self, host: DaprHost) -> None:
        self.faults: list[Callable[..., Any]] = []
        """Each is awaited with the method and the parts of the path, and may raise."""
        self.reminders: set[tuple[str, str, str]] = set()
        """Those that were ever registered: actor type, actor id, name."""
        self.timers = 0
        ask = host._sidecar.ask

        async def looked_at(method: str, *path: str, **options: Any) -> bytes:
            match method, *path:
                case "POST", "actors", actor_type, actor_id, "reminders", name:
                    self.reminders.add((actor_type, actor_id, name))
                case "POST", "actors", _, _, "timers", _:
                    self.timers += 1
            for fault in list(self.faults):
                await fault(method, *path)
            return await ask(method, *path, **options)

        vars(host._sidecar)["ask"] = looked_at


@contextlib.asynccontextmanager
async def served(app: Any, *, port: int, lifespan: Literal["on", "off"] = "off") -> AsyncIterator[uvicorn.Server]:
    """Serve an application in this event loop; it ends its running requests before it is gone."""
    config = uvicorn.Config(app, log_config=None, access_log=False, ws="none", lifespan=lifespan)
    server = uvicorn.Server(config)
    # Asyncio sends at once only on sockets that say that they are TCP; on others an answer may wait 40 ms.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((LOOPBACK, port))
    task = asyncio.create_task(server._serve([listening]))  # ``serve`` would take over this process's signals
    try:
        await wait_until(lambda: server.started or task.done(), description="the application listens")
        if task.done():
            task.result()
        yield server
    finally:
        server.should_exit = True
        await task
        listening.close()


class ServedTransport(httpx.AsyncHTTPTransport):
    """Real HTTP, and beside it the application, for what no client of HTTP can send."""

    def __init__(self, app: Any) -> None:
        super().__init__()
        self.app = app


@contextlib.asynccontextmanager
async def serve_beside(
    runtime: SharedRuntime, app: Any, host: DaprHost, *, token: str | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    """Serve the whole application beside a sidecar, and leave nothing there to the next test."""
    asked = Asked(host)
    rests = False
    try:
        async with served(app, port=runtime.app_port, lifespan="on"):
            await runtime.provide(Wanted("the service's", token=token))
            await wait_until(lambda: host.ready, description="the sidecar hosts actors", within=READY_WITHIN)
            url = f"http://{LOOPBACK}:{runtime.app_port}"
            async with httpx.AsyncClient(transport=ServedTransport(app), base_url=url, timeout=60) as client:
                yield client
            for _ in range(20):  # what is under way arrives, unless the test had it fail
                rests = await runtime.rests([USER_CHAT])
                if rests:
                    break
                await asyncio.sleep(0.05)
            for reminder in asked.reminders:
                await host._client.unregister_reminder(*reminder)
        rests = rests and await runtime.rests([USER_CHAT])
    finally:
        if not rests:
            runtime.discard()
