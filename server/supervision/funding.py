"""Paying a stake: from the wallet at once, or through a provider's check-out (R-08 to R-10).

What a check-out pays comes into the payer's wallet, and is set aside in the same transaction. When nobody waits for it
any more – paid by then, paid late, the pledge gone, custody changed – it stays in the wallet, and the payer is told.
"""

from __future__ import annotations

import structlog

from server.errors import TRANSIENT, Code, VouchError
from server.payments.model import FINAL, Order, OrderKind, OrderState
from server.people.inbox import PledgeNews
from server.people.news import Newsroom
from server.store import Duplicate, Tx
from server.supervision.changes import Changes, Stale
from server.supervision.model import Pledge, PledgeState, StakeState
from server.supervision.neighbours import CheckOuts, Guardians, Outbox, Payments, Wallet
from server.supervision.repo import PledgesRepo, people_of
from server.supervision.rules import lifecycle
from server.supervision.rules import stakes as rules
from server.supervision.rules.change import Change, What
from server.supervision.views import Fund
from server.wallet.model import Payment, TopUp

#: before the pledge's id, in the purpose of a check-out
STAKE = "stake:"
_TRIES = 3

#: The pledge as it is then, and the check-out that pays it, where there is one.
Paid = tuple[Pledge, Payment | None]

log = structlog.get_logger("vouch.supervision")


