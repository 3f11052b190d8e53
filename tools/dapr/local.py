"""A whole Dapr runtime on the loopback interface, as child processes: what ``make dapr`` and the tests run."""

import asyncio
import contextlib
import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from tools.dapr import parts
from tools.dapr.processes import LOOPBACK, Process, answers, free_port, http_get

COMPONENTS = Path(__file__).parents[2] / "components"
HTTP_OK = 200

# What a sidecar of this application is told wherever it runs; dapr.yaml says the same in its words.
# https://docs.dapr.io/reference/arguments-annotations-overview/
SIDECAR_OPTIONS = (
    # While the application does not answer, no event is taken from the broker. Not /readyz: that is 503 until the
    # sidecar hosts actors, and the sidecar does not before the application is healthy.
    "--enable-app-health-check",
    "--app-health-check-path=/healthz",
    "--app-health-probe-interval=1",  # seconds
    # Milliseconds, and as long as is allowed: 1.18 does not count consecutive failures but all since it was last
    # unhealthy, and at the threshold the application's actors leave it until a probe succeeds.
    "--app-health-probe-timeout=1000",
    "--app-health-threshold=3",
    # On SIGTERM no more events are taken, and turns go on until the application is gone; it has 10 s for them.
    "--dapr-block-shutdown-duration=12s",
    "--dapr-graceful-shutdown-seconds=5",  # then for the sidecar's own parts
)


class Sidecar(Process):
    """One daprd. It is up when its own API is: the application may start before or after it."""

    patience = 20.0  # longer than the two durations above together

    def __init__(
        self,
        program: Path,
        options: Sequence[str],
        *,
        log: Path,
        http_port: int | None = None,
        dapr_api_token: str | None = None,
        app_api_token: str | None = None,
        namespace: str | None = None,
    ) -> None:
        self.http_port = http_port or free_port()
        self.grpc_port = free_port()
        self.metrics_port = free_port()
        tokens = {"DAPR_API_TOKEN": dapr_api_token, "APP_API_TOKEN": app_api_token}
        self._tokens = {name: token for name, token in tokens.items() if token}
        super().__init__(
            "daprd",
            [
                program,
                *options,
                f"--dapr-http-port={self.http_port}",
                f"--dapr-grpc-port={self.grpc_port}",
                f"--dapr-internal-grpc-port={free_port()}",
                f"--metrics-port={self.metrics_port}",
                f"--dapr-listen-addresses={LOOPBACK}",
                # Also what other sidecars are told to call; else it would be this machine's address.
                f"--dapr-internal-grpc-listen-address={LOOPBACK}",
                f"--metrics-listen-address={LOOPBACK}",
            ],
            log=log,
            environment=parts.environment({**self._tokens, **({"NAMESPACE": namespace} if namespace else {})}),
            ready=answers(self.http_port, "/v1.0/healthz/outbound"),  # /v1.0/healthz would wait for the application
        )

    def env(self) -> dict[str, str]:
        """Return what the application's environment needs to find this sidecar, as ``dapr run`` sets it."""
        return {"DAPR_HTTP_PORT": str(self.http_port), "DAPR_GRPC_PORT": str(self.grpc_port), **self._tokens}

    async def metadata(self) -> dict[str, Any]:
        """Return the sidecar's own account of components, subscriptions and actors; empty if it does not answer.

        https://docs.dapr.io/reference/api/metadata_api/
        """
        token = self._tokens.get("DAPR_API_TOKEN")
        headers = {"dapr-api-token": token} if token else {}
        status, body = await http_get(self.http_port, "/v1.0/metadata", headers)
        found: dict[str, Any] = json.loads(body) if status == HTTP_OK else {}
        return found


