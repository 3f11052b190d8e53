"""Cancellation: the sender gets `CancelledError`, and a message that waits is taken back."""

import asyncio
import threading

import pytest

from multi_actor.messaging import CancellationToken, MessageContext
from tests.messaging.harness import Do, Harness, Probe, Reply, within
from tests.support import wait_until


async def test_a_token_cancels_the_wait_for_a_reply(harness: Harness) -> None:
    """What runs goes on, and the agent serves on after it."""
    await harness.start("a")
    token = CancellationToken()
    asked = harness.begin("a/1", "hold", "gate", cancellation_token=token)
    await harness.journal.until("begin", "a/1")
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    harness.journal.gate("gate").set()
    assert await harness.do("a/1", text="on") == Reply("on")
    assert harness.journal.count("end", "a/1", "hold") == 1


async def test_a_waiting_message_is_taken_back(harness: Harness) -> None:
    """The handler never sees it."""
    await harness.start("a")
    token = CancellationToken()
    first = harness.begin("a/1", "hold", "gate")
    await harness.journal.until("begin", "a/1")
    second = harness.begin("a/1", text="second", cancellation_token=token)
    await asyncio.sleep(0)
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    harness.journal.gate("gate").set()
    await within(first)
    await harness.idle()
    assert harness.journal.count("begin", "a/1", "nothing") == 0


async def test_a_cancelled_token_sends_nothing(harness: Harness) -> None:
    """It was cancelled before."""
    await harness.start("a")
    token = CancellationToken()
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await harness.do("a/1", cancellation_token=token)
    await harness.idle()
    assert not harness.journal.notes


async def test_a_handler_that_is_cancelled_cancels_its_sender(harness: Harness) -> None:
    """As any other exception would reach it."""

    @harness.can
    async def cancel(probe: Probe, message: Do, ctx: MessageContext) -> None:
        raise asyncio.CancelledError

    await harness.start("a")
    with pytest.raises(asyncio.CancelledError):
        await harness.do("a/1", "cancel")
    assert await harness.do("a/1", text="on") == Reply("on")


async def test_a_long_lived_token_holds_nothing_of_what_is_done(harness: Harness) -> None:
    """A thousand messages later it is as small as before."""
    await harness.start("a")
    token = CancellationToken()
    for _ in range(100):
        await harness.do("a/1", cancellation_token=token)
    await asyncio.sleep(0)
    assert len(token._callbacks) == 0


async def test_callbacks_are_called_once() -> None:
    """By cancel, or at once if it has been called."""
    token, calls = CancellationToken(), []
    token.add_callback(lambda: calls.append("before"))
    assert not token.is_cancelled()
    token.cancel()
    token.cancel()
    token.add_callback(lambda: calls.append("after"))
    assert token.is_cancelled()
    assert calls == ["before", "after"]


async def test_a_token_may_be_cancelled_by_another_thread() -> None:
    """Its futures are cancelled in their own loop."""
    token = CancellationToken()
    future = token.link_future(asyncio.get_running_loop().create_future())
    thread = threading.Thread(target=token.cancel)
    thread.start()
    await wait_until(future.cancelled, description="the future is cancelled")
    thread.join()
