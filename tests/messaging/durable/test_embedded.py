"""What only the embedded host may refuse: to start."""

import asyncio
from pathlib import Path

import pytest

from multi_actor.messaging import AgentId
from tests.messaging.durable.harness import Embedded
from tests.messaging.harness import Do, within


async def test_a_host_that_cannot_start_is_an_error_for_everybody(tmp_path: Path) -> None:
    """Each sender gets it, and so does the stop."""
    harness, other = (Embedded(str(tmp_path / "state.db")) for _ in range(2))
    await harness.start("a")
    await harness.do("a/1")
    second = await other.start("a")
    for work in (second.send_message(Do("nothing"), AgentId("a", "1")), second.stop()):
        with pytest.raises(Exception, match="in use by another process"):
            await within(work)
    await harness.close()
    del other.runtime
    await asyncio.sleep(0)
