"""Orders as the desk sees them: what waits for a second pair of eyes, all of them with filters, and everything that
belongs to one of them or to one person."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from datetime import datetime, timedelta

from server.clock import to_ms
from server.errors import Code, VouchError
from server.finance import rules
from server.finance.model import (
    AccountBalance,
    Holdings,
    LegLine,
    OrderLine,
    OrderList,
    OrderView,
    Refuse,
    TransferLine,
)
from server.finance.neighbours import Desk, Money, Payments
from server.finance.repo import DisputesRepo
from server.money.model import Amount, Transfer, available, held, owed
from server.payments.model import Order, OrderKind, OrderState
from server.people.model import PersonCard
from server.store import Store, Tx

#: transfers of a person that are looked at for those of one order
_LOOKED_AT = 500
#: orders that one page of an export reads
_PAGE = 200
_SHOWN = 20


class OrderService:
    def __init__(self, store: Store, desk: Desk, money: Money, payments: Payments, disputes: DisputesRepo) -> None:
        self._store = store
        self._desk = desk
        self._money = money
        self._payments = payments
        self._disputes = disputes

    # ── Lists ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def page(
        self,
        actor: str,
        *,
        state: OrderState | None,
        kind: OrderKind | None,
        provider: str | None,
        person: str | None,
        before: int | None,
        limit: int,
    ) -> OrderList:
        """The newest first. What fits the filters may lie beyond a short page."""
        if person is not None:
            found, following = await self._payments.of_person(person, before, limit)
        else:
            found, following = await self._payments.in_state(state, before, limit)
        fitting = [
            order
            for order in found
            if (state is None or order.state is state)
            and (kind is None or order.kind is kind)
            and (provider is None or order.provider == provider)
        ]
        return OrderList([line(order, actor) for order in fitting], await self._people(fitting), following)

    async def waiting(self) -> int:
        """How many wait for a second pair of eyes (up to 1,000)."""
        return len((await self._payments.in_state(OrderState.APPROVAL, None, 1_000))[0])

    async def one(self, actor: str, id: str) -> OrderView:
        """Raises `not_found`."""
        return await self._view(actor, await self._payments.order(id))

    async def look(self, actor: str, id: str) -> OrderView:
        """Asks the provider now. Raises `not_found`."""
        return await self._view(actor, await self._payments.look(await self._payments.order(id)))

    async def between(self, since: datetime, until: datetime) -> AsyncIterator[Order]:
        """Those that were made in [since, until), the newest first, read page by page."""
        before: int | None = None
        while True:
            found, before = await self._payments.in_state(None, before, _PAGE)
            for order in found:
                if since <= order.created_at < until:
                    yield order
            if before is None or (found and found[-1].created_at < since):
                return

    # ── Deciding ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def approve(self, actor: str, id: str) -> OrderLine:
        """Raises `not_found`, `forbidden` for who asked or gains by it, `already`."""

        async def note(tx: Tx, order: Order) -> None:
            await self._note(tx, actor, "order.approved", order)

        return line(await self._payments.approve(id, actor, note), actor)

    async def refuse(self, actor: str, id: str, wanted: Refuse) -> OrderLine:
        """What was set aside is the person's again. Raises as `approve` does, and `bad_request`."""
        reason = rules.reason(wanted.reason)

        async def note(tx: Tx, order: Order) -> None:
            await self._note(tx, actor, "order.refused", order)

        return line(await self._payments.refuse(id, actor, reason, note), actor)

    async def _note(self, tx: Tx, actor: str, action: str, order: Order) -> None:
        await self._desk.still(tx, actor)
        amount, currency = order.amount, order.currency.value
        await self._desk.note(tx, actor, action, order.id, person=order.person, amount=amount, currency=currency)

    # ── Everything of one ───────────────────────────────────────────────────────────────────────────────────────────

    async def _view(self, actor: str, order: Order) -> OrderView:
        about = f"order:{order.id}"
        since = order.created_at - timedelta(minutes=1)
        history = await self._money.history(order.person, order.currency, limit=_LOOKED_AT, since=since)
        transfers = [each.transfer for each in history.lines if each.transfer.about == about]
        disputes = await self._disputes.of_order(order.id)
        return OrderView(
            order=line(order, actor),
            transfers=[transfer_line(transfer) for transfer in transfers],
            dispute=disputes[0].id if disputes else None,
            people=await self._people([order], transfers),
        )

    async def holdings(self, actor: str, person: str) -> Holdings:
        """What somebody has, and what moved for them lately. Raises `not_found`."""
        cards = await self._desk.cards([person])
        if not cards:
            raise VouchError(Code.NOT_FOUND)
        balances: list[AccountBalance] = []
        transfers: list[Transfer] = []
        for each in await self._money.balances(person):
            kept = {available(person): each.available, held(person): each.held, owed(person): -each.owed}
            balances += [AccountBalance(str(account), each.currency, amount) for account, amount in kept.items()]
            history = await self._money.history(person, each.currency, limit=_SHOWN)
            transfers += [entry.transfer for entry in history.lines]
        transfers.sort(key=lambda transfer: transfer.at, reverse=True)
        orders, _ = await self._payments.of_person(person, None, _SHOWN)
        return Holdings(
            person=cards[0],
            balances=balances,
            orders=[line(order, actor) for order in orders],
            transfers=[transfer_line(transfer) for transfer in transfers[:_SHOWN]],
            people=await self._people(orders, transfers),
        )

    async def transfer(self, id: str) -> TransferLine:
        """Raises `not_found`."""
        return transfer_line(await self._money.transfer(id))

    async def _people(self, orders: Iterable[Order], transfers: Iterable[Transfer] = ()) -> list[PersonCard]:
        named = {id for order in orders for id in (order.person, order.by, order.approved_by)}
        for transfer in transfers:
            named |= {transfer.by, *(leg.account.owner for leg in transfer.legs)}
        return await self._desk.cards(named)


def line(order: Order, actor: str) -> OrderLine:
    return OrderLine(
        id=order.id,
        kind=order.kind,
        state=order.state,
        provider=order.provider,
        person=order.person,
        by=order.by,
        amount=Amount(order.amount, order.currency),
        purpose=order.purpose,
        reference=order.reference,
        charge=order.charge,
        refunded=order.refunded,
        disputed=order.disputed,
        destination=rules.shortened(order.destination),
        fault=order.fault,
        approved_by=order.approved_by,
        reason=order.reason,
        tries=order.tries,
        created_at=to_ms(order.created_at),
        changed_at=to_ms(order.changed_at),
        may_decide=rules.may_decide_order(order, actor),
    )


def transfer_line(transfer: Transfer) -> TransferLine:
    return TransferLine(
        id=transfer.id,
        at=to_ms(transfer.at),
        kind=transfer.kind,
        currency=transfer.currency,
        legs=[LegLine(str(leg.account), leg.amount) for leg in transfer.legs],
        about=transfer.about,
        note=transfer.note,
        by=transfer.by,
        reverses=transfer.reverses,
        received=rules.received(transfer),
    )
