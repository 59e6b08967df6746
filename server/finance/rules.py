"""Who may decide about money, and what may be disputed, adjusted and settled. Pure: the time is an argument.

One rule runs through all of it: whoever decides is neither who asked for it nor anybody whose money it moves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta

from msgspec.structs import replace

from server.errors import Code, VouchError
from server.finance.dispute_model import DecideDispute, Dispute, DisputeSource, DisputeState, DisputeVerdict
from server.finance.model import (
    REASON_LONGEST,
    WORDS_LONGEST,
    Adjustment,
    AdjustmentKind,
    AdjustmentState,
    DifferenceLine,
    DifferenceState,
    Propose,
    ProposeClawBack,
    Run,
    RunState,
    Settle,
)
from server.money.model import Account, AccountKind, Transfer, available, clearing
from server.money.rules import moved
from server.payments.model import Order, OrderKind, OrderState, Reconciliation
from server.people.rules import words

#: How long after it was done a payment may be disputed: as long as banks take charges back.
DISPUTABLE_FOR = timedelta(days=120)
#: Accounts that an adjustment may move money between. What is held belongs to its hold, what is owed to its claim.
ADJUSTABLE = frozenset(AccountKind) - {AccountKind.HELD, AccountKind.OWED}
#: The longest time that one reconciliation compares.
LONGEST_RUN = timedelta(days=31)
#: Whoever reconciles holds the run for so long; then another node takes it over.
LEASE = timedelta(minutes=10)

_OWN = frozenset({AccountKind.AVAILABLE, AccountKind.HELD, AccountKind.OWED})


def reason(text: str, field: str = "reason", longest: int = REASON_LONGEST) -> str:
    """The text as it is kept. Raises `bad_request` for one without words."""
    kept = words(text, longest, field=field)
    if not kept:
        raise VouchError(Code.BAD_REQUEST, "Say why in a few words.", field=field)
    return kept


# ── Approvals ───────────────────────────────────────────────────────────────────────────────────────────────────────


def may_decide_order(order: Order, actor: str) -> bool:
    """Whether this person is the second pair of eyes."""
    return order.state is OrderState.APPROVAL and actor not in (order.by, order.person)


def shortened(destination: Mapping[str, str]) -> str | None:
    """Where a pay-out goes, as far as the desk needs it: whose account, and how it ends."""
    if not destination:
        return None
    return f"{destination.get('holder', '')} …{destination.get('ending', '')}".strip()


# ── Disputes ────────────────────────────────────────────────────────────────────────────────────────────────────────


def left_of(order: Order) -> int:
    """How much of an order may still be given back (minor units)."""
    if order.kind is OrderKind.CHARGE:
        return max(0, order.amount - order.refunded - order.disputed)
    return order.amount


def disputable(order: Order, now: datetime) -> bool:
    """What is done, not given back yet, and not long ago."""
    return order.state is OrderState.DONE and left_of(order) > 0 and now - order.changed_at <= DISPUTABLE_FOR


def open_dispute(order: Order, person: str, text: str, *, id: str, now: datetime) -> Dispute:
    """Raises `not_found` for somebody else's payment, `conflict` for one that cannot be disputed, `bad_request`."""
    if order.person != person:
        raise VouchError(Code.NOT_FOUND)
    if not disputable(order, now):
        raise VouchError(Code.CONFLICT, "This payment is not done, was given back, or is too long ago.")
    return Dispute(
        id=id,
        order=order.id,
        order_kind=order.kind,
        person=person,
        amount=left_of(order),
        currency=order.currency,
        words=reason(text, "words", WORDS_LONGEST),
        at=now,
    )


def bank_dispute(order: Order, *, id: str, now: datetime) -> Dispute:
    """The payer's bank has taken a charge back: it is on record, and there is nothing left to decide."""
    return Dispute(
        id=id,
        source=DisputeSource.BANK,
        state=DisputeState.GIVEN_BACK,
        order=order.id,
        order_kind=order.kind,
        person=order.person,
        amount=order.disputed,
        currency=order.currency,
        words="",
        at=now,
        decided_at=now,
    )


def may_decide_dispute(dispute: Dispute, actor: str) -> bool:
    return dispute.state is DisputeState.OPEN and actor != dispute.person


