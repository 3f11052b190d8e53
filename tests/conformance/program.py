"""A bank, as the tutorial of the Dapr Python SDK has one write it: it knows of no host but Dapr."""

# mypy: disable-error-code="empty-body, untyped-decorator"
# @actormethod is untyped, and makes a method abstract in its own way.

from datetime import UTC, datetime, timedelta
from typing import Any

from dapr.actor import Actor, ActorId, ActorInterface, ActorProxy, Remindable, actormethod
from dapr.actor.runtime.context import ActorRuntimeContext


class InsufficientFundsError(Exception):
    """More was asked for than there is."""


class AccountInterface(ActorInterface):
    @actormethod(name="Open")
    async def open(self, terms: dict[str, Any]) -> datetime: ...

    @actormethod(name="Deposit")
    async def deposit(self, cents: int) -> int: ...

    @actormethod(name="Withdraw")
    async def withdraw(self, cents: int) -> int: ...

    @actormethod(name="GetBalance")
    async def get_balance(self) -> int: ...

    @actormethod(name="GetStatement")
    async def get_statement(self) -> dict[str, Any]: ...

    @actormethod(name="Audit")
    async def start_audit(self, every: timedelta) -> None: ...

    @actormethod(name="Close")
    async def close(self) -> None: ...


class Account(Actor, AccountInterface, Remindable):
    """Holds cents, bears interest by a reminder, and is audited by a timer."""

    def __init__(self, ctx: ActorRuntimeContext, actor_id: ActorId) -> None:
        super().__init__(ctx, actor_id)
        self._activated_at: datetime | None = None

    async def _on_activate(self) -> None:
        self._activated_at = datetime.now(UTC)
        await self._state_manager.try_add_state("balance", 0)
        await self._state_manager.try_add_state("entries", [])
        await self._state_manager.save_state()

    async def open(self, terms: dict[str, Any]) -> datetime:
        """Begin to bear interest: ``percent`` each ``every``."""
        opened = datetime(2024, 1, 15, 12, 30, tzinfo=UTC)
        await self._state_manager.set_state("opened", opened)
        await self._state_manager.set_state("every", terms["every"])
        await self.register_reminder("interest", str(terms["percent"]).encode(), terms["every"], terms["every"])
        return opened

    async def deposit(self, cents: int) -> int:
        return await self._book("deposit", cents)

    async def withdraw(self, cents: int) -> int:
        balance = await self._book("withdrawal", -cents)
        if balance < 0:
            raise InsufficientFundsError(f"{self.id} is {-balance} short")
        return balance

    async def get_balance(self) -> int:
        return int(await self._state_manager.get_state("balance") or 0)

    async def get_statement(self) -> dict[str, Any]:
        names = ["opened", "every", "entries", "audited"]
        return {name: (await self._state_manager.try_get_state(name))[1] for name in names}

    async def start_audit(self, every: timedelta) -> None:
        await self.register_timer("audit", self.audit, {"by": "the auditor"}, every, every)

    async def close(self) -> None:
        await self.unregister_reminder("interest")
        await self.unregister_timer("audit")

    async def audit(self, data: dict[str, str]) -> None:
        """Note who counted what."""
        counted = await self._state_manager.get_or_add_state("audited", []) or []
        counted.append({"by": data["by"], "balance": await self.get_balance()})
        await self._state_manager.set_state("audited", counted)

    async def receive_reminder(
        self, name: str, state: bytes, due_time: timedelta, period: timedelta, ttl: timedelta | None = None
    ) -> None:
        if (name, due_time, ttl) != ("interest", period, None):
            raise ValueError(f"no such reminder: {name}")
        await self._book(f"{state.decode()} percent for {period}", await self.get_balance() * int(state) // 100)

    async def _book(self, what: str, cents: int) -> int:
        entries = await self._state_manager.get_state("entries") or []
        entries.append({"what": what, "cents": cents, "at": self._activated_at})
        balance = await self.get_balance() + cents
        await self._state_manager.set_state("entries", entries)
        await self._state_manager.set_state("balance", balance)
        return balance


class BankInterface(ActorInterface):
    @actormethod(name="Transfer")
    async def transfer(self, order: dict[str, Any]) -> dict[str, int]: ...

    @actormethod(name="GetTotal")
    async def get_total(self, accounts: list[str]) -> int: ...


class Bank(Actor, BankInterface):
    """Moves money between accounts."""

    async def transfer(self, order: dict[str, Any]) -> dict[str, int]:
        left = await self._account(order["payer"]).Withdraw(order["cents"])
        now_there = await self._account(order["payee"]).Deposit(order["cents"])
        return {order["payer"]: left, order["payee"]: now_there}

    async def get_total(self, accounts: list[str]) -> int:
        return sum([await self._account(account).GetBalance() for account in accounts])

    @staticmethod
    def _account(name: str) -> Any:
        return ActorProxy.create("Account", ActorId(name), AccountInterface)
