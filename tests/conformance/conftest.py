"""The hosts that the suite runs on."""

from collections.abc import AsyncIterator, Generator
from pathlib import Path

import pytest

from tests.conformance.dapr_harness import DaprHarness
from tests.conformance.harness import EmbeddedHarness, Harness
from tests.conftest import HOSTS
from tests.dapr.shared import SharedRuntime

FAILED = pytest.StashKey[bool]()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what takes a harness on each host, the embedded one with each of its stores."""
    if "harness_kind" not in metafunc.fixturenames:
        return
    kinds = {"embedded": ["embedded-memory", "embedded-file"], "dapr": ["dapr"]}
    hosts = metafunc.config.stash[HOSTS]
    metafunc.parametrize("harness_kind", [kind for host in hosts for kind in kinds[host]])


@pytest.fixture
async def harness(harness_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Harness]:
    """A host that a test starts; it is stopped afterwards."""
    harness: Harness
    if harness_kind == "dapr":
        runtime: SharedRuntime = request.getfixturevalue("shared_runtime")
        harness = DaprHarness(runtime)
    else:
        harness = EmbeddedHarness(":memory:" if harness_kind == "embedded-memory" else str(tmp_path / "state.db"))
    yield harness
    if isinstance(harness, DaprHarness) and FAILED in request.node.stash:
        harness.leaves_traces = True
    await harness.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, object, object]:
    """Let fixtures know of a failure."""
    if call.excinfo is not None:
        item.stash[FAILED] = True
    return (yield)
