"""Verification finds nothing in a ledger that is whole, also while it is written, and each thing that somebody did to
the database behind its back."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pytest

from server.clock import SystemClock
from server.metrics import REGISTRY
from server.money.model import PLATFORM_FEE, Currency, Share, available
from server.money.report import FaultKind, Head, Report
from server.money.seals import Seals
from server.money.service import SETTLED, Money
from server.money.verification import Verification
from server.store import Document, Store
from tests.conftest import Run
from tests.money.bank import CNY, Bank

SECRET = b"s" * 32


class TurnedClock(SystemClock):
    """The real time, moved on by hand."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + self.ahead


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
def money(store: Store, clock: TurnedClock, run: Run[Any]) -> Money:
    money = Money(store, clock)
    run(money.start())
    return money


async def verify(store: Store, clock: TurnedClock, expected: Head | None = None, at_once: int = 1_000) -> Report:
    return await Verification(store, clock, SECRET, at_once=at_once).run(expected=expected)


async def some_life(bank: Bank) -> None:
    """A bit of everything; more lines for ann than a page has."""
    await bank.give("p_ann", 100_000)
    await bank.give("p_ann", 5_000, Currency.USD)
    await bank.pay_often("p_ann", "p_bob", 10, 33)
    hold = await bank.hold("p_ann", 1_000)
    split = await bank.split(hold, [Share(available("p_bob"), 1), Share(PLATFORM_FEE, 2)])
    await bank.pay("p_bob", "p_cem", 600)
    await bank.claw_back(split, 500)
    await bank.claw_back(split)
    await bank.refund(await bank.hold("p_ann", 77))
    await bank.hold("p_ann", 88, currency=Currency.USD)
    await bank.pay("p_ann", "p_bob", 20)


async def test_a_ledger_that_nobody_touched_is_whole(store: Store, bank: Bank, clock: TurnedClock) -> None:
    await some_life(bank)
    report = await verify(store, clock)
    assert (report.faults, report.difference, report.whole) == ([], 0, True)
    assert report.sums == {CNY: 0, Currency.USD: 0}
    assert report.holds == 3
    assert report.transfers > 40
    assert await Verification(store, clock, SECRET).last() == report
    told: list[tuple[int, int]] = []
    in_lots = await Verification(store, clock, SECRET, at_once=2).run(lambda done, of: told.append((done, of)))
    assert (in_lots.faults, in_lots.accounts) == ([], report.accounts)
    assert told[-1][0] == told[-1][1] > report.transfers


async def test_an_empty_ledger_is_whole(store: Store, clock: TurnedClock) -> None:
    assert (await verify(store, clock)).whole
    await Money(store, clock).start()
    assert (await verify(store, clock)).whole


async def test_what_moves_meanwhile_does_not_matter(store: Store, bank: Bank, clock: TurnedClock) -> None:
    await some_life(bank)
    for person in ("p_ann", "p_bob", "p_cem"):
        await bank.give(person, 10_000)
    stop = asyncio.Event()

    async def life(person: str, other: str) -> None:
        while not stop.is_set():
            hold = await bank.hold(person, 3)
            paid = await bank.release(hold, available(other))
            await bank.claw_back(paid, 1)

    people = [asyncio.create_task(life(a, b)) for a, b in (("p_ann", "p_bob"), ("p_bob", "p_cem"), ("p_cem", "p_dan"))]
    reports = [await verify(store, clock) for _ in range(6)]
    stop.set()
    await asyncio.gather(*people)
    assert [report.faults for report in reports] == [[]] * 6
    assert (await verify(store, clock)).whole


async def sealed(store: Store, clock: TurnedClock) -> int:
    clock.ahead += SETTLED + timedelta(seconds=2)
    return await Seals(store, clock, SECRET).seal()


async def test_seals_cover_what_is_settled_and_follow_one_another(store: Store, bank: Bank, clock: TurnedClock) -> None:
    await some_life(bank)
    assert await Seals(store, clock, SECRET).seal() == 0
    assert await sealed(store, clock) == 1
    first = await verify(store, clock)
    assert (first.faults, first.seals) == ([], 1)
    await bank.pay("p_ann", "p_bob", 1)
    assert await sealed(store, clock) == 1
    second = await verify(store, clock, first.head)
    assert (second.faults, second.seals) == ([], 2)
    clock.ahead += timedelta(hours=30)
    await sealed(store, clock)
    assert (await verify(store, clock, second.head)).whole


