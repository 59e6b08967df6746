"""Evidence is added, never changed: who may, what is told, and that every change behind its back is found (R-11)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import Code, VouchError
from server.media.keeping import Keeping
from server.media.model import MediaKind, Variant
from server.principals import Kind, Principal
from server.store import Store
from server.supervision.model import (
    Case,
    CaseKind,
    Evidence,
    EvidenceEnd,
    EvidenceKind,
    Outcome,
    Pledge,
    PledgeState,
    SeatState,
    TaskState,
    Verdict,
    Vote,
)
from server.supervision.rules import evidence as rules
from server.supervision.rules.change import Change, turned
from server.supervision.rules.evidence import Fault, FaultKind
from server.supervision.verification import EvidenceVerification, sentence
from server.supervision.views import AddEvidence, EvidenceList
from tests.supervision.conftest import Stage
from tests.supervision.examples import AT, MAX, OWNER, TOM, pledge, seat

KEY = rules.evidence_key(bytes(32))


# ── The chain ───────────────────────────────────────────────────────────────────────────────────────────────────────


def chain(count: int) -> tuple[Pledge, list[Evidence]]:
    rows, end = [], EvidenceEnd()
    for n in range(count):
        row = Evidence(
            id=f"e_{n}",
            pledge="g_1",
            n=0,
            by=OWNER,
            at=AT + timedelta(minutes=n),
            kind=EvidenceKind.WORDS,
            words=str(n),
        )
        rows.append(rules.sealed(KEY, row, end))
        end = EvidenceEnd(rows[-1].n, rows[-1].hash)
    return turned(pledge(), id="g_1", evidence=end), rows


@given(st.integers(0, 6))
def test_a_whole_chain_has_no_fault(count: int) -> None:
    assert rules.examine(KEY, *chain(count)) == []


@given(st.integers(1, 6), st.data())
def test_every_change_of_a_row_is_found(count: int, data: st.DataObject) -> None:
    """Whatever is said, and by whom; also when its hash is made anew."""
    whole, rows = chain(count)
    at = data.draw(st.integers(0, count - 1))
    change: dict[str, Any] = data.draw(
        st.sampled_from(
            [
                {"words": "something else"},
                {"by": TOM},
                {"at": AT - timedelta(days=1)},
                {"task": 2},
                {"digests": ("0" * 64,)},
                {"facts": {"verdict": "done"}},
                {"kind": EvidenceKind.MEETING},
            ]
        )
    )
    forged = msgspec.structs.replace(rows[at], **change)
    if data.draw(st.booleans()):
        forged = msgspec.structs.replace(forged, hash=rules.hash_of(forged))
    found = rules.examine(KEY, whole, [*rows[:at], forged, *rows[at + 1 :]])
    assert Fault(FaultKind.CHANGED, "g_1", at + 1) in found


@given(st.integers(1, 6), st.data())
def test_every_row_that_is_gone_put_in_or_moved_is_found(count: int, data: st.DataObject) -> None:
    whole, rows = chain(count)
    at = data.draw(st.integers(0, count - 1))
    assert Fault(FaultKind.MISSING, "g_1", at + 1) in rules.examine(KEY, whole, rows[:at] + rows[at + 1 :])
    twice = msgspec.structs.replace(rows[at], id="e_x")
    assert Fault(FaultKind.INSERTED, "g_1", at + 1) in rules.examine(KEY, whole, [*rows, twice])
    beyond = msgspec.structs.replace(rows[at], id="e_x", n=count + 1)
    assert Fault(FaultKind.INSERTED, "g_1", count + 1) in rules.examine(KEY, whole, [*rows, beyond])
    if count > 1:
        other = (at + 1) % count
        swapped = list(rows)
        swapped[at], swapped[other] = (
            msgspec.structs.replace(rows[other], n=at + 1),
            msgspec.structs.replace(rows[at], n=other + 1),
        )
        assert rules.examine(KEY, whole, swapped)


def test_an_end_that_is_cut_off_is_found_by_what_refers_to_it() -> None:
    """Rows and the pledge's own end taken back together: the vote still names what is gone."""
    whole, rows = chain(2)
    vote = Vote(person=TOM, verdict=Verdict.DONE, at=AT, evidence=("e_1",))
    task = msgspec.structs.replace(whole.tasks[0], votes=(vote,))
    shorter = turned(whole, evidence=EvidenceEnd(1, rows[0].hash), tasks=(task, *whole.tasks[1:]))
    assert Fault(FaultKind.UNKNOWN, "g_1", 0) in rules.examine(KEY, shorter, rows[:1])
    assert rules.examine(KEY, turned(whole, evidence=EvidenceEnd(2, "f" * 64)), rows) == [
        Fault(FaultKind.CUT, "g_1", 2)
    ]


