"""The examples print what they are there to show, on every runtime."""

import subprocess
import sys
from pathlib import Path

import pytest

from examples import broadcast, broadcast_from_outside, messages, request_response
from tests.messaging.harness import Harness, within

ROOT = Path(__file__).parents[2]
PRINTED = {
    "messages": [
        "Hello, User, you said Hello, World!!",
        "Hello, User, you sent me https://example.com/image.jpg!",
    ],
    "request_response": [
        "Received message: Hello, World!",
        "Received inner response: Hello from inner, Hello from outer, Hello, World!",
    ],
    "broadcast": ["Received a message: Publishing a message: Hello, World!!"],
    "broadcast_from_outside": [
        "Received a message: Hello, World! From the runtime!",
        "Received a message: Publishing a message: Hello, World! From the runtime!!",
    ],
}


@pytest.mark.parametrize("program", [messages, request_response, broadcast_from_outside], ids=lambda it: it.__name__)
async def test_an_example_prints_what_it_shows(
    harness: Harness, program: object, capsys: pytest.CaptureFixture[str]
) -> None:
    """Line by line, and nothing else."""
    await within(program.main(harness.make()))  # type: ignore[attr-defined]
    name = program.__name__.removeprefix("examples.")  # type: ignore[attr-defined]
    assert capsys.readouterr().out.splitlines() == PRINTED[name]


@pytest.mark.parametrize("stop_when_idle", [True, False])
async def test_the_broadcast_arrives_however_the_runtime_is_stopped(
    harness: Harness, capsys: pytest.CaptureFixture[str], *, stop_when_idle: bool
) -> None:
    """When it is idle, or at once."""
    await within(broadcast.main(harness.make(), stop_when_idle=stop_when_idle))
    assert capsys.readouterr().out.splitlines() == PRINTED["broadcast"]


@pytest.mark.parametrize("name", sorted(PRINTED))
def test_an_example_is_a_program(name: str) -> None:
    """Started by itself it runs in one process."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", f"examples.{name}"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert (done.stdout.splitlines(), done.stderr) == (PRINTED[name], "")
