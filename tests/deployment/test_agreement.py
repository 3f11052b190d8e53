"""One name, port or secret is the same wherever it is written down."""

import tomllib
from typing import Any

import pytest

from multi_actor.agents.turn_log import beside
from multi_actor.contracts import APP_ID
from multi_actor.settings import Settings
from tests.deployment.dockerfile import service
from tests.deployment.kustomization import (
    ROOT,
    annotations,
    container,
    dashboard,
    everything,
    pod,
    secret,
    settings,
)

APP = ("Deployment", "multi-actor")
REDIS = ("StatefulSet", "redis-master")


def ports(key: tuple[str, str]) -> dict[str, int]:
    return {port["name"]: port["containerPort"] for port in container(key)["ports"]}


def test_names_are_those_of_the_code() -> None:
    """The application's id, to which its components are scoped, and the configuration of its sidecar."""
    assert annotations()["app-id"] == APP_ID
    assert ("Configuration", annotations()["config"]) in everything()
    scoped = [resource for resource in everything().values() if "scopes" in resource]
    assert scoped
    assert all(resource["scopes"] == [annotations()["app-id"]] for resource in scoped)


def test_the_image_is_the_project_at_its_version() -> None:
    """The manifest's tag and the Dockerfile's example are the version of pyproject.toml."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    image = f"multi-actor:{version}"
    assert container(APP)["image"] == image
    assert f"docker build -t {image} ." in (ROOT / "Dockerfile").read_text()


def test_the_application_has_one_port() -> None:
    """Setting, image, container, Service, policy and sidecar name the same."""
    port = Settings().port
    assert service().environment()["PORT"] == str(port)
    assert ports(APP) == {"http": port}
    assert annotations()["app-port"] == str(port)
    assert [(p["port"], p["targetPort"]) for p in everything()["Service", "multi-actor"]["spec"]["ports"]] == [
        (port, "http")
    ]
    policy = everything()["NetworkPolicy", "multi-actor"]["spec"]
    assert policy["ingress"][0]["ports"] == [{"port": port, "protocol": "TCP"}]
    assert policy["ingress"][2]["ports"] == [{"port": int(annotations()["metrics-port"]), "protocol": "TCP"}]


def test_the_containers_user_is_the_images() -> None:
    """Whom the state's folder belongs to is who runs."""
    context = container(APP)["securityContext"]
    assert service().last("USER") == f"{context['runAsUser']}:{context['runAsGroup']}"


def test_what_is_written_is_mounted() -> None:
    """The root is read-only: temporary files and the state's folder are volumes, and so is Redis's folder."""
    assert {mount["mountPath"] for mount in container(APP)["volumeMounts"]} == {"/tmp", service().last("VOLUME")}  # noqa: S108
    arguments = container(REDIS)["args"]
    (mount,) = container(REDIS)["volumeMounts"]
    assert arguments[arguments.index("--dir") + 1] == mount["mountPath"]


def test_every_mount_has_its_volume() -> None:
    """No name of a volume leads nowhere, and none is left over."""
    for key in (APP, REDIS):
        claims = everything()[key]["spec"].get("volumeClaimTemplates", [])
        volumes = {volume["name"] for volume in pod(key).get("volumes", [])} | {c["metadata"]["name"] for c in claims}
        assert {mount["name"] for mount in container(key)["volumeMounts"]} == volumes


def test_the_environment_is_one_of_settings() -> None:
    """Each variable is a setting of ours or Dapr's token; the values are ones that the settings take."""
    given = settings(APP)
    known = {name.upper() for name in Settings.model_fields} | {"DAPR_API_TOKEN"}
    assert set(given) <= known
    plain = {name.lower(): value for name, value in given.items() if isinstance(value, str)}
    assert Settings(**plain).actor_host == "dapr"  # type: ignore[arg-type]


def references(node: Any, *, optional: bool) -> set[tuple[str, str]]:
    """Return every reference to a secret below a node that may, or may not, be missing, as (name, key)."""
    if isinstance(node, dict):
        refers = "secretKeyRef" in node and node["secretKeyRef"].get("optional", False) is optional
        own = {(node["secretKeyRef"]["name"], node["secretKeyRef"]["key"])} if refers else set()
        return own.union(*(references(value, optional=optional) for value in node.values()))
    if isinstance(node, list):
        return set().union(*(references(value, optional=optional) for value in node))
    return set()


def test_every_secret_that_is_referred_to_is_there() -> None:
    """With its key; and every key of a secret is used by somebody."""
    wanted = set().union(*(references(resource, optional=False) for resource in everything().values()))
    there = {(name, key) for kind, name in everything() if kind == "Secret" for key in secret(name)}
    assert wanted == there


