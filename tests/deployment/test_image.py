"""The image runs what the tree holds, as somebody who can change nothing."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from multi_actor.settings import LOOPBACK, Settings
from tests.deployment.dockerfile import service, stages
from tests.deployment.kustomization import ROOT

HADOLINT = shutil.which("hadolint") or shutil.which("hadolint", path=str(Path(sys.executable).parent))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.mark.skipif(HADOLINT is None, reason="there is no hadolint here")
def test_hadolint_has_nothing_to_say() -> None:
    """The rules of https://github.com/hadolint/hadolint hold, all of them."""
    assert HADOLINT
    linted = subprocess.run([HADOLINT, str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False)
    assert (linted.returncode, linted.stdout) == (0, "")


def test_a_signal_reaches_the_server() -> None:
    """The server is the container's first process, with no shell before it."""
    assert service().command("CMD") == ["python", "main.py"]
    assert "ENTRYPOINT" not in {name for name, _ in service().instructions}


@pytest.mark.parametrize("name", ["service", "development"])
def test_it_does_not_run_as_root(name: str) -> None:
    """The user is a number other than 0, so that Kubernetes can tell (runAsNonRoot)."""
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", stages()[name].last("USER"))


def test_the_server_cannot_change_what_it_runs() -> None:
    """Sources and dependencies belong to root; only the state's folder belongs to its user."""
    assert service().name == "service"
    assert all("--chown" not in text for name, text in service().instructions if name == "COPY")
    assert [text for name, text in service().instructions if name == "RUN"] == [
        "install --directory --owner=65532 --group=65532 --mode=0750 /data"
    ]


def test_dependencies_are_those_of_the_lock() -> None:
    """They are installed by hash, as wheels, in a layer that a change of the source leaves as it is."""
    stage = stages()["dependencies"]
    assert [paths for _, paths in stage.copies()] == [["requirements.txt", "/"]]
    install = stage.last("RUN")
    for option in ("--require-hashes", "--only-binary=:all:", "--no-cache-dir", "--compile", "-r /requirements.txt"):
        assert option in install


def test_the_python_is_one_that_the_project_supports() -> None:
    """All stages have the same, pinned to a minor version, no older than pyproject.toml asks for."""
    (image,) = {stage.image for stage in stages().values()}
    version = re.fullmatch(r"python:(\d+)\.(\d+)-slim", image)
    assert version
    oldest = re.fullmatch(r">=(\d+)\.(\d+)", PROJECT["project"]["requires-python"])
    assert oldest
    assert tuple(map(int, version.groups())) >= tuple(map(int, oldest.groups()))


def test_every_module_of_ours_is_in_it() -> None:
    """What main.py imports is copied, and .dockerignore lets it and nothing else through."""
    copied = {path for _, paths in stages()["source"].copies() for path in paths[:-1]}
    imported = set(re.findall(r"^(?:from|import) (\w+)", (ROOT / "main.py").read_text(), re.MULTILINE))
    ours = {name for name in imported if (ROOT / name).is_dir() or (ROOT / f"{name}.py").exists()}
    assert copied == {"main.py"} | ours
    patterns = (ROOT / ".dockerignore").read_text().splitlines()
    assert next(line for line in patterns if not line.startswith("#")) == "*"
    allowed = {line.removeprefix("!") for line in patterns if line.startswith("!")}
    assert allowed == copied | {"requirements.txt"}


def test_its_settings_are_settings() -> None:
    """It listens to everybody, keeps its state in the volume, and leaves every other setting at its default."""
    environment = service().environment()
    own = {name: value for name, value in environment.items() if name.lower() in Settings.model_fields}
    assert own == {"LISTEN": "0.0.0.0", "PORT": str(Settings().port), "STATE_FILE": "/data/multi-actor.db"}  # noqa: S104
    assert own["LISTEN"] not in LOOPBACK
    assert service().last("VOLUME") == "/data"
    assert service().last("EXPOSE") == own["PORT"]


def test_its_health_check_asks_the_port_that_is_served() -> None:
    """The port comes from the setting, so that another one needs no other image."""
    check = service().last("HEALTHCHECK")
    assert "/healthz" in check
    assert 'environ[\\"PORT\\"]' in check
    compile(service().command("HEALTHCHECK")[-1], "HEALTHCHECK", "exec")