def decide_dispute(dispute: Dispute, actor: str, decision: DecideDispute, now: datetime) -> Dispute:
    """Raises `forbidden` to the one whose payment it is, `already`, `stale`, `bad_request`, `amount_limit`."""
    if actor == dispute.person:
        raise VouchError(Code.FORBIDDEN, "Somebody else decides about your payment.")
    if dispute.state is not DisputeState.OPEN:
        raise VouchError(Code.ALREADY)
    if dispute.version != decision.version:
        raise VouchError(Code.STALE)
    if decision.amount is not None and decision.verdict is DisputeVerdict.REFUSE:
        raise VouchError(Code.BAD_REQUEST, "What is refused gives nothing back.", field="amount")
    if decision.amount is not None and decision.amount > dispute.amount:
        raise VouchError(Code.AMOUNT_LIMIT, "This is more than is left of the payment.", field="amount")
    back = decision.verdict is DisputeVerdict.GIVE_BACK
    return replace(
        dispute,
        state=DisputeState.GIVING_BACK if back else DisputeState.REFUSED,
        giving=(decision.amount or dispute.amount) if back else 0,
        answer=reason(decision.reason),
        decided_at=now,
        decided_by=actor,
        version=dispute.version + 1,
    )


def given_back(dispute: Dispute, *, refund: str | None = None) -> Dispute:
    """The money is on its way."""
    state, kept = DisputeState.GIVEN_BACK, refund or dispute.refund
    return replace(dispute, state=state, refund=kept, version=dispute.version + 1)


def reopened(dispute: Dispute) -> Dispute:
    """It could not be carried out, or a second person was against it: it waits for another decision."""
    return replace(
        dispute,
        state=DisputeState.OPEN,
        giving=0,
        answer="",
        decided_at=None,
        decided_by=None,
        adjustment=None,
        version=dispute.version + 1,
    )


def correction(dispute: Dispute, order: Order, *, id: str, now: datetime) -> Adjustment:
    """What gives back money that had left: its provider has it again, and the person is to have it."""
    return Adjustment(
        id=id,
        key=f"{dispute.id}:{dispute.version}",
        kind=AdjustmentKind.MOVE,
        amount=dispute.giving,
        currency=dispute.currency,
        source=str(clearing(order.provider)),
        target=str(available(dispute.person)),
        gainers=(dispute.person,),
        about=f"dispute:{dispute.id}",
        reason=dispute.answer,
        proposed_by=dispute.decided_by or "",
        at=now,
    )


# ── Adjustments ─────────────────────────────────────────────────────────────────────────────────────────────────────


def account(text: str, field: str) -> Account:
    """Raises `bad_request` for what is no account, or one that is not moved by hand."""
    try:
        named = Account.parse(text)
    except ValueError:
        raise VouchError(Code.BAD_REQUEST, "This is no account.", field=field) from None
    if named.kind not in ADJUSTABLE:
        raise VouchError(Code.BAD_REQUEST, "Money that is held or owed is not moved by hand.", field=field)
    return named


def _people(accounts: Iterable[Account]) -> tuple[str, ...]:
    """The people to whom these accounts belong, sorted."""
    return tuple(sorted({account.owner for account in accounts if account.kind in _OWN}))


def propose(wanted: Propose, actor: str, *, id: str, now: datetime) -> Adjustment:
    """Raises `bad_request`, and `forbidden` to somebody whose own money it would move."""
    source, target = account(wanted.source, "source"), account(wanted.target, "target")
    if source == target:
        raise VouchError(Code.BAD_REQUEST, "Source and target are the same.", field="target")
    proposal = Adjustment(
        id=id,
        key=f"{actor}:{wanted.id}",
        kind=AdjustmentKind.MOVE,
        amount=wanted.amount,
        currency=wanted.currency,
        source=str(source),
        target=str(target),
        gainers=_people([target]),
        losers=_people([source]),
        reason=reason(wanted.reason),
        proposed_by=actor,
        at=now,
    )
    return _unconcerned(proposal, actor)


def received(transfer: Transfer) -> int:
    """How much people received by a transfer (minor units), 0 where nothing can be taken back."""
    try:
        receivers, _ = moved(transfer)
    except VouchError:
        return 0
    return sum(amount for account, amount in receivers.items() if account.kind is AccountKind.AVAILABLE)


def propose_claw_back(transfer: Transfer, wanted: ProposeClawBack, actor: str, *, id: str, now: datetime) -> Adjustment:
    """Raises `bad_request` for a transfer that gave nobody anything, `amount_limit`, `forbidden`."""
    receivers, givers = moved(transfer)
    most = sum(receivers.values())
    if wanted.amount is not None and wanted.amount > most:
        raise VouchError(Code.AMOUNT_LIMIT, "This is more than was received.", field="amount")
    proposal = Adjustment(
        id=id,
        key=f"{actor}:{wanted.id}",
        kind=AdjustmentKind.CLAW_BACK,
        amount=wanted.amount or most,
        currency=transfer.currency,
        source=", ".join(str(account) for account in receivers),
        target=", ".join(str(account) for account in givers),
        transfer=transfer.id,
        gainers=_people(givers),
        losers=_people(receivers),
        reason=reason(wanted.reason),
        proposed_by=actor,
        at=now,
    )
    return _unconcerned(proposal, actor)


