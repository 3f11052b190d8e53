"""What the tests on the real runtime share, and the table that they end with."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.dapr.figures import FIGURES, Row, table
from tests.dapr.runtime import required_runtime
from tools.dapr.local import ControlPlane


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[ControlPlane]:
    """Redis, placement and scheduler, up."""
    async with ControlPlane(tmp_path, binaries=required_runtime()) as plane:
        yield plane


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client that waits longer than any answer may take, and keeps no connection that a server may be closing."""
    limits = httpx.Limits(max_connections=100, keepalive_expiry=2)
    async with httpx.AsyncClient(timeout=60, limits=limits, trust_env=False) as client:
        yield client


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> list[Row]:
    """Take rows for the table that is printed after the last test."""
    return request.config.stash.setdefault(FIGURES, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what was tried, and what came of it."""
    if rows := config.stash.get(FIGURES, []):
        terminalreporter.section("faults on the real runtime")
        terminalreporter.write_line(table(rows))
