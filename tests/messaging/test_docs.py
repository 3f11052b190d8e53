"""What docs/messaging.md says is so."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from multi_actor import messaging
from multi_actor.errors import MultiActorError, RetryableError, TerminalError

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "messaging.md").read_text()


def test_the_first_program_runs() -> None:
    """And prints what the comment beside it says."""
    block = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert block
    printed = re.search(r"# (Will it .*)", block[1])
    assert printed
    done = subprocess.run([sys.executable, "-c", block[1]], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == f"{printed[1]}\n"


@pytest.mark.parametrize(
    "row", re.findall(r"^\| `(\w+(?:Error|Exception))`(.*)", TEXT, re.MULTILINE), ids=lambda r: r[0]
)
def test_every_error_is_as_the_table_has_it(row: tuple[str, str]) -> None:
    """By class, by whether it may pass, and by what else it is."""
    name, rest = row
    error = getattr(messaging, name)
    assert issubclass(error, MultiActorError)
    assert issubclass(error, RetryableError if "(retryable)" in rest else TerminalError)
    for base in re.findall(r"`(LookupError|ValueError|TypeError)`", rest.split("|")[1]):
        assert base in {cls.__name__ for cls in error.__mro__}


def test_every_error_is_in_the_table() -> None:
    """And everything that is exported is there."""
    for name in messaging.__all__:
        assert hasattr(messaging, name)
        if name.endswith(("Error", "Exception")) and name != "MessagingError":
            assert f"| `{name}`" in TEXT


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^):]+)\)", TEXT))))
def test_every_link_leads_somewhere(link: str) -> None:
    """A file that the page names is there."""
    assert (ROOT / "docs" / link).resolve().exists()
