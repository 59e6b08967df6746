"""The chain of the audit trail: each row is sealed with a key that is not in the database, over what it says, its
number and the seal of the row before. Pure.

Whoever can write to the database but does not have the secrets cannot change, remove, move or insert a row unseen:
`Examination` finds it and names the row. Only the end can be cut off without a trace inside the database, which is why
ends that were found whole are noted elsewhere (the log, a sheet of paper) and compared.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from server.clock import to_ms

#: faults that are named; more are counted only
NAMED = 100
#: rows that do not fit are kept to see whether one was moved to the place of another
_SUSPECTS = 200
#: what of a document is not under its seal
_OUTSIDE = frozenset({"_id", "seal"})

Row = Mapping[str, Any]


class ChainFaultKind(StrEnum):
    """`changed`: the row does not say what was sealed. `missing`: it is not there. `inserted`: nobody wrote it here.
    `moved`: it stood at number `was`. `unsealed`: it has no seal, though rows before it do. `unlinked`: it does not
    follow the row before. `cut`: the trail was longer, or ended otherwise, when it was looked at last."""

    CHANGED = "changed"
    MISSING = "missing"
    INSERTED = "inserted"
    MOVED = "moved"
    UNSEALED = "unsealed"
    UNLINKED = "unlinked"
    CUT = "cut"


class ChainFault(msgspec.Struct, frozen=True):
    """`number` is that of the row, 0 for one without a usable number."""

    kind: ChainFaultKind
    number: int
    was: int | None = None


_SAYS = {
    ChainFaultKind.CHANGED: "row {number} does not say what was sealed: it was changed",
    ChainFaultKind.MISSING: "row {number} is missing",
    ChainFaultKind.INSERTED: "row {number} was inserted",
    ChainFaultKind.MOVED: "row {was} was put in the place of row {number}",
    ChainFaultKind.UNSEALED: "row {number} has no seal",
    ChainFaultKind.UNLINKED: "row {number} does not follow the row before it",
    ChainFaultKind.CUT: "the trail ended otherwise, at row {number}, when it was whole: its end was cut off",
}


def sentence(fault: ChainFault) -> str:
    """The fault in English."""
    return _SAYS[fault.kind].format(number=fault.number, was=fault.was)


class ChainHead(msgspec.Struct, frozen=True):
    """Where the trail ended: the number and the seal of its last row."""

    number: int
    seal: str


class ChainReport(msgspec.Struct, frozen=True):
    """`rows` were looked at; `begins` is the first row that is sealed (earlier ones are of versions without seals),
    null where none is. `faults` are the first hundred of `count`."""

    rows: int
    begins: int | None
    head: ChainHead
    faults: list[ChainFault]
    count: int


def chain_key(secret: bytes) -> bytes:
    """The key of the seals, from a secret that never changes while the database lives."""
    return HKDF(hashes.SHA256(), 32, salt=None, info=b"vouch audit chain").derive(secret)


def seal_of(key: bytes, row: Row) -> str:
    """HMAC-SHA-256 (hex) over everything that the row says. Values of kinds that no row has are sealed by their repr:
    they fit no seal that was ever made."""
    said = {name: to_ms(value) if isinstance(value, datetime) else value for name, value in row.items()}
    for name in _OUTSIDE:
        said.pop(name, None)
    return hmac.new(key, msgspec.json.encode(said, enc_hook=repr, order="deterministic"), hashlib.sha256).hexdigest()


class Examination:
    """Is given the rows window by window, in order, and answers with a report at the end."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._rows = 0
        self._begins: int | None = None
        self._number = 0
        #: the seal of the row before; None where that row is not whole, so that nothing can be said of the link
        self._prev: str | None = ""
        self._faults: list[ChainFault] = []
        self._count = 0
        self._suspects: list[tuple[int, Row]] = []
        self._empty: list[int] = []

    def take(self, rows: Sequence[Row], low: int, high: int) -> None:
        """`rows` are all that have a number in [low, high), in its order."""
        places: dict[int, list[Row]] = {}
        for row in rows:
            places.setdefault(row["number"], []).append(row)
        self._rows += len(rows)
        for number in range(low, high):
            here = places.pop(number, [])
            if not here:
                self._fault(ChainFaultKind.MISSING, number)
                self._prev = None
                if len(self._empty) < _SUSPECTS:
                    self._empty.append(number)
            elif len(here) > 1:
                self._several(number, here)
            else:
                self._one(number, here[0])
        for number, odd in places.items():  # 3.5 lies between 3 and 4
            for _ in odd:
                self._fault(ChainFaultKind.INSERTED, int(number))

    def stray(self, number: object) -> None:
        """There is a row that is none of the trail's: its number was never given, or it has none."""
        self._rows += 1
        self._fault(ChainFaultKind.INSERTED, number if type(number) is int else 0)

    def end(self, head: ChainHead, noted: ChainHead | None) -> ChainReport:
        """`head` is where the trail should end, `noted` where it ended when it was found whole."""
        if self._prev is not None and self._begins is not None and self._prev != head.seal:
            self._fault(ChainFaultKind.CUT, head.number)
        if noted is not None and noted.number > head.number:
            self._fault(ChainFaultKind.CUT, noted.number)
        self._settle()
        return ChainReport(self._rows, self._begins, head, self._faults, self._count)

    def compare(self, noted: ChainHead, row: Row | None) -> None:
        """`row` is what stands now where the trail ended when it was found whole."""
        if row is not None and row.get("seal", "") != noted.seal:
            self._fault(ChainFaultKind.CUT, noted.number)

    def _one(self, number: int, row: Row) -> None:
        seal = row.get("seal")
        if seal is None:
            if self._begins is not None or "prev" in row:
                self._fault(ChainFaultKind.UNSEALED, number)
            return  # a row of an earlier version
        first, self._begins = self._begins is None, number if self._begins is None else self._begins
        if not self._holds(row):
            self._fault(ChainFaultKind.CHANGED, number)
            self._suspect(number, row)
            self._prev = None
            return
        if self._prev is not None and row["prev"] != ("" if first else self._prev):
            self._fault(ChainFaultKind.UNLINKED, number)
        self._prev = str(seal)

    def _several(self, number: int, rows: Sequence[Row]) -> None:
        whole = [row for row in rows if self._holds(row)]
        for row in rows:
            if row not in whole[:1]:
                self._fault(ChainFaultKind.INSERTED, number)
                self._suspect(number, row)
        if whole:
            self._one(number, whole[0])
        else:
            self._prev = None

    def _holds(self, row: Row) -> bool:
        return isinstance(row.get("prev"), str) and hmac.compare_digest(
            seal_of(self._key, row), str(row.get("seal", ""))
        )

    def _suspect(self, number: int, row: Row) -> None:
        if len(self._suspects) < _SUSPECTS:
            self._suspects.append((number, row))

    def _settle(self) -> None:
        """Rows whose seal holds at the place of another were moved."""
        places = [number for number, _ in self._suspects] + self._empty
        for number, row in self._suspects:
            for was in places:
                if was == number or not self._holds({**row, "number": was}):
                    continue
                for index, fault in enumerate(self._faults):
                    if fault.number == number and fault.kind in (ChainFaultKind.CHANGED, ChainFaultKind.INSERTED):
                        self._faults[index] = ChainFault(ChainFaultKind.MOVED, number, was)
                        break
                break

    def _fault(self, kind: ChainFaultKind, number: int) -> None:
        self._count += 1
        if len(self._faults) < NAMED:
            self._faults.append(ChainFault(kind, number))