def test_another_key_seals_otherwise() -> None:
    whole, rows = chain(2)
    assert {fault.kind for fault in rules.examine(rules.evidence_key(b"1" * 32), whole, rows)} == {FaultKind.CHANGED}


# ── Who may ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_two_sides_add_from_the_beginning_to_the_end() -> None:
    open_states = {
        PledgeState.ACTIVE,
        PledgeState.UNDER_REVIEW,
        PledgeState.CHALLENGE_WINDOW,
        PledgeState.DISPUTED,
    }
    for state in PledgeState:
        for person in (OWNER, TOM):
            assert rules.may_add(pledge(state=state), person, AT) is (state in open_states)
        assert not rules.may_add(pledge(state=state), MAX, AT)


def test_a_case_has_its_time_for_evidence() -> None:
    case = Case(
        id="x_1",
        kind=CaseKind.DISPUTE,
        opened_by=OWNER,
        opened_at=AT,
        evidence_until=AT + timedelta(hours=48),
        decide_until=AT + timedelta(days=9),
        reviewer=MAX,
    )
    disputed = pledge(state=PledgeState.DISPUTED, cases=(case,))
    assert rules.may_add(disputed, OWNER, AT + timedelta(hours=48))
    late = AT + timedelta(hours=48, seconds=1)
    assert not rules.may_add(disputed, OWNER, late)
    with pytest.raises(VouchError) as fault:
        rules.added(disputed, OWNER, 0, late, "but", (), "e_1")
    assert fault.value.code is Code.CLOSED
    told = rules.added(disputed, OWNER, 0, AT, "Look", (), "e_1").news
    assert {news.person for news in told} == {TOM, MAX}  # the other side, and who decides


# ── Added ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def upload(stage: Stage, person: str, place: str, content: bytes = b"proof") -> str:
    """The id of a file that is ready."""
    media = stage.services.media
    begun = await media.begin(Principal(Kind.PERSON, person), place, MediaKind.FILE, "proof.txt", len(content))
    await media.uploads.append(person, begun.id, 0, content)
    while (told := await media.uploads.get(person, begun.id)).media is None:
        await asyncio.sleep(0)  # each look asks the database
    return told.media.id


async def refused(call: Awaitable[object]) -> Code:
    with pytest.raises(VouchError) as fault:
        await call
    return fault.value.code


async def add(stage: Stage, person: str, id: str, *, words: str = "", task: int = 0, media: Any = ()) -> EvidenceList:
    body = AddEvidence(task=task, words=words, media=list(media))
    return await stage.supervision.exhibits.add(person, id, body)


def verification(stage: Stage) -> EvidenceVerification:
    services = stage.services
    return EvidenceVerification(services.store, Keeping(services.store, services.clock), services.keys.digest)


async def test_words_and_things_are_added_told_and_whole(stage: Stage) -> None:
    emma, tom = await stage.people("emma", "tom")
    made = await stage.put(emma, tom)
    thing = await upload(stage, emma, made.id)
    await add(stage, tom, made.id, words="  I was there. ")
    told = await add(stage, emma, made.id, words="The receipt", task=2, media=[thing])
    assert told.whole
    assert [(row.n, row.by and row.by.id, row.kind, row.task, row.words) for row in told.evidence] == [
        (1, tom, EvidenceKind.WORDS, 0, "I was there."),
        (2, emma, EvidenceKind.MEDIA, 2, "The receipt"),
    ]
    assert [one.name for one in told.evidence[1].media] == ["proof.txt"]
    lines = [(entry.kind, entry.by, entry.body["evidence"]) for entry in await stage.thread(made.id)]
    assert lines == [("evidence", tom, told.evidence[0].id), ("evidence", emma, told.evidence[1].id)]
    assert "evidence" in await stage.whats(emma, made.id)
    assert "evidence" in await stage.whats(tom, made.id)
    report = await verification(stage).run()
    assert (report.pledges, report.rows, report.count) == (1, 2, 0)


