"""Where the desk finds its work, who is on duty, and where the facts about people are kept."""

from __future__ import annotations

from datetime import datetime

import msgspec

from server.store import Document, Duplicate, Index, Store, Tx
from server.supervision.model import Pledge
from server.supervision.repo import pledge_of
from server.supervision.rules.facts import Facts

#: so much work is looked at; more waits until this is done
QUEUE_MOST = 500
DUTY_MOST = 500


class DeskRepo:
    """Of `pledges` it reads by `desk` (there is something to do) and `staff` (who of staff supervises)."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pledges = store.collection("pledges")
        self._duties = store.collection("pledge_duties")

    async def ensure_indexes(self) -> None:
        await self._store.ensure_indexes(
            "pledges", [Index([("desk", 1)], sparse=True), Index([("staff", 1)], sparse=True)]
        )
        duties = [Index([("templates", 1)], sparse=True), Index([("dismissed", 1)], sparse=True)]
        await self._store.ensure_indexes("pledge_duties", duties)

    async def queue(self) -> list[Pledge]:
        """All that waits for staff, the oldest first; at most QUEUE_MOST."""
        rows = await self._pledges.find({"desk": True}).limit(QUEUE_MOST).to_list(QUEUE_MOST)
        return sorted((pledge_of(row) for row in rows), key=lambda pledge: pledge.created_at)

    async def supervised_by(self, person: str) -> list[Pledge]:
        """Those that somebody of staff supervises at present, the oldest first."""
        rows = await self._pledges.find({"staff": person}).limit(QUEUE_MOST).to_list(QUEUE_MOST)
        return sorted((pledge_of(row) for row in rows), key=lambda pledge: pledge.created_at)

    async def load(self, people: list[str]) -> dict[str, int]:
        """How many pledges each of them supervises as staff."""
        found = {"staff": {"$in": people}}
        rows = await self._pledges.find(found, {"staff": 1}).to_list(None)
        return {person: sum(person in row["staff"] for row in rows) for person in people}

    async def duty(self, person: str) -> list[str]:
        row = await self._duties.find_one({"_id": person})
        return list(row.get("templates", [])) if row else []

    async def on_duty(self, template: str) -> list[str]:
        rows = await self._duties.find({"templates": template}).limit(DUTY_MOST).to_list(DUTY_MOST)
        return sorted(row["_id"] for row in rows)

    async def set_duty(self, tx: Tx, person: str, templates: list[str], now: datetime) -> None:
        row: Document = {"_id": person, "at": now} | ({"templates": templates} if templates else {})
        await self._duties.replace_one({"_id": person}, row, upsert=True, session=tx.session)

    async def dismiss(self, tx: Tx, person: str) -> None:
        """Notes that somebody has lost the role: what they supervise is to be given to others."""
        key, change = {"_id": person}, {"$set": {"dismissed": True}}
        await self._duties.update_one(key, change, upsert=True, session=tx.session)

    async def keep(self, tx: Tx, person: str) -> None:
        """They hold the role after all."""
        await self._duties.update_one({"_id": person}, {"$unset": {"dismissed": ""}}, session=tx.session)

    async def dismissed(self) -> list[str]:
        rows = await self._duties.find({"dismissed": True}).limit(DUTY_MOST).to_list(DUTY_MOST)
        return sorted(row["_id"] for row in rows)

    async def forget(self, tx: Tx, person: str) -> None:
        await self._duties.delete_one({"_id": person}, session=tx.session)


class RecordsRepo:
    """`pledge_records`: a row per person of whom there is something to say, or who has said who may see it."""

    def __init__(self, store: Store) -> None:
        self._rows = store.collection("pledge_records")

    async def get(self, person: str) -> Document:
        return await self._rows.find_one({"_id": person}) or {}

    async def add(self, tx: Tx, person: str, facts: Facts, now: datetime) -> None:
        counts = {name: count for name, count in msgspec.structs.asdict(facts).items() if count}
        change = {"$inc": counts, "$min": {"since": now}}
        if not (await self._rows.update_one({"_id": person}, change, session=tx.session)).matched_count:
            await self._rows.insert_one({"_id": person, **counts, "since": now}, session=tx.session)

    async def show(self, person: str, shown: bool) -> None:
        change = {"$set": {"shown": shown}}
        if not (await self._rows.update_one({"_id": person}, change)).matched_count:
            try:
                await self._rows.insert_one({"_id": person, "shown": shown})
            except Duplicate:  # something was settled in the same moment
                await self._rows.update_one({"_id": person}, change)

    async def forget(self, tx: Tx, person: str) -> None:
        await self._rows.delete_one({"_id": person}, session=tx.session)