async def test_two_nodes_seal_what_is_settled_once(store: Store, bank: Bank, clock: TurnedClock) -> None:
    await some_life(bank)
    clock.ahead += SETTLED + timedelta(seconds=2)
    made = await asyncio.gather(*(Seals(store, clock, SECRET).seal() for _ in range(4)))
    assert sum(made) == 1
    assert (await verify(store, clock)).whole


async def test_nothing_is_written_into_what_is_sealed_by_a_clock_that_is_late(
    store: Store, bank: Bank, clock: TurnedClock
) -> None:
    await some_life(bank)
    await sealed(store, clock)
    clock.ahead -= timedelta(hours=1)
    late = await bank.give("p_new", 5)
    clock.ahead += timedelta(hours=1)
    mark = await store.collection("folios").find_one({"_id": "sealed"})
    assert mark is not None
    assert late.at > mark["until"]
    assert (await verify(store, clock)).whole


class Tampering(Protocol):
    __name__: str

    def __call__(self, store: Store) -> Coroutine[Any, Any, object]: ...


async def balance(store: Store) -> None:
    row = await a_folio(store, "CNY p_bob")
    await store.collection("folios").update_one({"_id": row["_id"]}, {"$inc": {"balances.0": 5}})


async def a_folio(store: Store, name: str) -> Document:
    row = await store.collection("folios").find_one({"_id": name})
    assert row is not None
    return row


async def a_payment(store: Store) -> Document:
    rows = await store.collection("transfers").find({"kind": "payment"}).to_list(None)
    return min(rows, key=lambda row: str(row["at"]))


async def statement(store: Store) -> None:
    page = await store.collection("folio_pages").find_one({"_id": "CNY p_ann 0"})
    assert page is not None
    page["rows"][3][3] += 1
    await store.collection("folio_pages").replace_one({"_id": page["_id"]}, page)


async def a_row_gone(store: Store) -> None:
    await store.collection("transfers").delete_one({"_id": (await a_payment(store))["_id"]})


async def a_row_more(store: Store) -> None:
    row = await a_payment(store)
    await store.collection("transfers").insert_one({**row, "_id": "t_" + "0" * 20})


async def an_amount(store: Store) -> None:
    row = await a_payment(store)
    legs = [[account, amount * 2] for account, amount in row["legs"]]
    await store.collection("transfers").update_one({"_id": row["_id"]}, {"$set": {"legs": legs}})


async def one_leg(store: Store) -> None:
    row = await a_payment(store)
    legs = [[account, abs(amount)] for account, amount in row["legs"]]
    await store.collection("transfers").update_one({"_id": row["_id"]}, {"$set": {"legs": legs}})


async def a_note(store: Store) -> None:
    await store.collection("transfers").update_one({"_id": (await a_payment(store))["_id"]}, {"$set": {"note": "rent"}})


async def a_time(store: Store) -> None:
    row = await a_payment(store)
    at = datetime(2020, 1, 1, tzinfo=UTC)
    await store.collection("transfers").update_one({"_id": row["_id"]}, {"$set": {"at": at}})


async def nonsense(store: Store) -> None:
    row = await a_payment(store)
    await store.collection("transfers").update_one({"_id": row["_id"]}, {"$set": {"legs": "none"}})


async def a_hold(store: Store) -> None:
    await store.collection("holds").update_one({"state": "refunded"}, {"$set": {"state": "held", "resolved_by": None}})


async def a_hold_more(store: Store) -> None:
    row = await store.collection("holds").find_one({"state": "held"})
    assert row is not None
    await store.collection("holds").insert_one({**row, "_id": "h_" + "0" * 20, "begun_by": "t_" + "0" * 20})


async def a_hold_gone(store: Store) -> None:
    await store.collection("holds").delete_one({"state": "held"})


async def a_folio_gone(store: Store) -> None:
    await store.collection("folios").delete_one({"_id": "CNY p_cem"})


async def taken_back(store: Store) -> None:
    await store.collection("reversals").delete_many({})