async def test_a_thing_is_evidence_once_and_stays(stage: Stage) -> None:
    emma, tom, ann = await stage.people("emma", "tom", "ann")
    made, other = await stage.put(emma, tom), await stage.put(emma, tom)
    thing = await upload(stage, emma, made.id)
    media, services = stage.services.media, stage.services
    assert await refused(add(stage, tom, made.id, media=[thing])) == Code.BAD_REQUEST  # somebody else's
    assert await refused(add(stage, emma, other.id, media=[thing])) == Code.BAD_REQUEST  # for another pledge
    assert await refused(add(stage, emma, made.id, media=[thing, thing])) == Code.BAD_REQUEST
    assert (
        await refused(media.open(Principal(Kind.PERSON, tom), thing, Variant.MAIN)) == Code.NOT_FOUND
    )  # not yet added
    await add(stage, emma, made.id, media=[thing])
    assert await refused(add(stage, emma, made.id, media=[thing])) == Code.BAD_REQUEST
    assert (await media.open(Principal(Kind.PERSON, tom), thing, Variant.MAIN)).size == 5
    assert await refused(media.open(Principal(Kind.PERSON, ann), thing, Variant.MAIN)) == Code.NOT_FOUND
    row = await services.store.collection("uploads").find_one({"media": thing}) or {}
    assert await refused(media.uploads.cancel(emma, row["_id"])) == Code.CONFLICT
    stage.clock.at += timedelta(days=400)
    while await media.janitor.tidy():
        pass
    assert (await media.open(Principal(Kind.PERSON, emma), thing, Variant.MAIN)).size == 5


async def test_others_neither_read_nor_add(stage: Stage) -> None:
    emma, tom, ann = await stage.people("emma", "tom", "ann")
    made = await stage.put(emma, tom)
    assert await refused(add(stage, ann, made.id, words="Hello")) == Code.NOT_FOUND
    assert await refused(stage.supervision.exhibits.of(ann, made.id)) == Code.NOT_FOUND
    for wrong in ({"words": "   "}, {"words": "x", "task": 99}):
        assert await refused(add(stage, emma, made.id, **wrong)) == Code.BAD_REQUEST


async def test_what_a_stamp_came_with_waits_for_the_end_of_the_vote(stage: Stage) -> None:
    """Else it would tell who has voted, and how (R-12)."""
    emma, tom, max = await stage.people("emma", "tom", "max")
    made = await stage.put(emma, tom, max)
    log = stage.supervision.evidence
    exhibit = await log.prepare(tom, made.id, task=1, words="It is clean.")
    await stage.supervision.changes.apply(
        made.id, lambda pledge, now: _voted(pledge, tom, exhibit.ids), log.keeping(exhibit)
    )

    async def seen_by(person: str) -> list[str]:
        return [row.words for row in (await stage.supervision.exhibits.of(person, made.id)).evidence]

    assert [await seen_by(person) for person in (emma, tom, max)] == [[], ["It is clean."], []]
    assert [row.kind for row in await log.repo.of(made.id)] == [EvidenceKind.WORDS, EvidenceKind.VERDICT]

    def closed(pledge: Pledge, now: Any) -> Change:
        task = msgspec.structs.replace(pledge.tasks[0], state=TaskState.KEPT, decided_by="vote", decided_at=now)
        return Change(turned(pledge, tasks=(task, *pledge.tasks[1:])))

    await stage.supervision.changes.apply(made.id, closed)
    assert [await seen_by(person) for person in (emma, max)] == [["It is clean."]] * 2
    assert (await verification(stage).run()).count == 0


def _voted(pledge: Pledge, person: str, evidence: tuple[str, ...] = ()) -> Change:
    vote = Vote(person=person, verdict=Verdict.DONE, at=AT, done_at=AT, counts=True, evidence=evidence)
    task = msgspec.structs.replace(pledge.tasks[0], votes=(*pledge.tasks[0].votes, vote))
    return Change(turned(pledge, tasks=(task, *pledge.tasks[1:])))


