"""What the wallet needs of its neighbours: the ledger, payments, people, guardians. The wiring gives them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any, Protocol, TypeVar

from server.money.model import Account, Balances, Currency, Day, Draft, History, Hold, Transfer, TransferKind
from server.payments.model import Order, Terms
from server.people.model import Language, PersonCard
from server.store import Tx
from server.wallet.model import Standing

T = TypeVar("T")


class Money(Protocol):
    async def transact(self, accounts: Iterable[Account], body: Callable[[Tx], Awaitable[T]]) -> T: ...

    async def post(self, tx: Tx, draft: Draft) -> Transfer: ...

    async def transfer(self, id: str) -> Transfer: ...

    async def by_key(self, key: str) -> Transfer | None: ...

    async def balances(self, person: str) -> list[Balances]: ...

    async def holds(self, person: str) -> list[Hold]: ...

    async def history(
        self,
        person: str,
        currency: Currency,
        *,
        before: str | None,
        limit: int,
        kinds: Collection[TransferKind] | None,
        since: datetime | None,
        until: datetime | None,
    ) -> History: ...

    async def daily(
        self, person: str, currency: Currency, since: datetime, until: datetime, zone: tzinfo
    ) -> Sequence[Day]: ...


class Payments(Protocol):
    @property
    def terms(self) -> Mapping[str, Terms]: ...

    async def begin_charge(
        self,
        *,
        key: str,
        person: str,
        provider: str,
        amount: int,
        currency: Currency,
        purpose: str,
        by: str,
        return_url: str,
        language: str,
    ) -> Order: ...

    async def begin_refund(
        self, *, key: str, charge: str, amount: int | None, by: str, approval: bool = False
    ) -> Order: ...

    async def begin_pay_out(
        self,
        *,
        key: str,
        person: str,
        provider: str,
        amount: int,
        currency: Currency,
        destination: dict[str, str],
        by: str,
        approval: bool,
    ) -> Order: ...

    async def cancel(self, order: str, by: str) -> Order: ...

    async def look(self, order: Order) -> Order: ...

    async def order(self, id: str) -> Order: ...

    async def by_key(self, key: str) -> Order | None: ...

    async def of_person(self, person: str, before: int | None, limit: int) -> tuple[list[Order], int | None]: ...

    async def open_of(self, person: str) -> list[Order]: ...


class People(Protocol):
    async def cards(self, ids: Iterable[str]) -> dict[str, PersonCard]: ...

    async def locale(self, person: str) -> tuple[Language, str]: ...

    async def are_friends(self, person: str, others: Iterable[str]) -> set[str]: ...

    async def hold_friendship(self, tx: Tx, a: str, b: str) -> None: ...

    async def blocked_between(self, a: str, b: str) -> bool: ...


class Proofs(Protocol):
    async def spend(
        self,
        tx: Tx,
        person: str,
        session: str,
        proof: str,
        purpose: str,
        facts: Mapping[str, str | int],
        *,
        use: str = "",
    ) -> None: ...


class Factors(Protocol):
    async def has(self, person: str) -> bool: ...


class Guardians(Protocol):
    async def standing(self, person: str, tx: Tx | None = None) -> Standing: ...

    async def payee_of(self, person: str, tx: Tx | None = None) -> str | None: ...


class Outbox(Protocol):
    async def put(self, tx: Tx, *, id: str, ch: str, order: int, kind: str, body: dict[str, Any]) -> None: ...


class Limits(Protocol):
    async def hit(self, name: str, key: str) -> None: ...