def same_proposal(one: Adjustment, other: Adjustment) -> bool:
    """Whether a repeated request asks for what was proposed the first time."""
    return all(
        getattr(one, name) == getattr(other, name)
        for name in ("kind", "amount", "currency", "source", "target", "transfer", "reason")
    )


def may_decide_adjustment(adjustment: Adjustment, actor: str) -> bool:
    return adjustment.state is AdjustmentState.PROPOSED and not _concerned(adjustment, actor)


def decide_adjustment(adjustment: Adjustment, actor: str, now: datetime, refused: str | None = None) -> Adjustment:
    """Approved, or refused with a reason. Raises `forbidden` to who proposed it or is touched by it, `already`."""
    if _concerned(adjustment, actor):
        raise VouchError(Code.FORBIDDEN, "Somebody decides who has not proposed it and whose money it is not.")
    if adjustment.state is not AdjustmentState.PROPOSED:
        raise VouchError(Code.ALREADY)
    return replace(
        adjustment,
        state=AdjustmentState.DONE if refused is None else AdjustmentState.REFUSED,
        answer="" if refused is None else reason(refused),
        decided_by=actor,
        decided_at=now,
        version=adjustment.version + 1,
    )


def _concerned(adjustment: Adjustment, actor: str) -> bool:
    return actor in (adjustment.proposed_by, *adjustment.gainers, *adjustment.losers)


def _unconcerned(proposal: Adjustment, actor: str) -> Adjustment:
    if actor in (*proposal.gainers, *proposal.losers):
        raise VouchError(Code.FORBIDDEN, "Somebody else proposes what moves your money.")
    return proposal


# ── Reconciliation ──────────────────────────────────────────────────────────────────────────────────────────────────


def wanted_run(provider: str, since: datetime, until: datetime, now: datetime, known: Collection[str]) -> None:
    """Raises `bad_request` for a provider that is not here or a time that is empty, too long, or not over."""
    if provider not in known:
        raise VouchError(Code.BAD_REQUEST, "There is no such provider.", field="provider")
    if not since < until:
        raise VouchError(Code.BAD_REQUEST, "This is no time.", field="to")
    if until - since > LONGEST_RUN:
        raise VouchError(Code.BAD_REQUEST, "At most 31 days are compared at once.", field="from")
    if until > now:
        raise VouchError(Code.BAD_REQUEST, "This time is not over yet.", field="to")


def finished(run: Run, found: Reconciliation, now: datetime) -> Run:
    return replace(
        run,
        state=RunState.DONE,
        differences=tuple(DifferenceLine(each, DifferenceState.OPEN, "", None) for each in found.differences),
        sums=tuple(found.sums),
        compared=found.looked_at,
        caught_up=found.caught_up,
        finished_at=now,
        version=run.version + 1,
    )


def failed(run: Run, fault: str, now: datetime) -> Run:
    return replace(run, state=RunState.FAILED, fault=fault, finished_at=now, version=run.version + 1)


def open_differences(run: Run) -> int:
    return sum(difference.state is DifferenceState.OPEN for difference in run.differences)


def settle(run: Run, index: int, actor: str, wanted: Settle) -> Run:
    """Raises `not_found`, `already`, `stale`, `conflict` for mending what cannot be, `bad_request`."""
    if not 0 <= index < len(run.differences):
        raise VouchError(Code.NOT_FOUND)
    difference = run.differences[index]
    if difference.state is not DifferenceState.OPEN:
        raise VouchError(Code.ALREADY)
    if run.version != wanted.version:
        raise VouchError(Code.STALE)
    if wanted.mend and not difference.difference.mendable:
        raise VouchError(Code.CONFLICT, "Nothing can be taken over here: look at it with the provider.")
    settled = replace(
        difference,
        state=DifferenceState.MENDED if wanted.mend else DifferenceState.EXPLAINED,
        note=reason(wanted.note, "note"),
        by=actor,
    )
    lines = (*run.differences[:index], settled, *run.differences[index + 1 :])
    return replace(run, differences=lines, version=run.version + 1)
