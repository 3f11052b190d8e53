"""The hosts that the suite runs on."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.conformance.harness import EmbeddedHarness, Harness


@pytest.fixture(params=["embedded-memory", "embedded-sqlite"])
async def harness(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Harness]:
    """A host that a test starts; it is stopped afterwards."""
    path = ":memory:" if request.param == "embedded-memory" else str(tmp_path / "state.db")
    harness = EmbeddedHarness(path)
    yield harness
    await harness.close()
