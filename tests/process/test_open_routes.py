"""The warning about routes that anybody may call."""

from pathlib import Path
from typing import Any

import pytest

from tests.process.support import serving


@pytest.mark.parametrize(
    ("environment", "warned"),
    [
        ({}, False),
        ({"LISTEN": "localhost"}, False),
        ({"LISTEN": "0.0.0.0"}, True),  # noqa: S104  # the case that the warning is for
        ({"LISTEN": "0.0.0.0", "APP_API_TOKEN": ""}, True),  # noqa: S104
        ({"LISTEN": "0.0.0.0", "APP_API_TOKEN": "a-private-token"}, False),  # noqa: S104
    ],
)
async def test_a_start_warns_where_the_sidecars_routes_are_open_to_others(
    tmp_path: Path, environment: dict[str, str], *, warned: bool
) -> None:
    """It names the variable when LISTEN is not loopback and no token is set; a token is never logged."""
    options: dict[str, Any] = {"STATE_FILE": ":memory:", **environment}
    async with serving(tmp_path / "log", **options) as (service, _):
        warnings = [line["message"] for line in service.lines if line["level"] == "WARNING"]
        assert len(warnings) == warned
        assert all("APP_API_TOKEN" in warning for warning in warnings)
        assert "a-private-token" not in service.log