TAMPERING: list[tuple[Tampering, set[FaultKind]]] = [
    (balance, {FaultKind.BALANCE}),
    (statement, {FaultKind.STATEMENT}),
    (a_row_gone, {FaultKind.BALANCE, FaultKind.STATEMENT}),
    (a_row_more, {FaultKind.BALANCE, FaultKind.STATEMENT, FaultKind.MALFORMED}),
    (an_amount, {FaultKind.BALANCE, FaultKind.STATEMENT}),
    (one_leg, {FaultKind.BALANCE, FaultKind.STATEMENT, FaultKind.UNBALANCED}),
    (a_time, {FaultKind.BALANCE, FaultKind.STATEMENT, FaultKind.OUTSIDE}),
    (nonsense, {FaultKind.BALANCE, FaultKind.STATEMENT, FaultKind.MALFORMED}),
    (a_hold, {FaultKind.HOLD}),
    (a_hold_more, {FaultKind.HOLD}),
    (a_hold_gone, {FaultKind.HOLD}),
    (a_folio_gone, {FaultKind.CHANGES}),
    (taken_back, {FaultKind.REVERSAL}),
]


async def test_what_was_done_behind_its_back_is_found(store: Store, bank: Bank, clock: TurnedClock) -> None:
    await some_life(bank)
    whole = await everything(store)
    for tamper, kinds in TAMPERING:
        await tamper(store)
        report = await verify(store, clock)
        assert {fault.kind for fault in report.faults} == kinds, tamper.__name__
        assert (report.difference > 0) == (FaultKind.BALANCE in kinds), tamper.__name__
        await put_back(store, whole)
    assert (await verify(store, clock)).whole


SEALED: list[tuple[Tampering, FaultKind]] = [
    (a_note, FaultKind.CHANGED),
    (an_amount, FaultKind.CHANGED),
    (a_row_gone, FaultKind.MISSING),
    (a_row_more, FaultKind.INSERTED),
    (a_time, FaultKind.MISSING),
]


async def test_a_sealed_transfer_that_was_touched_is_named(store: Store, bank: Bank, clock: TurnedClock) -> None:
    await some_life(bank)
    await sealed(store, clock)
    whole = await everything(store)
    for tamper, kind in SEALED:
        touched = "t_" + "0" * 20 if kind is FaultKind.INSERTED else (await a_payment(store))["_id"]
        await tamper(store)
        report = await verify(store, clock)
        assert [fault.what for fault in report.faults if fault.kind is kind] == [touched], tamper.__name__
        await put_back(store, whole)


async def everything(store: Store) -> dict[str, list[Document]]:
    names = ("transfers", "folios", "folio_pages", "holds", "reversals")
    return {name: await store.collection(name).find({}).to_list(None) for name in names}


async def put_back(store: Store, whole: dict[str, list[Document]]) -> None:
    for name, rows in whole.items():
        await store.collection(name).delete_many({})
        await store.collection(name).insert_many(rows)


async def test_seals_cannot_be_made_without_the_secret_nor_taken_away(
    store: Store, bank: Bank, clock: TurnedClock
) -> None:
    await some_life(bank)
    await sealed(store, clock)
    await bank.pay("p_ann", "p_bob", 1)
    await sealed(store, clock)
    head = (await verify(store, clock)).head
    other = await Verification(store, clock, b"x" * 32).run()
    assert {(fault.kind, fault.what) for fault in other.faults} == {(FaultKind.SEAL, "1"), (FaultKind.SEAL, "2")}
    # Whoever cuts off the end and says so everywhere is found by the seal that was written down.
    seals, folios = store.collection("ledger_seals"), store.collection("folios")
    first = await seals.find_one({"_id": 1})
    assert first is not None
    assert head is not None
    await seals.delete_one({"_id": 2})
    assert (FaultKind.SEAL, "2") in {(f.kind, f.what) for f in (await verify(store, clock)).faults}
    mark = {"seals": 1, "until": first["until"], "signature": first["signature"]}
    await folios.update_one({"_id": "sealed"}, {"$set": mark})
    assert (await verify(store, clock)).whole
    assert (await verify(store, clock, head)).faults[0].kind is FaultKind.SEAL


async def test_every_round_tells_how_the_ledger_is(store: Store, bank: Bank, clock: TurnedClock) -> None:
    await some_life(bank)
    await verify(store, clock)
    clock.ahead += SETTLED + timedelta(minutes=5)
    seals = Seals(store, clock, SECRET)
    seals.rounds.start()
    async with asyncio.timeout(20):
        await seals.rounds.done.wait()
    assert REGISTRY.get_sample_value("vouch_ledger_faults") == 0
    assert REGISTRY.get_sample_value("vouch_ledger_unsealed_seconds") == pytest.approx(SETTLED.total_seconds(), abs=60)
    await balance(store)
    await verify(store, clock)
    seals.rounds.hurry()
    async with asyncio.timeout(20):
        await seals.rounds.done.wait()
    await seals.rounds.stop()
    assert REGISTRY.get_sample_value("vouch_ledger_faults") == 1
