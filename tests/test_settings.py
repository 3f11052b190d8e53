"""Settings from the environment: names, defaults, and what is refused."""

import os

import pytest

from multi_actor.errors import StartupError
from multi_actor.settings import Settings

DEFAULTS = {
    "LISTEN": "127.0.0.1",
    "PORT": 8000,
    "ACTOR_HOST": "auto",
    "STATE_FILE": ".data/multi-actor.db",
    "HISTORY_LIMIT": 5,
    "MEMORY_LIMIT": 3,
    "REQUEST_TIMEOUT_SECONDS": 30,
    "MEMORY_TIMEOUT_SECONDS": 2,
    "MAX_BODY_BYTES": 262_144,
    "MAX_CONTENT_CHARS": 16_000,
    "OUTBOX_LIMIT": 1_000,
    "STATE_SYNC": "normal",
    "APP_API_TOKEN": None,
    "LOG_LEVEL": "INFO",
    "LOG_FORMAT": "auto",
    "RESPONDER": "template",
    "AGENTS": "all",
    "LOG_DATABASE_URL": None,
}


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper() in DEFAULTS:
            monkeypatch.delenv(name)


@pytest.mark.parametrize("name", DEFAULTS)
def test_each_variable_has_its_default(name: str) -> None:
    """An empty environment is a whole configuration."""
    assert getattr(Settings.from_environment(), name.lower()) == DEFAULTS[name]


def test_there_is_no_other_variable() -> None:
    """The list of the contract is the list of the settings."""
    assert {name.upper() for name in Settings.model_fields} == set(DEFAULTS)


@pytest.mark.parametrize("name", DEFAULTS)
def test_an_empty_value_is_none_at_all(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A deployment file may name a variable and leave it empty."""
    monkeypatch.setenv(name, "")
    assert getattr(Settings.from_environment(), name.lower()) == DEFAULTS[name]


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("LISTEN", "::1", "::1"),
        ("PORT", "0", 0),
        ("PORT", "65535", 65_535),
        ("ACTOR_HOST", "embedded", "embedded"),
        ("ACTOR_HOST", "dapr", "dapr"),
        ("STATE_FILE", ":memory:", ":memory:"),
        ("HISTORY_LIMIT", "1", 1),
        ("MEMORY_LIMIT", "12", 12),
        ("REQUEST_TIMEOUT_SECONDS", "0.5", 0.5),
        ("MEMORY_TIMEOUT_SECONDS", "1.5", 1.5),
        ("MAX_BODY_BYTES", "5000", 5_000),
        ("MAX_CONTENT_CHARS", "1", 1),
        ("OUTBOX_LIMIT", "1", 1),
        ("STATE_SYNC", "full", "full"),
        ("LOG_LEVEL", "DEBUG", "DEBUG"),
        ("LOG_LEVEL", "warning", "WARNING"),
        ("LOG_FORMAT", "text", "text"),
        ("LOG_FORMAT", "json", "json"),
        ("RESPONDER", "package.module:factory", "package.module:factory"),
    ],
)
def test_a_value_is_obeyed(monkeypatch: pytest.MonkeyPatch, name: str, text: str, value: object) -> None:
    """Each variable sets the setting of its name."""
    monkeypatch.setenv(name, text)
    assert getattr(Settings.from_environment(), name.lower()) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PORT", "-1"),
        ("PORT", "65536"),
        ("PORT", "http"),
        ("PORT", "80.5"),
        ("ACTOR_HOST", "cloud"),
        ("HISTORY_LIMIT", "0"),
        ("HISTORY_LIMIT", "five"),
        ("MEMORY_LIMIT", "-3"),
        ("REQUEST_TIMEOUT_SECONDS", "0"),
        ("REQUEST_TIMEOUT_SECONDS", "-1"),
        ("REQUEST_TIMEOUT_SECONDS", "30s"),
        ("REQUEST_TIMEOUT_SECONDS", "nan"),
        ("REQUEST_TIMEOUT_SECONDS", "inf"),
        ("MEMORY_TIMEOUT_SECONDS", "0"),
        ("MEMORY_TIMEOUT_SECONDS", "nan"),
        ("MAX_BODY_BYTES", "0"),
        ("MAX_BODY_BYTES", "1MB"),
        ("MAX_CONTENT_CHARS", "0"),
        ("OUTBOX_LIMIT", "0"),
        ("STATE_SYNC", "off"),
        ("LOG_LEVEL", "LOUD"),
        ("LOG_FORMAT", "xml"),
    ],
)
def test_a_bad_value_is_an_error_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    """The message says which variable it is, and what it may be."""
    monkeypatch.setenv(name, text)
    with pytest.raises(StartupError, match=name):
        Settings.from_environment()


def test_every_bad_value_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One start is enough to find them all."""
    monkeypatch.setenv("PORT", "http")
    monkeypatch.setenv("LOG_LEVEL", "LOUD")
    with pytest.raises(StartupError, match=r"(?s)PORT.*LOG_LEVEL"):
        Settings.from_environment()


def test_the_token_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings can be printed without giving it away."""
    monkeypatch.setenv("APP_API_TOKEN", "a-private-token")
    settings = Settings.from_environment()
    assert settings.app_api_token is not None
    assert settings.app_api_token.get_secret_value() == "a-private-token"
    assert "a-private-token" not in f"{settings!r} {settings}"


@pytest.mark.parametrize("name", Settings.model_fields)
def test_each_setting_says_what_it_is(name: str) -> None:
    """The description is what the table of the README is made of."""
    assert Settings.model_fields[name].description
