"""What must have become of the turns that were answered."""

from collections.abc import Awaitable, Callable
from typing import Any

from tests.kill.service import KEPT_MESSAGES
from tests.kill.traffic import Traffic, Turn
from tests.support import wait_until

FOLLOWED_WITHIN = 60.0  # seconds
Read = Callable[[str], Awaitable[Any]]
"""Reads one path of the service."""


def in_the_order_of(history: list[dict[str, str]], turns: list[Turn]) -> list[Turn]:
    place = {message["content"]: number for number, message in enumerate(history)}
    return sorted(turns, key=lambda turn: place[turn.said])


async def kept_once(traffic: Traffic, read: Read) -> dict[str, list[dict[str, str]]]:
    """Check that every answered turn is counted and in the history, once, a conversation's turns in their order.

    Returns each user's history.
    """
    histories: dict[str, list[dict[str, str]]] = {}
    for user in traffic.users:
        turns = traffic.of_user(user)
        assert 2 * len(turns) <= KEPT_MESSAGES
        history = (await read(f"/chat/{user}/history"))["history"]
        histories[user] = _messages_of(in_the_order_of(history, turns))
        assert history == histories[user]
        assert await read(f"/response/{user}/count") == {"count": len(turns)}
    for lane in traffic.lanes:
        assert in_the_order_of(histories[lane.user], lane.turns) == lane.turns
    return histories


async def followed_once(traffic: Traffic, histories: dict[str, list[dict[str, str]]], read: Read) -> None:
    """Wait for the agents to follow, then check that each turn is in the log and in the tone, once and in order."""

    async def all_rated() -> bool:
        for user in traffic.users:
            if (await read(f"/sentiment/{user}"))["messages"] < len(traffic.of_user(user)):
                return False
        return True

    async def all_logged() -> bool:
        for user in traffic.users:
            if len((await read(f"/log/{user}?limit=1000"))["turns"]) < len(traffic.of_user(user)):
                return False
        return True

    await wait_until(all_rated, description="every turn is rated", within=FOLLOWED_WITHIN)
    await wait_until(all_logged, description="every turn is logged", within=FOLLOWED_WITHIN)
    for user in traffic.users:
        assert (await read(f"/sentiment/{user}"))["messages"] == len(traffic.of_user(user))
        turns = (await read(f"/log/{user}?limit=1000"))["turns"]
        assert [message for turn in turns for message in (turn["input"], turn["output"])] == histories[user]


def _messages_of(turns: list[Turn]) -> list[dict[str, str]]:
    return [
        message
        for turn in turns
        for message in ({"role": "user", "content": turn.said}, {"role": "assistant", "content": turn.reply})
    ]
