"""Programs written for autogen-core do here what they do there, with nothing but their imports changed."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.autogen import PROGRAMS, ROOT, here


@pytest.mark.parametrize("program", sorted(PROGRAMS.glob("*.py")), ids=lambda path: path.stem)
def test_a_program_prints_what_it_prints_on_autogen_core(program: Path) -> None:
    """What that was is kept beside it; `python -m benchmarks.autogen` writes it anew."""
    source = here(program.read_text())
    assert "autogen" not in source.partition("async def main")[0]
    done = subprocess.run(
        [sys.executable, "-c", source], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == program.with_suffix(".out").read_text()
