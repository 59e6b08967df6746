"""What has moved, as one person reads it: the statement, its course over days, and receipts."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from server.clock import to_ms
from server.errors import Code, VouchError
from server.money.model import Account, AccountKind, Amount, Currency, Transfer, TransferKind
from server.payments.model import Order
from server.people.model import Language, PersonCard
from server.wallet.lines import concerns, every_day, people_of, receipt_amount, seen
from server.wallet.model import CheckedReceipt, Course, Day, Line, Statement
from server.wallet.neighbours import Limits, Money, Payments, People
from server.wallet.receipts import Facts, Notary, Party, receipt

#: the longest course that is asked for at once
LONGEST = timedelta(days=400)


class Statements:
    def __init__(self, *, money: Money, payments: Payments, people: People, limits: Limits, notary: Notary) -> None:
        self._money = money
        self._payments = payments
        self._people = people
        self._limits = limits
        self._notary = notary

    async def statement(
        self,
        me: str,
        currency: Currency,
        *,
        kind: TransferKind | None,
        since: datetime | None,
        until: datetime | None,
        before: str | None,
        limit: int,
    ) -> Statement:
        """Newest first. A page may be short, or empty, though there is a next one."""
        kinds = None if kind is None else {kind}
        page = await self._money.history(
            me, currency, before=before, limit=limit, kinds=kinds, since=since, until=until
        )
        lines = [(line, seen(line.transfer, me)) for line in page.lines]
        named = {id for _, one in lines for id in (one.other, one.beneficiary) if id is not None}
        cards = await self._people.cards(named)
        return Statement(
            currency,
            [
                Line(
                    transfer=line.transfer.id,
                    at=to_ms(line.transfer.at),
                    kind=line.transfer.kind,
                    available=one.available,
                    held=one.held,
                    balance=line.available,
                    note=line.transfer.note,
                    about=line.transfer.about,
                    order=one.order,
                    other=cards.get(one.other or ""),
                    beneficiary=cards.get(one.beneficiary or ""),
                )
                for line, one in lines
            ],
            page.next,
        )

    async def course(self, me: str, currency: Currency, since: datetime, until: datetime) -> Course:
        """Day by day in the person's time zone. Raises `bad_request` for an empty span or one that is too long."""
        if not timedelta(0) < until - since <= LONGEST:
            raise VouchError(Code.BAD_REQUEST, f"A course has 1 to {LONGEST.days} days.", field="to")
        zone = ZoneInfo((await self._people.locale(me))[1])
        known = await self._money.daily(me, currency, since, until, zone)
        opening = await self._balance_before(me, currency, until) if not known else None
        first, last = since.astimezone(zone).date(), (until - timedelta(milliseconds=1)).astimezone(zone).date()
        days = every_day(known, first, last, opening or 0)
        return Course(currency, [Day(day.day.isoformat(), day.came, day.went, day.available) for day in days])

    async def _balance_before(self, me: str, currency: Currency, until: datetime) -> int:
        """What was available just before a moment."""
        before: str | None = None
        while True:
            page = await self._money.history(me, currency, before=before, limit=1, kinds=None, since=None, until=until)
            if page.lines:
                return page.lines[0].available
            if page.next is None:
                return 0
            before = page.next

    # ── Receipts ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def receipt(self, me: str, id: str, language: Language | None, origin: str) -> bytes:
        """A PDF, in the person's own language unless another one is asked for. Raises `not_found` for a transfer that
        does not concern them."""
        transfer = await self._money.transfer(id)
        if not concerns(transfer, me):
            raise VouchError(Code.NOT_FOUND)
        await self._limits.hit("receipt", me)
        own, zone = await self._people.locale(me)
        facts = await self._facts(transfer, me, zone, origin)
        return await asyncio.to_thread(_drawn, facts, language or own)

    async def check(self, code: str, ip: str) -> CheckedReceipt:
        """What a genuine receipt says. Raises `not_found` for a forged one."""
        await self._limits.hit("check_receipt_ip", ip)
        transfer = await self._money.transfer(self._notary.transfer(code))
        holder = self._notary.holder(code, people_of(transfer))
        if holder is None:
            raise VouchError(Code.NOT_FOUND)
        return CheckedReceipt(
            transfer=transfer.id,
            kind=transfer.kind,
            amount=Amount(receipt_amount(transfer, holder), transfer.currency),
            at=to_ms(transfer.at),
            test=self._is_play(transfer),
        )

    async def _facts(self, transfer: Transfer, me: str, zone: str, origin: str) -> Facts:
        line = seen(transfer, me)
        cards = await self._people.cards({me, *people_of(transfer), *([line.beneficiary] if line.beneficiary else [])})
        order = await self._order(line.order)
        payers, payees = _sides(transfer, me)
        return Facts(
            code=self._notary.code(transfer.id, me),
            origin=origin,
            transfer=transfer.id,
            kind=transfer.kind,
            amount=receipt_amount(transfer, me),
            currency=transfer.currency,
            at=transfer.at,
            zone=zone,
            holder=_name(cards, me),
            payers=[_party(account, cards) for account in payers],
            payees=[_party(account, cards) for account in payees],
            beneficiary=_name(cards, line.beneficiary) if line.beneficiary else "",
            note=transfer.note,
            payment=order.id if order else "",
            reference=(order.reference or "") if order else "",
            test=self._is_play(transfer),
        )

    def _is_play(self, transfer: Transfer) -> bool:
        """Whether no real money was moved: by its provider, or because there is no provider of real money here."""
        terms = self._payments.terms
        named = [leg.account.owner for leg in transfer.legs if leg.account.kind is AccountKind.CLEARING]
        known = [terms[name] for name in named if name in terms] or list(terms.values())
        return bool(known) and all(one.test for one in known)

    async def _order(self, id: str | None) -> Order | None:
        if id is None:
            return None
        try:
            return await self._payments.order(id)
        except VouchError:
            return None


def _drawn(facts: Facts, language: Language) -> bytes:
    from server.wallet import paper  # loads the drawing of PDFs (half a second, 18 MB) when it is first needed

    return paper.draw(receipt(facts, language))


def _sides(transfer: Transfer, me: str) -> tuple[list[Account], list[Account]]:
    """From where and to where, as far as it concerns the person: who receives reads nothing of others who do."""
    payers = [leg.account for leg in transfer.legs if leg.amount < 0]
    payees = [leg.account for leg in transfer.legs if leg.amount > 0]
    if any(account.owner == me for account in payers):
        return [account for account in payers if account.owner == me], payees
    return payers, [account for account in payees if account.owner == me]


def _party(account: Account, cards: dict[str, PersonCard]) -> Party:
    match account.kind:
        case AccountKind.AVAILABLE | AccountKind.OWED:
            return Party(name=_name(cards, account.owner))
        case AccountKind.HELD:
            return Party(name=_name(cards, account.owner), place="held")
        case AccountKind.CLEARING:
            return Party(provider=account.owner)
        case AccountKind.DEPARTMENT:
            return Party(place="department")
        case AccountKind.FEE:
            return Party(place="platform")
        case AccountKind.EXTERNAL:
            return Party(place="elsewhere")


def _name(cards: dict[str, PersonCard], person: str) -> str:
    """Empty for somebody who has left."""
    return cards[person].name if person in cards else ""
