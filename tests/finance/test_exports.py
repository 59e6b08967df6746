"""Tables: whole, safe in spreadsheets, the same again when they are read, and never in memory as a whole."""

from __future__ import annotations

import csv
import io
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.finance import exports
from server.finance.model import ExportKind
from server.money.model import Account, AccountKind, Currency, Draft, Leg, Transfer, TransferKind, available
from server.money.rules import split
from tests.conftest import Run
from tests.finance.conftest import Desk

AT = datetime(2026, 11, 22, 12, 30, 1, 5_000, tzinfo=UTC)
BANK = Account(AccountKind.EXTERNAL, "bank")
#: what spreadsheets take for formulas, and what breaks lines and cells
NASTY = st.text(st.sampled_from("=+-@\t\r\n'\",;|＝＋ －＠ a0陈\u00a0\u3000"), max_size=12)
DANGEROUS = tuple("=+-@\t\r＝＋－＠")


def transfer(number: int = 1, note: str = "", amounts: tuple[int, ...] = (5,), **more: Any) -> Transfer:
    currency = more.pop("currency", Currency.CNY)
    legs = [Leg(available(f"p_{index}"), amount) for index, amount in enumerate(amounts)]
    return Transfer(
        id=f"t_{number:020}",
        at=AT + timedelta(milliseconds=number),
        key=more.pop("key", f"test:{number}"),
        kind=TransferKind.PAYMENT,
        currency=currency,
        legs=(Leg(BANK, -sum(amounts)), *legs),
        note=note,
        **more,
    )


async def each(*transfers: Transfer) -> AsyncIterator[Transfer]:
    for one in transfers:
        yield one


async def read(pieces: AsyncIterator[bytes]) -> list[dict[str, str]]:
    data = b"".join([piece async for piece in pieces])
    assert data.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


@given(NASTY)
def test_no_text_is_a_formula_and_each_comes_back(text: str) -> None:
    shown = exports.safe(text)
    assert not shown.startswith(DANGEROUS)
    assert not shown.lstrip().startswith(DANGEROUS)
    assert exports.plain(shown) == text
    (cells,) = csv.reader(io.StringIO(exports.line([text, "end"]), newline=""))
    assert [exports.plain(cell) for cell in cells] == [text, "end"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("=1+2", "'=1+2"),
        ("+86 138", "'+86 138"),
        ("-5", "'-5"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        (" =1", "' =1"),
        ("＝cmd|' /C calc'!A0", "'＝cmd|' /C calc'!A0"),
        ("'=1", "''=1"),
        ("lunch", "lunch"),
        ("午饭 - 一人一半", "午饭 - 一人一半"),
        ("", ""),
    ],
)
def test_what_a_spreadsheet_would_take_for_a_formula_has_an_apostrophe(text: str, shown: str) -> None:
    assert exports.safe(text) == shown


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (1250, Currency.CNY, "12.50"),
        (-5, Currency.EUR, "-0.05"),
        (0, Currency.USD, "0.00"),
        (120, Currency.JPY, "120"),
        (2**53 - 1, Currency.CNY, "90071992547409.91"),
    ],
)
def test_amounts_are_exact(amount: int, currency: Currency, text: str) -> None:
    assert exports.line([exports.decimal(amount, currency)]) == text + "\r\n"


def test_the_journal_reads_back_and_sums_to_zero(run: Run[Any]) -> None:
    currencies = list(Currency)
    made = [
        transfer(
            number,
            note=f"=HYPERLINK({number})\n,",
            amounts=tuple(part for part in split(number * 7 + 3, [1, 2, 3]) if part),
            currency=currencies[number % len(currencies)],
            about="@order",
            by="-system",
        )
        for number in range(1, 400)
    ]
    rows = run(read(exports.journal(each(*made))))
    assert len(rows) == sum(len(one.legs) for one in made)
    sums: Counter[str] = Counter()
    per_transfer: Counter[str] = Counter()
    for row in rows:
        assert all(not value.startswith(DANGEROUS) for name, value in row.items() if not name.startswith("amount"))
        minor, digits = int(row["amount_minor"]), 0 if row["currency"] == "JPY" else 2
        assert Decimal(row["amount"]) == Decimal(minor).scaleb(-digits)
        sums[row["currency"]] += minor
        per_transfer[row["transfer"]] += minor
    assert set(sums.values()) == set(per_transfer.values()) == {0}
    by_id = {one.id: one for one in made}
    for row in rows:
        one = by_id[row["transfer"]]
        leg = one.legs[int(row["leg"]) - 1]
        assert (row["account"], int(row["amount_minor"])) == (str(leg.account), leg.amount)
        told = [exports.plain(row[name]) for name in ("note", "about", "by", "key", "reverses")]
        assert told == [one.note, one.about, one.by, one.key, ""]
        assert datetime.fromisoformat(row["at"]) == one.at


def test_a_large_journal_is_never_held_as_a_whole(run: Run[Any]) -> None:
    """8,000 transfers, some 3 MB of text, in less than 600 kB."""
    count = 8_000
    one = transfer(1, note="n" * 120)

    async def many() -> AsyncIterator[Transfer]:
        for _ in range(count):
            yield one

    async def measured() -> tuple[int, int, int]:
        pieces = size = 0
        tracemalloc.start()
        try:
            async for piece in exports.journal(many()):
                assert len(piece) < 2 * exports.PIECE
                pieces, size = pieces + 1, size + len(piece)
            return pieces, size, tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    pieces, size, peak = run(measured())
    assert size > 2_400_000
    assert pieces > 35
    assert peak < 600_000


async def test_the_tables_of_the_desk_hold_what_moved(desk: Desk) -> None:
    out = await desk.pay_out(desk.lin, 300_00, "out")
    money = desk.services.money
    note = '=cmd|"x",\ty'
    draft = Draft(
        key="-gift",
        kind=TransferKind.ADJUSTMENT,
        currency=Currency.JPY,
        legs=(Leg(BANK, -120), Leg(available(desk.eve), 120)),
        note=note,
    )
    await money.transact([available(desk.eve)], lambda tx: money.post(tx, draft))
    since, until = desk.charge.created_at - timedelta(hours=1), desk.charge.created_at + timedelta(hours=1)
    rows = await read(await desk.finance.export(desk.fay, ExportKind.JOURNAL, since, until))
    sums: Counter[str] = Counter()
    for row in rows:
        sums[row["currency"]] += int(row["amount_minor"])
    assert dict(sums) == {"CNY": 0, "JPY": 0}
    gift = next(row for row in rows if row["account"] == f"available:{desk.eve}")
    assert (exports.plain(gift["note"]), exports.plain(gift["key"]), gift["amount"]) == (note, "-gift", "120")
    orders = await read(await desk.finance.export(desk.fay, ExportKind.ORDERS, since, until))
    assert {row["order"]: (row["kind"], row["amount_minor"]) for row in orders} == {
        desk.charge.id: ("charge", "100000"),
        out.id: ("pay_out", "30000"),
    }
    assert [act for act, _ in await desk.acts("journal")] == ["export.made"]
    empty = await read(await desk.finance.export(desk.fay, ExportKind.ORDERS, until, until + timedelta(hours=1)))
    assert empty == []
