"""Balances and statements, counted once more from the journal. Pure: no database."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence

from server.clock import to_ms
from server.money.folio import PAGE, Change, Folio, column, folio_id, is_personal
from server.money.model import Transfer
from server.money.repo import Row
from server.money.report import FaultKind, Tally
from server.money.rules import id_of

#: Nobody knows which numbers are added up, so nobody can make wrong lines that cancel out.
_SALT = secrets.randbits(62)


def faults_of(transfer: Transfer, changes: Sequence[Change]) -> Iterator[FaultKind]:
    """What is wrong with a row of the journal by itself."""
    if sum(leg.amount for leg in transfer.legs) != 0:
        yield FaultKind.UNBALANCED
    if transfer.id != id_of("t", transfer.key) or deltas(transfer, changes) is None:
        yield FaultKind.MALFORMED
    if any(is_personal(change.folio) and _overdrawn(change.balances) for change in changes):
        yield FaultKind.NEGATIVE


def _overdrawn(balances: Sequence[int]) -> bool:
    available, held, owed = balances
    return available < 0 or held < 0 or owed > 0


def deltas(transfer: Transfer, changes: Sequence[Change]) -> dict[str, list[int]] | None:
    """How the legs change each folio's columns; None when the changes are not of just these folios."""
    folios = {_trunk(change.folio): change for change in changes}
    found = {change.folio: [0] * len(change.balances) for change in changes}
    touched: set[str] = set()
    for leg in transfer.legs:
        change = folios.get(_trunk(folio_id(leg.account, transfer.currency, 0)))
        if change is None or len(change.balances) != _columns(change.folio):
            return None
        found[change.folio][column(leg.account)] += leg.amount
        touched.add(change.folio)
    return found if len(touched) == len(changes) == len(folios) else None


def _trunk(folio: str) -> str:
    """The account of the house without its lane: which one a transfer took is seen in its changes only."""
    return folio.partition("#")[0]


def _columns(folio: str) -> int:
    return 3 if is_personal(folio) else 1


class _Sheet:
    """What the journal says of a folio, up to the number at which the folio was read.

    `chain` adds up a number for the end of every change and takes one away for its beginning: when no change is
    missing, doubled or different, what is left are the end of the last one and the beginning of the first. `lines` is 0
    when statement and journal have the same lines.
    """

    __slots__ = ("chain", "filed", "folio", "highest", "lines", "sums")

    def __init__(self, folio: Folio, tail: Sequence[Row]) -> None:
        self.folio = folio
        self.sums = [0] * len(folio.balances)
        self.chain = 0
        self.lines = 0
        self.highest = folio.number
        #: The lines up to here are on pages.
        self.filed = folio.number - len(tail)
        for place, row in enumerate(tail):
            self.lines -= _line(self.filed + 1 + place, row)


class Recount:
    """Folios first, then pages and journal in any order, then `finish`."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._sheets: dict[str, _Sheet] = {}

    def expect(self, folio: Folio, tail: Sequence[Row]) -> None:
        self._sheets[folio.id] = _Sheet(folio, tail)

    def page(self, folio: str, page: int, rows: Iterable[Row]) -> None:
        if (sheet := self._sheets.get(folio)) is None:
            return
        for number, row in enumerate(rows, page * PAGE + 1):
            if number <= sheet.filed:
                sheet.lines -= _line(number, row)

    def transfer(self, transfer: Transfer, changes: Sequence[Change]) -> Iterator[Change]:
        """Answers the changes of folios that are not expected."""
        moved = deltas(transfer, changes)
        for change in changes:
            sheet = self._sheets.get(change.folio)
            if sheet is None:
                yield change
                continue
            if change.number > sheet.folio.number:
                sheet.highest = max(sheet.highest, change.number)
                continue
            delta = moved[change.folio] if moved else [0] * len(change.balances)
            before = [balance - part for balance, part in zip(change.balances, delta, strict=True)]
            sheet.sums = [total + part for total, part in zip(sheet.sums, delta, strict=False)]
            sheet.chain += _mark(change.number, change.balances) - _mark(change.number - 1, before)
            if is_personal(change.folio):
                line = [transfer.id, transfer.at, transfer.kind.value, delta[0], *change.balances]
                sheet.lines += _line(change.number, Row(line))

    def finish(self) -> dict[str, int]:
        """Tells the faults. Answers the folios that have been changed since they were read, with the highest number
        that the journal has of each."""
        self._tally.accounts += len(self._sheets)
        for sheet in self._sheets.values():
            folio = sheet.folio
            start = _mark(0, [0] * len(folio.balances))
            for stored, journal in zip(folio.balances, sheet.sums, strict=True):
                if stored != journal:
                    self._tally.difference += abs(stored - journal)
                    self._tally.fault(FaultKind.BALANCE, folio.id, stored, journal)
            if tuple(sheet.sums) == folio.balances and sheet.chain != _mark(folio.number, folio.balances) - start:
                self._tally.fault(FaultKind.CHANGES, folio.id)
            if sheet.lines and folio.personal:
                self._tally.fault(FaultKind.STATEMENT, folio.id)
            if folio.personal and _overdrawn(folio.balances):
                self._tally.fault(FaultKind.NEGATIVE, folio.id)
        return {name: sheet.highest for name, sheet in self._sheets.items() if sheet.highest > sheet.folio.number}


def _mark(number: int, balances: Sequence[int]) -> int:
    return hash((_SALT, number, *balances))


def _line(number: int, row: Row) -> int:
    return hash((_SALT, number, row.transfer, to_ms(row.at), row.kind.value, row.change, *row.balances))
