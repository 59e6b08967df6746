"""Meetings in person: what each phone knows, one try, ninety seconds, and the stamp that comes of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import cycle
from typing import Any

import pytest

from server.errors import Code, VouchError
from server.supervision.model import EvidenceKind, Pledge, PledgeState
from server.supervision.rules import meeting as rules
from server.supervision.rules import tasks
from server.supervision.rules.meeting import LIVES, Meeting, MeetingState
from tests.conftest import Run
from tests.supervision.conftest import Stage
from tests.supervision.examples import AT, MAX, NOTHING, OWNER, TOM, pledge, task

DUE = AT + timedelta(days=1)
NOW = DUE - timedelta(hours=1)
ORIGIN = "https://vouch.example"


def watched(*people: str) -> Pledge:
    return pledge(NOTHING, *people, tasks=(task(),))


def shown(**more: Any) -> Meeting:
    fields = {"id": "h_1", "pledge": "g_1", "task": 1, "owner": OWNER, "code": "c", "until": NOW + LIVES}
    return Meeting(**{**fields, **more})


def draws(*numbers: int) -> Callable[[int], int]:
    """These numbers, again and again."""
    following = cycle(numbers)
    return lambda bound: next(following) % bound


def refused(act: Callable[[], object]) -> Code:
    with pytest.raises(VouchError) as fault:
        act()
    return fault.value.code


# ── Pure ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_supervisor_shows_one_of_three_different_numbers() -> None:
    scanned = rules.scan(shown(), watched(TOM), TOM, NOW, draws(7, 7, 7, 2))
    assert (scanned.state, scanned.choices, scanned.number) == (MeetingState.SCANNED, (7, 8, 9), 9)
    assert rules.scan(scanned, watched(TOM), TOM, NOW, draws(1)) is scanned, "the answer was lost, it asks again"
    assert rules.confirm(scanned, OWNER, 9, NOW).state is MeetingState.ATTESTED


def test_there_is_one_try() -> None:
    scanned = rules.scan(shown(), watched(TOM), TOM, NOW, draws(7, 7, 7, 2))
    wrong = rules.confirm(scanned, OWNER, 7, NOW)
    assert wrong.state is MeetingState.OVER
    assert refused(lambda: rules.confirm(wrong, OWNER, 9, NOW)) is Code.CLOSED
    assert refused(lambda: rules.scan(wrong, watched(TOM), TOM, NOW, draws(1))) is Code.CLOSED


def test_it_lives_for_ninety_seconds_and_again_when_it_was_scanned() -> None:
    late = NOW + LIVES
    assert refused(lambda: rules.scan(shown(), watched(TOM), TOM, late, draws(1))) is Code.CLOSED
    scanned = rules.scan(shown(), watched(TOM), TOM, late - timedelta(seconds=1), draws(7, 7, 7, 2))
    assert rules.confirm(scanned, OWNER, 9, late + timedelta(seconds=88)).state is MeetingState.ATTESTED
    assert refused(lambda: rules.confirm(scanned, OWNER, 9, late + timedelta(seconds=89))) is Code.CLOSED


def test_who_scans_is_a_supervisor_who_may_stamp() -> None:
    before = watched(TOM, MAX)
    assert refused(lambda: rules.scan(shown(), before, OWNER, NOW, draws(1))) is Code.FORBIDDEN
    assert refused(lambda: rules.scan(shown(), before, "p_eve", NOW, draws(1))) is Code.NOT_FOUND
    scanned = rules.scan(shown(), before, TOM, NOW, draws(1))
    assert refused(lambda: rules.scan(scanned, before, MAX, NOW, draws(1))) is Code.CONFLICT
    assert refused(lambda: rules.confirm(scanned, MAX, 1, NOW)) is Code.NOT_FOUND


def test_it_begins_while_somebody_may_stamp() -> None:
    before = watched(TOM)
    rules.check_begin(before, OWNER, 1, NOW)
    assert refused(lambda: rules.check_begin(before, TOM, 1, NOW)) is Code.FORBIDDEN
    assert refused(lambda: rules.check_begin(before, OWNER, 1, DUE - timedelta(hours=13))) is Code.CONFLICT
    reported = tasks.report(before, OWNER, 1, NOW).pledge
    rules.check_begin(reported, OWNER, 1, NOW)
    stamped = rules.attest(watched(TOM, MAX), TOM, 1, NOW).pledge
    rules.check_begin(stamped, OWNER, 1, NOW)
    both = rules.attest(stamped, MAX, 1, NOW).pledge
    assert refused(lambda: rules.check_begin(both, OWNER, 1, NOW)) is Code.CONFLICT


# ── With everything that keeps them ─────────────────────────────────────────────────────────────────────────────────


def test_both_phones_were_there(stage: Stage, run: Run[Any]) -> None:
    async def scene() -> None:
        emma, tom = await stage.friends("emma", "tom")
        meetings = stage.supervision.meetings
        made = await stage.put(emma, tom, stake=NOTHING, count=1)
        await stage.pass_by(hours=20)
        begun = await meetings.begin(emma, made.id, 1, ORIGIN)
        assert begun.url is not None
        assert begun.svg is not None
        assert begun.svg.startswith("<svg xmlns=")
        code = begun.url.removeprefix(f"{ORIGIN}/m/")
        row = await stage.services.store.collection("pledge_meetings").find_one({"_id": begun.id})
        assert row is not None
        assert code not in str(row), "whoever reads the database cannot show it"

        scanned = await meetings.scan(tom, code)
        assert scanned.other is not None
        assert (scanned.state, scanned.choices, scanned.other.handle) == ("scanned", [], "emma")
        seen = await meetings.get(emma, begun.id)
        assert seen.other is not None
        assert (seen.number, seen.url, seen.other.handle) == (None, None, "tom")
        assert scanned.number in seen.choices

        assert scanned.number is not None
        confirmed = await meetings.confirm(emma, begun.id, scanned.number)
        assert confirmed.state == "attested"
        assert (await meetings.confirm(emma, begun.id, scanned.number)).state == "attested", "asked twice"
        assert (await meetings.get(tom, begun.id)).state == "attested"

        settled = await stage.load(made.id)
        (vote,) = settled.tasks[0].votes
        assert (settled.state, vote.in_person, vote.person) == (PledgeState.SETTLED, True, tom)
        rows, faults = await stage.supervision.evidence.of(settled)
        assert (rows[0].kind, rows[0].facts["owner"], faults) == (EvidenceKind.MEETING, emma, [])
        assert vote.evidence == (rows[0].id,)
        stamped = [line.body for line in await stage.thread(made.id) if line.kind == "stamped"]
        assert [body["in_person"] for body in stamped] == [True]

    run(scene())


def test_a_wrong_number_or_a_new_code_ends_it(stage: Stage, run: Run[Any]) -> None:
    async def scene() -> None:
        emma, tom = await stage.friends("emma", "tom")
        meetings = stage.supervision.meetings
        made = await stage.put(emma, tom, stake=NOTHING, count=1)
        await stage.pass_by(hours=20)
        first = await meetings.begin(emma, made.id, 1, ORIGIN)
        scanned = await meetings.scan(tom, str(first.url).rpartition("/")[2])
        wrong = next(one for one in (await meetings.get(emma, first.id)).choices if one != scanned.number)
        assert (await meetings.confirm(emma, first.id, wrong)).state == "over"
        assert (await stage.load(made.id)).tasks[0].votes == ()

        second = await meetings.begin(emma, made.id, 1, ORIGIN)
        with pytest.raises(VouchError):
            await meetings.get(emma, first.id)  # one for each task at a time
        await stage.pass_by(seconds=90)
        assert (await meetings.get(emma, second.id)).state == "over"
        with pytest.raises(VouchError) as closed:
            await meetings.scan(tom, str(second.url).rpartition("/")[2])
        assert closed.value.code is Code.CLOSED

    run(scene())


def test_a_stranger_learns_nothing(stage: Stage, run: Run[Any]) -> None:
    async def scene() -> None:
        emma, tom, eve = [*await stage.friends("emma", "tom"), await stage.person("eve")]
        meetings = stage.supervision.meetings
        made = await stage.put(emma, tom, stake=NOTHING, count=1)
        await stage.pass_by(hours=20)
        begun = await meetings.begin(emma, made.id, 1, ORIGIN)
        for act in (
            meetings.begin(eve, made.id, 1, ORIGIN),
            meetings.scan(eve, str(begun.url).rpartition("/")[2]),
            meetings.get(eve, begun.id),
            meetings.get(tom, begun.id),  # has not scanned it
            meetings.confirm(tom, begun.id, 1),
        ):
            with pytest.raises(VouchError) as fault:
                await act
            assert fault.value.code is Code.NOT_FOUND

    run(scene())
