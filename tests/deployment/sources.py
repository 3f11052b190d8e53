"""Dapr's sources, which say what it reads and counts."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deployment.kustomization import ROOT


def dapr_module() -> Path:
    """Return the sources of the Dapr that tools/dapr/go.mod pins; skip the test where there are none."""
    go = shutil.which("go")
    if not go:
        pytest.skip("there is no Go here, whose cache would have Dapr's sources")
    command = [go, "list", "-m", "-f", "{{.Dir}}", "github.com/dapr/dapr"]
    environment = {**os.environ, "GOPROXY": "off", "GOTOOLCHAIN": "local"}
    found = subprocess.run(
        command, cwd=ROOT / "tools" / "dapr", env=environment, capture_output=True, text=True, check=False
    )
    folder = found.stdout.strip()
    if found.returncode or not folder:
        pytest.skip("Go's cache does not have the sources of the pinned Dapr")
    return Path(folder)
