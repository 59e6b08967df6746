"""What supervision needs of its neighbours: people, families, the ledger, payments, conversations, the audit trail.
The wiring gives them; each part takes from `Neighbours` what it uses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from server.chat.model import Room
from server.clock import Clock
from server.media.keeping import Offered
from server.media.model import Media
from server.money.model import Account, Currency, Hold, Share, Transfer
from server.payments.model import Order
from server.people.model import Age, Language, PersonCard
from server.principals import Grant, Role
from server.proofs.model import ProofView
from server.store import Store, Tx
from server.wallet.model import Payment, Standing, TopUp

T = TypeVar("T")


class People(Protocol):
    async def cards(self, ids: Iterable[str]) -> dict[str, PersonCard]: ...

    async def age(self, person: str, tx: Tx | None = None) -> Age | None: ...

    async def locale(self, person: str) -> tuple[Language, str]: ...

    async def are_friends(self, person: str, others: Iterable[str]) -> set[str]: ...

    async def blocked_between(self, a: str, b: str) -> bool: ...

    async def blocked_with(self, person: str, others: Iterable[str]) -> set[str]: ...

    async def grants_of(self, person: str, tx: Tx | None = None) -> tuple[Grant, ...]: ...

    async def holders(self, *roles: Role) -> set[str]: ...

    async def known_to(self, person: str, others: Iterable[str]) -> set[str]: ...

    async def friends_of(self, person: str) -> list[str]: ...

    async def share_browser(self, person: str, others: Iterable[str]) -> set[str]: ...


class Guardians(Protocol):
    async def standing(self, person: str, tx: Tx | None = None) -> Standing: ...

    async def payee_of(self, person: str, tx: Tx | None = None) -> str | None: ...

    async def wards_of(self, person: str) -> list[str]: ...

    async def met(self, person: str, ids: set[str]) -> set[str]: ...


class Money(Protocol):
    async def transact(self, accounts: Iterable[Account], body: Callable[[Tx], Awaitable[T]]) -> T: ...

    async def hold(
        self,
        tx: Tx,
        *,
        key: str,
        person: str,
        amount: int,
        currency: Currency,
        about: str,
        note: str = "",
        by: str = "system",
    ) -> Hold: ...

    async def release(
        self, tx: Tx, hold: str, *, key: str, to: Account, note: str = "", by: str = "system"
    ) -> Transfer: ...

    async def refund(self, tx: Tx, hold: str, *, key: str, note: str = "", by: str = "system") -> Transfer: ...

    async def split(
        self, tx: Tx, hold: str, *, key: str, shares: Sequence[Share], note: str = "", by: str = "system"
    ) -> Transfer: ...


class Wallet(Protocol):
    async def pledge(self, tx: Tx, person: str, currency: Currency, amount: int) -> None: ...


class CheckOuts(Protocol):
    """What a person pays through providers, within their limits."""

    async def charge(self, me: str, wanted: TopUp, *, purpose: str, return_url: str) -> Payment: ...

    async def payment(self, me: str, id: str) -> Payment: ...

    async def cancel(self, me: str, id: str) -> Payment: ...


class Payments(Protocol):
    async def order(self, id: str) -> Order: ...


class Conversations(Protocol):
    async def room(self, id: str) -> Room | None: ...

    async def say(self, tx: Tx, person: str, other: str, text: str, *, id: str, pledge: str) -> bool: ...

    async def rooms_of_many(self, persons: Collection[str]) -> dict[str, list[tuple[str, int]]]: ...


class Things(Protocol):
    """What was uploaded for a pledge, as evidence."""

    async def offered(self, person: str, place: str, ids: Sequence[str]) -> list[Offered]: ...

    async def keep(self, tx: Tx, ids: Sequence[str], keeper: str) -> None: ...

    async def facts(self, ids: Sequence[str]) -> dict[str, Media]: ...


class Proofs(Protocol):
    """Live pictures and places, which evidence names."""

    async def of_media(self, ids: Sequence[str]) -> dict[str, str]: ...

    async def views(self, ids: Sequence[str]) -> list[ProofView]: ...


class NoProofs:
    """Until they are there."""

    async def of_media(self, ids: Sequence[str]) -> dict[str, str]:
        return {}

    async def views(self, ids: Sequence[str]) -> list[ProofView]:
        return []


class Trail(Protocol):
    async def write(
        self, tx: Tx, by: str, action: str, target: str, facts: Mapping[str, str | int | bool | None]
    ) -> None: ...


class Outbox(Protocol):
    async def put(
        self, tx: Tx, *, id: str, ch: str, order: int, kind: str, body: dict[str, Any], by: str = "system"
    ) -> None: ...

    async def settled(self, ch: str) -> None: ...


class Limits(Protocol):
    async def hit(self, name: str, key: str) -> None: ...


@dataclass(frozen=True)
class Neighbours:
    store: Store
    outbox: Outbox
    clock: Clock
    limits: Limits
    people: People
    guardians: Guardians
    money: Money
    wallet: Wallet
    check_outs: CheckOuts
    payments: Payments
    conversations: Conversations
    trail: Trail
    media: Things
    secret: bytes  # 32 bytes that are not in the database: seals of evidence are made with it
