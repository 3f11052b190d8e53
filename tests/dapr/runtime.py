"""Where the real runtime is, and what becomes of tests that need it where there is none."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).parents[2]


@cache
def runtime_directory() -> Path | None:
    """Return the directory that holds daprd, placement and scheduler, if they are there; nothing is built."""
    found = subprocess.run([ROOT / "tools/dapr/runtime", "--if-there"], capture_output=True, text=True, check=False)
    return None if found.returncode else Path(found.stdout.splitlines()[-1])


def required_runtime() -> Path:
    """Return that directory; skip the test where there is none, or fail it where ``REQUIRE_DAPR=1`` promises one."""
    found = runtime_directory()
    if found is None:
        _without("there is no Dapr runtime here: `make dapr-runtime` makes it available")
    if shutil.which("redis-server") is None:
        _without("there is no redis-server here, which a package of that name brings")
    return found


def _without(reason: str) -> NoReturn:
    if os.environ.get("REQUIRE_DAPR") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
