"""Fixtures of the HTTP tests."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from tests.conftest import Serve
from tests.http.support import Log


@pytest.fixture
def log() -> Iterator[Log]:
    """What the application logs while it serves."""
    log = Log()
    yield log
    logging.getLogger("multi_actor").removeHandler(log)


@pytest.fixture
def serve(serve: Serve, log: Log) -> Serve:
    """Run the whole application as everywhere, and keep its log."""
    return _logged(serve, log)


@pytest.fixture
def serve_on(serve_on: Serve, log: Log) -> Serve:
    """Run it on the test's own host, and keep its log."""
    return _logged(serve_on, log)


@pytest.fixture
async def inside(serve_on: Serve) -> AsyncIterator[httpx.AsyncClient]:
    """A client whose requests go straight into the application: HTTP servers refuse some of them by themselves."""
    async with serve_on() as client:
        yield client


def _logged(serve: Serve, log: Log) -> Serve:
    @asynccontextmanager
    async def run(**options: Any) -> AsyncIterator[httpx.AsyncClient]:
        async with serve(**options) as client:
            logging.getLogger("multi_actor").addHandler(log)  # the application has set up its own by now
            yield client

    return run
