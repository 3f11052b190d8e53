"""The shape of the source: imports go one way, files stay short."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted([ROOT / "main.py", *(ROOT / "multi_actor").rglob("*.py")])
PACKAGE = "multi_actor"

# What each room may import of ours, besides its own. A name ending in `.*` is a whole package.
ALLOWED = {
    "errors": set(),
    "settings": {"errors"},
    "logs": set(),
    "deadlines": set(),
    "serialization": set(),
    "contracts": set(),
    "messaging": {"errors", "logs", "messaging.*"},
    "hosting": {"errors", "deadlines", "logs", "serialization", "hosting.*"},
    "actors": {"errors", "deadlines", "logs", "contracts", "hosting.abc", "actors.*"},
    "subscriptions": {"errors", "logs", "contracts", "hosting.abc", "messaging.wire", "serialization"},
    "agents": {"errors", "contracts", "messaging", "agents.*"},
    "edge": {"errors", "deadlines", "logs", "serialization"},
    "callbacks": {"errors", "hosting.abc", "serialization"},
    "sidecar_app": {"deadlines", "edge", "callbacks", "hosting.abc", "serialization", "subscriptions"},
    "schemas": {"contracts", "hosting.abc"},
    "api": {
        "callbacks",
        "errors",
        "logs",
        "settings",
        "contracts",
        "hosting.abc",
        "subscriptions",
        "edge",
        "schemas",
        "serialization",
    },
    "app": {
        "errors",
        "deadlines",
        "logs",
        "settings",
        "contracts",
        "hosting.abc",
        "actors.*",
        "agents.*",
        "subscriptions",
        "callbacks",
        "edge",
        "api",
    },
}
# Modules that may import more than the rest of their room.
ALLOWED_TOO = {
    "agents.broadcast": {"hosting.abc", "messaging.*", "subscriptions"},
    "agents.routes": {"schemas"},
    "messaging.dapr": {"actors.outbox", "hosting.abc"},
    "messaging.hosted": {"actors.outbox", "serialization"},
    "messaging.topics": {"hosting.abc", "serialization"},
}
FRAMEWORKS = {"fastapi", "starlette", "uvicorn"}
CONCRETE_HOSTS = {"hosting.embedded", "hosting.stores", "hosting.dapr"}


def name_of(path: Path) -> str:
    """Return a file's module, below the package: `hosting.abc`, `main`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part not in {PACKAGE, "__init__"})


def imports_of(path: Path) -> Iterator[tuple[str, str]]:
    """Yield each module that a file imports, with the name that it takes from it (empty for the module itself)."""
    modules = {name_of(source) for source in SOURCES}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide where a name comes from"
            module = node.module or ""
            for alias in node.names:
                whole = f"{module}.{alias.name}"
                is_module = whole.removeprefix(f"{PACKAGE}.") in modules
                yield (whole, "") if is_module else (module, alias.name)


def ours(path: Path) -> Iterator[tuple[str, str]]:
    """Yield a file's imports from the package, each module below it."""
    for module, name in imports_of(path):
        if module.partition(".")[0] == PACKAGE:
            yield module.removeprefix(PACKAGE).removeprefix("."), name


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_imports_go_one_way(path: Path) -> None:
    """A room knows those before it only: hosting no contracts and no actors, nobody the application but main."""
    module = name_of(path)
    if module in {"main", ""}:
        return
    room = module.partition(".")[0]
    assert room in ALLOWED, f"{room} is new: say here what it may import"
    known = ALLOWED[room] | ALLOWED_TOO.get(module, set())
    for imported, _ in ours(path):
        allowed = imported in known or f"{imported.partition('.')[0]}.*" in known
        assert allowed, f"{module} imports {imported}"


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_only_main_names_a_concrete_host(path: Path) -> None:
    """Outside hosting everything else goes by the interface, so that either host will do."""
    module = name_of(path)
    if module == "main" or module.startswith("hosting"):
        return
    assert not CONCRETE_HOSTS & {imported for imported, _ in ours(path)}


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_private_names_stay_in_their_module(path: Path) -> None:
    """What begins with an underscore is nobody else's."""
    for module, name in ours(path):
        assert not any(part.startswith("_") for part in (*module.split("."), name)), f"{module}.{name}"


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_the_web_framework_is_known_at_the_edge_only(path: Path) -> None:
    """Actors, contracts and hosts run without it."""
    if name_of(path) in {"main", "app", "api", "edge", "callbacks", "schemas", "sidecar_app", "agents.routes"}:
        return
    assert not FRAMEWORKS & {module.partition(".")[0] for module, _ in imports_of(path)}


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_messaging_runs_without_dapr(path: Path) -> None:
    """Agents are plain Python; what hosts them on Dapr is one module's business."""
    module = name_of(path)
    if not module.startswith("messaging") or module in ALLOWED_TOO:
        return
    assert "dapr" not in {module.partition(".")[0] for module, _ in imports_of(path)}


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_no_source_file_is_long(path: Path) -> None:
    """One noun per file, 250 lines at most."""
    assert len(path.read_text().splitlines()) <= 250


@pytest.mark.parametrize("name", ["chat", "response", "memory"])
def test_the_actors_read_at_a_glance(name: str) -> None:
    """The three files that one opens first are under 130 lines each."""
    assert len((ROOT / PACKAGE / "actors" / f"{name}.py").read_text().splitlines()) < 130
