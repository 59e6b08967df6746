"""Where conversations are kept: `conversations` (one document each), `members` (one per person in one) and
`former_members` (who has left: their words are still there, until they delete their account)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import msgspec

from server.chat.model import ConversationKind, EverybodyBy, KeptPin, MemberRole, Membership, Room
from server.errors import Code, VouchError
from server.store import Document, Gathered, Index, Store, Tx


class House(msgspec.Struct, frozen=True):
    """What is asked of a conversation again and again, and holds for all its members."""

    kind: ConversationKind
    closed: bool
    everybody_by: EverybodyBy


def _membership(row: Document) -> Membership:
    return Membership(
        person=row["person"],
        role=MemberRole(row["role"]),
        joined_at=row["joined_at"],
        first=row["first"],
        silenced_until=row.get("silenced_until"),
    )


class ConversationRepo:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._rooms = store.collection("conversations")
        self._members = store.collection("members")
        self._former = store.collection("former_members")
        self._erasures = store.collection("erasures")
        self._membership = Gathered(self._memberships)
        self._house = Gathered(self._houses)

    async def ensure_indexes(self) -> None:
        await self._store.ensure_indexes(
            "conversations",
            [Index([("pair", 1)], unique=True, sparse=True), Index([("key", 1)], unique=True, sparse=True)],
        )
        await self._store.ensure_indexes("members", [Index([("person", 1)]), Index([("conv", 1)])])
        await self._store.ensure_indexes("former_members", [Index([("person", 1)])])

    async def room(self, id: str, tx: Tx | None = None) -> Room | None:
        """A conversation with all its members."""
        session = tx.session if tx else None
        row = await self._rooms.find_one({"_id": id}, session=session)
        if row is None:
            return None
        members = await self._members.find({"conv": id}, session=session).to_list(None)
        return Room(
            id=row["_id"],
            kind=ConversationKind(row["kind"]),
            title=row["title"],
            share_history=row["share_history"],
            closed=row["closed"],
            created_at=row["created_at"],
            version=row["version"],
            everybody_by=EverybodyBy(row.get("everybody_by", EverybodyBy.MEMBERS)),
            pins=tuple(KeptPin(**pin) for pin in row.get("pins", ())),
            members={m["person"]: _membership(m) for m in sorted(members, key=lambda m: (m["joined_at"], m["person"]))},
        )

    async def house(self, id: str) -> House | None:
        """The room without its members; many who ask at once are answered together."""
        return await self._house.get(id)

    async def _houses(self, ids: Sequence[str]) -> dict[str, House]:
        fields = {"kind": 1, "closed": 1, "everybody_by": 1}
        rows = await self._rooms.find({"_id": {"$in": list(ids)}}, fields).to_list(None)
        return {
            row["_id"]: House(
                ConversationKind(row["kind"]),
                bool(row["closed"]),
                EverybodyBy(row.get("everybody_by", EverybodyBy.MEMBERS)),
            )
            for row in rows
        }

    async def is_pinned(self, id: str, seq: int) -> bool:
        return await self._rooms.find_one({"_id": id, "pins.seq": seq}, {"_id": 1}) is not None

    async def membership(self, id: str, person: str) -> Membership | None:
        return await self._membership.get(f"{id}|{person}")

    async def roles(self, id: str, persons: Collection[str]) -> dict[str, MemberRole]:
        """Of those who are members."""
        found = await self._memberships([f"{id}|{person}" for person in persons])
        return {membership.person: membership.role for membership in found.values()}

    async def _memberships(self, ids: Sequence[str]) -> dict[str, Membership]:
        rows = await self._members.find({"_id": {"$in": list(ids)}}).to_list(None)
        return {row["_id"]: _membership(row) for row in rows}

    async def rooms_of(self, person: str, tx: Tx | None = None) -> list[str]:
        cursor = self._members.find({"person": person}, {"conv": 1}, session=tx.session if tx else None)
        return [row["conv"] for row in await cursor.to_list(None)]

    async def rooms_of_many(self, persons: Collection[str]) -> dict[str, list[tuple[str, int]]]:
        """By person the conversations, each with the first entry that they may see."""
        found: dict[str, list[tuple[str, int]]] = {}
        rows = await self._members.find(
            {"person": {"$in": list(persons)}}, {"conv": 1, "person": 1, "first": 1}
        ).to_list(None)
        for row in rows:
            found.setdefault(row["person"], []).append((row["conv"], row["first"]))
        return found

    async def rooms_left_by(self, person: str, tx: Tx) -> list[str]:
        """Conversations that the person has left or been removed from; they may be in some of them again."""
        rows = await self._former.find({"person": person}, session=tx.session).to_list(None)
        return [row["conv"] for row in rows]

    async def silences(self, id: str, persons: Collection[str]) -> dict[str, datetime]:
        """Until when those of these people were silenced who have left."""
        rows = await self._former.find({"_id": {"$in": [f"{id}|{person}" for person in persons]}}).to_list(None)
        return {row["person"]: row["silenced_until"] for row in rows if row.get("silenced_until") is not None}

    async def by_pair(self, pair: str, tx: Tx | None = None) -> str | None:
        row = await self._rooms.find_one({"pair": pair}, {"_id": 1}, session=tx.session if tx else None)
        return row["_id"] if row else None

    async def by_key(self, key: str) -> str | None:
        row = await self._rooms.find_one({"key": key}, {"_id": 1})
        return row["_id"] if row else None

    async def met(self, person: str, others: Collection[str]) -> set[str]:
        """Which of the others share a conversation with this person."""
        mine = await self.rooms_of(person)
        ids = [f"{room}|{other}" for room in mine for other in others]
        found: set[str] = set()
        for start in range(0, len(ids), 1_000):
            cursor = self._members.find({"_id": {"$in": ids[start : start + 1_000]}}, {"person": 1})
            found |= {row["person"] for row in await cursor.to_list(None)}
        return found

    async def create(self, tx: Tx, room: Room, *, pair: str | None, key: str | None) -> None:
        """Raises store.Duplicate when the pair or the key has a conversation already."""
        row: Document = {"_id": room.id, "kind": room.kind.value, "created_at": room.created_at, **_changing(room)}
        if pair is not None:
            row["pair"] = pair
        if key is not None:
            row["key"] = key
        await self._rooms.insert_one(row, session=tx.session)
        await self._members.insert_many([_member_row(room.id, m) for m in room.members.values()], session=tx.session)

    async def save(self, tx: Tx, before: Room, after: Room) -> None:
        """Compare and set by version; raises `stale` when somebody was faster."""
        result = await self._rooms.update_one(
            {"_id": before.id, "version": before.version}, {"$set": _changing(after)}, session=tx.session
        )
        if result.modified_count != 1:
            raise VouchError(Code.STALE)
        for person in before.members.keys() - after.members.keys():
            await self._members.delete_one({"_id": f"{after.id}|{person}"}, session=tx.session)
            former = {"person": person, "conv": after.id, "silenced_until": before.members[person].silenced_until}
            await self._former.update_one(
                {"_id": f"{after.id}|{person}"}, {"$set": former}, upsert=True, session=tx.session
            )
        new = [m for p, m in after.members.items() if p not in before.members]
        if new:
            await self._members.insert_many([_member_row(after.id, m) for m in new], session=tx.session)
        for person in before.members.keys() & after.members.keys():
            if before.members[person] != (member := after.members[person]):
                changed = {"role": member.role.value, "silenced_until": member.silenced_until}
                await self._members.update_one({"_id": f"{after.id}|{person}"}, {"$set": changed}, session=tx.session)

    # ── Words still to be erased after an account was deleted ───────────────────────────────────────────────────────

    async def add_erasure(self, tx: Tx, person: str, rooms: Sequence[str], at: datetime) -> None:
        await self._erasures.insert_one({"_id": person, "rooms": list(rooms), "at": at}, session=tx.session)

    async def erasures(self) -> list[tuple[str, list[str], datetime]]:
        """(person, conversations, when the account was deleted)"""
        return [(row["_id"], row["rooms"], row["at"]) for row in await self._erasures.find({}).to_list(100)]

    async def end_erasure(self, person: str) -> None:
        await self._erasures.delete_one({"_id": person})


def _changing(room: Room) -> dict[str, Any]:
    return {
        "title": room.title,
        "closed": room.closed,
        "share_history": room.share_history,
        "version": room.version,
        "everybody_by": room.everybody_by.value,
        "pins": [msgspec.structs.asdict(pin) for pin in room.pins],
    }


def _member_row(conv: str, member: Membership) -> Document:
    return {
        "_id": f"{conv}|{member.person}",
        "conv": conv,
        "person": member.person,
        "role": member.role.value,
        "joined_at": member.joined_at,
        "first": member.first,
        "silenced_until": member.silenced_until,
    }
