"""The runtimes whose agents outlive them."""

from collections.abc import AsyncIterator

import pytest

from tests.messaging.conftest import OnHost
from tests.messaging.durable.harness import DurableHarness


@pytest.fixture
async def harness(actor_host: str, on_host: OnHost) -> AsyncIterator[DurableHarness]:
    """A runtime whose state outlives it: `harness.start` again is the next process."""
    async with on_host(actor_host) as harness:
        yield harness
