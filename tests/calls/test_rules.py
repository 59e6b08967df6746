"""The course of a call: whatever people and time do, in any order."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.calls.model import (
    ALONE,
    ASK,
    AWAY_MOST,
    CLOSING_MOST,
    EMPTY,
    RING,
    SEATS_MOST,
    AskState,
    Call,
    CallState,
    Ending,
    RecordingState,
    Seat,
    SeatState,
)
from server.calls.rules import course, permits, pictures, recording, seats, telling
from server.errors import Code, VouchError
from tests.attempts import attempt

AT = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
PEOPLE = ("p_ann", "p_tom", "p_max", "p_lin")
ANN, TOM, MAX, LIN = PEOPLE


def begun(*others: str, busy: tuple[str, ...] = (), pledge: str = "") -> Call:
    called = others or (TOM,)
    return seats.start(
        id="cl_1",
        key="k",
        conversation="c_1",
        by=ANN,
        session="s_ann",
        others=called,
        busy=busy,
        direct=len(called) == 1,
        video=True,
        pledge=pledge,
        place="n_1",
        now=AT,
    )


def session(person: str, device: str = "") -> str:
    return f"s_{person.removeprefix('p_')}{device}"


def running(*others: str, pledge: str = "") -> Call:
    call = begun(*others, pledge=pledge)
    for person in others or (TOM,):
        call = seats.accept(call, person, session(person), AT)
    return call


def states(call: Call) -> dict[str, str]:
    return {seat.person: seat.state.value for seat in call.seats}


def refused(rule: Callable[[], object]) -> Code:
    with pytest.raises(VouchError) as caught:
        rule()
    return caught.value.code


# ── Ringing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_phones_ring_for_45_seconds_and_then_it_was_missed() -> None:
    call = begun()
    assert (call.state, states(call)) == (CallState.RINGING, {ANN: "joined", TOM: "ringing"})
    assert call.due == AT + RING
    assert course.tick(call, AT + RING - timedelta(milliseconds=1)) == call
    over = course.tick(call, AT + RING)
    assert (over.ending, states(over)) == (Ending.MISSED, {ANN: "left", TOM: "missed"})


def test_answered_it_runs_and_over_it_is_when_one_of_two_goes() -> None:
    call = running()
    assert (call.state, call.answered) == (CallState.RUNNING, AT)
    over = seats.leave(call, TOM, session(TOM), AT + timedelta(minutes=3))
    assert (over.ending, over.ended) == (Ending.DONE, AT + timedelta(minutes=3))
    assert telling.called(call, over)[0].seconds == 180


def test_declined_by_all_is_declined_and_missed_by_one_is_missed() -> None:
    call = seats.decline(begun(TOM, MAX), TOM, AT)
    assert call.state is CallState.RINGING
    assert seats.decline(call, MAX, AT).ending is Ending.DECLINED
    assert course.tick(call, AT + RING).ending is Ending.MISSED


def test_whoever_is_in_another_call_is_busy_and_has_missed_this_one() -> None:
    call = begun(TOM, MAX, busy=(TOM,))
    assert states(call)[TOM] == "busy"
    assert [news.kind for news in telling.news(None, call) if news.person == TOM] == ["call_missed", "call_changed"]
    assert begun(busy=(TOM,)).ending is Ending.MISSED
    assert telling.called(None, begun(busy=(TOM,)))[-1].missed == [TOM]


def test_taken_back_while_nobody_has_joined() -> None:
    over = seats.cancel(begun(), ANN, AT)
    assert (over.ending, states(over)[TOM]) == (Ending.CANCELLED, "missed")
    assert seats.cancel(over, ANN, AT) == over
    assert seats.leave(begun(), ANN, session(ANN), AT).ending is Ending.CANCELLED
    assert refused(lambda: seats.cancel(begun(), TOM, AT)) is Code.FORBIDDEN
    assert refused(lambda: seats.cancel(running(), ANN, AT)) is Code.CONFLICT


def test_nobody_to_call_and_too_many() -> None:
    assert refused(lambda: begun(ANN)) is Code.CONFLICT
    assert refused(lambda: begun(*(f"p_{n}" for n in range(SEATS_MOST)))) is Code.LIMIT_REACHED
    assert len(begun(*(f"p_{n}" for n in range(SEATS_MOST - 1))).seats) == SEATS_MOST


# ── Seats ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_seat_moves_to_another_device_and_the_old_one_cannot_give_it_up() -> None:
    call = seats.accept(running(), TOM, session(TOM, "2"), AT)
    assert call.seat(TOM) == Seat(person=TOM, state=SeatState.JOINED, since=AT, session="s_tom2", joined=True)
    assert refused(lambda: seats.leave(call, TOM, session(TOM), AT)) is Code.CONFLICT
    assert refused(lambda: seats.change(call, TOM, session(TOM), AT, camera=True)) is Code.CONFLICT


def test_who_is_put_out_stays_out_and_who_has_left_comes_back() -> None:
    call = seats.remove(running(TOM, MAX), ANN, TOM, AT, outranks=False)
    assert refused(lambda: seats.accept(call, TOM, session(TOM), AT)) is Code.CONFLICT
    assert refused(lambda: seats.remove(call, MAX, LIN, AT, outranks=False)) is Code.FORBIDDEN
    assert refused(lambda: seats.remove(call, ANN, LIN, AT, outranks=False)) is Code.NOT_FOUND
    assert refused(lambda: seats.remove(call, ANN, ANN, AT, outranks=True)) is Code.CONFLICT
    back = seats.accept(seats.leave(running(TOM, MAX), TOM, session(TOM), AT), TOM, session(TOM), AT)
    assert states(back)[TOM] == "joined"


def test_away_for_a_minute_is_gone_and_back_before_is_here() -> None:
    call = seats.away(running(TOM, MAX), TOM, session(TOM), AT)
    assert seats.back(call, TOM, session(TOM), AT).seat(TOM) == running(TOM, MAX).seat(TOM)
    assert states(course.tick(call, AT + AWAY_MOST))[TOM] == "left"
    assert seats.away(call, TOM, "s_other", AT) == call


def test_who_has_closed_the_page_is_waited_for_as_long_as_a_reload_takes() -> None:
    call = seats.away(running(TOM, MAX), TOM, session(TOM), AT, closing=True)
    assert states(call)[TOM] == "away"
    assert call.due == AT + CLOSING_MOST < AT + AWAY_MOST
    assert states(course.tick(call, AT + CLOSING_MOST - timedelta(seconds=1)))[TOM] == "away"
    assert states(course.tick(call, AT + CLOSING_MOST))[TOM] == "left"
    for here in (seats.back(call, TOM, session(TOM), AT), seats.change(call, TOM, session(TOM), AT, camera=False)):
        assert here.seat(TOM) == running(TOM, MAX).seat(TOM)
    cut = seats.away(seats.back(call, TOM, session(TOM), AT), TOM, session(TOM), AT)
    assert cut.due == AT + AWAY_MOST


def test_without_anybody_there_it_ends_after_half_a_minute() -> None:
    call = running(TOM, MAX)
    for person in (ANN, TOM, MAX):
        call = seats.away(call, person, session(person), AT)
    assert course.tick(call, AT + EMPTY - timedelta(seconds=1)).state is CallState.RUNNING
    assert course.tick(call, AT + EMPTY).ending is Ending.DONE
    woken = seats.back(call, MAX, session(MAX), AT + timedelta(seconds=20))
    assert course.tick(woken, AT + EMPTY).state is CallState.RUNNING


def test_alone_in_a_group_it_ends_by_itself() -> None:
    call = seats.leave(running(TOM, MAX), TOM, session(TOM), AT)
    call = seats.leave(call, MAX, session(MAX), AT)
    assert call.state is CallState.RUNNING
    assert course.tick(call, AT + ALONE).ending is Ending.DONE


def test_only_who_is_there_is_looked_at() -> None:
    call = seats.change(running(TOM, MAX), ANN, session(ANN), AT, watching=[TOM, TOM, ANN, LIN])
    assert call.seats[0].watching == (TOM,)
    assert seats.leave(call, TOM, session(TOM), AT).seats[0].watching == ()


# ── Recording ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_it_is_recorded_only_while_all_agree() -> None:
    call = recording.consent(running(TOM, MAX), ANN, session(ANN), True, AT)
    assert call.recording.state is RecordingState.ASKED
    for person in (TOM, MAX):
        call = recording.consent(call, person, session(person), True, AT)
    assert call.recording.state is RecordingState.ON
    newcomer = seats.accept(call, LIN, session(LIN), AT)
    assert newcomer.recording.state is RecordingState.ASKED
    assert recording.consent(newcomer, LIN, session(LIN), True, AT).recording.state is RecordingState.ON
    assert seats.leave(newcomer, LIN, session(LIN), AT).recording.state is RecordingState.ON
    withdrawn = recording.consent(call, TOM, session(TOM), False, AT)
    assert withdrawn.recording.state is RecordingState.OFF
    assert not any(seat.agrees for seat in withdrawn.seats)


def test_another_device_is_asked_again() -> None:
    call = running()
    for person in (ANN, TOM):
        call = recording.consent(call, person, session(person), True, AT)
    assert seats.accept(call, TOM, session(TOM, "2"), AT).recording.state is RecordingState.ASKED


# ── What one may ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_one_may_do_is_what_is_not_refused() -> None:
    call = begun(TOM, MAX)
    assert permits.can(call, ANN, session(ANN), AT) == ["cancel", "leave", "end", "remove", "record"]
    assert permits.can(call, TOM, session(TOM), AT) == ["accept", "decline"]
    assert permits.can(call, LIN, session(LIN), AT) == ["join"]
    assert permits.can(running(), TOM, session(TOM), AT) == ["leave", "record", "ask_snapshot"]
    assert permits.can(seats.cancel(call, ANN, AT), TOM, session(TOM), AT) == []
    assert "join" in permits.can(running(), TOM, session(TOM, "2"), AT)


def test_of_a_pledge_its_supervisors_take_pictures_of_its_owner_and_all_others_ask() -> None:
    call = seats.change(running(TOM, MAX, pledge="g_1"), ANN, session(ANN), AT, camera=True)

    def check(me: str, person: str, device: str = "") -> Code | None:
        try:
            permits.check_take(call, me, session(me, device), person, {TOM}, ANN)
        except VouchError as fault:
            return fault.code
        return None

    assert check(TOM, ANN) is None
    ways = {(me, of): permits.picture(call, me, session(me), of, {TOM}, ANN) for me in PEOPLE for of in PEOPLE}
    inside = (ANN, TOM, MAX)
    assert ways == {
        pair: "take" if pair == (TOM, ANN) else "ask" if pair[0] != pair[1] and {*pair} <= {*inside} else None
        for pair in ways
    }
    assert permits.picture(call, TOM, session(TOM, "2"), ANN, {TOM}, ANN) is None
    assert permits.picture(running(TOM), TOM, session(TOM), ANN, {TOM}, ANN) == "ask", "it is about no pledge"
    assert [check(MAX, ANN), check(ANN, TOM), check(TOM, MAX), check(TOM, TOM)] == [Code.FORBIDDEN] * 4
    assert check(TOM, ANN, "2") is Code.CONFLICT
    dark = seats.change(call, ANN, session(ANN), AT, camera=False)
    assert refused(lambda: _pictured(dark)) is Code.CONFLICT


def _pictured(call: Call) -> Call:
    permits.check_take(call, TOM, session(TOM), ANN, {TOM}, ANN)
    return call


# ── A picture that one is asked for ─────────────────────────────────────────────────────────────────────────────────


def asked(by: str = TOM, person: str = ANN, key: str = "k", at: datetime = AT) -> Call:
    return pictures.ask(running(TOM, MAX), "pq_1", key, by, session(by), person, at)


def test_a_picture_is_asked_for_once_and_passes_with_its_minute() -> None:
    call = asked()
    assert pictures.ask(call, "pq_2", "k", TOM, session(TOM), ANN, AT) == call
    assert refused(lambda: pictures.ask(call, "pq_2", "k", TOM, session(TOM), MAX, AT)) is Code.IDEMPOTENCY_CONFLICT
    assert refused(lambda: pictures.ask(call, "pq_2", "other", TOM, session(TOM), ANN, AT)) is Code.CONFLICT
    assert len(pictures.ask(call, "pq_2", "other", TOM, session(TOM), MAX, AT).asks) == 2
    assert call.due == AT + ASK
    assert course.tick(call, AT + ASK).asks == ()
    assert [one.id for one in pictures.ask(call, "pq_2", "other", TOM, session(TOM), ANN, AT + ASK).asks] == ["pq_2"]
    late = lambda: pictures.answering(call, "pq_1", ANN, session(ANN), AT + ASK)  # noqa: E731
    assert refused(late) is Code.NOT_FOUND


def test_only_who_is_shown_says_yes_and_on_the_device_that_has_the_seat() -> None:
    call = asked()
    assert pictures.answering(call, "pq_1", ANN, session(ANN), AT) == call.asks[0]
    for person, device, code in ((TOM, "", Code.FORBIDDEN), (MAX, "", Code.NOT_FOUND), (ANN, "2", Code.CONFLICT)):
        yes = lambda p=person, d=device: pictures.answering(call, "pq_1", p, session(p, d), AT)  # noqa: E731
        assert refused(yes) is code
    done = pictures.taken(call, "pq_1", "pf_1", AT)
    assert [(one.state, one.proof) for one in done.asks] == [(AskState.TAKEN, "pf_1")]
    assert refused(lambda: pictures.refuse(done, "pq_1", ANN, session(ANN), AT)) is Code.CONFLICT
    assert pictures.taken(call, "pq_9", "pf_1", AT) == call


def test_a_no_stands_for_the_minute_whoever_leaves_and_a_question_can_be_taken_back() -> None:
    call = asked()
    no = pictures.refuse(call, "pq_1", ANN, session(ANN), AT)
    assert [one.state for one in no.asks] == [AskState.REFUSED]
    assert refused(lambda: pictures.answering(no, "pq_1", ANN, session(ANN), AT)) is Code.CONFLICT
    assert pictures.refuse(no, "pq_1", TOM, session(TOM), AT) == no, "it is not taken back to ask once more"
    back = seats.accept(seats.leave(no, TOM, session(TOM), AT), TOM, session(TOM), AT)
    assert refused(lambda: pictures.ask(back, "pq_2", "other", TOM, session(TOM), ANN, AT)) is Code.CONFLICT
    assert pictures.refuse(call, "pq_1", TOM, session(TOM), AT).asks == ()
    assert seats.leave(call, TOM, session(TOM), AT).asks == (), "nobody waits for an answer any more"
    assert seats.end(no, ANN, AT, owner=False).asks == ()


# ── Anything, in any order ──────────────────────────────────────────────────────────────────────────────────────────

people = st.sampled_from(PEOPLE)
devices = st.sampled_from(("", "2"))
flags = st.booleans()
Step = Callable[[Call, datetime], Call]
steps: st.SearchStrategy[Step] = st.one_of(
    st.builds(lambda p, d: lambda c, now: seats.accept(c, p, session(p, d), now), people, devices),
    st.builds(lambda p: lambda c, now: seats.decline(c, p, now), people),
    st.builds(lambda p: lambda c, now: seats.cancel(c, p, now), people),
    st.builds(lambda p, d: lambda c, now: seats.leave(c, p, session(p, d), now), people, devices),
    st.builds(lambda p, o: lambda c, now: seats.end(c, p, now, owner=o), people, flags),
    st.builds(lambda p, q, o: lambda c, now: seats.remove(c, p, q, now, outranks=o), people, people, flags),
    st.builds(
        lambda p, d, closing: lambda c, now: seats.away(c, p, session(p, d), now, closing=closing),
        people,
        devices,
        st.booleans(),
    ),
    st.builds(lambda p, d: lambda c, now: seats.back(c, p, session(p, d), now), people, devices),
    st.builds(lambda p: lambda c, now: seats.unseat(c, [p], now), people),
    st.builds(lambda p, d: lambda c, now: seats.sign_out(c, [session(p, d)], now), people, devices),
    st.builds(lambda p, d, o: lambda c, now: recording.consent(c, p, session(p, d), o, now), people, devices, flags),
    st.builds(
        lambda p, d, q, f: lambda c, now: seats.change(c, p, session(p, d), now, camera=f, watching=[q]),
        people,
        devices,
        people,
        flags,
    ),
    st.builds(lambda p, q: lambda c, now: pictures.ask(c, f"pq_{p}{q}", "k", p, session(p), q, now), people, people),
    st.builds(lambda p, q: lambda c, now: pictures.refuse(c, f"pq_{p}{q}", q, session(q), now), people, people),
    st.builds(lambda p, q: lambda c, now: pictures.taken(c, f"pq_{p}{q}", "pf_1", now), people, people),
    st.builds(lambda p, d, q: lambda c, now: seats.view(c, p, session(p, d), [q], now), people, devices, people),
    st.just(course.tick),
    st.just(lambda c, now: seats.placed(c, "n_2")),
)
pauses = st.integers(0, 50_000).map(lambda ms: timedelta(milliseconds=ms))


@settings(max_examples=300)
@given(st.sets(st.sampled_from(PEOPLE[1:]), min_size=1), st.lists(st.tuples(steps, pauses), max_size=25))
def test_whatever_happens_holds_together(others: set[str], happens: list[tuple[Step, timedelta]]) -> None:
    call, now = begun(*sorted(others)), AT
    rings: dict[str, int] = dict.fromkeys(others, 1)
    for step, pause in happens:
        now += pause
        before, done = call, attempt(lambda step=step, call=call, now=now: step(call, now))  # type: ignore[misc]
        if not isinstance(done, Call):
            assert isinstance(done, VouchError)
            continue
        call = done
        inside = call.inside
        assert len({seat.person for seat in call.seats}) == len(call.seats)
        assert course.settled(call, now) == call
        if before.over:
            assert call == before
        if call.over:
            assert call.ending
            assert call.ended
            assert not inside
            assert call.due is None
            assert not any(seat.state is SeatState.RINGING for seat in call.seats)
            assert call.recording.state is RecordingState.OFF
            assert call.asks == ()
        else:
            assert inside
            assert all(seat.session for seat in inside)
            assert (call.state is CallState.RUNNING) == (call.answered is not None)
            assert call.due is not None
            assert call.due > now or course.tick(call, now) != call
        for seat in call.seats:
            assert seat.inside or not (seat.session or seat.voice or seat.camera or seat.screen or seat.looks_at)
            assert set(seat.watching) <= {one.person for one in inside} - {seat.person}
            assert seat.person not in seat.viewing
            old = before.seat(seat.person)
            if old and old.state is SeatState.REMOVED:
                assert seat.state is SeatState.REMOVED
        if call.recording.state is RecordingState.ON:
            assert all(seat.agrees for seat in inside)
        for ask in call.asks:
            assert ask.until > now
            assert ask.state is not AskState.ASKED or {ask.by, ask.person} <= {seat.person for seat in inside}
        for news in telling.news(before, call):
            rings[news.person] = rings.get(news.person, 0) + {"ring": 1, "ring_over": -1}.get(news.kind, 0)
        ringing = {seat.person for seat in call.seats if seat.state is SeatState.RINGING}
        assert {person for person, count in rings.items() if count} == ringing
        for person in PEOPLE:
            for name in permits.can(call, person, session(person), now):
                assert not call.over, name
