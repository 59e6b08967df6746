"""The collections of the ledger.

`transfers` is the journal; nothing is ever changed or deleted there. `folios` holds balances with the newest lines of
each statement, `pages` the older ones, `holds` what is set aside, `reversals` what was clawed back, `seals` the
digests of the journal.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from server.errors import Code, VouchError
from server.money.folio import PAGE, Change, Folio, empty, is_personal
from server.money.model import Account, Currency, Hold, HoldState, Leg, Transfer, TransferKind
from server.money.posting import Entry, Posting
from server.money.rules import Reversal
from server.store import BulkFault, Document, Duplicate, Index, Store, Tx, UpdateOne

#: Row of `folios` that tells until when the journal is sealed.
SEALED = "sealed"
#: Rows of the journal that are read at once, about, and at most.
_BATCH, _MOST = 1_000, 5_000
_NARROWEST = timedelta(milliseconds=1)
_FIRST = timedelta(seconds=10)
_WIDEST = timedelta(minutes=30)


class Raced(Exception):
    """Somebody else was first with a row of ours: the transaction is run again, and looks before it writes."""


class SealedUntil(NamedTuple):
    """From when there is a journal, and until when it is sealed; `signature` is that of the last seal."""

    opened: datetime
    until: datetime
    seals: int
    signature: bytes


class Row:
    """A line of a statement, as a folio and its pages keep it."""

    __slots__ = ("at", "balances", "change", "kind", "transfer")

    def __init__(self, values: Sequence[Any]) -> None:
        self.transfer: str = values[0]
        self.at: datetime = values[1]
        self.kind = TransferKind(values[2])
        #: of the available money
        self.change: int = values[3]
        self.balances: tuple[int, ...] = tuple(values[4:])


class LedgerRepo:
    def __init__(self, store: Store) -> None:
        self._store = store
        self.transfers = store.collection("transfers")
        self.seals = store.collection("ledger_seals")
        self.folios = store.collection("folios")
        self.filed = store.collection("folio_pages")
        self.set_aside = store.collection("holds")
        self.reversals = store.collection("reversals")

    async def ensure_indexes(self) -> None:
        await self._store.ensure_indexes("transfers", [Index([("at", 1)]), Index([("reverses", 1)], sparse=True)])
        await self._store.ensure_indexes("holds", [Index([("person", 1), ("state", 1)]), Index([("at", 1)])])

    async def open(self, at: datetime) -> None:
        """The moment from which there is a journal; what is said first stays."""
        try:
            await self.folios.insert_one({"_id": SEALED, "opened": at, "until": at, "seals": 0, "signature": b""})
        except Duplicate:
            return

    async def sealed(self) -> SealedUntil | None:
        """None before the first start."""
        row = await self.folios.find_one({"_id": SEALED})
        return SealedUntil(row["opened"], row["until"], row["seals"], bytes(row["signature"])) if row else None

    # ── The journal ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def transfer(self, transfer: str, tx: Tx | None = None) -> Transfer | None:
        row = await self.transfers.find_one({"_id": transfer}, session=tx.session if tx else None)
        return read_transfer(row) if row else None

    async def some(self, transfers: Iterable[str], tx: Tx | None = None) -> dict[str, Transfer]:
        wanted = {"_id": {"$in": sorted(set(transfers))}}
        rows = await self.transfers.find(wanted, session=tx.session if tx else None).to_list(None)
        return {row["_id"]: read_transfer(row) for row in rows}

    async def windows(self, since: datetime, until: datetime) -> AsyncIterator[tuple[datetime, list[Document]]]:
        """The rows of the journal with a time in [since, until), in order of time and id: pairs of a moment and all
        rows before it that were not told yet. Windows are narrow, because what one costs grows with what lies in it on
        the embedded engine, and wider where there is little."""
        width = _FIRST
        while since < until:
            end = min(since + width, until)
            found = self.transfers.find({"at": {"$gte": since, "$lt": end}})
            rows = await found.limit(0 if end - since <= _NARROWEST else _MOST).to_list(None)
            if len(rows) == _MOST and end - since > _NARROWEST:
                width = max(_NARROWEST, (end - since) // _NARROWEST // 8 * _NARROWEST)
                continue
            rows.sort(key=lambda row: (row["at"], row["_id"]))
            yield end, rows
            since = end
            if len(rows) < _BATCH // 4:
                width = min(width * 2, _WIDEST)
            elif len(rows) > _BATCH:
                width = max(_NARROWEST, width // _NARROWEST // 2 * _NARROWEST)

    # ── Balances ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def folios_of(self, ids: Iterable[str], tx: Tx | None = None) -> dict[str, Folio]:
        """Those that exist."""
        wanted = {"_id": {"$in": sorted(set(ids))}}
        rows = await self.folios.find(wanted, {"tail": 0}, session=tx.session if tx else None).to_list(None)
        return {row["_id"]: read_folio(row) for row in rows}

    async def for_change(self, tx: Tx, ids: Iterable[str]) -> tuple[dict[str, Folio], datetime | None]:
        """The folios, empty ones where there were none yet, and until when the journal is sealed: in one query."""
        wanted = sorted(set(ids))
        rows = await self.folios.find({"_id": {"$in": [*wanted, SEALED]}}, {"tail": 0}, session=tx.session).to_list(
            None
        )
        found = {row["_id"]: row for row in rows}
        sealed = found.pop(SEALED, None)
        folios = {folio: read_folio(found[folio]) if folio in found else empty(folio) for folio in wanted}
        return folios, sealed["until"] if sealed else None

    async def write(self, tx: Tx, posting: Posting) -> None:
        """The rows of the journal and what they make of the folios. Raises Raced when somebody else was first."""
        try:
            await self.transfers.insert_many([transfer_row(entry) for entry in posting.entries], session=tx.session)
        except (Duplicate, BulkFault):
            raise Raced(posting.entries[0].transfer.id) from None
        lines = statement_lines(posting)
        full = [name for name, some in lines.items() if _in_tail(posting.before[name]) + len(some) > PAGE]
        if full:
            await self._file(tx, posting.before, lines, full)
        new: list[Document] = []
        updates: list[UpdateOne] = []
        for name, after in posting.after.items():
            before = posting.before[name]
            values: Document = {"number": after.number, "at": after.at, "balances": list(after.balances)}
            change: Document = {"$set": values}
            if name in full or not before.number:
                values |= {"tail": lines[name]} if after.personal else {}
            elif after.personal:
                change["$push"] = {"tail": {"$each": lines[name]}}
            if before.number:
                updates.append(UpdateOne({"_id": name, "number": before.number}, change))
            else:
                new.append({"_id": name, **values})
        try:
            if new:
                await self.folios.insert_many(new, session=tx.session)
        except (Duplicate, BulkFault):
            raise Raced(new[0]["_id"]) from None
        if updates:
            done = await self.folios.bulk_write(updates, session=tx.session)
            if done.matched_count != len(updates):
                raise Raced(posting.entries[0].transfer.id)

    async def _file(
        self, tx: Tx, before: Mapping[str, Folio], lines: dict[str, list[list[Any]]], full: Sequence[str]
    ) -> None:
        """These folios have more lines than one carries itself: the older ones become pages, and never change again.
        What stays is left in `lines`."""
        rows = await self.folios.find({"_id": {"$in": full}}, {"tail": 1}, session=tx.session).to_list(None)
        tails = {row["_id"]: row["tail"] for row in rows}
        pages: list[Document] = []
        for name in full:
            lines[name] = tails.get(name, []) + lines[name]
            page = (before[name].number - _in_tail(before[name])) // PAGE
            while len(lines[name]) > PAGE:
                pages.append({"_id": f"{name} {page}", "rows": lines[name][:PAGE]})
                lines[name] = lines[name][PAGE:]
                page += 1
        try:
            await self.filed.insert_many(pages, session=tx.session)
        except (Duplicate, BulkFault):
            raise Raced(pages[0]["_id"]) from None

    async def tail(self, folio: str) -> tuple[int, list[Row]]:
        """(its number, the newest lines in order); (0, []) for a folio that there is not yet."""
        row = await self.folios.find_one({"_id": folio}, {"number": 1, "tail": 1})
        return (int(row["number"]), [Row(values) for values in row["tail"]]) if row else (0, [])

    async def pages(self, folio: str, numbers: Sequence[int]) -> dict[int, list[Row]]:
        """Page k holds the lines from k · PAGE + 1 on."""
        ids = {f"{folio} {number}": number for number in numbers}
        rows = await self.filed.find({"_id": {"$in": list(ids)}}).to_list(None)
        return {ids[row["_id"]]: [Row(values) for values in row["rows"]] for row in rows}

    # ── Holds ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def hold(self, hold: str, tx: Tx | None = None) -> Hold | None:
        row = await self.set_aside.find_one({"_id": hold}, session=tx.session if tx else None)
        return read_hold(row) if row else None

    async def open_holds(self, person: str) -> list[Hold]:
        rows = await self.set_aside.find({"person": person, "state": HoldState.HELD.value}).to_list(None)
        return sorted((read_hold(row) for row in rows), key=lambda hold: (hold.at, hold.id), reverse=True)

    async def insert_hold(self, tx: Tx, hold: Hold, begun_by: str) -> None:
        """`begun_by` is the transfer that set it aside."""
        try:
            await self.set_aside.insert_one({**hold_row(hold), "begun_by": begun_by}, session=tx.session)
        except Duplicate:
            raise Raced(hold.id) from None

    async def resolve_hold(self, tx: Tx, hold: Hold, state: HoldState, transfer: str) -> None:
        change = {"state": state.value, "resolved_by": transfer, "version": hold.version + 1}
        match = {"_id": hold.id, "version": hold.version}
        done = await self.set_aside.update_one(match, {"$set": change}, session=tx.session)
        if done.matched_count != 1:
            raise Raced(hold.id)

    # ── Claw-backs ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def reversal(self, tx: Tx, transfer: str) -> tuple[Reversal, int]:
        """What has been taken back of the transfer, and the version of that."""
        return read_reversal(await self.reversals.find_one({"_id": transfer}, session=tx.session))

    async def write_reversal(self, tx: Tx, transfer: str, now: Reversal, version: int) -> None:
        values: Document = {
            "taken": {str(account): part for account, part in now.taken.items()},
            "given": {str(account): part for account, part in now.given.items()},
            "version": version + 1,
        }
        if version == 0:
            try:
                await self.reversals.insert_one({"_id": transfer, **values}, session=tx.session)
            except Duplicate:
                raise Raced(transfer) from None
            return
        match = {"_id": transfer, "version": version}
        done = await self.reversals.update_one(match, {"$set": values}, session=tx.session)
        if done.matched_count != 1:
            raise Raced(transfer)


# ── Rows ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def transfer_row(entry: Entry) -> Document:
    transfer = entry.transfer
    row: Document = {
        "_id": transfer.id,
        "key": transfer.key,
        "kind": transfer.kind.value,
        "currency": transfer.currency.value,
        "legs": [[str(leg.account), leg.amount] for leg in transfer.legs],
        "about": transfer.about,
        "note": transfer.note,
        "by": transfer.by,
        "at": transfer.at,
        "changes": [[change.folio, change.number, *change.balances] for change in entry.changes],
    }
    if transfer.reverses is not None:
        row["reverses"] = transfer.reverses
    if transfer.hold is not None:
        row["hold"] = transfer.hold
    return row


def read_transfer(row: Document) -> Transfer:
    return Transfer(
        id=row["_id"],
        key=row["key"],
        kind=TransferKind(row["kind"]),
        currency=Currency(row["currency"]),
        legs=tuple(Leg(Account.parse(account), amount) for account, amount in row["legs"]),
        about=row["about"],
        note=row["note"],
        by=row["by"],
        at=row["at"],
        reverses=row.get("reverses"),
        hold=row.get("hold"),
    )


def read_changes(row: Document) -> list[Change]:
    return [Change(folio, number, tuple(balances)) for folio, number, *balances in row["changes"]]


def statement_lines(posting: Posting) -> dict[str, list[list[Any]]]:
    """What each person's folio gets more, in order; `Row` reads a line."""
    lines: dict[str, list[list[Any]]] = {name: [] for name in posting.after}
    had = {name: folio.available for name, folio in posting.before.items()}
    for transfer, changes in posting.entries:
        for change in changes:
            if is_personal(change.folio):
                moved = change.balances[0] - had[change.folio]
                lines[change.folio].append([transfer.id, transfer.at, transfer.kind.value, moved, *change.balances])
                had[change.folio] = change.balances[0]
    return lines


