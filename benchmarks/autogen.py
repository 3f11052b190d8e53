"""Programs written for autogen-core, run on it and on this package.

``.venv/bin/python -m benchmarks.autogen`` runs each program of ``tests/messaging/programs`` on autogen-core 0.7.5, in
an environment of its own in the user's cache directory, and here with nothing but its imports changed. Both print the
same, and that is what the ``.out`` file beside the program holds, which the tests compare with.
"""

import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROGRAMS = ROOT / "tests" / "messaging" / "programs"
PACKAGES = ("autogen-core==0.7.5", "opentelemetry-sdk==1.45.2")


def environment() -> Path:
    """Return the interpreter of an environment that has autogen-core; the first call makes it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "multi-actor" / "-".join(PACKAGES)
    python = folder / "bin" / "python"
    done = folder / "done"
    if not done.exists():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES], check=True
        )
        done.touch()
    return python


def here(source: str) -> str:
    """Return a program with its imports changed."""
    return source.replace("from autogen_core", "from multi_actor.messaging")


def run(python: str | Path, source: str) -> str:
    """Return what a program prints."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([python, "-c", source], env=env, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout


def main() -> None:
    differing = 0
    for program in sorted(PROGRAMS.glob("*.py")):
        source = program.read_text()
        there = run(environment(), source)
        program.with_suffix(".out").write_text(there)
        same = run(sys.executable, here(source)) == there
        differing += not same
        print(f"{program.stem:15} {'the same' if same else 'DIFFERENT'}, {len(there.splitlines())} lines")
    sys.exit(differing)


if __name__ == "__main__":
    main()
