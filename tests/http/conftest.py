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

    @asynccontextmanager
    async def run(**options: Any) -> AsyncIterator[httpx.AsyncClient]:
        async with serve(**options) as client:
            logging.getLogger("multi_actor").addHandler(log)  # the application has set up its own by now
            yield client

    return run
