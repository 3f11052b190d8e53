"""The durable runtimes."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.messaging.harness import Embedded


@pytest.fixture(params=["embedded"])
async def harness(tmp_path: Path) -> AsyncIterator[Embedded]:
    """A runtime whose state outlives it: `harness.start` again is the next process."""
    harness = Embedded(str(tmp_path / "state.db"))
    yield harness
    await harness.close()
