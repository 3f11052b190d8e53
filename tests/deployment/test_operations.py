"""What the handbook says is so."""

import re

import pytest

from tests.deployment.kustomization import ROOT, annotations, container, everything, pod
from tests.deployment.sources import dapr_module

HANDBOOK = (ROOT / "docs" / "operations.md").read_text()
TEXT = " ".join(HANDBOOK.split())
TIMES = "\N{MULTIPLICATION SIGN}"


def test_dapr_has_the_metrics() -> None:
    """Each name is a measure in Dapr's source, below its prefix, and each label is one of its keys."""
    packages = [dapr_module() / "pkg" / name for name in ("diagnostics", "placement", "scheduler", "sentry")]
    source = "\n".join(
        path.read_text()
        for package in packages
        for path in package.rglob("*.go")
        if not path.name.endswith("_test.go")
    )
    measures = {f"dapr_{name.replace('/', '_')}" for name in re.findall(r'"([a-z_]+(?:/[a-z_]+)+)"', source)}
    named = set(re.findall(r"\bdapr_[a-z_]+_[a-z_]+\b", HANDBOOK)) - {"dapr_sidecar_injector"}
    assert len(named) >= 10
    assert named <= measures
    keys = set(re.findall(r'tag\.MustNewKey\("(\w+)"\)', source))
    labels = {
        label for group in re.findall(r"dapr_\w+\{([^}]*)\}", HANDBOOK) for label in re.findall(r"(\w+)!?=", group)
    }
    assert labels
    assert labels <= keys


def test_the_arithmetic_is_right() -> None:
    """A million turns a day, from what one turn was measured to take."""
    app, sidecar, redis = (
        float(re.search(rf"\| {name} CPU for a turn \| ([\d.]+) ms \| measured \|", HANDBOOK)[1])  # type: ignore[index]
        for name in ("application's", "sidecar's", "Redis'")
    )
    cpu_seconds = (app + sidecar + redis) * 1000
    assert f"{TIMES} 1,000,000 = {cpu_seconds:,.0f} s of CPU" in TEXT
    assert f"**{cpu_seconds / 3600:.2f} CPU-hours a day**; spread evenly, {cpu_seconds / 864:.1f} % of one" in TEXT
    a_second = 1_000_000 / 86_400
    assert f"it is {a_second:.1f} turns a second" in TEXT
    assert f"that, {10 * a_second:.0f}, takes {cpu_seconds * 10 / 86_400:.2f} CPU" in TEXT
    assert f"{1000 / app:.0f} at most (one thread of Python" in TEXT
    assert f"{1000 / redis:,.0f} at most (one thread)" in TEXT


def test_what_is_reserved_is_what_the_manifests_reserve() -> None:
    """The sums of requests: each pod's two containers, and Redis."""
    told = annotations()
    replicas = everything()["Deployment", "multi-actor"]["spec"]["replicas"]
    app = container(("Deployment", "multi-actor"))["resources"]["requests"]
    redis = container(("StatefulSet", "redis-master"))["resources"]["requests"]
    cpus = [app["cpu"], told["sidecar-cpu-request"], redis["cpu"]]
    one, two, three = (int(cpu.removesuffix("m")) for cpu in cpus)
    cpu = (replicas * (one + two) + three) / 1000
    assert f"{replicas} {TIMES} ({cpus[0]} + {cpus[1]}) + {cpus[2]} = {cpu:g} CPU and " in TEXT
    memories = [app["memory"], told["sidecar-memory-request"], redis["memory"]]
    one, two, three = (int(memory.removesuffix("Mi")) for memory in memories)
    memory = replicas * (one + two) + three
    assert f"{replicas} {TIMES} ({one} + {two}) + {three} = {memory} MiB" in TEXT
    hours = cpu * 24, round(memory / 1024 * 24)
    assert f"{hours[0]:g} CPU-hours and {hours[1]} GiB-hours" in TEXT
    assert f"it is {hours[0] * 0.04 + hours[1] * 0.005:.2f} a day" in TEXT


def test_the_shutdown_is_the_manifests() -> None:
    """The seconds of each step are those that the pod has."""
    told = annotations()
    leaving = container(("Deployment", "multi-actor"))["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert f"after {leaving} s in which routes forget the pod" in TEXT
    assert f"stays for them up to {told['block-shutdown-duration'].removesuffix('s')} s" in TEXT
    assert f"then {told['graceful-shutdown-seconds']} s for itself" in TEXT
    grace = pod(("Deployment", "multi-actor"))["terminationGracePeriodSeconds"]
    assert f"Kubernetes waits {grace} s in all" in TEXT


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^):#]+)(?:#[^)]*)?\)", HANDBOOK))))
def test_every_link_leads_somewhere(link: str) -> None:
    """A file that the handbook names is there."""
    assert (ROOT / "docs" / link).exists()


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"`((?:k8s|components|component-variants|tools)/[\w./-]+)`", HANDBOOK)))
)
def test_every_file_is_there(path: str) -> None:
    """So is one that is named in passing."""
    assert (ROOT / path).exists()


def test_the_commands_install_what_tilt_installs() -> None:
    """Version and values of the chart are the Tiltfile's."""
    tiltfile = (ROOT / "Tiltfile").read_text()
    version = re.search(r"--version (\S+)", HANDBOOK)
    assert version
    assert f"DAPR_VERSION = '{version[1]}'" in tiltfile
    values = re.findall(r"--set (\S+)", HANDBOOK)
    assert values
    assert all(f"'{value}'" in tiltfile for value in values)
