"""An actor program that was written for Dapr runs unchanged, with the SDK's own serializers and bare proxies."""

import ast
import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from dapr.actor import ActorId, ActorProxy
from dapr.clients.exceptions import DaprHttpError

from tests.conformance.harness import Harness
from tests.conformance.program import Account, AccountInterface, Bank, BankInterface

SECOND = timedelta(seconds=1)


@pytest.fixture
async def bank(harness: Harness) -> Harness:
    return await harness.start(Account, Bank, plain_json=False)


def account(name: str) -> Any:
    return ActorProxy.create("Account", ActorId(name), AccountInterface)


def clerk() -> Any:
    return ActorProxy.create("Bank", ActorId("main"), BankInterface)


@pytest.mark.usefixtures("bank")
async def test_deposits_and_withdrawals_add_up() -> None:
    """Also when they arrive together: no update is lost."""
    deposits = [account("anna").Deposit(number) for number in range(1, 51)]
    assert max(await asyncio.gather(*deposits)) == 1275
    assert await account("anna").Withdraw(275) == 1000
    assert await account("anna").GetBalance() == 1000
    assert await account("ben").GetBalance() == 0


@pytest.mark.usefixtures("bank")
async def test_a_withdrawal_that_fails_changes_nothing() -> None:
    """It had booked before it raised: balance and entries are as before, and the next turn works."""
    await account("anna").Deposit(100)
    with pytest.raises(DaprHttpError, match="anna is 50 short"):
        await account("anna").Withdraw(150)
    assert await account("anna").GetBalance() == 100
    assert await account("anna").Withdraw(100) == 0
    entries = (await account("anna").GetStatement())["entries"]
    assert [entry["cents"] for entry in entries] == [100, -100]


@pytest.mark.usefixtures("bank")
async def test_a_transfer_goes_through_two_accounts() -> None:
    """An actor calls others through bare proxies; if the payer cannot pay, nobody is paid."""
    await account("anna").Deposit(100)
    order = {"payer": "anna", "payee": "ben", "cents": 60}
    assert await clerk().Transfer(order) == {"anna": 40, "ben": 60}
    with pytest.raises(DaprHttpError, match="anna is 20 short"):
        await clerk().Transfer(order)
    assert await account("ben").GetBalance() == 60
    assert await clerk().GetTotal(["anna", "ben", "nobody"]) == 100


async def test_interest_is_paid_by_a_reminder(bank: Harness) -> None:
    """It comes with its data, across a restart, until the account is closed."""
    await account("anna").Deposit(1000)
    assert await account("anna").Open({"every": SECOND, "percent": 10}) == datetime(2024, 1, 15, 12, 30, tzinfo=UTC)
    await bank.elapse(1)
    assert await account("anna").GetBalance() == 1100
    await bank.restart()
    await bank.elapse(1)
    await account("anna").Close()
    paid = [entry["cents"] for entry in (await account("anna").GetStatement())["entries"][1:]]
    assert paid[:2] == [100, 110]
    await bank.elapse(2)
    assert await account("anna").GetBalance() == 1000 + sum(paid)


async def test_a_reminder_comes_with_its_times(bank: Harness) -> None:
    """As the SDK's types."""
    await account("anna").Open({"every": SECOND, "percent": 10})
    await bank.elapse(1)
    await account("anna").Close()
    entries = (await account("anna").GetStatement())["entries"]
    assert [entry["what"] for entry in entries] == ["10 percent for 0:00:01"]


async def test_an_audit_is_made_by_a_timer(bank: Harness) -> None:
    """Each tick is a turn whose changes are kept; the timer ends with the process."""
    await account("anna").Deposit(5)
    await account("anna").Audit(SECOND)
    await bank.elapse(1)
    await account("anna").Deposit(5)
    await bank.elapse(1)
    audited = [{"by": "the auditor", "balance": 5}, {"by": "the auditor", "balance": 10}]
    assert (await account("anna").GetStatement())["audited"] == audited
    await bank.restart()
    await bank.elapse(2)
    assert (await account("anna").GetStatement())["audited"] == audited


async def test_everything_is_there_after_a_restart(bank: Harness) -> None:
    """Dates and durations come back as such."""
    before = datetime.now(UTC) - SECOND
    await account("anna").Open({"every": timedelta(days=30, milliseconds=5), "percent": 1})
    await account("anna").Deposit(7)
    await bank.restart()
    statement = await account("anna").GetStatement()
    assert statement["opened"] == datetime(2024, 1, 15, 12, 30, tzinfo=UTC)
    assert statement["every"] == timedelta(days=30, milliseconds=5)
    assert before <= statement["entries"][0]["at"] <= datetime.now(UTC)
    assert await account("anna").GetBalance() == 7


def test_the_program_knows_no_host_but_dapr() -> None:
    """It imports the SDK and the standard library only."""
    source = (Path(__file__).parent / "program.py").read_text()
    modules = {
        name
        for node in ast.walk(ast.parse(source))
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [])
        + ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [])
    }
    assert {module.partition(".")[0] for module in modules} == {"dapr", "datetime", "typing"}
