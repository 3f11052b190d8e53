"""What kustomize makes of our files."""

import shutil
import subprocess

import pytest
import yaml

from tests.deployment.kustomization import ROOT, by_key, everything, secret

KUBECTL = shutil.which("kubectl")


@pytest.mark.skipif(KUBECTL is None, reason="there is no kubectl here")
def test_kubectl_renders_what_these_tests_look_at() -> None:
    """The resources are the same, kustomize's own and those of the loader that the other tests use."""
    assert KUBECTL
    rendered = subprocess.run([KUBECTL, "kustomize", str(ROOT)], capture_output=True, text=True, check=True)
    assert by_key(list(yaml.safe_load_all(rendered.stdout))) == everything()


def test_every_component_goes_to_the_cluster() -> None:
    """A file that is new in components/ is not forgotten in the kustomization."""
    (spec,) = yaml.safe_load_all((ROOT / "kustomization.yaml").read_text())
    components = {f"components/{path.name}" for path in (ROOT / "components").glob("*.yaml")}
    assert set(spec["resources"]) == components | {"k8s"}


def test_secrets_of_development_say_so() -> None:
    """Nobody takes them for real ones, or finds a real one among them."""
    named = {name for kind, name in everything() if kind == "Secret"}
    assert named == {"redis", "multi-actor-app-token", "multi-actor-dapr-token"}
    for name in named:
        for key, value in secret(name).items():
            assert key == "host" or value.startswith("development-only-")