async def test_two_at_once_follow_each_other(stage: Stage) -> None:
    emma, tom = await stage.people("emma", "tom")
    made = await stage.put(emma, tom)
    await asyncio.gather(*(add(stage, person, made.id, words=f"{n}") for n in range(4) for person in (emma, tom)))
    rows = await stage.supervision.evidence.repo.of(made.id)
    assert [row.n for row in rows] == list(range(1, 9))
    assert (await verification(stage).run()).count == 0


# ── Behind the server's back ────────────────────────────────────────────────────────────────────────────────────────


async def _edited(store: Store) -> None:
    await store.collection("pledge_evidence").update_one({"n": 1}, {"$set": {"words": "I saw it myself, twice."}})


async def _removed(store: Store) -> None:
    await store.collection("pledge_evidence").delete_one({"n": 1})


async def _cut(store: Store) -> None:
    """With the pledge's own end: the verdict is sealed in a row that is gone."""
    rows = store.collection("pledge_evidence")
    await rows.delete_many({"n": {"$gt": 1}})
    first = await rows.find_one({"n": 1}) or {}
    await store.collection("pledges").update_one({}, {"$set": {"evidence": {"n": 1, "hash": first["hash"]}}})


async def _other_verdict(store: Store) -> None:
    await store.collection("pledges").update_one({}, {"$set": {"tasks.0.votes.0.verdict": "not_done"}})


async def _other_content(store: Store) -> None:
    await store.collection("blobs.chunks").update_one({"data": b"proof"}, {"$set": {"data": b"proop"}})


async def _lost_pledge(store: Store) -> None:
    await store.collection("pledges").delete_one({})


TAMPERING = {
    _edited: FaultKind.CHANGED,
    _removed: FaultKind.MISSING,
    _cut: FaultKind.VERDICT,
    _other_verdict: FaultKind.VERDICT,
    _other_content: FaultKind.CONTENT,
    _lost_pledge: FaultKind.INSERTED,
}


@pytest.mark.parametrize("tamper", TAMPERING, ids=lambda one: one.__name__.strip("_"))
async def test_tampering_is_found_and_named(stage: Stage, tamper: Any) -> None:
    emma, tom = await stage.people("emma", "tom")
    made = await stage.put(emma, tom)
    await add(stage, tom, made.id, words="I saw it.")
    await add(stage, emma, made.id, media=[await upload(stage, emma, made.id)])
    await stage.supervision.changes.apply(made.id, lambda pledge, now: _voted(pledge, tom))
    assert (await verification(stage).run()).count == 0
    await tamper(stage.services.store)
    report = await verification(stage).run()
    assert TAMPERING[tamper] in {fault.kind for fault in report.faults}
    assert all(made.id in sentence(fault) for fault in report.faults)
    if tamper not in (_lost_pledge, _other_content):
        assert not (await stage.supervision.exhibits.of(emma, made.id)).whole


async def test_rulings_are_sealed_with_their_reasons(stage: Stage) -> None:
    emma, tom, max = await stage.people("emma", "tom", "max")
    case = Case(
        id="x_1",
        kind=CaseKind.REVIEW,
        opened_by="system",
        opened_at=AT,
        evidence_until=AT,
        decide_until=AT + timedelta(days=7),
        reviewer=max,
    )
    made = await stage.put(emma, tom, state=PledgeState.UNDER_REVIEW, cases=(case,))
    ruled = msgspec.structs.replace(case, ruling=Outcome.KEPT, reasons="All three pictures show it.", decided_at=AT)
    await stage.supervision.changes.apply(
        made.id, lambda pledge, now: Change(turned(pledge, cases=(ruled,), suspicions=()))
    )
    (row,) = await stage.supervision.evidence.repo.of(made.id)
    assert (row.kind, row.by, row.words) == (EvidenceKind.RULING, max, "All three pictures show it.")
    assert row.facts == {"case": "x_1", "kind": "review", "ruling": "kept"}
    assert (await verification(stage).run()).count == 0


async def test_who_has_left_still_reads(stage: Stage) -> None:
    emma, tom, max = await stage.people("emma", "tom", "max")
    made = await stage.put(emma, tom, seats=(seat(tom), seat(max, SeatState.LEFT)))
    await add(stage, tom, made.id, words="I saw it.")
    assert len((await stage.supervision.exhibits.of(max, made.id)).evidence) == 1
    assert await refused(add(stage, max, made.id, words="Me too")) == Code.NOT_FOUND
