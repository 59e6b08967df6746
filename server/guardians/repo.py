"""The only place that names this domain's collections, fields and indexes."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from server.guardians.model import Link, LinkState, Ward
from server.store import Document, Index, Store, Tx

#: Wards that come of age and are looked at together.
DUE_AT_ONCE = 50


class WardsRepo:
    """Documents of wards are never deleted while the account is there, for `version` must not begin again."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._wards = store.collection("wards")

    async def ensure_indexes(self) -> None:
        await self._store.ensure_indexes("wards", [Index([("people", 1)]), Index([("due", 1)], sparse=True)])

    async def get(self, person: str, tx: Tx | None = None) -> Ward:
        """A person's guardians; without any version 0."""
        row = await self._wards.find_one({"_id": person}, session=tx.session if tx else None)
        return _ward(row) if row else Ward(id=person)

    async def of_guardian(self, guardian: str, tx: Tx | None = None) -> list[Ward]:
        """Those whose guardian this person is, asks to be or is asked to be."""
        rows = await self._wards.find({"people": guardian}, session=tx.session if tx else None).to_list(None)
        return sorted((_ward(row) for row in rows), key=lambda ward: ward.id)

    async def many(self, people: Collection[str]) -> list[Ward]:
        rows = await self._wards.find({"_id": {"$in": list(people)}}).to_list(None)
        return [_ward(row) for row in rows]

    async def put(self, tx: Tx, ward: Ward) -> bool:
        """Compare-and-set on `version - 1`; False when somebody else was faster. Raises Duplicate for a first one."""
        row: Document = {
            "links": [
                {"guardian": one.guardian, "state": one.state.value, "asker": one.asker, "at": one.at}
                for one in ward.links
            ],
            "people": [link.guardian for link in ward.links],
            "payee": ward.payee,
            "version": ward.version,
        }
        if ward.version == 1:
            await self._wards.insert_one({"_id": ward.id, **row, **_due(ward)}, session=tx.session)
            return True
        change: Document = {"$set": {**row, **_due(ward)}}
        if ward.due is None:
            change["$unset"] = {"due": ""}
        key = {"_id": ward.id, "version": ward.version - 1}
        return (await self._wards.update_one(key, change, session=tx.session)).matched_count == 1

    async def hold(self, tx: Tx, person: str) -> None:
        """Touches the document, so that a change of custody and what relies on it cannot pass each other unseen."""
        await self._wards.update_one({"_id": person}, {"$inc": {"held": 1}}, session=tx.session)

    async def due(self, at: datetime) -> list[str]:
        """Wards who are of age by now. There are few at any time, for each is looked at once."""
        rows = await self._wards.find({"due": {"$lte": at}}, {"_id": 1}).limit(DUE_AT_ONCE).to_list(DUE_AT_ONCE)
        return [row["_id"] for row in rows]

    async def delete(self, tx: Tx, person: str) -> None:
        await self._wards.delete_one({"_id": person}, session=tx.session)


def _due(ward: Ward) -> Document:
    return {} if ward.due is None else {"due": ward.due}


def _ward(row: Document) -> Ward:
    return Ward(
        id=row["_id"],
        links=tuple(
            Link(guardian=one["guardian"], state=LinkState(one["state"]), asker=one["asker"], at=one["at"])
            for one in row["links"]
        ),
        payee=row["payee"],
        due=row.get("due"),
        version=row["version"],
    )
