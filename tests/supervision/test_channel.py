"""A pledge as a channel: who reads and writes, what may be said, and when a right ends."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from server.clock import SystemClock
from server.errors import Code, VouchError
from server.ids import new_id
from server.media.model import Variant
from server.principals import Grant, Kind, Principal, Role
from server.realtime.channels import DENIED, Access, Effects, NobodyPolicy
from server.realtime.protocol import Entry
from server.supervision.channel import PledgePolicy, pledge_kind
from server.supervision.model import (
    FINAL,
    Case,
    CaseKind,
    Outcome,
    Passed,
    Pledge,
    PledgeState,
    SeatState,
    Stake,
    TaskState,
    Verdict,
)
from server.supervision.rules import thread
from server.supervision.rules.change import Change, Line, turned
from server.supervision.views import AddEvidence
from server.supervision.words import Judged, Stamped, Stated
from tests.chat.conftest import PASSWORD
from tests.supervision.conftest import Stage
from tests.supervision.examples import ANN, AT, MAX, OWNER, TOM, pledge, seat
from tests.supervision.test_evidence import upload

KIND = pledge_kind(NobodyPolicy())
READER = Access(read=True, unseen=True)
WRITER = Access(read=True, write=True, signal=True)


def person(id: str) -> Principal:
    return Principal(Kind.PERSON, id)


def case(reviewer: str | None, ruling: Outcome | None = None) -> Case:
    return Case(
        id="x_1",
        kind=CaseKind.DISPUTE,
        opened_by=OWNER,
        opened_at=AT,
        evidence_until=AT + timedelta(hours=48),
        decide_until=AT + timedelta(days=9),
        reviewer=reviewer,
        ruling=ruling,
    )


# ── Rules ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("state", PledgeState)
def test_who_takes_part_reads_and_writes(state: PledgeState) -> None:
    made = pledge(state=state, stake=pledge().terms.stake)
    made = turned(made, stake=Stake(payer=ANN))  # a guardian
    for who in (OWNER, TOM, ANN):
        assert thread.reads(made, who) is thread.writes(made, who, AT) is (state is not PledgeState.DRAFT)
    assert not thread.reads(made, MAX)


@pytest.mark.parametrize("state", SeatState)
def test_a_seat_that_was_never_taken_opens_nothing(state: SeatState) -> None:
    made = pledge(seats=(seat(TOM), seat(MAX, state)))
    assert thread.reads(made, MAX) is (state in (SeatState.SEATED, SeatState.LEFT))
    assert thread.writes(made, MAX, AT) is (state is SeatState.SEATED)


def test_after_the_end_people_talk_on_for_a_month() -> None:
    for state in FINAL:
        made = pledge(state=state)
        assert made.history == (Passed(state, AT),)
        for days, open in ((29, True), (30, False), (400, False)):
            assert thread.writes(made, TOM, AT + timedelta(days=days)) is open
            assert thread.reads(made, TOM)


def test_a_reviewer_reads_until_the_end() -> None:
    made = pledge(state=PledgeState.DISPUTED, cases=(case(MAX),))
    assert thread.reads(made, MAX)
    assert not thread.writes(made, MAX, AT)
    assert not thread.reads(turned(made, cases=(case(None),)), MAX)
    for state in FINAL:
        assert not thread.reads(turned(made, state=state), MAX)


def test_effects() -> None:
    """Every entry by which somebody gains or loses a right asks for rights again."""
    policy = PledgePolicy(None, SystemClock(), None)  # type: ignore[arg-type]  # effects ask nobody
    expected = dict.fromkeys(("state", "seat", "case", "money"), Effects(recheck=True))
    expected["erased"] = Effects(erase=("p_1",), recheck=True)
    for kind in KIND.entries:
        entry = Entry(seq=1, n=1, id="1", at=1, by="system", kind=kind.name, body={"person": "p_1"})
        assert policy.effects(entry) == expected.get(kind.name, Effects()), kind.name


def test_people_append_words_and_nothing_else() -> None:
    assert {kind.name for kind in KIND.entries if kind.by_clients} == {"message", "edit", "delete", "reaction"}
    assert {kind.name for kind in KIND.entries if kind.scrubs} == {"delete"}


# ── On the hub ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def say(stage: Stage, who: str, id: str, kind: str = "message", ref: int | None = None, **body: Any) -> int:
    raw = msgspec.json.encode(body)
    accepted = await stage.services.hub.append_as(person(who), f"pledge:{id}", new_id("x"), kind, raw, ref)
    return accepted.entry.seq


async def refused(call: Any) -> Code:
    with pytest.raises(VouchError) as fault:
        await call
    return fault.value.code


async def access(stage: Stage, who: str, id: str) -> Access:
    return await stage.services.hub.access(person(who), f"pledge:{id}")


async def test_people_and_their_programs_nobody_else(stage: Stage) -> None:
    emma, tom, ann = await stage.people("emma", "tom", "ann")
    made = await stage.put(emma, tom)
    hub, ch = stage.services.hub, f"pledge:{made.id}"
    for kind in Kind:
        for who in (emma, tom):
            expected = WRITER if kind in (Kind.PERSON, Kind.PROGRAM) else DENIED
            assert await hub.access(Principal(kind, who), ch) == expected
    for principal in (person(ann), Principal(Kind.PERSON, ann, grants=(Grant(Role.ADMIN),)), person("")):
        assert await hub.access(principal, ch) == DENIED
    assert await hub.access(person(emma), "pledge:g_unknown") == DENIED


async def test_people_talk_and_take_back_what_they_said(stage: Stage) -> None:
    emma, tom = await stage.people("emma", "tom")
    made = await stage.put(emma, tom)
    first = await say(stage, emma, made.id, text="Day one")
    await say(stage, tom, made.id, "reaction", first, emoji="👍", on=True)
    await say(stage, tom, made.id, ref=first, text="Go on", thread=first)
    await say(stage, emma, made.id, "edit", first, text="Day 1")
    assert await refused(say(stage, tom, made.id, "edit", first, text="Day 9")) == Code.FORBIDDEN
    assert await refused(say(stage, tom, made.id, "delete", first)) == Code.FORBIDDEN
    assert await refused(say(stage, emma, made.id, text="", media=[])) == Code.BAD_REQUEST
    assert await refused(say(stage, emma, made.id, text="@tom", mentions=[tom])) == Code.BAD_REQUEST
    await say(stage, emma, made.id, "delete", first)
    assert [entry.kind for entry in await stage.thread(made.id)] == [
        "message", "reaction", "message", "edit", "delete",
    ]  # fmt: skip
    assert (await stage.thread(made.id))[0].gone


@pytest.mark.parametrize("kind", ["state", "seat", "stamped", "judged", "money", "case", "evidence", "reported"])
async def test_nobody_says_what_only_the_server_knows(stage: Stage, kind: str) -> None:
    """A stamp that a client appends itself would be a forged seal."""
    emma, tom = await stage.people("emma", "tom")
    made = await stage.put(emma, tom)
    assert await refused(say(stage, tom, made.id, kind, task=1)) == Code.BAD_REQUEST


async def test_what_happened_can_be_neither_edited_nor_deleted(stage: Stage) -> None:
    emma, tom = await stage.people("emma", "tom")
    made = await stage.put(emma, tom)
    await stage.supervision.exhibits.add(tom, made.id, _words("I saw it."))
    (told,) = await stage.thread(made.id)
    for kind, body in (("edit", {"text": "I did not"}), ("delete", {}), ("reaction", {"emoji": "👍", "on": True})):
        assert await refused(say(stage, tom, made.id, kind, told.seq, **body)) == Code.BAD_REQUEST


def _words(words: str) -> AddEvidence:
    return AddEvidence(words=words)


async def test_pictures_are_sent_in_the_thread(stage: Stage) -> None:
    emma, tom, ann = await stage.people("emma", "tom", "ann")
    made = await stage.put(emma, tom)
    thing = await upload(stage, emma, made.id)
    facts = msgspec.to_builtins((await stage.services.media.keeping.facts([thing]))[thing])
    assert await refused(say(stage, tom, made.id, media=[facts])) == Code.NOT_FOUND  # not his
    await say(stage, emma, made.id, media=[facts])
    media = stage.services.media
    assert (await media.open(person(tom), thing, Variant.MAIN)).size == 5
    assert await refused(media.open(person(ann), thing, Variant.MAIN)) == Code.NOT_FOUND
    assert await refused(upload(stage, ann, made.id)) == Code.NOT_FOUND


async def test_who_leaves_reads_on_and_says_nothing(stage: Stage) -> None:
    emma, tom, max = await stage.people("emma", "tom", "max")
    made = await stage.put(emma, tom, max)
    await stage.services.hub.gates.open(f"pledge:{made.id}")
    assert await access(stage, max, made.id) == WRITER

    def left(pledge: Pledge, now: Any) -> Change:
        seats = (pledge.seats[0], msgspec.structs.replace(pledge.seats[1], state=SeatState.LEFT))
        return Change(turned(pledge, seats=seats)).told(_line("seat", person=max, state="left"))

    await stage.supervision.changes.apply(made.id, left)
    await stage.services.outbox.drained()
    assert await access(stage, max, made.id) == READER
    assert await refused(say(stage, max, made.id, text="but")) == Code.CLOSED
    assert await access(stage, tom, made.id) == WRITER


def _line(kind: str, by: str = "system", **body: Any) -> Line:
    return Line(kind, body, by)


async def test_a_reviewer_reads_unseen_and_only_while_it_lasts(stage: Stage) -> None:
    emma, tom, staff = await stage.people("emma", "tom", "staff")
    made = await stage.put(emma, tom, state=PledgeState.DISPUTED, cases=(case(staff),))
    ch, hub = f"pledge:{made.id}", stage.services.hub
    seq = await say(stage, emma, made.id, text="It was done")
    assert await access(stage, staff, made.id) == READER
    await hub.move_position(person(staff), ch, read=seq)
    await hub.move_position(person(tom), ch, read=seq)
    await hub.positions.flush()
    assert set(await hub.positions.among(ch, [emma, tom, staff])) == {emma, tom}
    await stage.supervision.changes.apply(
        made.id,
        lambda pledge, now: Change(turned(pledge, state=PledgeState.SETTLED)).told(_line("state", state="settled")),
    )
    await stage.services.outbox.drained()
    assert await access(stage, staff, made.id) == DENIED


async def test_time_closes_it_though_a_right_is_remembered(stage: Stage) -> None:
    emma, tom = await stage.people("emma", "tom")
    made = await stage.put(emma, tom, state=PledgeState.CANCELLED)
    await stage.services.hub.gates.open(f"pledge:{made.id}")
    await say(stage, tom, made.id, text="A pity")
    assert (await access(stage, tom, made.id)).write
    stage.clock.at += timedelta(days=31)
    assert await refused(say(stage, tom, made.id, text="Still a pity")) == Code.CLOSED


async def test_one_timeline_in_the_order_in_which_it_happened(stage: Stage) -> None:
    emma, tom = await stage.people("emma", "tom")
    made = await stage.put(emma, tom)
    await say(stage, emma, made.id, text="Done, see for yourself")
    stamped = Stamped(task=1, person=tom, verdict=Verdict.DONE, at=1, counts=True)
    judged = Judged(task=1, state=TaskState.KEPT, by="vote", done=1)
    stated = Stated(state=PledgeState.UNDER_REVIEW)
    lines = [
        Line(kind, msgspec.to_builtins(body), by)
        for kind, by, body in (("stamped", tom, stamped), ("judged", "system", judged), ("state", "system", stated))
    ]
    await stage.supervision.changes.apply(made.id, lambda pledge, now: Change(pledge).told(*lines))
    await stage.services.outbox.drained()
    await say(stage, emma, made.id, text="Thank you")
    told = [(entry.kind, entry.by) for entry in await stage.thread(made.id)]
    assert told == [("message", emma), ("stamped", tom), ("judged", "system"), ("state", "system"), ("message", emma)]


async def test_who_deletes_their_account_takes_their_words_along_and_not_their_stamps(stage: Stage) -> None:
    emma, tom = await stage.people("emma", "tom")
    made = await stage.put(emma, tom, state=PledgeState.CANCELLED)
    await say(stage, tom, made.id, text="Between us")
    stamped = Stamped(task=1, person=tom, verdict=Verdict.DONE, at=1, counts=True, words="I saw it.")
    line = Line("stamped", msgspec.to_builtins(stamped), tom)
    await stage.supervision.changes.apply(made.id, lambda pledge, now: Change(pledge).told(line))
    await stage.services.outbox.drained()
    await stage.services.hub.gates.open(f"pledge:{made.id}")
    await stage.services.people.accounts.delete(tom, PASSWORD)
    stage.clock.at += timedelta(minutes=1)
    await stage.services.conversations.erasure._erase_all()
    told = {entry.kind: entry for entry in await stage.thread(made.id)}
    assert told["message"].gone
    assert told["stamped"].body["words"] == "I saw it."
    assert told["erased"].body == {"person": tom}
    assert await stage.services.store.collection("erasures").find_one({}) is None
