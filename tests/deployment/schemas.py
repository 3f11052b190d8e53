"""The schemas that a cluster holds resources against."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import kubernetes_validate  # type: ignore[import-untyped]

from tests.deployment.kustomization import Resource, documents

CRDS = Path(__file__).parent / "crds"


def check(resource: Resource, *, kubernetes: str) -> None:
    """Fail if a cluster of this version, with Dapr's kinds, would refuse the resource or ignore a field of it."""
    group = resource["apiVersion"].partition("/")[0]
    if group == "dapr.io":
        schema = dapr_schemas()[resource["apiVersion"], resource["kind"]]
        jsonschema_rs.Draft202012Validator(schema).validate(resource)
    else:
        kubernetes_validate.validate(resource, kubernetes, strict=True)


@cache
def dapr_schemas() -> dict[tuple[str, str], Any]:
    """Return Dapr's schemas by API version and kind."""
    return dict(_schemas())


def _schemas() -> Iterator[tuple[tuple[str, str], Any]]:
    for path in sorted(CRDS.glob("*.yaml")):
        for definition in documents(path):
            spec = definition["spec"]
            for version in spec["versions"]:
                schema = version["schema"]["openAPIV3Schema"]
                schema["properties"]["metadata"] = {"type": "object"}  # Kubernetes' own, which a CRD leaves out
                yield (f"{spec['group']}/{version['name']}", spec["names"]["kind"]), strict(schema)


def strict(schema: Any) -> Any:
    """Return the schema in which a field that it does not know is an error, as it is to ``kubectl apply``.

    https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation
    """
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    tight = {key: strict(value) for key, value in schema.items()}
    known = isinstance(schema.get("properties"), dict) and schema.get("type") == "object"
    if known and not schema.get("x-kubernetes-preserve-unknown-fields"):
        tight.setdefault("additionalProperties", False)
    return tight
