"""The states of a pledge: each follows from what is there, and is asked for after every change.

    draft → awaiting_owner → awaiting_supervisor → awaiting_funds → active → under_review
          → kept | failed → challenge_window → settled          beside: disputed, cancelled, expired

Seats, votes, rulings and money are other modules' business; here it is decided what they amount to.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import structs

from server.clock import to_ms
from server.supervision.model import (
    WAITING,
    CaseKind,
    Outcome,
    Pledge,
    PledgeState,
    Seat,
    SeatState,
    StakeState,
)
from server.supervision.rules import cases, checks, outcome, tasks
from server.supervision.rules.change import Change, Line, What, come_into, concerned, tell, turned
from server.supervision.terms import StakeKind

_WON = {Outcome.KEPT: PledgeState.KEPT, Outcome.FAILED: PledgeState.FAILED}


def progress(change: Change, now: datetime) -> Change:
    """Goes on from state to state until there is no further one."""
    for _ in range(len(PledgeState)):
        step = _step(change.pledge, now)
        if step is None:
            return checks.tidy(cases.tidy(change, now))
        change = change.then(step)
    raise AssertionError("a pledge never came to rest")


def _step(pledge: Pledge, now: datetime) -> Change | None:
    match pledge.state:
        case PledgeState.DRAFT:
            return None
        case state if state in WAITING:
            wanted = waiting_for(pledge)
            if wanted is state or (wanted is PledgeState.ACTIVE and _out_of_time(pledge, now)):
                return None
            return _begin(pledge, now) if wanted is PledgeState.ACTIVE else _wait(pledge, wanted, now)
        case PledgeState.ACTIVE | PledgeState.UNDER_REVIEW:
            return _judge(pledge, now)
        case PledgeState.KEPT | PledgeState.FAILED:
            return _open_window(pledge, now)
        case PledgeState.CHALLENGE_WINDOW:
            return _dispute(pledge, now) if cases.objection(pledge) else _close_window(pledge, now)
        case PledgeState.DISPUTED:
            return _rule(pledge, now)
    return None


# ── Before it begins ────────────────────────────────────────────────────────────────────────────────────────────────


def enough_seats(pledge: Pledge) -> bool:
    """Enough supervise, and nobody who was invited may still answer; with all seats taken nobody is waited for."""
    taken = len(pledge.seated)
    asked = any(seat.state is SeatState.INVITED for seat in pledge.seats)
    return taken >= pledge.terms.most or (taken >= pledge.terms.least and not asked)


def waiting_for(pledge: Pledge) -> PledgeState:
    """What a pledge that was published waits for; `active` when for nothing."""
    if not pledge.consented:
        return PledgeState.AWAITING_OWNER
    if not enough_seats(pledge):
        return PledgeState.AWAITING_SUPERVISOR
    if pledge.money and pledge.stake.state is not StakeState.HELD:
        return PledgeState.AWAITING_FUNDS
    return PledgeState.ACTIVE


def _out_of_time(pledge: Pledge, now: datetime) -> bool:
    """What comes together too late does not begin: it expires as soon as its turn comes."""
    return pledge.expires_at is not None and pledge.expires_at <= now


def _wait(pledge: Pledge, state: PledgeState, now: datetime) -> Change:
    news = tell([pledge.stake.payer or payer(pledge)], What.FUNDS_WANTED) if state is PledgeState.AWAITING_FUNDS else ()
    return Change(come_into(pledge, state, now), (_stated(state),), news)


def payer(pledge: Pledge) -> str:
    """Who is asked for the money: the owner (a minor's guardian pays for them), with a reward who drafted it."""
    return pledge.drafted_by if pledge.terms.stake.kind is StakeKind.REWARD else pledge.owner


def _begin(pledge: Pledge, now: datetime) -> Change:
    begun = come_into(pledge, PledgeState.ACTIVE, now, expires_at=None)
    change = Change(begun, (_stated(PledgeState.ACTIVE),), tell(concerned(begun), What.BEGUN))
    return change.then(close_seats(begun, now))


def close_seats(pledge: Pledge, now: datetime) -> Change:
    """Nobody is looked for any more: applications are declined, invitations lapse."""
    applied = [seat.person for seat in pledge.seats if seat.state is SeatState.APPLIED]
    invited = [seat.person for seat in pledge.seats if seat.state is SeatState.INVITED]
    news = (*tell(applied, What.DECLINED), *tell(invited, What.WITHDRAWN))
    return Change(turned(pledge, seats=_closed(pledge.seats, now)), news=news)


def _closed(seats: Sequence[Seat], now: datetime) -> tuple[Seat, ...]:
    ends = {SeatState.APPLIED: SeatState.DECLINED, SeatState.INVITED: SeatState.EXPIRED}
    return tuple(
        structs.replace(seat, state=ends[seat.state], by="system", at=now, expires_at=None)
        if seat.state in ends
        else seat
        for seat in seats
    )


# ── Judged ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _judge(pledge: Pledge, now: datetime) -> Change | None:
    if cases.whole_review(pledge) is not None:
        return _review(pledge, now)  # staff decides on the whole
    closed = tasks.close(pledge, now)
    if closed is not None:
        return closed
    found = pledge.outcome or outcome.of_tasks(pledge)
    if found is None:
        return _review(pledge, now) if outcome.at_rest(pledge) else None
    if cases.must_be_looked_at(pledge) and found is not Outcome.VOID:
        return cases.open_review(turned(pledge, outcome=None), now, cause=cases.FLAGGED)
    return decide(pledge, found, now)


def _review(pledge: Pledge, now: datetime) -> Change | None:
    if pledge.state is PledgeState.UNDER_REVIEW:
        return None
    return Change(come_into(pledge, PledgeState.UNDER_REVIEW, now), (_stated(PledgeState.UNDER_REVIEW),))


def decide(pledge: Pledge, found: Outcome, now: datetime) -> Change:
    """It is known what became of it; the window in which that can be objected to comes next."""
    if found is Outcome.VOID:
        return _open_window(turned(pledge, outcome=found, agreed=()), now)
    state = _WON[found]
    return Change(come_into(pledge, state, now, outcome=found, agreed=()), (_stated(state, found),))


def _open_window(pledge: Pledge, now: datetime) -> Change:
    if pledge.terms.stake.kind is StakeKind.NONE:
        return _settle(pledge, now)  # nothing moves, so there is nothing to object to
    return _window(pledge, now)


def _window(pledge: Pledge, now: datetime) -> Change:
    """An appeal's ruling is final: it settles at once."""
    if any(case.kind is CaseKind.APPEAL for case in pledge.cases):
        return _settle(pledge, now)
    until = now + timedelta(hours=pledge.terms.challenge)
    opened = come_into(pledge, PledgeState.CHALLENGE_WINDOW, now, until=until)
    line = _stated(PledgeState.CHALLENGE_WINDOW, pledge.outcome, until)
    return Change(opened, (line,), tell(concerned(opened), What.OUTCOME))


def _close_window(pledge: Pledge, now: datetime) -> Change | None:
    """It ends with its time, or when everybody concerned has accepted the outcome."""
    over = pledge.until is not None and pledge.until <= now
    return _settle(pledge, now) if over or set(concerned(pledge)) <= set(pledge.agreed) else None


def _dispute(pledge: Pledge, now: datetime) -> Change:
    """The stake stays where it is until staff has ruled."""
    disputed = come_into(pledge, PledgeState.DISPUTED, now, until=None)
    return Change(disputed, (_stated(PledgeState.DISPUTED, pledge.outcome),))


def _rule(pledge: Pledge, now: datetime) -> Change | None:
    if cases.objection(pledge) is not None or pledge.outcome is None:
        return None
    return decide(pledge, pledge.outcome, now)


def _settle(pledge: Pledge, now: datetime) -> Change:
    settled = come_into(pledge, PledgeState.SETTLED, now, until=None)
    line = _stated(PledgeState.SETTLED, pledge.outcome)
    return Change(settled, (line,), tell(concerned(settled), What.SETTLED))


# ── Ended before ────────────────────────────────────────────────────────────────────────────────────────────────────


def end(pledge: Pledge, state: PledgeState, by: str, now: datetime) -> Change:
    """Cancelled or expired: who paid has all of it back."""
    ended = come_into(pledge, state, now, until=None, expires_at=None, seats=_closed(pledge.seats, now))
    what = What.CANCELLED if state is PledgeState.CANCELLED else What.EXPIRED
    waiting = [seat.person for seat in pledge.seats if seat.state in (SeatState.INVITED, SeatState.APPLIED)]
    people = dict.fromkeys([*concerned(pledge), pledge.drafted_by, *waiting])
    return Change(ended, (_stated(state, by=by),), tell(people, what, by))


def _stated(
    state: PledgeState, found: Outcome | None = None, until: datetime | None = None, by: str = "system"
) -> Line:
    body: dict[str, object] = {"state": state.value}
    if found is not None:
        body["outcome"] = found.value
    if until is not None:
        body["until"] = to_ms(until)
    return Line("state", body, by)


def moments(pledge: Pledge) -> list[datetime]:
    """When time alone changes the state."""
    return [pledge.until] if pledge.state is PledgeState.CHALLENGE_WINDOW and pledge.until else []
