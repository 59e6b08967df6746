"""Adjustments: corrections of the ledger by hand. One person proposes, another approves; only then does money move."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection

import msgspec

from server.clock import to_ms
from server.errors import Code, VouchError
from server.finance import rules
from server.finance.model import (
    Adjustment,
    AdjustmentLine,
    Adjustments,
    AdjustmentState,
    Propose,
    ProposeClawBack,
    Refuse,
)
from server.finance.neighbours import Desk, Money, Registry
from server.finance.repo import AdjustmentsRepo
from server.ids import new_id
from server.money.model import (
    PLATFORM_FEE,
    STAFF_DEPARTMENT,
    Account,
    AccountKind,
    Amount,
    Draft,
    Leg,
    TransferKind,
    owed,
)
from server.people.inbox import AdjustmentNews
from server.store import Duplicate, Store, Tx

#: Joins the transaction that decides an adjustment.
Decided = Callable[[Tx, Adjustment], Awaitable[None]]


class AdjustmentService:
    """`providers` are the names of those that hold money for us. Every method takes who acts first."""

    def __init__(
        self,
        store: Store,
        desk: Desk,
        money: Money,
        registry: Registry,
        repo: AdjustmentsRepo,
        providers: Collection[str],
    ) -> None:
        self._store = store
        self._desk = desk
        self._money = money
        self._registry = registry
        self._repo = repo
        self._providers = frozenset(providers)
        self._hooks: list[Decided] = []

    def on_decided(self, hook: Decided) -> None:
        self._hooks.append(hook)

    # ── Proposing ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def propose(self, actor: str, wanted: Propose) -> AdjustmentLine:
        """Nothing moves yet. Raises `bad_request`, `forbidden` for one's own money, `idempotency_conflict`."""
        proposal = rules.propose(wanted, actor, id=new_id("ad"), now=self._desk.now())
        for field in ("source", "target"):
            await self._check(rules.account(getattr(proposal, field), field), field)
        return await self._insert(actor, proposal)

    async def propose_claw_back(self, actor: str, wanted: ProposeClawBack) -> AdjustmentLine:
        """Raises `not_found`, `bad_request` where nobody received anything, `amount_limit`, `forbidden`,
        `idempotency_conflict`."""
        transfer = await self._money.transfer(wanted.transfer)
        proposal = rules.propose_claw_back(transfer, wanted, actor, id=new_id("ad"), now=self._desk.now())
        return await self._insert(actor, proposal)

    async def _insert(self, actor: str, proposal: Adjustment) -> AdjustmentLine:
        concerned = await self._desk.holders(actor, *proposal.gainers, *proposal.losers)

        async def body(tx: Tx) -> Adjustment:
            await self._desk.still(tx, actor)
            made = await self._repo.insert(tx, proposal)
            facts = {"amount": proposal.amount, "currency": proposal.currency.value}
            await self._desk.note(tx, actor, "adjustment.proposed", made.id, **facts)
            event = f"adjustment_proposed:{made.id}"
            await self._desk.tell(tx, concerned, event, "adjustment_proposed", AdjustmentNews(made.id))
            return made

        try:
            return _line(await self._store.transact(body), actor)
        except Duplicate:
            known = await self._repo.by_key(proposal.key)
            if known is None:
                raise VouchError(Code.TRY_LATER) from None
            if not rules.same_proposal(known, proposal):
                raise VouchError(Code.IDEMPOTENCY_CONFLICT) from None
            return _line(known, actor)

    async def _check(self, account: Account, field: str) -> None:
        """Raises `bad_request` for an account that belongs to nobody."""
        match account.kind:
            case AccountKind.AVAILABLE:
                known = await self._registry.one(account.owner)
                there = known is not None and known.deleted_at is None
            case AccountKind.CLEARING:
                there = account.owner in self._providers
            case AccountKind.DEPARTMENT | AccountKind.FEE:
                there = account in (STAFF_DEPARTMENT, PLATFORM_FEE)
            case _:
                there = True
        if not there:
            raise VouchError(Code.BAD_REQUEST, "There is no such account.", field=field)

    # ── Deciding ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def approve(self, actor: str, id: str) -> AdjustmentLine:
        """Moves the money. Raises `not_found`, `forbidden` to who proposed it or is touched by it, `already`,
        `bad_request` for more than is left of a transfer, `insufficient_funds`: then the proposal waits on."""
        proposal = await self._existing(id)
        rules.decide_adjustment(proposal, actor, self._desk.now())

        async def body(tx: Tx) -> Adjustment:
            await self._desk.still(tx, actor)
            decided = rules.decide_adjustment(await self._existing(id, tx), actor, self._desk.now())
            done = msgspec.structs.replace(decided, done_by=await self._carry_out(tx, decided))
            await self._keep(tx, done, "adjustment.approved")
            touched = {*done.gainers, *done.losers}
            news = AdjustmentNews(done.id, done.done_by or "")
            await self._desk.tell(tx, sorted(touched), f"adjusted:{done.id}", "adjusted", news)
            return done

        return _line(await self._money.transact(await self._touched(proposal), body), actor)

    async def refuse(self, actor: str, id: str, wanted: Refuse) -> AdjustmentLine:
        """Raises `not_found`, `forbidden`, `already`, `bad_request`."""

        async def body(tx: Tx) -> Adjustment:
            await self._desk.still(tx, actor)
            before = await self._existing(id, tx)
            refused = rules.decide_adjustment(before, actor, self._desk.now(), wanted.reason)
            await self._keep(tx, refused, "adjustment.refused")
            return refused

        return _line(await self._store.transact(body), actor)

    async def _keep(self, tx: Tx, decided: Adjustment, action: str) -> None:
        if not await self._repo.replace(decided, tx):
            raise VouchError(Code.STALE)
        facts = {"amount": decided.amount, "currency": decided.currency.value, "transfer": decided.done_by}
        await self._desk.note(tx, decided.decided_by or "", action, decided.id, **facts)
        for hook in self._hooks:
            await hook(tx, decided)

    async def _carry_out(self, tx: Tx, decided: Adjustment) -> str:
        """The transfer that does it."""
        key, by = f"adjustment:{decided.id}", decided.decided_by or ""
        if decided.transfer is not None:
            moved = await self._money.claw_back(
                tx, decided.transfer, key=key, amount=decided.amount, by=by, note=decided.reason
            )
            return moved.id
        draft = Draft(
            key=key,
            kind=TransferKind.ADJUSTMENT,
            currency=decided.currency,
            legs=(
                Leg(Account.parse(decided.source), -decided.amount),
                Leg(Account.parse(decided.target), decided.amount),
            ),
            about=decided.about or f"adjustment:{decided.id}",
            note=decided.reason,
            by=by,
        )
        return (await self._money.post(tx, draft)).id

    async def _touched(self, proposal: Adjustment) -> list[Account]:
        if proposal.transfer is None:
            return [Account.parse(proposal.source), Account.parse(proposal.target)]
        transfer = await self._money.transfer(proposal.transfer)
        accounts = [leg.account for leg in transfer.legs]
        return [*accounts, *(owed(person) for person in proposal.losers)]

    # ── Showing ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def page(self, actor: str, *, decided: bool, before: int | None, limit: int) -> Adjustments:
        """Those that wait, the oldest first, or those that are decided, the newest first."""
        waiting = await self._repo.waiting()
        if decided:
            ended = {"state": {"$in": [AdjustmentState.DONE.value, AdjustmentState.REFUSED.value]}}
            shown, following = await self._repo.page(ended, before, limit)
        else:
            rest = [proposal for proposal in waiting if proposal.number > (before or 0)]
            shown = rest[:limit]
            following = shown[-1].number if len(rest) > limit else None
        named = {id for each in shown for id in (each.proposed_by, each.decided_by, *each.gainers, *each.losers) if id}
        people = await self._desk.cards(named)
        return Adjustments([_line(each, actor) for each in shown], people, following, len(waiting))

    async def one(self, actor: str, id: str) -> AdjustmentLine:
        """Raises `not_found`."""
        return _line(await self._existing(id), actor)

    async def waiting(self) -> int:
        return len(await self._repo.waiting())

    async def _existing(self, id: str, tx: Tx | None = None) -> Adjustment:
        known = await self._repo.get(id, tx)
        if known is None:
            raise VouchError(Code.NOT_FOUND)
        return known


def _line(adjustment: Adjustment, actor: str) -> AdjustmentLine:
    return AdjustmentLine(
        id=adjustment.id,
        number=adjustment.number,
        kind=adjustment.kind,
        state=adjustment.state,
        amount=Amount(adjustment.amount, adjustment.currency),
        source=adjustment.source,
        target=adjustment.target,
        transfer=adjustment.transfer,
        reason=adjustment.reason,
        answer=adjustment.answer,
        proposed_by=adjustment.proposed_by,
        proposed_at=to_ms(adjustment.at),
        decided_by=adjustment.decided_by,
        decided_at=to_ms(adjustment.decided_at) if adjustment.decided_at else None,
        done_by=adjustment.done_by,
        may_decide=rules.may_decide_adjustment(adjustment, actor),
    )
