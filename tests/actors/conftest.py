"""Fixtures of the actors' tests."""

from collections.abc import AsyncIterator

import pytest

from multi_actor.hosting.client import EmbeddedActorClient
from tests.actors.conversation import Conversation, opened


@pytest.fixture
async def conversation() -> AsyncIterator[Conversation]:
    """One user's actors with the usual limits."""
    async with opened() as conversation:
        yield conversation


@pytest.fixture
def arming(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The actors that registered a reminder, in order."""
    arming: list[str] = []
    register = EmbeddedActorClient.register_reminder

    async def record(client: EmbeddedActorClient, actor_type: str, actor_id: str, name: str, data: bytes) -> None:
        arming.append(actor_type)
        await register(client, actor_type, actor_id, name, data)

    monkeypatch.setattr(EmbeddedActorClient, "register_reminder", record)
    return arming
