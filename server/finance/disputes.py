"""Disputes of payments: opened by whose payment it is, decided with a written reason by somebody of the desk.

Giving a charge back asks its provider, which is no part of any transaction. So the decision is taken first (nobody else
can decide meanwhile), then carried out under a key of its own; what a crash leaves undone, `resume` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import structlog
from msgspec.structs import replace

from server.clock import to_ms
from server.errors import TRANSIENT, Code, VouchError
from server.finance import rules
from server.finance.dispute_model import (
    DecideDispute,
    Dispute,
    DisputeLine,
    Disputes,
    DisputeSource,
    DisputeState,
    OpenDispute,
    OwnDispute,
)
from server.finance.model import Adjustment
from server.finance.neighbours import Desk, Payments
from server.finance.repo import AdjustmentsRepo, DisputesRepo
from server.ids import new_id
from server.limits import Limits
from server.money.model import Amount
from server.payments.model import Order, OrderKind
from server.people.inbox import AdjustmentNews, DisputeNews
from server.store import Duplicate, Store, Tx

#: A decision that was not carried out by then is taken up again.
RESUMED_AFTER = timedelta(seconds=30)

log = structlog.get_logger(__name__)


class DisputeService:
    """`open` and `own` are for everybody, the rest for the desk: who may call is declared at the operations."""

    def __init__(
        self,
        store: Store,
        desk: Desk,
        payments: Payments,
        repo: DisputesRepo,
        adjustments: AdjustmentsRepo,
        limits: Limits,
    ) -> None:
        self._store = store
        self._desk = desk
        self._payments = payments
        self._repo = repo
        self._adjustments = adjustments
        self._limits = limits

    # ── The person's side ───────────────────────────────────────────────────────────────────────────────────────────

    async def open(self, person: str, order_id: str, wanted: OpenDispute) -> OwnDispute:
        """The dispute, which may be open already. Raises `not_found` for somebody else's payment, `conflict` for one
        that cannot be disputed, `already` where it was decided, `bad_request`, `too_often`."""
        order = await self._payments.order(order_id)
        if order.person == person and (known := await self._known(order.id)) is not None:
            if known.state is DisputeState.OPEN:
                return _own(known, again=True)
            raise VouchError(Code.ALREADY)
        draft = rules.open_dispute(order, person, wanted.words, id=new_id("di"), now=self._desk.now())
        await self._limits.hit("dispute", person)
        concerned = await self._desk.holders(person)

        async def body(tx: Tx) -> Dispute:
            made = await self._repo.insert(tx, draft)
            await self._desk.note(tx, person, "dispute.opened", made.id, order=order.id)
            news = DisputeNews(made.id, order.id)
            await self._desk.tell(tx, concerned, f"dispute_opened:{made.id}", "dispute_opened", news)
            return made

        try:
            return _own(await self._store.transact(body), again=False)
        except Duplicate:
            known = await self._known(order.id)
            if known is None:
                raise VouchError(Code.TRY_LATER) from None
            return _own(known, again=True)

    async def own(self, person: str, order_id: str) -> OwnDispute:
        """Raises `not_found`."""
        known = await self._known(order_id)
        if known is None or known.person != person:
            raise VouchError(Code.NOT_FOUND)
        return _own(known, again=True)

    async def states_of(self, orders: Sequence[str]) -> dict[str, str]:
        """Order → the state of the dispute that its person has opened, for those that have one."""
        found = await self._repo.of_orders(orders)
        return {each.order: each.state.value for each in found if each.source is DisputeSource.PERSON}

    async def _known(self, order: str) -> Dispute | None:
        found = await self._repo.of_order(order)
        return next((dispute for dispute in found if dispute.source is DisputeSource.PERSON), None)

    # ── The desk's side ─────────────────────────────────────────────────────────────────────────────────────────────

    async def page(self, actor: str, *, decided: bool, before: int | None, limit: int) -> Disputes:
        """Those that wait, the oldest first, or those that are decided, the newest first."""
        waiting = await self._repo.waiting()
        if decided:
            ended = {"state": {"$in": [DisputeState.GIVEN_BACK.value, DisputeState.REFUSED.value]}}
            shown, following = await self._repo.page(ended, before, limit)
        else:
            rest = [dispute for dispute in waiting if dispute.number > (before or 0)]
            shown = rest[:limit]
            following = shown[-1].number if len(rest) > limit else None
        lines = [_line(dispute, actor) for dispute in shown]
        people = await self._desk.cards(id for line in lines for id in (line.person, line.decided_by))
        return Disputes(lines, people, following, len(waiting))

    async def one(self, actor: str, id: str) -> DisputeLine:
        """Raises `not_found`."""
        return _line(await self._existing(id), actor)

    async def waiting(self) -> int:
        return len(await self._repo.waiting())

    async def decide(self, actor: str, id: str, decision: DecideDispute) -> DisputeLine:
        """Gives back or refuses. Raises `not_found`, `forbidden`, `already`, `stale`, `bad_request`, `amount_limit`,
        and what giving back raises (`insufficient_funds`): then nothing is decided."""
        dispute = await self._existing(id)
        decided = rules.decide_dispute(dispute, actor, decision, self._desk.now())
        order = await self._payments.order(dispute.order)

        async def body(tx: Tx) -> Dispute:
            await self._desk.still(tx, actor)
            after = decided
            if decided.state is DisputeState.GIVING_BACK and order.kind is not OrderKind.CHARGE:
                after = await self._propose(tx, decided, order)
            if not await self._repo.replace(after, tx):
                raise VouchError(Code.STALE)
            facts = {"order": order.id, "person": dispute.person, "amount": decided.giving or None}
            await self._desk.note(tx, actor, "dispute.decided", id, verdict=decision.verdict.value, **facts)
            if after.state is DisputeState.REFUSED:
                await self._tell(tx, after)
            return after

        after = await self._store.transact(body)
        if after.state is DisputeState.GIVING_BACK and order.kind is OrderKind.CHARGE:
            after = await self._give_back(after)
        return _line(after, actor)

    async def resume(self) -> None:
        """Carries out what was decided and then left undone. For whoever sweeps."""
        late = self._desk.now() - RESUMED_AFTER
        for dispute in await self._repo.waiting():
            started = dispute.state is DisputeState.GIVING_BACK and dispute.adjustment is None
            if started and dispute.decided_at is not None and dispute.decided_at < late:
                try:
                    await self._give_back(dispute)
                except VouchError as fault:
                    log.warning("a dispute could not be carried out", dispute=dispute.id, code=fault.code)

    # ── What others tell ────────────────────────────────────────────────────────────────────────────────────────────

    async def on_adjustment(self, tx: Tx, adjustment: Adjustment, *, done: bool) -> None:
        """The correction that gives a disputed payment back was approved, or refused."""
        if not adjustment.about.startswith("dispute:"):
            return
        dispute = await self._repo.get(adjustment.about.removeprefix("dispute:"), tx)
        if dispute is None or dispute.adjustment != adjustment.id:
            return
        after = rules.given_back(dispute) if done else rules.reopened(dispute)
        if not await self._repo.replace(after, tx):
            raise VouchError(Code.STALE)
        if done:
            await self._tell(tx, after)

    async def on_taken_back(self, tx: Tx, order: Order) -> None:
        """The payer's bank has taken (more of) a charge back: it is put on record once."""
        if order.disputed == 0 or any(
            dispute.source is DisputeSource.BANK for dispute in await self._repo.of_order(order.id, tx)
        ):
            return
        made = await self._repo.insert(tx, rules.bank_dispute(order, id=new_id("di"), now=self._desk.now()))
        news, event = DisputeNews(made.id, order.id), f"dispute_opened:{made.id}"
        await self._desk.tell(tx, await self._desk.holders(order.person), event, "dispute_opened", news)

    # ── Carrying out ────────────────────────────────────────────────────────────────────────────────────────────────

    async def _give_back(self, dispute: Dispute) -> Dispute:
        """Asks the provider of a charge. What can never be is undone and raised; what is unknown goes on later."""
        try:
            refund = await self._refund(dispute)
        except VouchError as fault:
            if fault.code not in TRANSIENT:
                await self._repo.replace(rules.reopened(dispute))
            raise
        after = rules.given_back(dispute, refund=refund.id)

        async def body(tx: Tx) -> None:
            if await self._repo.replace(after, tx):
                await self._tell(tx, after)

        await self._store.transact(body)
        return after

    async def _refund(self, dispute: Dispute) -> Order:
        """The order that gives it back, begun once."""
        return await self._payments.begin_refund(
            key=f"dispute:{dispute.id}:{dispute.version}",
            charge=dispute.order,
            amount=dispute.giving,
            by=dispute.decided_by or "system",
        )

    async def _propose(self, tx: Tx, dispute: Dispute, order: Order) -> Dispute:
        draft = rules.correction(dispute, order, id=new_id("ad"), now=self._desk.now())
        made = await self._adjustments.insert(tx, draft)
        concerned = await self._desk.holders(draft.proposed_by, *draft.gainers)
        event, news = f"adjustment_proposed:{made.id}", AdjustmentNews(made.id)
        await self._desk.tell(tx, concerned, event, "adjustment_proposed", news)
        return replace(dispute, adjustment=made.id)

    async def _tell(self, tx: Tx, dispute: Dispute) -> None:
        event = f"dispute_decided:{dispute.id}:{dispute.version}"
        await self._desk.tell(tx, [dispute.person], event, "dispute_decided", DisputeNews(dispute.id, dispute.order))

    async def _existing(self, id: str) -> Dispute:
        dispute = await self._repo.get(id)
        if dispute is None:
            raise VouchError(Code.NOT_FOUND)
        return dispute


def _own(dispute: Dispute, *, again: bool) -> OwnDispute:
    return OwnDispute(
        id=dispute.id,
        payment=dispute.order,
        state=dispute.state,
        amount=Amount(dispute.amount, dispute.currency),
        words=dispute.words,
        answer=dispute.answer if dispute.state is not DisputeState.GIVING_BACK else "",
        opened_at=to_ms(dispute.at),
        decided_at=to_ms(dispute.decided_at) if dispute.decided_at else None,
        again=again,
    )


def _line(dispute: Dispute, actor: str) -> DisputeLine:
    return DisputeLine(
        id=dispute.id,
        number=dispute.number,
        source=dispute.source,
        state=dispute.state,
        order=dispute.order,
        order_kind=dispute.order_kind,
        person=dispute.person,
        amount=Amount(dispute.amount, dispute.currency),
        words=dispute.words,
        answer=dispute.answer,
        opened_at=to_ms(dispute.at),
        decided_at=to_ms(dispute.decided_at) if dispute.decided_at else None,
        decided_by=dispute.decided_by,
        refund=dispute.refund,
        adjustment=dispute.adjustment,
        may_decide=rules.may_decide_dispute(dispute, actor),
        version=dispute.version,
    )
