"""The Dockerfile, read as far as tests ask about it."""

import json
import re
from dataclasses import dataclass, field
from functools import cache

from tests.deployment.kustomization import ROOT


@dataclass
class Stage:
    """One stage: its instructions in order, those of the stages that it builds upon first."""

    name: str
    image: str
    """What it begins with, at the bottom."""
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def last(self, instruction: str) -> str:
        """Return what the last of these instructions says."""
        return [text for name, text in self.instructions if name == instruction][-1]

    def command(self, instruction: str) -> list[str]:
        """Return the words of an instruction in exec form; fails for one in shell form."""
        words: list[str] = json.loads(self.last(instruction).rpartition("CMD ")[2])
        return words

    def environment(self) -> dict[str, str]:
        """Return its variables."""
        texts = [text for name, text in self.instructions if name == "ENV"]
        return dict(pair.split("=", 1) for text in texts for pair in text.split())

    def copies(self) -> list[tuple[str, list[str]]]:
        """Return for each COPY the stage that it copies from (empty: the build's context) and its paths."""
        found = []
        for text in (text for name, text in self.instructions if name == "COPY"):
            options = [word for word in text.split() if word.startswith("--")]
            origin = next((option.removeprefix("--from=") for option in options if option.startswith("--from=")), "")
            found.append((origin, [word for word in text.split() if not word.startswith("--")]))
        return found


@cache
def stages() -> dict[str, Stage]:
    """Return the stages by name, in order."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.lstrip().startswith("#")]
    text = re.sub(r"\\\n\s*", "", "\n".join(lines))
    found: dict[str, Stage] = {}
    for line in filter(None, text.splitlines()):
        instruction, _, rest = line.partition(" ")
        if instruction == "FROM":
            image, _, name = rest.partition(" AS ")
            below = found.get(image)
            stage = found[name] = Stage(name, below.image if below else image, [*below.instructions] if below else [])
        else:
            stage.instructions.append((instruction, rest))
    return found


def service() -> Stage:
    """Return what a build without ``--target`` makes: the last stage."""
    return list(stages().values())[-1]
