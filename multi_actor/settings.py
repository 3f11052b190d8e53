"""Settings, read from the environment when the composition root asks for them."""

from typing import Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from multi_actor.errors import StartupError

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class Settings(BaseSettings):
    """Every setting, under the name of its environment variable in lower case. Times are in seconds."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, env_ignore_empty=True)

    listen: str = Field("127.0.0.1", description="address to serve on")
    port: int = Field(8000, ge=0, le=65535, description="port to serve on; 0 lets the system choose")
    actor_host: Literal["auto", "embedded", "dapr"] = Field(
        "auto",
        description="where actors run: `auto` is `dapr` where `DAPR_HTTP_PORT` or `DAPR_GRPC_PORT` is set",
    )
    state_file: str = Field(
        ".data/multi-actor.db", description="SQLite file of the embedded host; `:memory:` keeps nothing"
    )
    state_sync: Literal["normal", "full"] = Field(
        "normal", description="`full` syncs every commit, so that power loss loses nothing either"
    )
    history_limit: int = Field(5, ge=1, le=1000, description="messages in a user's history")
    memory_limit: int = Field(3, ge=1, le=1000, description="messages in a user's memory")
    request_timeout_seconds: float = Field(30, gt=0, le=600, description="until a request is answered 503")
    memory_timeout_seconds: float = Field(2, gt=0, le=600, description="until a reply is made without memory")
    max_body_bytes: int = Field(262_144, ge=1_024, description="longest body of a client's request, in bytes")
    max_content_chars: int = Field(16_000, ge=1, description="longest message, in code points")
    outbox_limit: int = Field(1_000, ge=1, le=10_000, description="events of one user that may wait for the broker")
    app_api_token: SecretStr | None = Field(
        None, description="what `dapr-api-token` must carry on the sidecar's routes; unset: they are open"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = Field(
        "INFO", description="message contents are logged at DEBUG only"
    )
    log_format: Literal["auto", "text", "json"] = Field("auto", description="`auto` is text on a terminal, else json")
    responder: str = Field(
        "template", description="what writes replies: `template`, or `package.module:factory` of your own"
    )

    agents: Literal["all", "none"] = Field("all", description="whether agents join the conversation's broadcast")
    log_database_url: SecretStr | None = Field(
        None, description="SQLAlchemy's URL for the conversation log; unset: SQLite, a file beside `STATE_FILE`"
    )

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @classmethod
    def from_environment(cls) -> "Settings":
        """Read the environment.

        Raises:
            StartupError: a value is bad; the message names each variable.
        """
        try:
            return cls()
        except ValidationError as error:
            problems = (f"{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
            raise StartupError("bad settings: " + "; ".join(problems)) from None
