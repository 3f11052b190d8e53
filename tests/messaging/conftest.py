"""The runtimes that the suite runs on."""

from collections.abc import AsyncIterator, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from tests.conftest import HOSTS
from tests.dapr.shared import SharedRuntime
from tests.messaging.durable.dapr_harness import OnDapr
from tests.messaging.durable.harness import DurableHarness, Embedded
from tests.messaging.harness import Harness, InProcess

FAILED = pytest.StashKey[bool]()
OnHost = Callable[[str], AbstractAsyncContextManager[DurableHarness]]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what takes a harness in one process, and on each actor host."""
    if "harness_kind" in metafunc.fixturenames:
        metafunc.parametrize("harness_kind", ["in-process", *metafunc.config.stash[HOSTS]])


@pytest.fixture
async def harness(harness_kind: str, on_host: OnHost) -> AsyncIterator[Harness]:
    """A runtime that a test starts; it is closed afterwards."""
    if harness_kind == "in-process":
        harness = InProcess()
        yield harness
        await harness.close()
        return
    async with on_host(harness_kind) as durable:
        yield durable


@pytest.fixture
def on_host(request: pytest.FixtureRequest) -> OnHost:
    """Make a runtime on one of the actor hosts, for as long as it is entered."""

    @asynccontextmanager
    async def make(actor_host: str) -> AsyncIterator[DurableHarness]:
        if actor_host == "embedded":
            embedded = Embedded()
            yield embedded
            await embedded.close()
            return
        runtime: SharedRuntime = request.getfixturevalue("shared_runtime")
        await runtime.start()
        on_dapr = OnDapr(runtime)
        yield on_dapr
        on_dapr.failed = FAILED in request.node.stash
        await on_dapr.close()

    return make


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, object, object]:
    """Let fixtures know of a failure."""
    if call.excinfo is not None:
        item.stash[FAILED] = True
    return (yield)
