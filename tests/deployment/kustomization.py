"""What a cluster gets of us, without a cluster: enough of kustomize for our files, and no more.

Wherever kubectl is there a test compares the two (test_rendering.py), so that this one can be believed elsewhere.
"""

import base64
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
UNDERSTOOD = {"apiVersion", "kind", "resources", "labels", "generatorOptions", "secretGenerator"}
Resource = dict[str, Any]
Key = tuple[str, str]


def documents(path: Path) -> list[Resource]:
    """Return a file's YAML documents, none of which may share parts with another (an alias is one object twice)."""
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def render(folder: Path) -> list[Resource]:
    """Return what the kustomization in ``folder`` makes; a feature that is not understood fails."""
    (spec,) = documents(folder / "kustomization.yaml")
    assert set(spec) <= UNDERSTOOD, set(spec) - UNDERSTOOD
    resources: list[Resource] = []
    for name in spec["resources"]:
        path = folder / name
        resources += render(path) if path.is_dir() else documents(path)
    secrets = spec.get("secretGenerator", [])
    if secrets:
        assert spec["generatorOptions"] == {"disableNameSuffixHash": True}
    resources += [_secret(generator) for generator in secrets]
    for rule in spec.get("labels", []):
        assert set(rule) == {"pairs"}  # neither selectors nor templates
        for resource in resources:
            metadata = resource["metadata"]
            metadata["labels"] = {**metadata.get("labels", {}), **rule["pairs"]}
    return resources


def _secret(generator: Resource) -> Resource:
    assert set(generator) == {"name", "literals"}
    pairs = (literal.split("=", 1) for literal in generator["literals"])
    data = {key: base64.b64encode(value.encode()).decode() for key, value in pairs}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": generator["name"]},
        "type": "Opaque",
        "data": data,
    }


def by_key(resources: list[Resource]) -> dict[Key, Resource]:
    """Return resources by kind and name; two of the same fail."""
    found = {(resource["kind"], resource["metadata"]["name"]): resource for resource in resources}
    assert len(found) == len(resources)
    return found


@cache
def everything() -> dict[Key, Resource]:
    """Return what ``kubectl apply -k .`` applies. Not to be changed."""
    return by_key(render(ROOT))


@cache
def dashboard() -> dict[Key, Resource]:
    """Return what the Tiltfile applies besides. Not to be changed."""
    return by_key(documents(ROOT / "k8s" / "dashboard.yaml"))


def pod(key: Key) -> Resource:
    """Return the pod's specification of a workload."""
    found: Resource = (everything() | dashboard())[key]["spec"]["template"]["spec"]
    return found


def container(key: Key) -> Resource:
    """Return the one container of a workload."""
    (found,) = pod(key)["containers"]
    assert isinstance(found, dict)
    return found


def annotations() -> dict[str, str]:
    """Return what the application's pods tell Dapr, without its prefix."""
    template = everything()["Deployment", "multi-actor"]["spec"]["template"]
    given = template["metadata"]["annotations"].items()
    return {name.removeprefix("dapr.io/"): value for name, value in given if name.startswith("dapr.io/")}


def secret(name: str) -> dict[str, str]:
    """Return what a generated secret holds."""
    data: dict[str, str] = everything()["Secret", name]["data"]
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def settings(key: Key) -> dict[str, Any]:
    """Return a container's environment: values, or references to secrets as (name, key)."""
    found: dict[str, Any] = {}
    for entry in container(key)["env"]:
        reference = entry.get("valueFrom", {}).get("secretKeyRef")
        found[entry["name"]] = (reference["name"], reference["key"]) if reference else entry["value"]
    return found
