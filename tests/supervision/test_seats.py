"""Who comes to supervise and who leaves: the rules alone (R-03 to R-07)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import Code, VouchError
from server.supervision.model import (
    FINAL,
    WAITING,
    Flag,
    Outcome,
    Pledge,
    PledgeState,
    SeatState,
    SeatVia,
    Side,
    Stake,
    StakeState,
    Suspicion,
)
from server.supervision.rules import lifecycle, seats, timing
from server.supervision.rules.change import Change, What, turned
from tests.supervision.examples import ANN, AT, DEPOSIT, MAX, OWNER, POINTS, REWARD, STAFF, TOM, pledge, seat

SOON = AT + timedelta(hours=1)


def looking(kind: Any = POINTS, *taken: Any, most: int = 1, least: int = 1, **more: Any) -> Pledge:
    """Published by its owner, and nobody supervises it yet unless named."""
    fields = {"consented": True, "expires_at": AT + timedelta(days=1), "seats": taken, **more}
    return pledge(kind, state=PledgeState.AWAITING_SUPERVISOR, words={"least": least, "most": most}, **fields)


def drafted(kind: Any = POINTS, **more: Any) -> Pledge:
    """Drafted by Tom, who waits for the owner's word."""
    founder = seats.founded(TOM, AT)
    fields = {
        "drafted_by": TOM,
        "side": Side.SUPERVISOR,
        "consent_until": AT + timedelta(days=3),
        "expires_at": AT + timedelta(days=5),
        **more,
    }
    return pledge(kind, state=PledgeState.AWAITING_OWNER, seats=[founder], **fields)


def on(change: Change) -> Change:
    """With everything that follows from it."""
    return lifecycle.progress(change, AT)


def state_of(after: Pledge, person: str) -> SeatState:
    found = after.seat(person)
    assert found is not None
    return found.state


def told(change: Change, what: What) -> set[str]:
    return {news.person for news in change.news if news.what is what}


def refused(code: Code, rule: Any) -> None:
    with pytest.raises(VouchError) as refusal:
        rule()
    assert refusal.value.code is code


# ── Applications ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_who_applies_waits_for_the_owner_and_is_accepted() -> None:
    applied = on(seats.apply(looking(), TOM, "I run, too.", AT))
    assert state_of(applied.pledge, TOM) is SeatState.APPLIED
    assert told(applied, What.APPLIED) == {OWNER}
    accepted = on(seats.decide(applied.pledge, OWNER, TOM, True, AT))
    assert accepted.pledge.seated == (TOM,)
    assert accepted.pledge.state is PledgeState.ACTIVE
    assert told(accepted, What.ACCEPTED) == {TOM}
    assert seats.decide(accepted.pledge, OWNER, TOM, True, AT) == Change(accepted.pledge)


def test_the_last_seat_taken_tells_the_others() -> None:
    before = looking(POINTS, seat(TOM, SeatState.APPLIED), seat(MAX, SeatState.APPLIED), seat(ANN, SeatState.INVITED))
    accepted = on(seats.decide(before, OWNER, MAX, True, AT))
    assert accepted.pledge.seated == (MAX,)
    assert told(accepted, What.DECLINED) == {TOM}
    assert told(accepted, What.WITHDRAWN) == {ANN}
    refused(Code.LIMIT_REACHED, lambda: seats.decide(accepted.pledge, OWNER, TOM, True, AT))
    refused(Code.NOT_FOUND, lambda: seats.decide(accepted.pledge, OWNER, TOM, False, AT))


def test_two_accepted_for_one_seat_while_money_is_missing() -> None:
    """The seat is taken though the pledge has not begun; the second one is not squeezed in."""
    before = looking(DEPOSIT, seat(TOM, SeatState.APPLIED), stake=Stake())
    first = on(seats.decide(before, OWNER, TOM, True, AT)).pledge
    assert first.state is PledgeState.AWAITING_FUNDS
    again = turned(first, seats=(*first.seats, seat(MAX, SeatState.APPLIED)))
    refused(Code.LIMIT_REACHED, lambda: seats.decide(again, OWNER, MAX, True, AT))


def test_who_was_declined_does_not_apply_again_but_who_withdrew_does() -> None:
    applied = seats.apply(looking(), TOM, "", AT).pledge
    declined = seats.decide(applied, OWNER, TOM, False, AT).pledge
    refused(Code.CONFLICT, lambda: seats.apply(declined, TOM, "", AT))
    withdrawn = seats.withdraw(applied, TOM, AT).pledge
    assert state_of(seats.apply(withdrawn, TOM, "", AT).pledge, TOM) is SeatState.APPLIED
    refused(Code.NOT_FOUND, lambda: seats.withdraw(withdrawn, TOM, AT))


