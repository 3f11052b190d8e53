"""The runtimes that the suite runs on."""

from collections.abc import AsyncIterator

import pytest

from tests.messaging.harness import Harness, InProcess


@pytest.fixture(params=["in-process"])
async def harness(request: pytest.FixtureRequest) -> AsyncIterator[Harness]:
    """A runtime that a test starts; it is closed afterwards."""
    harness = {"in-process": InProcess}[request.param]()
    yield harness
    await harness.close()
