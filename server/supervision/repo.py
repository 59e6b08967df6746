"""The only place that names this domain's collections, fields and indexes."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

import msgspec

from server.store import Document, Index, Store, Tx
from server.supervision.model import FINAL, WAITING, Pledge, PledgeState
from server.supervision.rules.seats import seats_open
from server.supervision.rules.staffing import at_desk, supervising
from server.supervision.terms import Visibility


class PledgesRepo:
    """`pledges`: one document each, changed by compare-and-set on `version`.

    Besides the pledge's own fields a row holds what it is looked up by: `people` (everybody who has to do with it),
    and where it applies `desk` (staff has something to do) and `staff` (who of staff supervises it).
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rows = store.collection("pledges")

    async def ensure_indexes(self) -> None:
        by_people, by_due = Index([("people", 1)]), Index([("due", 1)], sparse=True)
        listed = Index([("listed", 1), ("listed_at", 1)], sparse=True)
        await self._store.ensure_indexes("pledges", [by_people, by_due, listed])

    async def get(self, id: str, tx: Tx | None = None) -> Pledge | None:
        row = await self._rows.find_one({"_id": id}, session=tx.session if tx else None)
        return pledge_of(row) if row else None

    async def waiting_of(self, person: str, tx: Tx) -> list[Pledge]:
        """Those of somebody's pledges that have not begun."""
        wanted = {"people": person, "state": {"$in": [state.value for state in WAITING]}}
        return [pledge_of(row) for row in await self._rows.find(wanted, session=tx.session).to_list(None)]

    async def unfinished_of(self, person: str, tx: Tx) -> list[Pledge]:
        """Those of somebody's pledges, drafts too, that have not come to their end."""
        wanted = {"people": person, "state": {"$nin": [state.value for state in FINAL]}}
        return [pledge_of(row) for row in await self._rows.find(wanted, session=tx.session).to_list(None)]

    async def versions_of(self, person: str, tx: Tx) -> dict[str, int]:
        """Of every pledge that somebody has to do with."""
        rows = await self._rows.find({"people": person}, {"version": 1}, session=tx.session).to_list(None)
        return {row["_id"]: row["version"] for row in rows}

    async def titles(self, ids: Collection[str]) -> dict[str, str]:
        """By id; what is gone is left out."""
        rows = await self._rows.find({"_id": {"$in": list(ids)}}, {"terms.title": 1}).to_list(None)
        return {row["_id"]: row["terms"]["title"] for row in rows}

    async def insert(self, tx: Tx, pledge: Pledge) -> None:
        await self._rows.insert_one({"_id": pledge.id, **row_of(pledge)}, session=tx.session)

    async def replace(self, tx: Tx, pledge: Pledge) -> bool:
        """Compare-and-set on `version - 1`; False when somebody else was faster."""
        key = {"_id": pledge.id, "version": pledge.version - 1}
        row = row_of(pledge)
        return (await self._rows.replace_one(key, {"_id": pledge.id, **row}, session=tx.session)).matched_count == 1

    async def delete(self, tx: Tx, id: str, version: int) -> bool:
        """Takes a draft away; False when somebody has changed it."""
        return (await self._rows.delete_one({"_id": id, "version": version}, session=tx.session)).deleted_count == 1


def people_of(pledge: Pledge) -> list[str]:
    """Everybody who finds it among their own. Those whom a draft names do not know of it yet."""
    if pledge.state is PledgeState.DRAFT:
        return [pledge.drafted_by]
    people = [pledge.owner, pledge.drafted_by, *(seat.person for seat in pledge.seats), pledge.stake.payer]
    return list(dict.fromkeys(person for person in people if person))


def listed_as(pledge: Pledge) -> str | None:
    """In which list it looks for supervisors; None while it does not, or in none."""
    if not seats_open(pledge):
        return None
    match pledge.terms.visibility:
        case Visibility.PUBLIC:
            return "public"
        case Visibility.FRIENDS:
            return f"friends:{pledge.owner}"
        case Visibility.GROUP:
            return f"group:{pledge.terms.group}"
    return None


def row_of(pledge: Pledge) -> Document:
    row: dict[str, Any] = msgspec.to_builtins(pledge, builtin_types=(datetime,))
    del row["id"]
    if pledge.due is None:
        del row["due"]  # the index is sparse
    if at_desk(pledge):
        row["desk"] = True
    if (key := listed_as(pledge)) is not None:
        row |= {"listed": key, "listed_at": pledge.published_at}
    if staff := supervising(pledge):
        row["staff"] = staff
    return {**row, "people": people_of(pledge)}


def pledge_of(row: Document) -> Pledge:
    return msgspec.convert({**row, "id": row["_id"]}, Pledge)
