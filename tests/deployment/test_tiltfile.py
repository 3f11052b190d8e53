"""What `tilt up` does."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from multi_actor.settings import Settings
from tests.deployment.dockerfile import stages
from tests.deployment.kustomization import ROOT, by_key, dashboard, everything, render
from tests.deployment.tiltfile import FailedError, evaluate

TILT = shutil.which("tilt")
# What is in a group of its own without being named: workloads and the Services that lead to them.
WORKLOADS = {"Deployment", "StatefulSet", "Service"}


@pytest.mark.skipif(TILT is None, reason="there is no tilt here")
def test_tilt_takes_the_file(tmp_path: Path) -> None:
    """Tilt itself evaluates it to the groups that the tests below look at, without a cluster."""
    assert TILT
    cluster = {"name": "kind-none", "cluster": {"server": "https://127.0.0.1:1"}}
    context = {"name": "kind-none", "context": {"cluster": "kind-none", "user": "nobody"}}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [cluster],
        "contexts": [context],
        "users": [{"name": "nobody", "user": {}}],
        "current-context": "kind-none",
    }
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    told = subprocess.run(
        [TILT, "alpha", "tiltfile-result", "--file", str(ROOT / "Tiltfile")],
        env={**os.environ, "KUBECONFIG": str(tmp_path / "config"), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert told.returncode == 0, told.stderr
    manifests = json.loads(told.stdout)["Manifests"]
    assert {manifest["Name"] for manifest in manifests} == set(evaluate().groups())


@pytest.mark.parametrize("context", ["kind-kind", "kind-work", "minikube", "k3d-local", "docker-desktop"])
def test_a_local_cluster_is_welcome(context: str) -> None:
    """By the name of its context; exactly that one is allowed."""
    assert evaluate(context=context).called("allow_k8s_contexts") == [((context,), {})]


@pytest.mark.parametrize("context", ["production", "kindness", "gke_project_zone_kind-kind", "arn:aws:eks:x", ""])
def test_another_cluster_is_refused(context: str) -> None:
    """Before anything was asked of it."""
    with pytest.raises(FailedError, match="not known as local"):
        evaluate(context=context)


def test_dapr_is_the_version_that_is_pinned() -> None:
    """Chart and images have the version of tools/dapr/go.mod."""
    version = re.search(r"github.com/dapr/dapr v(\S+)", (ROOT / "tools" / "dapr" / "go.mod").read_text())
    assert version
    command = evaluate().groups()["dapr"]["cmd"]
    assert command[command.index("--version") + 1] == version[1]
    assert f"global.tag={version[1]}" in command


def test_dapr_comes_from_a_folder_where_one_is_named() -> None:
    """DAPR_CHART takes the repository's place; nothing is looked up in it then."""
    command = evaluate(chart="/charts/dapr").groups()["dapr"]["cmd"]
    assert command[:5] == ["helm", "upgrade", "--install", "dapr", "/charts/dapr"]
    assert "--repo" not in command
    assert "--version" not in command
    assert command[command.index("--kube-context") + 1] == "kind-kind"


def test_it_applies_what_kubectl_applies() -> None:
    """The kustomization and the dashboard, but for a root that can be written to and the mark of the next test."""
    applied = by_key(evaluate().resources)
    template = applied["Deployment", "multi-actor"]["spec"]["template"]
    assert template["metadata"]["annotations"].pop("read-at-start")
    context = template["spec"]["containers"][0]["securityContext"]
    assert context["readOnlyRootFilesystem"] is False
    context["readOnlyRootFilesystem"] = True
    assert applied == everything() | dashboard()


@pytest.mark.parametrize(
    ("kind", "field"), [("Component", "spec"), ("Configuration", "spec"), ("Resiliency", "spec"), ("Secret", "data")]
)
def test_a_changed_component_is_a_new_pod(kind: str, field: str) -> None:
    """As is a changed secret: sidecars read both when they start."""

    def mark(changed: str) -> str:
        resources = render(ROOT)
        next(resource for resource in resources if resource["kind"] == kind)[field]["changed"] = changed
        template = by_key(evaluate(resources=resources).resources)["Deployment", "multi-actor"]["spec"]["template"]
        found: str = template["metadata"]["annotations"]["read-at-start"]
        return found

    assert mark("once") == mark("once")
    assert mark("once") != mark("twice")


def test_every_resource_is_in_a_group() -> None:
    """Each object is named once; none is left for Tilt's "uncategorized"."""
    groups = evaluate().groups()
    named = [name for options in groups.values() for name in options.get("objects", [])]
    expected = {f"{name}:{kind.lower()}" for kind, name in everything() | dashboard() if kind not in WORKLOADS}
    assert len(named) == len(set(named))
    assert set(named) == expected
    for kind, name in everything() | dashboard():
        if kind in WORKLOADS:
            assert name in groups


def test_things_start_in_order() -> None:
    """Dapr before its resources, those and Redis before the application; nothing waits for what is not there."""
    groups = evaluate().groups()
    before = {name: set(options.get("resource_deps", [])) for name, options in groups.items()}
    assert set().union(*before.values()) <= set(groups)
    assert before["components"] == {"dapr"}
    assert before["dapr-dashboard"] == {"dapr"}
    assert before["multi-actor"] == {"dapr", "components", "redis-master"}
    assert all(options["labels"] for options in groups.values())


def test_ports_are_forwarded_to_what_listens_there() -> None:
    """The application, its sidecar's metrics, the dashboard."""
    groups = evaluate().groups()
    forwarded = {name: [args for _, args, _ in options.get("port_forwards", [])] for name, options in groups.items()}
    assert forwarded["multi-actor"] == [(Settings().port, Settings().port), (9090, 9090)]
    assert forwarded["dapr-dashboard"] == [(8080, 8080)]


def test_a_saved_file_takes_effect_where_it_runs() -> None:
    """It is copied to the path that the image has it at, by a user who may write there, and the server starts anew."""
    ((_, options),) = evaluate().called("docker_build")
    stage = stages()[options["target"]]
    steps = options["live_update"]
    assert steps[0][0] == "fall_back_on"
    folder = stage.last("WORKDIR")
    assert {(args[0], args[1]) for name, args, _ in steps if name == "sync"} == {
        (path, f"{folder}/{path}") for path in options["only"] if path != "requirements.txt"
    }
    assert f"--chown={stage.last('USER')}" in stage.last("COPY")
    assert stage.last("RUN") == f"chown {stage.last('USER')} {folder}"
    assert "--reload" in options["entrypoint"]


def test_the_reloading_server_is_started_like_the_real_one() -> None:
    """Address, port and what main.py tells uvicorn."""
    ((_, options),) = evaluate().called("docker_build")
    command = options["entrypoint"]
    environment = stages()["development"].environment()
    assert command[:3] == ["uvicorn", "main:app", "--reload"]
    assert command[command.index("--host") + 1] == environment["LISTEN"]
    assert command[command.index("--port") + 1] == environment["PORT"]
    graceful = re.search(r"^GRACEFUL_SECONDS = (\d+)$", (ROOT / "main.py").read_text(), re.MULTILINE)
    assert graceful
    assert command[command.index("--timeout-graceful-shutdown") + 1] == graceful[1]
    assert {"--no-access-log", "--no-proxy-headers"} < set(command)