class FundingDesk:
    def __init__(
        self,
        *,
        changes: Changes,
        repo: PledgesRepo,
        guardians: Guardians,
        wallet: Wallet,
        check_outs: CheckOuts,
        payments: Payments,
        outbox: Outbox,
    ) -> None:
        self._changes = changes
        self._repo = repo
        self._guardians = guardians
        self._wallet = wallet
        self._check_outs = check_outs
        self._payments = payments
        self._news = Newsroom(outbox)

    # ── Paying ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def fund(self, me: str, id: str, wanted: Fund, origin: str) -> Paid:
        """Raises `not_found`, `forbidden` to who is not asked for it, `guardian_needed` for minors, `already` (funding
        twice), `conflict` where nobody waits for it or a check-out is open, `amount_limit`, `insufficient_funds`,
        `idempotency_conflict`, and what else a check-out refuses."""
        pledge = await self._mine(me, id)
        if wanted.provider is None:
            return await self._from_wallet(me, pledge, wanted.id), None
        return await self._through(me, await self._mended(pledge), wanted.id, wanted.provider, origin)

    async def look(self, me: str, id: str, payment: str) -> Paid:
        """The check-out as its provider knows it by now. Raises `not_found`."""
        pledge = await self._changes.get(id)
        known = await self._own(me, id, payment)
        if known.state in FINAL:
            pledge = await self._mended(await self._changes.get(id))
        return pledge, known

    async def cancel(self, me: str, id: str, payment: str) -> Pledge:
        """Closes a check-out; paid meanwhile, it counts. Raises `not_found`, `already`, `conflict`."""
        await self._own(me, id, payment)
        await self._check_outs.cancel(me, payment)
        return await self._mended(await self._changes.get(id))

    async def chore_done(self, me: str, id: str) -> Pledge:
        """Raises `not_found`, `conflict`, `already`."""
        return await self._changes.apply(id, lambda pledge, now: rules.chore_done(pledge, me, now))

    async def _mine(self, me: str, id: str) -> Pledge:
        pledge = await self._changes.get(id)
        if me != pledge.drafted_by and pledge.state is PledgeState.DRAFT:
            raise VouchError(Code.NOT_FOUND)
        asked = lifecycle.payer(pledge)
        payee = await self._guardians.payee_of(asked)
        if me == payee or me == pledge.stake.payer:
            return pledge
        if me == asked:
            raise VouchError(Code.GUARDIAN_NEEDED)
        raise VouchError(Code.FORBIDDEN if me in people_of(pledge) else Code.NOT_FOUND)

    async def _own(self, me: str, id: str, payment: str) -> Payment:
        known = await self._check_outs.payment(me, payment)
        if known.purpose != STAKE + id:
            raise VouchError(Code.NOT_FOUND)
        return known

    async def _from_wallet(self, me: str, pledge: Pledge, key: str) -> Pledge:
        terms = pledge.terms.stake

        async def also(tx: Tx, change: Change) -> Change:
            if await self._guardians.payee_of(lifecycle.payer(change.pledge), tx) != me:
                raise VouchError(Code.FORBIDDEN)  # custody has just changed
            if terms.currency is not None:
                await self._wallet.pledge(tx, me, terms.currency, terms.amount)
            return change

        for _ in range(_TRIES):
            try:
                return await self._changes.apply(pledge.id, lambda now_is, now: rules.pay(now_is, me, key, now), also)
            except Duplicate:
                continue  # another payment of theirs came in between
            except VouchError as refusal:
                if refusal.code is not Code.STALE:
                    raise
        raise VouchError(Code.TRY_LATER)

    async def _through(self, me: str, pledge: Pledge, key: str, provider: str, origin: str) -> Paid:
        terms, stake = pledge.terms.stake, pledge.stake
        if terms.currency is None:
            raise VouchError(Code.CONFLICT, "No money is at stake here.")
        if stake.key != key or stake.payer != me:
            await self._changes.apply(pledge.id, lambda now_is, now: rules.may_open(now_is, now))
        top_up = TopUp(id=key, provider=provider, amount=terms.amount, currency=terms.currency)
        back = f"{origin}/pledges/{pledge.id}?payment={{order}}"
        payment = await self._check_outs.charge(me, top_up, purpose=STAKE + pledge.id, return_url=back)
        if payment.state not in FINAL:
            try:
                await self._changes.apply(
                    pledge.id, lambda now_is, now: rules.authorise(now_is, me, key, payment.id, now)
                )
            except VouchError:
                await self._check_outs.cancel(me, payment.id)
                raise
        return await self._mended(await self._changes.get(pledge.id)), payment

    async def _mended(self, pledge: Pledge) -> Pledge:
        """A check-out may have ended just before the pledge heard of it: then nobody is at its page any more."""
        order = pledge.stake.order
        if pledge.stake.state is not StakeState.AUTHORISED or order is None:
            return pledge
        if (await self._payments.order(order)).state not in FINAL:
            return pledge
        return await self._changes.apply(pledge.id, lambda now_is, _: rules.close(now_is, order))

    # ── What others tell us ─────────────────────────────────────────────────────────────────────────────────────────

    async def on_done(self, tx: Tx, order: Order) -> None:
        """A check-out has ended. Paid, it is set aside for the pledge that it was for, in the same transaction."""
        if order.kind is not OrderKind.CHARGE or not order.purpose.startswith(STAKE):
            return
        id = order.purpose.removeprefix(STAKE)
        if (pledge := await self._repo.get(id, tx)) is None:
            await self._left_over(tx, order, id, "gone")
            return
        try:
            if order.state is OrderState.DONE:
                await self._set_aside(tx, order, pledge)
            else:
                await self._changes.apply_in(tx, id, lambda now_is, _: rules.close(now_is, order.id))
        except Stale:
            raise VouchError(Code.TRY_LATER) from None

    async def _set_aside(self, tx: Tx, order: Order, pledge: Pledge) -> None:
        key = pledge.stake.key if pledge.stake.order == order.id else ""
        try:
            if await self._guardians.payee_of(lifecycle.payer(pledge), tx) != order.person:
                raise VouchError(Code.FORBIDDEN)
            await self._changes.apply_in(
                tx, pledge.id, lambda now_is, now: rules.pay(now_is, order.person, key, now, order.id)
            )
        except VouchError as refusal:
            if refusal.code in TRANSIENT:
                raise
            await self._changes.apply_in(tx, pledge.id, lambda now_is, _: rules.close(now_is, order.id))
            await self._left_over(tx, order, pledge.id, refusal.code)

    async def _left_over(self, tx: Tx, order: Order, id: str, why: str) -> None:
        if order.state is not OrderState.DONE:
            return
        log.info("a stake was paid that nobody waits for", pledge=id, order=order.id, why=why)
        news = PledgeNews(id, What.PAID_LATE.value)
        await self._news.tell(tx, order.person, f"late:{order.id}", order.version, "pledge_news", news)

    async def on_guardian_change(self, tx: Tx, ward: str) -> None:
        """Custody of a minor has changed: the new payee is asked for what the minor has promised and nobody paid."""
        payer = await self._guardians.payee_of(ward, tx)
        for pledge in await self._repo.waiting_of(ward, tx):
            if lifecycle.payer(pledge) == ward:
                try:
                    await self._changes.apply_in(tx, pledge.id, lambda now_is, _: rules.ask(now_is, payer))
                except Stale:
                    raise VouchError(Code.TRY_LATER) from None
