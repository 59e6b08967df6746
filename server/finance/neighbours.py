"""What the finance desk needs of its neighbours: the ledger, the orders, people, the audit trail, the inbox."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

import msgspec

from server.clock import Clock, to_ms
from server.errors import Code, VouchError
from server.money.model import Account, Balances, Currency, Draft, History, Transfer
from server.payments.model import Difference, Order, OrderState, Reconciliation
from server.people.model import Account as Registered
from server.people.model import PersonCard
from server.principals import Grant, Role, Scope
from server.realtime.outbox import Outbox
from server.store import Tx

T = TypeVar("T")

#: takes part in a transaction about an order
Join = Callable[[Tx, Order], Awaitable[None]]


class Money(Protocol):
    async def transact(self, accounts: Iterable[Account], body: Callable[[Tx], Awaitable[T]]) -> T: ...

    async def post(self, tx: Tx, draft: Draft) -> Transfer: ...

    async def claw_back(
        self, tx: Tx, transfer: str, *, key: str, amount: int | None, by: str, note: str = ""
    ) -> Transfer: ...

    async def transfer(self, id: str) -> Transfer: ...

    async def balances(self, person: str) -> Sequence[Balances]: ...

    async def balance(self, account: Account, currency: Currency) -> int: ...

    async def history(
        self, person: str, currency: Currency, *, limit: int = 50, since: datetime | None = None
    ) -> History: ...

    def journal(self, since: datetime, until: datetime) -> AsyncIterator[Transfer]: ...


class Payments(Protocol):
    async def order(self, id: str) -> Order: ...

    async def look(self, order: Order) -> Order: ...

    async def approve(self, order: str, by: str, join: Join | None = None) -> Order: ...

    async def refuse(self, order: str, by: str, reason: str, join: Join | None = None) -> Order: ...

    async def in_state(
        self, state: OrderState | None, before: int | None, limit: int
    ) -> tuple[list[Order], int | None]: ...

    async def of_person(self, person: str, before: int | None, limit: int) -> tuple[list[Order], int | None]: ...

    async def begin_refund(
        self, *, key: str, charge: str, amount: int | None, by: str, approval: bool = False
    ) -> Order: ...

    async def reconcile(self, provider: str, since: datetime, until: datetime) -> Reconciliation: ...

    async def mend(self, difference: Difference, by: str) -> Order: ...


class People(Protocol):
    async def cards(self, ids: Iterable[str]) -> dict[str, PersonCard]: ...

    async def grants_of(self, person: str, tx: Tx | None = None) -> tuple[Grant, ...]: ...

    async def holders(self, *roles: Role) -> set[str]: ...

    async def id_of(self, handle: str) -> str | None: ...


class Registry(Protocol):
    async def one(self, person: str) -> Registered | None: ...


class Trail(Protocol):
    async def write(
        self, tx: Tx, by: str, action: str, target: str, facts: Mapping[str, str | int | bool | None]
    ) -> None: ...


class Desk:
    """What every part of the desk does alike: who still holds the role, whom to tell, what is written down."""

    def __init__(self, outbox: Outbox, people: People, trail: Trail, clock: Clock) -> None:
        self._outbox = outbox
        self._people = people
        self._trail = trail
        self._clock = clock

    def now(self) -> datetime:
        return self._clock.now()

    async def still(self, tx: Tx, actor: str) -> None:
        """Raises `forbidden` for somebody who has lost the role in the meantime."""
        held = {grant.role for grant in await self._people.grants_of(actor, tx) if grant.scope is Scope.SYSTEM}
        if not held & {Role.FINANCE, Role.ADMIN}:
            raise VouchError(Code.FORBIDDEN)

    async def note(self, tx: Tx, by: str, action: str, target: str, **facts: str | int | bool | None) -> None:
        """A row of the audit trail."""
        await self._trail.write(tx, by, action, target, facts)

    async def holders(self, *without: str) -> list[str]:
        """Those of the desk whom news concern, without those who have a part in it."""
        return sorted(await self._people.holders(Role.FINANCE, Role.ADMIN) - set(without))

    async def tell(self, tx: Tx, persons: Iterable[str], event: str, kind: str, body: msgspec.Struct) -> None:
        """An entry into each inbox; `event` makes it once per person."""
        order, content = to_ms(self.now()), msgspec.to_builtins(body)
        for person in persons:
            id, ch = f"{event}:{person}", f"inbox:{person}"
            await self._outbox.put(tx, id=id, ch=ch, order=order, kind=kind, body=content)

    async def cards(self, ids: Iterable[str | None]) -> list[PersonCard]:
        """The cards of those ids that are people's."""
        wanted = {id for id in ids if id and id.startswith("p_")}
        return list((await self._people.cards(wanted)).values())
