"""The audit trail is chained: whatever somebody does to its rows in the database is found and named."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.administration.audit import AuditTrail
from server.administration.chain import (
    ChainFault,
    ChainFaultKind,
    ChainHead,
    ChainReport,
    Examination,
    chain_key,
    seal_of,
)
from server.administration.model import SystemRole
from server.clock import SystemClock
from server.keys import Keys
from server.services import Services
from server.settings import ROOT, Settings
from server.store import Numbered, Store
from tests.administration.test_service import admins
from tests.chat.conftest import World
from tests.conftest import Run
from tests.measuring import measured

SECRET = b"k" * 32
KEY = chain_key(SECRET)
KIND = ChainFaultKind
Row = dict[str, Any]
Tamper = Callable[[Any], Awaitable[Any]]


# ── The rules ───────────────────────────────────────────────────────────────────────────────────────────────────────


def chained(count: int, start: int = 1) -> list[Row]:
    """Rows as they are written."""
    rows: list[Row] = []
    prev = ""
    for number in range(start, start + count):
        row = {"number": number, "by": "p_a", "action": "x.done", "target": f"p_{number}", "facts": {"n": number}}
        row["prev"] = prev
        prev = row["seal"] = seal_of(KEY, row)
        rows.append(row)
    return rows


def report(rows: list[Row], count: int, window: int = 7, noted: ChainHead | None = None) -> ChainReport:
    whole = chained(count)
    examination = Examination(KEY)
    for low in range(1, count + 1, window):
        high = min(low + window, count + 1)
        examination.take([row for row in rows if low <= row["number"] < high], low, high)
    return examination.end(ChainHead(count, whole[-1]["seal"] if whole else ""), noted)


def found(rows: list[Row], count: int) -> list[tuple[str, int]]:
    return [(fault.kind.value, fault.number) for fault in report(rows, count).faults]


@given(st.integers(0, 40), st.integers(1, 9))
def test_what_was_written_is_whole(count: int, window: int) -> None:
    looked_at = report(chained(count), count, window)
    assert (looked_at.count, looked_at.rows, looked_at.begins) == (0, count, 1 if count else None)


@given(st.data())
def test_any_change_of_any_field_is_found_where_it_is(data: st.DataObject) -> None:
    rows = chained(20)
    row = data.draw(st.sampled_from(rows))
    name = data.draw(st.sampled_from(["by", "action", "target", "facts", "seal", "prev", "more"]))
    other: dict[str, Any] = {"facts": {"n": float(row["number"])}, "prev": "0" * 64, "seal": "0" * 64}
    row[name] = other.get(name, "p_other")
    kinds = {(fault.kind, fault.number) for fault in report(rows, 20).faults}
    assert kinds == {(KIND.CHANGED, row["number"])}


@given(st.sets(st.integers(1, 20), min_size=1))
def test_removed_rows_are_missed(gone: set[int]) -> None:
    rows = [row for row in chained(20) if row["number"] not in gone]
    assert found(rows, 20) == [("missing", number) for number in sorted(gone)]


@given(st.permutations(range(1, 9)))
def test_reordered_rows_are_named_with_where_they_were(order: list[int]) -> None:
    rows = chained(8)
    for row, number in zip(rows, order, strict=True):
        row["number"] = number
    faults = {(fault.number, fault.was) for fault in report(rows, 8, window=3).faults}
    assert faults == {(number, was) for was, number in enumerate(order, 1) if was != number}


def test_an_inserted_row_is_told_from_the_one_that_was_there() -> None:
    rows = chained(9)
    rows.insert(4, {**rows[4], "target": "p_forged"})
    assert found(rows, 9) == [("inserted", 5)]
    rows = chained(9)
    rows.append({**rows[4], "number": 5.5})
    assert found(rows, 9) == [("inserted", 5)]


def test_a_beginning_that_was_taken_away_is_missed() -> None:
    """Rows of versions without seals may stand before the chain; a row that had one may not."""
    early: list[Row] = [{"number": n, "by": "p_a", "action": "x.done", "target": "", "facts": {}} for n in (1, 2)]
    later = chained(5, start=3)
    examination = Examination(KEY)
    examination.take([*early, *later], 1, 8)
    whole = examination.end(ChainHead(7, later[-1]["seal"]), None)
    assert (whole.count, whole.begins) == (0, 3)
    del later[0]["seal"]
    examination = Examination(KEY)
    examination.take([*early, *later], 1, 8)
    kinds = [fault.kind for fault in examination.end(ChainHead(7, later[-1]["seal"]), None).faults]
    assert kinds == [KIND.UNSEALED, KIND.UNLINKED]


def test_rows_that_fit_each_other_but_not_the_end_are_cut() -> None:
    rows = chained(9)
    examination = Examination(KEY)
    examination.take(rows[:6], 1, 7)
    assert examination.end(ChainHead(6, rows[-1]["seal"]), None).faults == [ChainFault(KIND.CUT, 6)]
    examination = Examination(KEY)
    examination.take(rows[:6], 1, 7)
    cut = examination.end(ChainHead(6, rows[5]["seal"]), ChainHead(9, rows[8]["seal"]))
    assert cut.faults == [ChainFault(KIND.CUT, 9)]


def test_a_row_sealed_with_another_key_does_not_fit() -> None:
    rows = chained(3)
    rows[1]["seal"] = seal_of(chain_key(b"x" * 32), rows[1])
    assert ("changed", 2) in found(rows, 3)


def test_many_faults_are_counted_and_the_first_hundred_named() -> None:
    looked_at = report([], 500)
    assert (looked_at.count, len(looked_at.faults)) == (500, 100)


# ── In the database ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def store(settings: Settings, run: Run[Any]) -> Iterator[Store]:
    """The database alone: a whole server is more than a trail needs."""
    store = Store(settings.mongodb_uri, settings.database)
    run(AuditTrail(store, SystemClock(), SECRET).ensure_indexes())
    yield store
    store.close()


async def written(store: Store, count: int, secret: bytes = SECRET) -> AuditTrail:
    trail = AuditTrail(store, SystemClock(), secret)
    await trail.ensure_counter()
    for number in range(count):

        async def body(tx: Any, number: int = number) -> None:
            await trail.write(tx, "p_a", "x.done", f"p_{number}", {"n": number, "on": True, "why": "报告"})

        await store.transact(body)
    return trail


async def swap(rows: Any) -> None:
    for was, number in ((2, 900), (3, 2), (900, 3)):
        await rows.update_one({"number": was}, {"$set": {"number": number}})


TAMPERINGS: list[tuple[str, Tamper, set[tuple[str, int]]]] = [
    ("nothing", lambda rows: rows.find_one({}), set()),
    ("a changed fact", lambda rows: rows.update_one({"number": 3}, {"$set": {"facts.n": 7}}), {("changed", 3)}),
    ("another person", lambda rows: rows.update_one({"number": 4}, {"$set": {"by": "p_b"}}), {("changed", 4)}),
    (
        "a later time",
        lambda rows: rows.update_one({"number": 4}, {"$set": {"at": SystemClock().now()}}),
        {("changed", 4)},
    ),
    ("a removed row", lambda rows: rows.delete_one({"number": 2}), {("missing", 2)}),
    ("the last row", lambda rows: rows.delete_one({"number": 6}), {("missing", 6)}),
    ("two swapped", swap, {("moved", 2), ("moved", 3)}),
    ("one without a number", lambda rows: rows.insert_one({"by": "p_x"}), {("inserted", 0)}),
    ("one beyond the end", lambda rows: rows.insert_one({"number": 70, "by": "p_x"}), {("inserted", 70)}),
    ("one in between", lambda rows: rows.insert_one({"number": 2.5, "by": "p_x"}), {("inserted", 2)}),
    (
        "a seal taken away",
        lambda rows: rows.update_one({"number": 3}, {"$unset": {"seal": ""}}),
        {("unsealed", 3), ("unlinked", 4)},
    ),
]


@pytest.mark.parametrize(("what", "tamper", "expected"), TAMPERINGS, ids=[what for what, _, _ in TAMPERINGS])
async def test_what_is_done_to_the_collection_is_found(
    store: Store, what: str, tamper: Tamper, expected: set[tuple[str, int]]
) -> None:
    trail = await written(store, 6)
    await tamper(store.collection("audit"))
    looked_at = await trail.verify()
    assert {(fault.kind.value, fault.number) for fault in looked_at.faults} == expected, what


async def test_an_end_that_is_cut_off_with_its_counter_is_missed(store: Store) -> None:
    """By the end that was noted when all was whole; and, where that was taken away too, by one on paper."""
    trail = await written(store, 6)
    paper = (await trail.verify()).head
    row = await store.collection("audit").find_one({"number": 4}) or {}
    await store.collection("audit").delete_many({"number": {"$gt": 4}})
    end = {"$set": {"n": 4, "seal": row["seal"]}}
    await store.collection("counters").update_one({"_id": "audit"}, end)
    assert (await trail.verify()).faults == [ChainFault(KIND.CUT, 6)]
    await store.collection("meta").delete_one({"_id": "audit_head"})
    assert (await trail.verify(expected=paper)).faults == [ChainFault(KIND.CUT, 6)]
    assert (await trail.verify()).count == 0


async def test_rows_of_earlier_versions_stay_and_the_chain_begins_behind_them(store: Store) -> None:
    earlier = Numbered(store, "audit")
    row = {"at": SystemClock().now(), "by": "p_a", "action": "grant.given", "target": "p_b", "facts": {}}

    async def body(tx: Any) -> None:
        await earlier.insert(tx, row)

    await earlier.ensure_counter()
    for _ in range(3):
        await store.transact(body)
    trail = await written(store, 2)
    looked_at = await trail.verify()
    assert (looked_at.count, looked_at.begins, looked_at.head.number) == (0, 4, 5)
    assert [act.number for act in (await trail.page({}, None, 10)).acts] == [5, 4, 3, 2, 1]


async def test_what_people_do_at_once_is_one_chain(store: Store) -> None:
    trail, _ = await asyncio.gather(written(store, 10), written(store, 10))
    seen: list[tuple[int, int]] = []
    looked_at = await trail.verify(lambda done, of: seen.append((done, of)))
    assert (looked_at.count, looked_at.rows, seen) == (0, 20, [(20, 20)])


async def test_the_desk_writes_sealed_rows(services: Services) -> None:
    world = World(services)
    (ann,) = await admins(world, "ann")
    (joe,) = await world.people("joe")
    await services.administration.users.give(ann, joe, SystemRole.FINANCE)
    trail = AuditTrail(services.store, SystemClock(), services.keys.digest)
    assert (await trail.verify()).begins == 1


def test_the_command_says_what_was_done_to_the_trail(
    store: Store, settings: Settings, keys: Keys, run: Run[Any]
) -> None:
    run(written(store, 6, keys.digest))

    def command(*options: str) -> tuple[int, str]:
        environ = {
            "VOUCH_MONGODB_URI": settings.mongodb_uri,
            "VOUCH_REDIS_URL": settings.redis_url,
            "VOUCH_DATABASE": settings.database,
            "VOUCH_DATA_DIR": str(settings.data_dir),
        } | measured()
        words = [sys.executable, "-m", "server", "audit", "verify", *options]
        done = subprocess.run(words, env=environ, cwd=ROOT, capture_output=True, text=True, timeout=90)
        return done.returncode, done.stdout + done.stderr

    status, said = command()
    assert (status, "6 rows, sealed from row 1 on. Whole." in said) == (0, True), said
    head = said.split("--head ")[1].split()[0]
    run(_change(store))
    status, said = command("--head", head)
    assert status == 1
    assert "row 3 does not say what was sealed: it was changed" in said
    status, said = command("--json")
    assert status == 1
    assert json.loads(said)["faults"] == [{"kind": "changed", "number": 3, "was": None}]
    assert command("--head", "nonsense")[0] == 2


async def _change(store: Store) -> None:
    await store.collection("audit").update_one({"number": 3}, {"$set": {"target": "p_else"}})