def test_nobody_applies_where_nobody_is_looked_for() -> None:
    refused(Code.CONFLICT, lambda: seats.apply(looking(), OWNER, "", AT))
    refused(Code.CONFLICT, lambda: seats.apply(looking(STAFF), TOM, "", AT))
    refused(Code.CONFLICT, lambda: seats.apply(drafted(), MAX, "", AT))
    refused(Code.CONFLICT, lambda: seats.apply(pledge(POINTS, TOM), MAX, "", AT))
    refused(Code.CONFLICT, lambda: seats.apply(looking(POINTS, seat(TOM)), MAX, "", AT))
    refused(Code.ALREADY, lambda: seats.apply(looking(POINTS, seat(TOM, SeatState.INVITED)), TOM, "", AT))


def test_applications_do_not_pile_up() -> None:
    waiting = tuple(seat(f"p_{n:020}", SeatState.APPLIED) for n in range(seats.OPEN_MOST))
    refused(Code.LIMIT_REACHED, lambda: seats.apply(looking(POINTS, *waiting), TOM, "", AT))


def test_only_the_owner_decides() -> None:
    before = looking(POINTS, seat(TOM, SeatState.APPLIED))
    refused(Code.FORBIDDEN, lambda: seats.decide(before, TOM, TOM, True, AT))
    refused(Code.NOT_FOUND, lambda: seats.decide(before, MAX, TOM, True, AT))


# ── Invitations ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_designated_person_accepts_declines_or_never_answers() -> None:
    asked = seats.invite(looking(), OWNER, [TOM], 24, AT)
    assert told(asked, What.INVITED) == {TOM}
    yes = on(seats.answer(asked.pledge, TOM, True, AT))
    assert yes.pledge.state is PledgeState.ACTIVE
    assert told(yes, What.ACCEPTED) == {OWNER}
    no = on(seats.answer(asked.pledge, TOM, False, AT))
    assert no.pledge.state is PledgeState.AWAITING_SUPERVISOR
    assert told(no, What.DECLINED) == {OWNER}
    never = seats.tick(asked.pledge, AT + timedelta(hours=23))
    assert never == Change(asked.pledge)
    lapsed = seats.tick(turned(asked.pledge, expires_at=None), AT + timedelta(hours=24))
    assert state_of(lapsed.pledge, TOM) is SeatState.EXPIRED
    assert told(lapsed, What.UNANSWERED) == {OWNER}
    refused(Code.CONFLICT, lambda: seats.answer(lapsed.pledge, TOM, True, AT))


def test_an_invitation_counts_no_longer_than_it_says_though_no_timer_came() -> None:
    asked = seats.invite(looking(expires_at=None), OWNER, [TOM], 24, AT).pledge
    refused(Code.CONFLICT, lambda: seats.answer(asked, TOM, True, AT + timedelta(hours=24)))


def test_a_group_begins_with_those_who_have_accepted() -> None:
    """Three are asked, two are needed: it begins when two are there and the third has said no or nothing."""
    asked = seats.invite(looking(most=3, least=2), OWNER, [TOM, MAX, ANN], 12, AT).pledge
    assert {one.via for one in asked.seats} == {SeatVia.GROUP}
    two = on(seats.answer(on(seats.answer(asked, TOM, True, AT)).pledge, MAX, True, AT)).pledge
    assert two.state is PledgeState.AWAITING_SUPERVISOR
    assert on(seats.answer(two, ANN, False, AT)).pledge.state is PledgeState.ACTIVE
    late = AT + timedelta(hours=12)
    assert lifecycle.progress(seats.tick(two, late), late).pledge.state is PledgeState.ACTIVE


def test_asking_somebody_twice_asks_once() -> None:
    asked = seats.invite(looking(most=3), OWNER, [TOM, TOM], 12, AT)
    assert len(asked.pledge.seats) == 1
    assert seats.invite(asked.pledge, OWNER, [TOM], 12, AT) == Change(asked.pledge)


def test_who_may_invite() -> None:
    refused(Code.FORBIDDEN, lambda: seats.invite(looking(POINTS, seat(TOM), most=3), TOM, [MAX], 12, AT))
    refused(Code.BAD_REQUEST, lambda: seats.invite(looking(), OWNER, [OWNER], 12, AT))
    refused(Code.CONFLICT, lambda: seats.invite(looking(STAFF), OWNER, [TOM], 12, AT))
    open = turned(drafted(), terms=looking(most=3).terms)
    assert seats.invite(open, TOM, [MAX], 12, AT).pledge.seat(MAX) is not None
    refused(Code.FORBIDDEN, lambda: seats.invite(open, OWNER, [MAX], 12, AT))


