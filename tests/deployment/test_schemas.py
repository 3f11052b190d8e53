"""Every resource is one that a cluster takes, whole."""

import copy
from pathlib import Path

import jsonschema_rs
import kubernetes_validate  # type: ignore[import-untyped]
import pytest

from tests.deployment.kustomization import ROOT, Key, dashboard, documents, everything
from tests.deployment.schemas import CRDS, check
from tests.deployment.sources import dapr_module

# The oldest that has all that we use (preStop's sleep), one of today, and the newest that the schemas know.
VERSIONS = ["1.30", "1.34", "1.37"]
RESOURCES = everything() | dashboard()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("key", RESOURCES, ids="/".join)
def test_a_cluster_takes_it(key: Key, version: str) -> None:
    """Types are right, nothing is missing, and no field is misspelt."""
    check(RESOURCES[key], kubernetes=version)


@pytest.mark.parametrize("path", sorted((ROOT / "component-variants").rglob("*.yaml")), ids=lambda path: path.stem)
def test_a_cluster_takes_the_variants(path: Path) -> None:
    """What may take a component's place is one as well."""
    for resource in documents(path):
        check(resource, kubernetes=VERSIONS[0])


@pytest.mark.parametrize("key", RESOURCES, ids="/".join)
def test_a_misspelt_field_is_noticed(key: Key) -> None:
    """The check itself: a field that no schema knows fails it, at the top and one level down."""
    for place in ((), ("spec",)):
        resource = copy.deepcopy(RESOURCES[key])
        inner = resource
        for step in place:
            inner = inner.get(step, resource)
        inner["misspelt"] = 1
        with pytest.raises((jsonschema_rs.ValidationError, kubernetes_validate.ValidationError)):
            check(resource, kubernetes=VERSIONS[0])


def test_the_schemas_are_those_of_the_pinned_dapr() -> None:
    """The copies here are the pinned module's, where Go's cache has it."""
    module = dapr_module()
    for path in CRDS.glob("*.yaml"):
        assert path.read_text() == (module / "charts" / "dapr" / "crds" / path.name).read_text()
