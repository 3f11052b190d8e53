"""The events that the broker holds, as Redis keeps them."""

import asyncio
import json
import os
from typing import Any

from tools.dapr.local import ControlPlane


async def events(plane: ControlPlane, topic: str) -> list[dict[str, Any]]:
    """Return every CloudEvent that was published on a topic, oldest first."""
    command = ["redis-cli", "-h", "127.0.0.1", "-p", str(plane.redis_port), "--json", "XRANGE", topic, "-", "+"]
    client = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, env=os.environ | {"REDISCLI_AUTH": plane.redis_password}
    )
    output, _ = await client.communicate()
    assert client.returncode == 0
    entries = [dict(zip(flat[::2], flat[1::2], strict=True)) for _, flat in json.loads(output)]
    return [json.loads(entry["data"]) for entry in entries]
