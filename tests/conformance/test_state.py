"""State: what an actor sets is what it reads, whatever it is and whenever it asks."""

import itertools
from typing import Any

import pytest
from dapr.clients.exceptions import DaprHttpError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conformance.harness import Harness
from tests.conformance.probes import Notebook, Worker

AWKWARD_TEXTS = [
    "",
    " ",
    "5m",
    "1h30m",
    "2024-01-15",
    "2024-01-15: dentist",
    "2024-01-15T10:00:00Z",
    "null",
    "true",
    "1e5",
    "0x10",
    '"quoted" and \\escaped\\ and \\u0041',
    "{'json': [1, 2",
    "👩‍👩‍👧 e\u0301 ß 漢字 \u202e",
    "".join(map(chr, range(1, 32))) + "\x7f\x85\u2028\ufeff\ufffe",
    "\x00 in the middle \x00",
    "a lone \ud800 surrogate \udc00",
    "x" * 16_000,
    "😀" * 16_000,
]
VALUES: list[Any] = [
    None,
    True,
    0,
    -0.5,
    1e300,
    2**53 + 1,
    10**100,
    -(10**30),
    [],
    {},
    [None, [], {}, ""],
    {"nested": {"deeper": [{"5m": "5m", "": None}] * 3}},
    {"operation": "delete", "request": {"key": "name"}},
]
NAMES = [
    "a b",
    "a/b",
    "a||b",
    "a.b",
    "$.request",
    "é漢😀",
    "'",
    "a?b=c#d",
    "%41",
    "..",
    "null",
    "[0]",
    "5m",
    "x" * 500,
]
numbers = itertools.count()


async def kept(harness: Harness, name: str, value: object) -> Any:
    """Set a value in a fresh actor and return what the store gives back."""
    notebook = harness.actor(Notebook, f"fresh{next(numbers)}")
    await notebook.Change({"put": {name: value}})
    await notebook.Forget()
    return (await notebook.Read([name]))[name]


@pytest.mark.parametrize("text", AWKWARD_TEXTS, ids=ascii)
async def test_text_comes_back_as_it_was_set(harness: Harness, text: str) -> None:
    """Text stays text, also where it looks like a duration, a date, JSON or no character at all."""
    await harness.start(Notebook)
    assert await kept(harness, "name", text) == text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=10,
    )
)
async def test_any_json_comes_back_as_it_was_set(harness: Harness, value: object) -> None:
    """Whatever JSON can hold is kept, surrogates and big numbers included."""
    if not harness.setup.actors:
        await harness.start(Notebook)
    assert await kept(harness, "name", value) == value


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:20])
async def test_a_value_comes_back_as_it_was_set(harness: Harness, value: object) -> None:
    """Numbers keep every digit, empty things stay what they are, and None is a value."""
    await harness.start(Notebook)
    result = await kept(harness, "name", value)
    assert result == value
    assert type(result) is type(value)


async def test_names_are_kept_apart_as_they_are_written(harness: Harness) -> None:
    """Spaces, slashes, separators and unicode in a name mean nothing to the store."""
    await harness.start(Notebook)
    notebook = harness.actor(Notebook, "1")
    values = {name: f"value of {name}" for name in NAMES}
    await notebook.Change({"put": values})
    await notebook.Forget()
    assert await notebook.Read([*NAMES, "a", "b", "a||", "A"]) == values
    await notebook.Change({"remove": NAMES[::2]})
    await harness.restart()
    assert await harness.actor(Notebook, "1").Read(NAMES) == {name: values[name] for name in NAMES[1::2]}


async def test_actors_do_not_see_each_other(harness: Harness) -> None:
    """The same name in another actor, or in another type of the same id, is another value."""
    await harness.start(Notebook, Worker)
    ids = ["1", "2", "1||name", "Notebook||1", "Notebook"]
    for actor_id in ids:
        await harness.actor(Notebook, actor_id).Change({"put": {"name": actor_id, "1||name": "other"}})
    harness.journal.gate("open").set()
    await harness.actor(Worker, "1").Hold("open")
    await harness.restart()
    for actor_id in ids:
        assert await harness.actor(Notebook, actor_id).Read(["name", "held"]) == {"name": actor_id}


async def test_several_keys_change_in_one_turn(harness: Harness) -> None:
    """Upserts and deletes of one turn are kept together."""
    await harness.start(Notebook)
    notebook = harness.actor(Notebook, "1")
    await notebook.Change({"put": {f"old{number}": number for number in range(50)}})
    await notebook.Change(
        {
            "put": {f"new{number}": number for number in range(50)} | {"old0": "replaced"},
            "remove": [f"old{number}" for number in range(1, 49)],
        }
    )
    await harness.restart()
    names = [f"{age}{number}" for age in ("old", "new") for number in range(50)]
    expected = {"old0": "replaced", "old49": 49} | {f"new{number}": number for number in range(50)}
    assert await harness.actor(Notebook, "1").Read(names) == expected


async def test_a_key_that_is_removed_can_be_set_again(harness: Harness) -> None:
    """Set and removed in one turn it is not there; removed and set again it is the new one."""
    await harness.start(Notebook)
    notebook = harness.actor(Notebook, "1")
    await notebook.Change({"put": {"name": 1}, "remove": ["name"]})
    await notebook.Forget()
    assert await notebook.Read(["name"]) == {}
    await notebook.Change({"put": {"name": 2}})
    await notebook.Change({"remove": ["name"]})
    await notebook.Change({"put": {"name": 3}})
    await notebook.Forget()
    assert await notebook.Read(["name"]) == {"name": 3}


async def test_removing_what_is_not_there_is_the_actors_error(harness: Harness) -> None:
    """The SDK's KeyError reaches the caller, and the turn's other changes are not kept."""
    await harness.start(Notebook)
    notebook = harness.actor(Notebook, "1")
    await notebook.Change({"put": {"there": 1}})
    with pytest.raises(DaprHttpError, match="missing"):
        await notebook.Change({"put": {"there": 2}, "remove": ["missing"]})
    assert await notebook.Read(["there"]) == {"there": 1}


async def test_state_with_a_time_to_live_expires(harness: Harness) -> None:
    """It is there until its time has passed, across a restart as well; what has none stays."""
    await harness.start(Notebook)
    notebook = harness.actor(Notebook, "1")
    await notebook.Change({"put": {"short": 1, "long": 2, "always": 3}, "ttl": {"short": 2, "long": 60}})
    await notebook.Forget()
    assert await notebook.Read(["short", "long", "always"]) == {"short": 1, "long": 2, "always": 3}
    await harness.elapse(3)
    await harness.restart()
    assert await harness.actor(Notebook, "1").Read(["short", "long", "always"]) == {"long": 2, "always": 3}


async def test_setting_a_value_again_sets_its_time_to_live_again(harness: Harness) -> None:
    """Without one the value stays; with a longer one it stays longer."""
    await harness.start(Notebook)
    notebook = harness.actor(Notebook, "1")
    await notebook.Change({"put": {"a": 1, "b": 1}, "ttl": {"a": 1, "b": 1}})
    await notebook.Change({"put": {"a": 2, "b": 2}, "ttl": {"b": 60}})
    await harness.elapse(2)
    await notebook.Forget()
    assert await notebook.Read(["a", "b"]) == {"a": 2, "b": 2}