def test_the_conversation_log_may_be_elsewhere() -> None:
    """A secret that is not made by us names the database; without it the log is a file on a volume of the pod."""
    (may_be,) = set().union(*(references(resource, optional=True) for resource in everything().values()))
    assert settings(APP)["LOG_DATABASE_URL"] == may_be
    assert ("Secret", may_be[0]) not in everything()
    file = beside(service().environment()["STATE_FILE"]).database
    assert file
    folders = [mount["mountPath"] for mount in container(APP)["volumeMounts"]]
    assert any(file.startswith(f"{folder}/") for folder in folders)


def test_redis_is_where_the_components_look_for_it() -> None:
    """Host and port in the secret are the Service's, the password is the server's."""
    host, _, port = secret("redis")["host"].partition(":")
    ((exposed, target),) = [(p["port"], p["targetPort"]) for p in everything()["Service", host]["spec"]["ports"]]
    assert (exposed, ports(REDIS)[target]) == (int(port), int(port))
    assert everything()[REDIS]["spec"]["serviceName"] == host
    arguments = container(REDIS)["args"]
    assert arguments[arguments.index("--requirepass") + 1] == "$(REDIS_PASSWORD)"
    assert settings(REDIS) == {"REDIS_PASSWORD": ("redis", "password"), "REDISCLI_AUTH": ("redis", "password")}


def test_redis_keeps_what_it_was_told() -> None:
    """Changes are appended to a file on a volume that outlives the pod; when full it refuses, and drops nothing."""
    arguments = container(REDIS)["args"]
    options = dict(zip(arguments[::2], arguments[1::2], strict=True))
    assert options["--appendonly"] == "yes"
    assert options["--maxmemory-policy"] == "noeviction"
    limit = container(REDIS)["resources"]["limits"]["memory"]
    assert limit == "1Gi"
    assert int(options["--maxmemory"].removesuffix("mb")) < 1024
    (claim,) = everything()[REDIS]["spec"]["volumeClaimTemplates"]
    assert set(claim["spec"]["resources"]["requests"]) == {"storage"}


@pytest.mark.parametrize("name", ["multi-actor", "redis-master"])
def test_a_service_finds_its_pods(name: str) -> None:
    """Selectors are labels of the pods, Services', workloads' and the disruption budget's."""
    workload = everything()[APP if name == "multi-actor" else REDIS]["spec"]
    labels = workload["template"]["metadata"]["labels"].items()
    assert workload["selector"]["matchLabels"].items() <= labels
    assert everything()["Service", name]["spec"]["selector"].items() <= labels
    if name == "multi-actor":
        assert everything()["PodDisruptionBudget", name]["spec"]["selector"]["matchLabels"].items() <= labels


def test_redis_hears_from_the_sidecars_only() -> None:
    """Its policy lets in the pods that the application's policy lets out to it."""
    (allowed,) = everything()["NetworkPolicy", "redis"]["spec"]["ingress"]
    (source,) = allowed["from"]
    labels = everything()[APP]["spec"]["template"]["metadata"]["labels"].items()
    assert source["podSelector"]["matchLabels"].items() <= labels
    assert allowed["ports"] == [{"port": ports(REDIS)["redis"], "protocol": "TCP"}]


def test_the_probes_ask_what_is_served() -> None:
    """Readiness goes by the actors, liveness by the process alone."""
    asked = {name: container(APP)[name]["httpGet"] for name in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert {name: probe["path"] for name, probe in asked.items()} == {
        "startupProbe": "/healthz",
        "readinessProbe": "/readyz",
        "livenessProbe": "/healthz",
    }
    assert all(probe["port"] in ports(APP) for probe in asked.values())


def test_the_dashboard_is_let_in_where_it_belongs() -> None:
    """Its role is bound to its account, in the control plane's namespace."""
    (subject,) = dashboard()["ClusterRoleBinding", "dapr-dashboard"]["subjects"]
    account = dashboard()["ServiceAccount", subject["name"]]["metadata"]
    workload = dashboard()["Deployment", "dapr-dashboard"]
    assert account["namespace"] == subject["namespace"] == workload["metadata"]["namespace"] == "dapr-system"
    assert pod(("Deployment", "dapr-dashboard"))["serviceAccountName"] == account["name"]
    for rule in dashboard()["ClusterRole", "dapr-dashboard"]["rules"]:
        assert set(rule["verbs"]) <= {"get", "list", "watch"}
        assert "secrets" not in rule["resources"]
