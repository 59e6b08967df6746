"""Where the wallet keeps what the ledger does not: `wallets` (what each person has moved today and this month),
`wallet_requests` (what was asked for under which id) and `payout_accounts`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec

from server.errors import Code, VouchError
from server.money.model import Currency
from server.payments.model import OrderKind
from server.sealing import FieldSeal
from server.store import Document, Index, Store, Tx
from server.wallet.model import Destination, Request
from server.wallet.rules import Spent

#: so many pay-out accounts one person may have
MOST_ACCOUNTS = 5
#: so many top-ups, refunds and pay-outs of one person may be under way
MOST_OPEN = 20


def slot(kind: OrderKind | None, currency: Currency) -> str:
    """Under which name a kind and currency are counted."""
    return f"{kind.value if kind else 'payment'}-{currency.value}"


class Tally(msgspec.Struct, frozen=True):
    """What one person has moved, by slot. `version` 0: nothing yet."""

    person: str
    spent: dict[str, Spent]
    version: int = 0


class WalletsRepo:
    """One document per person, so that everything that moves a person's money meets there. That of a deleted account
    stays, empty and closed: what was under way to it finds it so."""

    def __init__(self, store: Store) -> None:
        self._rows = store.collection("wallets")

    async def get(self, person: str, tx: Tx | None = None) -> Tally:
        """Raises `unauthenticated` for a closed one: its person is gone."""
        row = await self._rows.find_one({"_id": person}, session=tx.session if tx else None)
        if row is None:
            return Tally(person, {})
        if row.get("closed"):
            raise VouchError(Code.UNAUTHENTICATED)
        spent = {name: Spent(date.fromisoformat(one["day"]), *one["sums"]) for name, one in row["spent"].items()}
        return Tally(person, spent, int(row["version"]))

    async def put(self, tx: Tx, tally: Tally) -> None:
        """Over the version before it. Raises Duplicate or `stale` when somebody was faster."""
        spent = {
            name: {"day": one.day.isoformat(), "sums": [one.today, one.month]} for name, one in tally.spent.items()
        }
        row: Document = {"spent": spent, "version": tally.version + 1}
        if tally.version == 0:
            await self._rows.insert_one({"_id": tally.person, **row}, session=tx.session)
            return
        key = {"_id": tally.person, "version": tally.version}
        done = await self._rows.update_one(key, {"$set": row}, session=tx.session)
        if done.matched_count != 1:
            raise VouchError(Code.STALE)

    async def touch(self, tx: Tx, person: str) -> None:
        """Raises Duplicate like `put`, `blocked` for a closed one: nobody pays whoever is gone."""
        try:
            tally = await self.get(person, tx)
        except VouchError:
            raise VouchError(Code.BLOCKED) from None
        await self.put(tx, tally)

    async def close(self, tx: Tx, person: str) -> None:
        row: Document = {"spent": {}, "version": 0, "closed": True}
        await self._rows.update_one({"_id": person}, {"$set": row}, upsert=True, session=tx.session)


class RequestsRepo:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._rows = store.collection("wallet_requests")

    async def ensure_indexes(self) -> None:
        # `open` holds the person while it is under way: what is over is in no index of it.
        await self._store.ensure_indexes("wallet_requests", [Index([("open", 1)], sparse=True), Index([("person", 1)])])

    async def get(self, id: str, tx: Tx | None = None) -> Request | None:
        row = await self._rows.find_one({"_id": id}, session=tx.session if tx else None)
        return _request(row) if row else None

    async def insert(self, tx: Tx, request: Request) -> None:
        """Raises Duplicate when this id is taken."""
        row: dict[str, Any] = msgspec.structs.asdict(request)
        row |= {"_id": row.pop("id"), "kind": request.kind.value, "currency": request.currency.value}
        row["open"] = request.person
        await self._rows.insert_one(row, session=tx.session)

    async def name(self, id: str, order: str) -> None:
        """Notes which order it has become."""
        await self._rows.update_one({"_id": id}, {"$set": {"order": order}})

    async def close(self, tx: Tx, id: str) -> bool:
        """False when it was closed before."""
        key: Document = {"_id": id, "open": {"$exists": True}}
        done = await self._rows.update_one(key, {"$unset": {"open": ""}}, session=tx.session)
        return done.modified_count == 1

    async def delete(self, tx: Tx, id: str) -> bool:
        done = await self._rows.delete_one({"_id": id}, session=tx.session)
        return done.deleted_count == 1

    async def open_of(self, person: str, tx: Tx | None = None) -> list[Request]:
        """At most MOST_OPEN and those that came at the same moment."""
        rows = self._rows.find({"open": person}, session=tx.session if tx else None).limit(2 * MOST_OPEN)
        return [_request(row) for row in await rows.to_list(2 * MOST_OPEN)]

    async def delete_all(self, tx: Tx, person: str) -> None:
        await self._rows.delete_many({"person": person}, session=tx.session)


class AccountsRepo:
    """Numbers are sealed by `field`, a ring of keys of 32 bytes: the first one writes, all of them read."""

    def __init__(self, store: Store, field: Sequence[bytes]) -> None:
        self._store = store
        self._rows = store.collection("payout_accounts")
        self._seal = FieldSeal(field, "payout_account")

    async def ensure_indexes(self) -> None:
        await self._store.ensure_indexes("payout_accounts", [Index([("person", 1)])])

    async def of(self, person: str, tx: Tx | None = None) -> list[Destination]:
        """The newest first."""
        rows = self._rows.find({"person": person}, session=tx.session if tx else None).limit(2 * MOST_ACCOUNTS)
        found = [self._destination(row) for row in await rows.to_list(2 * MOST_ACCOUNTS)]
        return sorted(found, key=lambda one: (one.added_at, one.id), reverse=True)

    async def get(self, id: str, tx: Tx | None = None) -> Destination | None:
        row = await self._rows.find_one({"_id": id}, session=tx.session if tx else None)
        return self._destination(row) if row else None

    async def insert(self, tx: Tx, account: Destination) -> None:
        row: dict[str, Any] = msgspec.structs.asdict(account)
        row |= {"_id": row.pop("id"), "number": self._seal.seal(account.number, account.id)}
        await self._rows.insert_one(row, session=tx.session)

    async def delete(self, tx: Tx, id: str) -> bool:
        done = await self._rows.delete_one({"_id": id}, session=tx.session)
        return done.deleted_count == 1

    async def delete_all(self, tx: Tx, person: str) -> None:
        await self._rows.delete_many({"person": person}, session=tx.session)

    async def reseal(self) -> int:
        """Seals anew what the key of today has not; answers how many."""
        changed = 0
        async for row in self._rows.find({}, {"number": 1}):
            sealed = bytes(row["number"])
            if self._seal.is_current(sealed, row["_id"]):
                continue
            anew = self._seal.seal(self._seal.open(sealed, row["_id"]), row["_id"])
            done = await self._rows.update_one({"_id": row["_id"], "number": row["number"]}, {"$set": {"number": anew}})
            changed += done.modified_count
        return changed

    def _destination(self, row: Document) -> Destination:
        kept = {name: row[name] for name in Destination.__struct_fields__ if name not in ("id", "number")}
        return Destination(id=row["_id"], number=self._seal.open(bytes(row["number"]), row["_id"]), **kept)


def _request(row: Document) -> Request:
    plain = ("person", "content", "amount", "day", "approval", "order", "at")
    return Request(
        id=row["_id"],
        kind=OrderKind(row["kind"]),
        currency=Currency(row["currency"]),
        open="open" in row,
        **{name: row[name] for name in plain},
    )
