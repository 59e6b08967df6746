"""The only place that names the fields of meetings."""

from __future__ import annotations

from datetime import datetime

import msgspec

from server.store import Document, Index, Store, Tx
from server.supervision.rules.meeting import Meeting


class MeetingsRepo:
    """`pledge_meetings`: the last one of each task; nothing needs to expire."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rows = store.collection("pledge_meetings")

    async def ensure_indexes(self) -> None:
        await self._store.ensure_indexes("pledge_meetings", [Index([("code", 1)]), Index([("place", 1)])])

    async def begin(self, tx: Tx, meeting: Meeting) -> None:
        """In place of the one before."""
        await self._rows.delete_many({"place": _place(meeting)}, session=tx.session)
        await self._rows.insert_one(_row(meeting), session=tx.session)

    async def get(self, id: str) -> Meeting | None:
        return _meeting(await self._rows.find_one({"_id": id}))

    async def of_code(self, code: str) -> Meeting | None:
        return _meeting(await self._rows.find_one({"code": code}))

    async def replace(self, tx: Tx, meeting: Meeting) -> bool:
        """Compare-and-set on `version - 1`; False when somebody else was faster."""
        key = {"_id": meeting.id, "version": meeting.version - 1}
        return (await self._rows.replace_one(key, _row(meeting), session=tx.session)).matched_count == 1


def _place(meeting: Meeting) -> str:
    return f"{meeting.pledge}:{meeting.task}"


def _row(meeting: Meeting) -> Document:
    row: Document = msgspec.to_builtins(meeting, builtin_types=(datetime,))
    return {"_id": row.pop("id"), **row, "place": _place(meeting)}


def _meeting(row: Document | None) -> Meeting | None:
    return None if row is None else msgspec.convert({**row, "id": row["_id"]}, Meeting)
