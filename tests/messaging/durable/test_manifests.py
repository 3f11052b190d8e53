"""The manifests of agents' topics: written from the agents, and as a cluster and a sidecar take them."""

import asyncio
import secrets
import shutil
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.dapr.shared import SharedRuntime
from tests.dapr.stub import stub_app
from tests.deployment.schemas import check
from tests.messaging.durable.ledgers import LEDGERS
from tests.support import wait_until
from tools.dapr.local import COMPONENTS
from tools.dapr.subscriptions import manifests

ROOT = Path(__file__).parents[3]
TOPICS = {*LEDGERS, "numbers", "doubled"}


async def written(*options: str) -> str:
    """What the program prints for the ledgers."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "tools.dapr.subscriptions"),
        *("tests.messaging.durable.ledgers:register", *options),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode()


def topics_of(resources: list[dict[str, Any]]) -> dict[str, str | None]:
    """Each topic with its dead letter topic."""
    return {each["spec"]["topic"]: each["spec"].get("deadLetterTopic") for each in resources}


async def test_each_topic_of_the_agents_has_its_subscriptions() -> None:
    """Its own, and that of its dead letters, for one application and one broker, as the schema of Dapr's kind says."""
    resources = list(yaml.safe_load_all(await written("--app-id", "books", "--pubsub", "broker")))
    for resource in resources:
        check(resource, kubernetes="1.34")
        assert resource["scopes"] == ["books"]
        assert resource["spec"]["pubsubname"] == "broker"
    assert topics_of(resources) == {
        **{topic: f"{topic}-dead-letter" for topic in TOPICS},
        **{f"{topic}-dead-letter": None for topic in TOPICS},
    }


def test_names_of_resources_are_such_as_kubernetes_takes() -> None:
    """Whatever the topics are called, and no two alike."""
    topics = ["a", "A", "x", "a.b", "a-b", "a_b", "ü", "x41x", "-", "a="]
    names = [resource["metadata"]["name"] for resource in manifests(topics)]
    assert len(set(names)) == 2 * len(topics)
    for name in names:
        assert set(name) <= {*"abcdefghijklmnopqrstuvwxyz0123456789-"}
        assert name[0] != "-" != name[-1]


async def test_a_sidecar_loads_them(shared_runtime: SharedRuntime, tmp_path: Path) -> None:
    """Beside the project's components, each topic with its dead letter topic, and with nothing to complain of."""
    await shared_runtime.start()
    resources = tmp_path / "resources"
    shutil.copytree(COMPONENTS, resources)
    (resources / "agents.yaml").write_text(await written())
    expected = {
        **{topic: f"{topic}-dead-letter" for topic in TOPICS},
        **{f"{topic}-dead-letter": "" for topic in TOPICS},
    }
    async with stub_app() as stub:
        namespace = f"manifests-{secrets.token_hex(4)}"
        sidecar = shared_runtime.plane.sidecar(app_port=stub.port, resources=resources, namespace=namespace)
        try:
            await sidecar.start()

            async def loaded() -> bool:
                found = (await sidecar.metadata()).get("subscriptions", [])
                topics = {each["topic"]: each.get("deadLetterTopic", "") for each in found}
                return expected.items() <= topics.items()

            await wait_until(loaded, description="the sidecar has subscribed")
            assert "level=error" not in sidecar.output
        finally:
            sidecar.kill()
