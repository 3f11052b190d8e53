"""What the injected sidecar is told, and who it talks to."""

import re

import pytest
import yaml

from tests.deployment.kustomization import annotations, container, everything, pod, secret, settings
from tests.deployment.sources import dapr_module
from tools.dapr.local import SIDECAR_OPTIONS

APP = ("Deployment", "multi-actor")
ENDS_WITHIN = 10  # seconds from SIGTERM on, which tests/process/test_shutdown.py holds the application to


def seconds(text: str) -> float:
    number = re.fullmatch(r"(\d+)s?", text)
    assert number
    return float(number[1])


@pytest.mark.parametrize(
    ("variable", "annotation"), [("APP_API_TOKEN", "app-token-secret"), ("DAPR_API_TOKEN", "api-token-secret")]
)
def test_both_containers_have_the_same_token(variable: str, annotation: str) -> None:
    """What one shows is what the other wants to see; Dapr takes it from the key `token`."""
    assert settings(APP)[variable] == (annotations()[annotation], "token")
    assert secret(annotations()[annotation])["token"]


def test_the_two_tokens_are_two() -> None:
    """Who learns one has not learnt the other."""
    tokens = {secret(annotations()[name])["token"] for name in ("app-token-secret", "api-token-secret")}
    assert len(tokens) == 2


def test_the_sidecar_is_told_the_same_everywhere() -> None:
    """Its health check of the application, and its graceful shutdown, are those of ``make dapr``."""
    told = annotations()
    assert told["enable-app-health-check"] == "true"
    options = {
        f"--app-health-check-path={told['app-health-check-path']}",
        f"--app-health-probe-interval={told['app-health-probe-interval']}",
        f"--app-health-probe-timeout={told['app-health-probe-timeout']}",
        f"--app-health-threshold={told['app-health-threshold']}",
        f"--dapr-graceful-shutdown-seconds={told['graceful-shutdown-seconds']}",
    }
    assert options < set(SIDECAR_OPTIONS)


def test_a_pod_ends_in_order() -> None:
    """The sidecar outlasts the application, and Kubernetes waits for both."""
    told = annotations()
    leaving = container(APP)["lifecycle"]["preStop"]["sleep"]["seconds"]
    block = seconds(told["block-shutdown-duration"])
    elsewhere = next(option for option in SIDECAR_OPTIONS if option.startswith("--dapr-block-shutdown-duration="))
    assert block == leaving + seconds(elsewhere.partition("=")[2])
    assert leaving + ENDS_WITHIN < block
    assert block + seconds(told["graceful-shutdown-seconds"]) < pod(APP)["terminationGracePeriodSeconds"]


def test_dapr_knows_the_annotations() -> None:
    """A misspelt one would be ignored without a word, so they are looked up in the injector's source."""
    source = (dapr_module() / "pkg" / "injector" / "annotations" / "annotations.go").read_text()
    known = set(re.findall(r'"dapr\.io/([a-z0-9-]+)"', source))
    assert len(known) > 50
    assert set(annotations()) <= known


def test_dapr_knows_the_features() -> None:
    """So are those of the configuration, for the same reason."""
    source = (dapr_module() / "pkg" / "config" / "configuration.go").read_text()
    known = set(re.findall(r'\bFeature = "(\w+)"', source))
    assert len(known) > 2
    features = everything()["Configuration", annotations()["config"]]["spec"]["features"]
    assert {feature["name"] for feature in features} <= known


def test_the_control_plane_listens_where_the_policy_lets_us_out() -> None:
    """The ports are those of the chart's containers."""
    charts = dapr_module() / "charts" / "dapr" / "charts"
    values = {
        name: yaml.safe_load((charts / name / "values.yaml").read_text()) for name in ("dapr_operator", "dapr_sentry")
    }
    expected = {service["ports"]["targetPort"] for service in values.values()}
    expected.add(yaml.safe_load((charts / "dapr_placement" / "values.yaml").read_text())["ports"]["apiPort"])
    scheduler = (charts / "dapr_scheduler" / "templates" / "dapr_scheduler_service.yaml").read_text()
    expected |= {int(port) for port in re.findall(r"targetPort: (\d+)", scheduler)}
    egress = everything()["NetworkPolicy", "multi-actor"]["spec"]["egress"]
    (rule,) = [
        rule
        for rule in egress
        if rule["to"][0].get("namespaceSelector", {}).get("matchLabels", {}).get("kubernetes.io/metadata.name")
        == "dapr-system"
    ]
    assert {port["port"] for port in rule["ports"]} == expected
