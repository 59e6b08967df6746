"""Carries out a step: the order, what is booked for it, what is told, and whoever wants to join, in one transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol, TypeVar

import msgspec

from server.clock import Clock
from server.errors import Code, VouchError
from server.money.model import (
    Account,
    Currency,
    Draft,
    Hold,
    Leg,
    Share,
    Transfer,
    TransferKind,
    available,
    clearing,
    held,
    owed,
)
from server.payments import metrics, rules
from server.payments.model import FINAL, Order, OrderKind
from server.payments.repo import OrdersRepo
from server.payments.rules import Booking, Entry, Step
from server.people.inbox import PaymentNews
from server.store import Tx

T = TypeVar("T")

#: joins the transaction that ends an order
Hook = Callable[[Tx, Order], Awaitable[None]]

_LEAVES = {OrderKind.REFUND: TransferKind.SENT_BACK, OrderKind.PAY_OUT: TransferKind.PAY_OUT}


class Ledger(Protocol):
    """What payments need of the ledger."""

    async def transact(self, accounts: Iterable[Account], body: Callable[[Tx], Awaitable[T]]) -> T: ...

    async def post(self, tx: Tx, draft: Draft) -> Transfer: ...

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
        self, tx: Tx, hold: str, *, key: str, to: Account, kind: TransferKind, note: str = "", by: str = "system"
    ) -> Transfer: ...

    async def refund(self, tx: Tx, hold: str, *, key: str, note: str = "", by: str = "system") -> Transfer: ...

    async def split(
        self, tx: Tx, hold: str, *, key: str, shares: Sequence[Share], note: str = "", by: str = "system"
    ) -> Transfer: ...

    async def claw_back(
        self,
        tx: Tx,
        transfer: str,
        *,
        key: str,
        amount: int | None,
        by: str,
        note: str = "",
        kind: TransferKind = TransferKind.CLAW_BACK,
    ) -> Transfer: ...

    async def by_key(self, key: str) -> Transfer | None: ...


class Outbox(Protocol):
    """What payments need of the realtime outbox."""

    async def put(self, tx: Tx, *, id: str, ch: str, order: int, kind: str, body: dict[str, object]) -> None: ...


class Stale(Exception):
    """Somebody else has changed the order meanwhile."""


class Books:
    def __init__(self, repo: OrdersRepo, money: Ledger, outbox: Outbox, clock: Clock) -> None:
        self._repo = repo
        self._money = money
        self._outbox = outbox
        self._clock = clock
        self._hooks: list[Hook] = []
        self._taken_hooks: list[Hook] = []

    def on_done(self, hook: Hook) -> None:
        self._hooks.append(hook)

    def on_taken_back(self, hook: Hook) -> None:
        self._taken_hooks.append(hook)

    async def begin(self, order: Order, key: str, before: Callable[[Tx], Awaitable[None]] | None = None) -> Order:
        """Keeps a new order, with what leaves set aside. Raises Duplicate for a used key, `insufficient_funds`."""

        async def body(tx: Tx) -> Order:
            if before is not None:
                await before(tx)
            begun = order
            if order.kind is not OrderKind.CHARGE:
                hold = await self._money.hold(
                    tx,
                    key=f"hold:{order.id}",
                    person=order.person,
                    amount=order.amount,
                    currency=order.currency,
                    about=f"order:{order.id}",
                    by=order.by,
                )
                begun = msgspec.structs.replace(order, hold=hold.id)
            await self._repo.insert(tx, begun, key)
            await self._tell(tx, begun)
            return begun

        return await self._money.transact(accounts(order), body)

    async def carry_out(self, before: Order, step: Step, join: Hook | None = None) -> Order:
        """The order as it is kept then; `join` takes part in the transaction. Raises Stale, and what the ledger
        raises."""
        after = msgspec.structs.replace(step.order, version=before.version + 1)
        if not (step.bookings or step.free or step.telling or join):
            if not await self._repo.replace(after):
                raise Stale
            return after

        async def body(tx: Tx) -> None:
            if not await self._repo.replace(after, tx):
                raise Stale
            made: dict[str, Transfer] = {}
            for booking in step.bookings:
                await self._book(tx, after, booking, made)
            if step.free and after.charge is not None:
                await self._repo.free(tx, after.charge, step.free)
            if step.telling:
                await self._tell(tx, after)
            if join is not None:
                await join(tx, after)
            if any(booking.entry is Entry.TAKEN_BACK for booking in step.bookings):
                for hook in self._taken_hooks:
                    await hook(tx, after)
            if after.state in FINAL and after.state is not before.state:
                for hook in self._hooks:
                    await hook(tx, after)

        await self._money.transact(accounts(after), body)
        if after.state in FINAL and after.state is not before.state:
            metrics.ENDED.labels(after.provider, after.kind.value, after.state.value).inc()
        return after

    async def _book(self, tx: Tx, order: Order, booking: Booking, made: dict[str, Transfer]) -> None:
        """Each has a key of its own: what came, left or went back does so once for an order; what a bank takes and
        gives may go to and fro, once for each state of the order."""
        match booking.entry:
            case Entry.CHARGED:
                key = rules.charge_key(order.id)
                made[key] = await self._move(tx, order, key, TransferKind.TOP_UP, booking.amount)
            case Entry.SENT:
                await self._money.release(
                    tx,
                    _hold(order),
                    key=f"sent:{order.id}",
                    to=clearing(order.provider),
                    kind=_LEAVES[order.kind],
                    by=order.by,
                )
            case Entry.GIVEN_BACK:
                await self._money.refund(tx, _hold(order), key=f"back:{order.id}")
            case Entry.TAKEN_BACK:
                taken = made.get(booking.of) or await self._money.by_key(booking.of)
                if taken is None:
                    raise VouchError(Code.INTERNAL, "What was taken back has never come.")
                await self._money.claw_back(
                    tx,
                    taken.id,
                    key=f"taken:{order.id}:{order.version}:{booking.of}",
                    amount=booking.amount,
                    by="system",
                    kind=TransferKind.CHARGE_BACK,
                )
            case Entry.WON:
                await self._move(tx, order, booking.of, TransferKind.ADJUSTMENT, booking.amount)
            case Entry.PART_SENT:
                rest = Share(available(order.person), booking.rest)
                shares = (Share(clearing(order.provider), booking.amount), rest)
                await self._money.split(tx, _hold(order), key=f"sent:{order.id}", shares=shares, by=order.by)
            case Entry.CLAIMED:
                legs = (Leg(owed(order.person), -booking.amount), Leg(clearing(order.provider), booking.amount))
                draft = Draft(
                    key=f"claimed:{order.id}",
                    kind=TransferKind.ADJUSTMENT,
                    currency=order.currency,
                    legs=legs,
                    about=f"order:{order.id}",
                )
                await self._money.post(tx, draft)
            case Entry.RETURNED:
                await self._move(tx, order, f"returned:{order.id}", TransferKind.REFUND, booking.amount)

    async def _move(self, tx: Tx, order: Order, key: str, kind: TransferKind, amount: int) -> Transfer:
        """From what the provider keeps for us to the person."""
        legs = (Leg(clearing(order.provider), -amount), Leg(available(order.person), amount))
        draft = Draft(key=key, kind=kind, currency=order.currency, legs=legs, about=f"order:{order.id}", by=order.by)
        return await self._money.post(tx, draft)

    async def _tell(self, tx: Tx, order: Order) -> None:
        kind = "payment_ended" if rules.worth_a_word(order) else "payment_changed"
        await self._outbox.put(
            tx,
            id=f"payment:{order.id}:{order.version}",
            ch=f"inbox:{order.person}",
            order=order.version,
            kind=kind,
            body=msgspec.to_builtins(PaymentNews(order.id, order.kind.value, order.state.value)),
        )


def accounts(order: Order) -> list[Account]:
    """Those that an order's bookings touch."""
    return [available(order.person), held(order.person), owed(order.person), clearing(order.provider)]


def _hold(order: Order) -> str:
    if order.hold is None:
        raise VouchError(Code.INTERNAL, "An order that leaves has set nothing aside.")
    return order.hold