def test_an_invitation_is_taken_back() -> None:
    asked = seats.invite(looking(), OWNER, [TOM], 12, AT).pledge
    back = seats.decide(asked, OWNER, TOM, False, AT)
    assert state_of(back.pledge, TOM) is SeatState.WITHDRAWN
    assert told(back, What.WITHDRAWN) == {TOM}


# ── The owner's word ────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_a_supervisor_has_drafted_begins_with_the_owners_word() -> None:
    agreed = on(seats.consent(drafted(), OWNER, AT))
    assert agreed.pledge.state is PledgeState.ACTIVE
    assert told(agreed, What.ACCEPTED) == {TOM}
    assert seats.consent(agreed.pledge, OWNER, AT) == Change(agreed.pledge)
    refused(Code.NOT_FOUND, lambda: seats.consent(drafted(), MAX, AT))


def test_without_the_owners_word_it_ends() -> None:
    assert seats.refuse(drafted(), OWNER, AT).pledge.state is PledgeState.CANCELLED
    refused(Code.NOT_FOUND, lambda: seats.refuse(drafted(), TOM, AT))
    late = AT + timedelta(days=3)
    refused(Code.CONFLICT, lambda: seats.consent(drafted(), OWNER, late))
    ended = seats.tick(drafted(), late)
    assert ended.pledge.state is PledgeState.EXPIRED
    assert told(ended, What.EXPIRED) == {OWNER, TOM}


def test_nobody_learns_of_a_draft() -> None:
    draft = turned(drafted(), state=PledgeState.DRAFT)
    for rule in (seats.consent, seats.refuse):
        refused(Code.NOT_FOUND, lambda rule=rule: rule(draft, OWNER, AT))
    named = turned(draft, seats=(seat(MAX, SeatState.INVITED),))
    refused(Code.NOT_FOUND, lambda: seats.answer(named, MAX, True, AT))
    assert timing.next_due(draft) is None


# ── Leaving, blocks, deleted accounts ───────────────────────────────────────────────────────────────────────────────


def test_a_supervisor_who_leaves_lets_the_others_go_on() -> None:
    left = on(seats.leave(pledge(POINTS, TOM, MAX), TOM, AT))
    assert left.pledge.seated == (MAX,)
    assert left.pledge.state is PledgeState.ACTIVE
    assert told(left, What.LEFT) == {OWNER, MAX}
    refused(Code.NOT_FOUND, lambda: seats.leave(left.pledge, TOM, AT))


def test_before_it_begins_the_seat_is_free_again() -> None:
    waiting = turned(looking(DEPOSIT, seat(TOM), stake=Stake()), state=PledgeState.AWAITING_FUNDS)
    assert on(seats.leave(waiting, TOM, AT)).pledge.state is PledgeState.AWAITING_SUPERVISOR
    refused(Code.CONFLICT, lambda: seats.leave(drafted(), TOM, AT))


@pytest.mark.parametrize("state", sorted(FINAL | {PledgeState.CHALLENGE_WINDOW, PledgeState.DISPUTED}))
def test_nobody_leaves_when_the_outcome_is_known(state: PledgeState) -> None:
    refused(Code.CONFLICT, lambda: seats.leave(pledge(POINTS, TOM, state=state), TOM, AT))


def test_a_block_ends_what_waits_and_leaves_who_supervises() -> None:
    both = (seat(TOM, SeatState.INVITED), seat(MAX, SeatState.APPLIED), seat(ANN))
    before = looking(POINTS, *both, most=3, least=3)
    for person in (TOM, MAX):
        parted = seats.parted(before, person, OWNER, AT)
        assert state_of(parted.pledge, person) is SeatState.WITHDRAWN
        assert not parted.news
    assert seats.parted(before, OWNER, ANN, AT) == Change(before)
    assert seats.parted(before, TOM, MAX, AT) == Change(before)


def test_a_block_ends_what_waits_for_the_owners_word() -> None:
    before = drafted(REWARD, stake=Stake(state=StakeState.HELD, payer=TOM))
    parted = seats.parted(before, OWNER, TOM, AT).pledge
    assert parted.state is PledgeState.AWAITING_OWNER
    due = timing.next_due(parted)
    assert due is not None
    assert due <= AT
    assert seats.tick(parted, AT).pledge.state is PledgeState.CANCELLED


