"""What must have become of the turns that were answered, on the real runtime."""

from functools import partial
from typing import Any

import httpx

from multi_actor.contracts import MEMORY
from tests.dapr.instance import Instance, read
from tests.kill.traffic import Traffic
from tests.kill.verdict import followed_once, kept_once
from tests.support import wait_until
from tools.dapr.processes import LOOPBACK

REMEMBERED_WITHIN = 60.0  # seconds, from when everything is up again


async def remembered(traffic: Traffic, client: httpx.AsyncClient, one: Instance) -> None:
    """Wait for every turn to reach the memory; all is there, and with the agents, once and in order."""
    ask = partial(_read, client, one.url)

    async def all_in_memory() -> bool:
        for user in traffic.users:
            if len((await ask(f"/memory/{user}"))["memory"]) < 2 * len(traffic.of_user(user)):
                return False
        return True

    await wait_until(
        all_in_memory, description=f"the memory holds every turn; logs: {one.app.log.parent}", within=REMEMBERED_WITHIN
    )
    histories = await kept_once(traffic, ask)
    for user in traffic.users:
        assert (await ask(f"/memory/{user}"))["memory"] == histories[user]
        turns = len(traffic.of_user(user))
        assert await counted(one, client, user) == {"count": turns, "watermark": turns, "ahead": []}
    await followed_once(traffic, histories, ask)


async def counted(one: Instance, client: httpx.AsyncClient, user: str) -> Any:
    """Return how many turns the memory actor counted, up to where all of them, and which beyond."""
    state = f"/v1.0/actors/{MEMORY}/memory-{user}/state/memory-count-{user}"
    return await read(client, f"http://{LOOPBACK}:{one.sidecar.http_port}{state}")


async def _read(client: httpx.AsyncClient, url: str, path: str) -> Any:
    """Ask again as often as the answer is 503: a sidecar still settles, up to half a minute after it is ready."""
    answers: list[httpx.Response] = []

    async def answered() -> bool:
        answers[:] = [await client.get(f"{url}{path}")]
        return answers[0].status_code != 503

    await wait_until(answered, description=f"{path} is answered", within=REMEMBERED_WITHIN)
    assert answers[0].status_code == 200, f"{path}: {answers[0].status_code} {answers[0].text}"
    return answers[0].json()