def _in_tail(folio: Folio) -> int:
    """How many lines the folio carries itself: a full page stays until there is one line more."""
    return (folio.number - 1) % PAGE + 1 if folio.number and folio.personal else 0


def read_folio(row: Document) -> Folio:
    return Folio(row["_id"], row["number"], row["at"], tuple(row["balances"]))


def hold_row(hold: Hold) -> Document:
    return {
        "_id": hold.id,
        "person": hold.person,
        "amount": hold.amount,
        "currency": hold.currency.value,
        "about": hold.about,
        "state": hold.state.value,
        "at": hold.at,
        "resolved_by": hold.resolved_by,
        "version": hold.version,
    }


def read_hold(row: Document) -> Hold:
    return Hold(
        id=row["_id"],
        person=row["person"],
        amount=row["amount"],
        currency=Currency(row["currency"]),
        about=row["about"],
        state=HoldState(row["state"]),
        at=row["at"],
        resolved_by=row["resolved_by"],
        version=row["version"],
    )


def read_reversal(row: Document | None) -> tuple[Reversal, int]:
    if row is None:
        return Reversal(), 0
    return Reversal(_amounts(row["taken"]), _amounts(row["given"])), int(row["version"])


def _amounts(values: Mapping[str, int]) -> dict[Account, int]:
    return {Account.parse(account): part for account, part in values.items()}


def found(transfer: Transfer | None) -> Transfer:
    if transfer is None:
        raise VouchError(Code.NOT_FOUND)
    return transfer