def test_a_pledge_whose_owner_is_gone_is_cancelled_unless_its_outcome_is_known() -> None:
    gone = seats.gone(pledge(REWARD, TOM), OWNER, AT).pledge
    assert seats.tick(gone, AT).pledge.state is PledgeState.CANCELLED
    assert seats.tick(seats.tick(gone, AT).pledge, AT) == Change(seats.tick(gone, AT).pledge)
    known = pledge(REWARD, TOM, state=PledgeState.CHALLENGE_WINDOW, outcome=Outcome.FAILED, until=SOON)
    assert seats.gone(known, OWNER, AT) == Change(known)


def test_a_supervisor_who_is_gone_has_left() -> None:
    gone = seats.gone(pledge(POINTS, TOM, MAX), TOM, AT).pledge
    assert state_of(gone, TOM) is SeatState.LEFT
    assert not gone.abandoned
    asked = seats.gone(looking(POINTS, seat(TOM, SeatState.INVITED)), TOM, AT).pledge
    assert state_of(asked, TOM) is SeatState.WITHDRAWN
    assert seats.gone(drafted(), TOM, AT).pledge.abandoned


# ── Suspicions, time ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_suspicion_counts_where_money_moves_from_others() -> None:
    found = [Suspicion(TOM, Flag.FAMILY)]
    asked = seat(TOM, SeatState.INVITED)
    assert seats.answer(looking(DEPOSIT, asked), TOM, True, AT, found).pledge.suspicions == tuple(found)
    assert not seats.answer(looking(POINTS, asked), TOM, True, AT, found).pledge.suspicions
    assert not seats.consent(drafted(REWARD), OWNER, AT, found).pledge.suspicions, "Tom gives what is his own"
    others = [Suspicion(MAX, Flag.SAME_BROWSER)]
    assert seats.consent(drafted(REWARD), OWNER, AT, others).pledge.suspicions == tuple(others)


def test_nobody_found_it_expires_and_never_begins_late() -> None:
    late = AT + timedelta(days=1)
    ended = seats.tick(looking(DEPOSIT, seat(TOM, SeatState.APPLIED)), late)
    assert ended.pledge.state is PledgeState.EXPIRED
    assert told(ended, What.EXPIRED) == {OWNER, TOM}
    seated = looking(POINTS, seat(TOM, SeatState.APPLIED))
    too_late = lifecycle.progress(seats.decide(seated, OWNER, TOM, True, late), late)
    assert too_late.pledge.state in (PledgeState.AWAITING_SUPERVISOR, PledgeState.AWAITING_FUNDS)
    assert seats.tick(too_late.pledge, late).pledge.state is PledgeState.EXPIRED


_PEOPLE = [OWNER, TOM, MAX, ANN]
_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["apply", "withdraw", "accept", "decline", "invite", "yes", "no", "consent", "leave", "tick"]),
        st.sampled_from(_PEOPLE),
        st.sampled_from(_PEOPLE),
        st.integers(0, 30),
    ),
    max_size=25,
)


def _done(before: Pledge, what: str, me: str, other: str, now: datetime) -> Change:
    match what:
        case "apply":
            return seats.apply(before, me, "", now)
        case "withdraw":
            return seats.withdraw(before, me, now)
        case "accept" | "decline":
            return seats.decide(before, me, other, what == "accept", now)
        case "invite":
            return seats.invite(before, me, [other], 24, now)
        case "yes" | "no":
            return seats.answer(before, me, what == "yes", now)
        case "consent":
            return seats.consent(before, me, now)
        case "leave":
            return seats.leave(before, me, now)
    return seats.tick(before, now)


@given(steps=_STEPS, most=st.integers(1, 3), owners=st.booleans())
def test_whatever_people_do_seats_stay_in_order(
    steps: list[tuple[str, str, str, int]], most: int, owners: bool
) -> None:
    """Never more than there are, one per person, never the owner's own; and time always comes to rest."""
    after = looking(POINTS, most=most) if owners else turned(drafted(), terms=looking(most=most).terms)
    now = AT
    for what, me, other, hours in steps:
        now += timedelta(hours=hours)
        try:
            change = lifecycle.progress(_done(after, what, me, other, now), now)
        except VouchError:
            continue
        after = change.pledge
        people = [one.person for one in after.seats]
        assert len(people) == len(set(people))
        assert OWNER not in people
        assert len(after.seated) <= max(most, 1)
        if after.state not in WAITING:
            assert not any(one.state in (SeatState.APPLIED, SeatState.INVITED) for one in after.seats)
        settled = lifecycle.progress(seats.tick(after, now), now).pledge
        assert lifecycle.progress(seats.tick(settled, now), now) == Change(settled)