class ControlPlane:
    """Redis, placement and scheduler, and the sidecars that use them. All state is under ``folder``.

    Each part can be killed and started again by itself: it keeps its ports and its data.

    Raises:
        MissingProgramError: Redis is not installed.
    """

    def __init__(
        self, folder: Path, *, binaries: Path, redis_password: str | None = None, appendonly: bool = True
    ) -> None:
        self.folder = folder.absolute()
        self.redis_password = redis_password or secrets.token_urlsafe(16)
        self.redis_port = free_port()
        self._placement_port = free_port()
        self._scheduler_port = free_port()
        self.redis = parts.redis(
            self.folder, port=self.redis_port, password=self.redis_password, appendonly=appendonly
        )
        self.placement = parts.placement(self.folder, binaries, port=self._placement_port)
        self.scheduler = parts.scheduler(self.folder, binaries, port=self._scheduler_port)
        self._binaries = binaries
        self._resources = self.folder / "resources"
        self._sidecars: list[Sidecar] = []

    async def __aenter__(self) -> Self:
        self._write_resources()
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._stop)
            for part in (self.redis, self.placement, self.scheduler):
                await part.start()
            stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    def sidecar(
        self,
        *,
        app_port: int,
        app_id: str = "multi-actor",
        resources: Path | None = None,
        app_api_token: str | None = None,
        dapr_api_token: str | None = None,
        http_port: int | None = None,
        namespace: str | None = None,
        extra: Sequence[str] = (),
    ) -> Sidecar:
        """Return a sidecar for the application on ``app_port``, not started; the control plane's end ends it too.

        ``resources`` takes the place of the project's ``components/``. ``extra`` are further options of daprd.
        Placement and scheduler keep the actors and reminders of one ``namespace`` apart from another's.
        """
        options = [
            f"--app-id={app_id}",
            f"--app-port={app_port}",
            "--log-level=info",
            f"--resources-path={resources or COMPONENTS}",
            f"--resources-path={self._resources}",
            f"--config={COMPONENTS / 'configuration.yaml'}",
            f"--config={self._resources / 'names.yaml'}",
            f"--placement-host-address={LOOPBACK}:{self._placement_port}",
            f"--scheduler-host-address={LOOPBACK}:{self._scheduler_port}",
            *SIDECAR_OPTIONS,
            *extra,
        ]
        sidecar = Sidecar(
            self._binaries / "daprd",
            options,
            log=self.folder / "logs" / f"daprd-{len(self._sidecars) + 1}.log",
            http_port=http_port,
            dapr_api_token=dapr_api_token,
            app_api_token=app_api_token,
            namespace=namespace,
        )
        self._sidecars.append(sidecar)
        return sidecar

    async def _stop(self) -> None:
        # Sidecars first: what they do last needs the others.
        await asyncio.gather(*(sidecar.stop() for sidecar in self._sidecars))
        await asyncio.gather(self.scheduler.stop(), self.placement.stop())
        await self.redis.stop()

    def _write_resources(self) -> None:
        """Write what is different on this machine: where Redis is, and how names are found."""
        self._resources.mkdir(parents=True, exist_ok=True)
        file = self.folder / "secrets.json"
        file.touch(mode=0o600)
        redis = {"host": f"{LOOPBACK}:{self.redis_port}", "password": self.redis_password}
        file.write_text(json.dumps({"redis": redis}))
        # As component-variants/self-hosted/secretstore.yaml, with another file.
        values = {"secretsFile": str(file), "multiValued": "true"}
        metadata = [{"name": name, "value": value} for name, value in values.items()]
        spec = {"type": "secretstores.local.file", "version": "v1", "metadata": metadata}
        self._write_resource("secretstore", "Component", "kubernetes", spec)
        # The default asks the whole network by multicast. Nobody here calls an application by its name, and this one
        # makes addresses up without asking anybody.
        self._write_resource("names", "Configuration", "names", {"nameResolution": {"component": "kubernetes"}})

    def _write_resource(self, file: str, kind: str, name: str, spec: Mapping[str, object]) -> None:
        head = {"apiVersion": "dapr.io/v1alpha1", "kind": kind, "metadata": {"name": name}}
        (self._resources / f"{file}.yaml").write_text(json.dumps({**head, "spec": spec}, indent=2))  # JSON is YAML
