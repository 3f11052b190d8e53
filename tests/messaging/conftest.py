"""The runtimes that the suite runs on."""

from collections.abc import AsyncIterator

import pytest

from tests.messaging.harness import Embedded, Harness, InProcess


@pytest.fixture(params=["in-process", "embedded"])
async def harness(request: pytest.FixtureRequest) -> AsyncIterator[Harness]:
    """A runtime that a test starts; it is closed afterwards."""
    harness = {"in-process": InProcess, "embedded": Embedded}[request.param]()
    yield harness
    await harness.close()
