"""What the README shows is what happens."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from multi_actor.hosting.abc import ActorKey
from multi_actor.hosting.embedded import EmbeddedHost
from multi_actor.hosting.stores import SqliteStore
from multi_actor.settings import Settings
from tests.conftest import Serve
from tests.support import wait_until

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00")


def conversation() -> Iterator[tuple[list[str], str]]:
    """Yield each command of the first conversation with the line that it prints."""
    block = re.search(r"```console\n(.*?)```", README, re.DOTALL)
    assert block
    for step in block[1].strip().split("\n\n"):
        command, printed = step.split("\n")
        yield shlex.split(command.removeprefix("$ ")), printed


def without_times(text: str) -> object:
    return json.loads(TIME.sub("<time>", text))


async def test_the_first_conversation_goes_as_shown(serve_on: Serve) -> None:
    """Each curl of the README prints what stands below it, times aside; ``make run`` is what it is shown on."""
    async with serve_on() as client:
        for number, (command, printed) in enumerate(conversation()):
            path = next(word for word in command if word.startswith("localhost:8000")).removeprefix("localhost:8000")
            if "-d" in command:
                body = command[command.index("-d") + 1]
                answer = await client.post(path, content=body, headers={"content-type": "application/json"})

                async def remembered(turns: int = number + 1) -> bool:
                    return len((await client.get("/memory/user1")).json()["memory"]) == min(2 * turns, 3)

                await wait_until(remembered, description="the turn is remembered")
            else:
                answer = await client.get(path)
            assert without_times(answer.text) == without_times(printed)


async def test_the_agent_of_twenty_lines_works(serve_on: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its line in the table it counts each turn, and keeps what it counted."""
    block = re.search(r"```python\n((?:(?!```).)*class WordCount.*?)```", README, re.DOTALL)
    assert block
    program: dict[str, Any] = {"__name__": "readme"}
    exec(block[1], program)  # noqa: S102  # it is what the README shows
    agent = program["WordCount"]
    assert len(block[1].split("\n\n\n")[1].splitlines()) <= 20
    monkeypatch.setattr("multi_actor.agents.agents", lambda _: {agent: agent})
    store = SqliteStore(":memory:")
    async with serve_on(host=EmbeddedHost(store)) as client:
        for text in ("one", "two words"):
            await client.post("/chat/user1", json={"role": "user", "content": text})

        async def counted() -> bool:
            kept = await store.get(ActorKey("WordCount", "user1"), "agent-user1", now=0)
            return kept is not None and json.loads(kept) == {"words": 3}

        await wait_until(counted, description="the words of both turns are counted")


def test_every_setting_is_in_the_table() -> None:
    """Name, default and meaning of each setting stand in the README."""
    for name, field in Settings.model_fields.items():
        default = "unset" if field.default is None else f"`{field.default}`"
        assert f"| `{name.upper()}` | {default} | {field.description} |" in README


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^):]+)\)", README))))
def test_every_link_leads_somewhere(link: str) -> None:
    """A file that the README names is there."""
    assert (ROOT / link).exists()


def test_every_source_file_has_its_place() -> None:
    """The table of files knows each one."""
    for path in (ROOT / "multi_actor").rglob("*.py"):
        if path.name != "__init__.py":
            assert f"]({path.relative_to(ROOT)})" in README, f"{path.name} is missing in the table of files"


def test_every_test_that_a_guarantee_names_is_there() -> None:
    """A claim has its test."""
    for named in re.findall(r"`(tests/[\w/.]+)`", README):
        assert (ROOT / named).exists(), named
