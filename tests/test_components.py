"""The components say what the code says, and heed what Dapr does not forgive."""

import re
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import yaml

from multi_actor.contracts import APP_ID, PUBSUB, USER_CHAT
from multi_actor.settings import Settings
from tests.conftest import Serve
from tools.dapr.local import SIDECAR_OPTIONS

ROOT = Path(__file__).parents[1]
COMPONENTS = ROOT / "components"
VARIANTS = ROOT / "component-variants"


def documents(*folders: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """Return every resource of the folders, by kind and name."""
    found = [
        document
        for folder in folders
        for path in sorted(folder.rglob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text())
    ]
    return {(document["kind"], document["metadata"]["name"]): document for document in found}


RESOURCES = documents(COMPONENTS)
PROGRAM = yaml.safe_load((ROOT / "dapr.yaml").read_text())


def metadata(component: dict[str, Any]) -> dict[str, Any]:
    return {entry["name"]: entry.get("value", entry.get("secretKeyRef")) for entry in component["spec"]["metadata"]}


def test_names_are_those_of_the_code() -> None:
    """Store, broker, subscription and what goes with them."""
    assert {(kind, name) for kind, name in RESOURCES} == {
        ("Component", "statestore"),
        ("Component", PUBSUB),
        ("Subscription", "message-subscription"),
        ("Subscription", "dead-letter-subscription"),
        ("Resiliency", "resiliency"),
        ("Configuration", "multi-actor"),
    }
    statestore = RESOURCES["Component", "statestore"]
    assert statestore["spec"]["type"] == "state.redis"
    assert metadata(statestore)["actorStateStore"] == "true"
    assert RESOURCES["Component", PUBSUB]["spec"]["type"] == "pubsub.redis"


@pytest.mark.parametrize(("kind", "name"), sorted(documents(COMPONENTS, VARIANTS)))
def test_everything_is_ours_alone(kind: str, name: str) -> None:
    """Other applications beside ours see none of it."""
    if kind != "Configuration":  # which is asked for by name
        assert documents(COMPONENTS, VARIANTS)[kind, name]["scopes"] == [APP_ID]


def test_the_subscriptions_lead_to_the_routes() -> None:
    """Topic to route, and what fails for good to the dead letters' own."""
    messages = RESOURCES["Subscription", "message-subscription"]["spec"]
    dead_letters = RESOURCES["Subscription", "dead-letter-subscription"]["spec"]
    assert (messages["pubsubname"], messages["topic"]) == (PUBSUB, USER_CHAT)
    assert messages["routes"]["default"] == "/subscribe"
    assert messages["routes"]["rules"] == [{"match": 'event.type == "update"', "path": "/subscribe"}]
    assert (dead_letters["pubsubname"], dead_letters["topic"]) == (PUBSUB, messages["deadLetterTopic"])
    assert dead_letters["routes"] == {"default": "/dead-letter"}


async def test_each_route_of_a_subscription_takes_events(serve: Serve) -> None:
    """None of them is unknown to the application: a 404 would make every event a dead letter."""
    async with serve() as client:
        for kind, name in RESOURCES:
            if kind == "Subscription":
                route = RESOURCES[kind, name]["spec"]["routes"]["default"]
                assert (await client.post(route, json={})).status_code == 200, route


def test_actors_have_no_policy() -> None:
    """A time-out would lose the bodies of successful calls; any policy, the built-in retries."""
    spec = RESOURCES["Resiliency", "resiliency"]["spec"]
    assert set(spec["targets"]) == {"components"}
    assert "timeouts" not in spec["policies"]
    assert "timeout" not in str(spec)


def test_an_event_is_not_delivered_again_while_it_is_tried_again() -> None:
    """All pauses at their longest, and all attempts, take less than the time after which an event counts as lost."""
    retry = RESOURCES["Resiliency", "resiliency"]["spec"]["policies"]["retries"]["events"]
    longest = float(retry["maxInterval"].removesuffix("s"))

    def pauses() -> Any:
        pause = 0.5  # Dapr's default, like the factor and the spread below
        while True:
            yield min(pause, longest)
            pause *= 1.5

    waited = sum(islice(pauses(), retry["maxRetries"]))
    assert 90 < waited < 150
    attempts = (retry["maxRetries"] + 1) * Settings().request_timeout_seconds
    broker = metadata(RESOURCES["Component", PUBSUB])
    assert waited * 1.5 + attempts < int(broker["processingTimeout"]) / 1000


def test_the_broker_reads_its_settings_as_they_are_meant() -> None:
    """An interval that is not an integer would silently be the default."""
    broker = metadata(RESOURCES["Component", PUBSUB])
    assert re.fullmatch(r"[1-9]\d*", broker["redeliverInterval"])
    assert int(broker["concurrency"]) > 1
    assert int(broker["maxLenApprox"]) > Settings().outbox_limit


def test_every_event_is_tried_again() -> None:
    """Without the policy the Redis component acknowledges what failed."""
    targets = RESOURCES["Resiliency", "resiliency"]["spec"]["targets"]["components"]
    assert targets == {PUBSUB: {"inbound": {"retry": "events"}}}


@pytest.mark.parametrize("name", ["redisHost", "redisPassword"])
@pytest.mark.parametrize("component", ["statestore", PUBSUB])
def test_no_component_has_a_secret_in_it(component: str, name: str) -> None:
    """Each refers to one, in a store that is there on Kubernetes and on a developer's machine."""
    resource = RESOURCES["Component", component]
    assert metadata(resource)[name]["name"] == "redis"
    assert resource["auth"] == {"secretStore": "kubernetes"}
    assert ("Component", "kubernetes") in documents(VARIANTS / "self-hosted")


def test_the_variants_fit_in() -> None:
    """Each has the name of what it takes the place of."""
    variant = documents(VARIANTS)["Component", "statestore"]
    assert variant["spec"]["type"] == "state.postgresql"
    assert metadata(variant)["actorStateStore"] == "true"


def test_nobody_calls_routes_through_sidecars() -> None:
    """Ours would add the application's token to another application's call."""
    assert RESOURCES["Configuration", "multi-actor"]["spec"]["accessControl"] == {"defaultAction": "deny"}


def test_a_sidecar_keeps_what_it_started_with() -> None:
    """A change reaches one replica after the other, as they start, and not all of them at once."""
    features = RESOURCES["Configuration", "multi-actor"]["spec"]["features"]
    assert {each["name"]: each["enabled"] for each in features} == {"ActorStateTTL": True, "HotReload": False}


def test_sidecars_find_nothing_but_resources() -> None:
    """They warn of anything else, of folders too."""
    for folder in (COMPONENTS, VARIANTS / "self-hosted"):
        assert [path.name for path in folder.iterdir() if path.suffix != ".yaml"] == []


def test_the_template_starts_what_the_tests_start() -> None:
    """``dapr run -f .`` has the options of ``make dapr``, as far as its format knows them."""
    (app,) = PROGRAM["apps"]
    assert app["appID"] == APP_ID
    assert app["env"] == {"PORT": str(app["appPort"])}
    assert app["resourcesPaths"] == ["components", "component-variants/self-hosted"]
    assert {
        f"--app-health-check-path={app['appHealthCheckPath']}",
        f"--app-health-probe-interval={app['appHealthProbeInterval']}",
        f"--app-health-probe-timeout={app['appHealthProbeTimeout']}",
        f"--app-health-threshold={app['appHealthThreshold']}",
    } < set(SIDECAR_OPTIONS)
    assert app["enableAppHealthCheck"]
    for path in (*app["resourcesPaths"], app["configFilePath"], "component-variants/self-hosted-secrets.json"):
        assert (ROOT / path).exists()
