"""Tables for other programs (RFC 4180, UTF-8 with a byte order mark), made line by line from what is read line by line.

A spreadsheet takes text that begins with one of `= + - @` or a tab for a formula. Such a text, and one that begins with
an apostrophe, gets an apostrophe before it: taking one leading apostrophe away gives back what was there. Amounts are
numbers, whole minor units, and are left alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from server.money.model import DECIMALS, Currency, Transfer
from server.payments.model import Order

CONTENT_TYPE = "text/csv; charset=utf-8"
#: bytes that are gathered before they are given out
PIECE = 64 * 1024

JOURNAL = (
    *("transfer", "at", "kind", "leg", "account", "amount_minor", "amount", "currency"),
    *("about", "note", "by", "reverses", "key"),
)
ORDERS = (
    *("order", "created_at", "changed_at", "kind", "state", "provider", "person", "by", "approved_by"),
    *("amount_minor", "amount", "currency", "refunded_minor", "disputed_minor"),
    *("purpose", "reference", "charge", "fault"),
)
#: full-width signs begin formulas too where people write with them
_SIGNS = tuple("=+-@＝＋－＠")
_BEGINS = (*_SIGNS, "\t", "\r", "\n", "'")
_MARK = "\ufeff"

Cell = str | int | Decimal | None


def safe(text: str) -> str:
    """The text such that no spreadsheet takes it for a formula."""
    return "'" + text if text.startswith(_BEGINS) or text.lstrip().startswith(_SIGNS) else text


def plain(text: str) -> str:
    """What `safe` was given."""
    return text[1:] if text.startswith("'") else text


def line(cells: Sequence[Cell]) -> str:
    """One line of the table. Numbers stay numbers; of texts those with separators are quoted."""
    return ",".join(_cell(cell) for cell in cells) + "\r\n"


def decimal(amount: int, currency: Currency) -> Decimal:
    """-1250 fen: -12.50. Exact: never through a float."""
    return Decimal(amount).scaleb(-DECIMALS[currency])


def transfer_lines(transfer: Transfer) -> Iterator[str]:
    """A line per leg: they sum to 0."""
    head: list[Cell] = [transfer.id, _time(transfer.at), transfer.kind.value]
    tail: list[Cell] = [transfer.currency.value, transfer.about, transfer.note, transfer.by]
    for number, leg in enumerate(transfer.legs, 1):
        amount: list[Cell] = [number, str(leg.account), leg.amount, decimal(leg.amount, transfer.currency)]
        yield line([*head, *amount, *tail, transfer.reverses, transfer.key])


def order_line(order: Order) -> str:
    times: list[Cell] = [_time(order.created_at), _time(order.changed_at)]
    state: list[Cell] = [order.kind.value, order.state.value, order.provider, order.person, order.by, order.approved_by]
    amounts: list[Cell] = [order.amount, decimal(order.amount, order.currency), order.currency.value]
    rest: list[Cell] = [order.refunded, order.disputed, order.purpose, order.reference, order.charge, order.fault]
    return line([order.id, *times, *state, *amounts, *rest])


async def journal(transfers: AsyncIterator[Transfer]) -> AsyncIterator[bytes]:
    """The whole table in pieces; never more than a piece and a transfer is held."""
    async for piece in _pieces(JOURNAL, _of_transfers(transfers)):
        yield piece


async def orders(rows: AsyncIterator[Order]) -> AsyncIterator[bytes]:
    async for piece in _pieces(ORDERS, _of_orders(rows)):
        yield piece


async def _of_transfers(transfers: AsyncIterator[Transfer]) -> AsyncIterator[str]:
    async for transfer in transfers:
        for text in transfer_lines(transfer):
            yield text


async def _of_orders(rows: AsyncIterator[Order]) -> AsyncIterator[str]:
    async for order in rows:
        yield order_line(order)


async def _pieces(head: Sequence[str], lines: AsyncIterator[str]) -> AsyncIterator[bytes]:
    held = [(_MARK + line(head)).encode()]
    size = len(held[0])
    async for text in lines:
        held.append(text.encode())
        size += len(held[-1])
        if size >= PIECE:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def _cell(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, int | Decimal):
        return f"{cell:f}" if isinstance(cell, Decimal) else str(cell)
    text = safe(cell)
    return (
        '"' + text.replace('"', '""') + '"' if any(mark in text for mark in ',"\r\n') or text != text.strip() else text
    )


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z"
