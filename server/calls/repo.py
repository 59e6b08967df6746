"""The only place that names this domain's collections, fields and indexes."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from server.calls.model import Call, KeptRecording
from server.store import Document, Index, Store, Tx

#: calls of one person among which a page is looked for, and how many months are looked at, the newest first: most pages
#: are found in the first two
_OF_PERSON = 5_000
_MONTHS = (2, 10, 24, 84)
#: calls that go on at one place, and recordings that go on, in one look
SOME = 500


class CallsRepo:
    """`calls`: one document each, changed by compare-and-set on `version`; one that goes on has `place`, where its
    media are. `call_seats`: who has had a seat in which call, for their lists. `call_claims`: by conversation the call
    that goes on in it, and by person the call that they are in: of each there is one at most."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rows = store.collection("calls")
        self._seats = store.collection("call_seats")
        self._claims = store.collection("call_claims")
        self._snapshots = store.collection("call_snapshots")

    async def ensure_indexes(self) -> None:
        by_key = Index([("key", 1)], unique=True)
        by_place, by_sign_in = Index([("place", 1)], sparse=True), Index([("sessions", 1)], sparse=True)
        await self._store.ensure_indexes("calls", [by_key, by_place, by_sign_in])
        await self._store.ensure_indexes("call_seats", [Index([("person", 1)]), Index([("month", 1)])])

    # ── One call ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def get(self, id: str, tx: Tx | None = None) -> Call | None:
        row = await self._rows.find_one({"_id": id}, session=tx.session if tx else None)
        return call_of(row) if row else None

    async def by_key(self, key: str) -> Call | None:
        row = await self._rows.find_one({"key": key})
        return call_of(row) if row else None

    async def insert(self, tx: Tx, call: Call) -> None:
        """Raises Duplicate for a key that was used, and where a call goes on already (claims)."""
        await self._rows.insert_one({"_id": call.id, **row_of(call)}, session=tx.session)
        if not call.over:
            await self._claims.insert_one({"_id": call.conversation, "call": call.id}, session=tx.session)
        await self._follow(tx, None, call)

    async def replace(self, tx: Tx, before: Call, call: Call) -> bool:
        """Compare-and-set on `version - 1`; False when somebody else was faster. Raises Duplicate when somebody who
        takes a seat is in another call."""
        key = {"_id": call.id, "version": call.version - 1}
        done = await self._rows.replace_one(key, {"_id": call.id, **row_of(call)}, session=tx.session)
        if done.matched_count != 1:
            return False
        if call.over and not before.over:
            await self._claims.delete_one({"_id": call.conversation, "call": call.id}, session=tx.session)
        await self._follow(tx, before, call)
        return True

    async def _follow(self, tx: Tx, before: Call | None, call: Call) -> None:
        had = {seat.person for seat in before.seats} if before else set()
        was = {seat.person for seat in before.inside} if before else set()
        now = {seat.person for seat in call.inside}
        rows = [
            {
                "_id": f"{call.id}|{seat.person}",
                "person": seat.person,
                "call": call.id,
                "at": call.at,
                "month": _month(seat.person, call.at),
            }
            for seat in call.seats
            if seat.person not in had
        ]
        if rows:
            await self._seats.insert_many(rows, session=tx.session)
        for person in sorted(was - now):
            await self._claims.delete_one({"_id": person, "call": call.id}, session=tx.session)
        for person in sorted(now - was):  # one by one: a bulk tells of what is there already in another way
            await self._claims.insert_one({"_id": person, "call": call.id}, session=tx.session)

    # ── Claims ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def claimed(self, ids: Iterable[str]) -> dict[str, str]:
        """By person, or conversation, the call that they are in, or that goes on there."""
        rows = await self._claims.find({"_id": {"$in": list(ids)}}).to_list(None)
        return {row["_id"]: row["call"] for row in rows}

    # ── Lists ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def of_person(self, person: str, before: Call | None, limit: int, now: datetime) -> tuple[list[Call], bool]:
        """The newest first, older than `before`; and whether there are more."""
        # another node's clock may be ahead of this one's over the end of a month
        last = before.at if before else now + timedelta(days=1)
        keys: list[tuple[datetime, str]] = []
        for months in _MONTHS:
            names = []
            for _ in range(months):
                names.append(_month(person, last))
                last = last.replace(day=1) - timedelta(days=1)
            rows = await self._seats.find({"month": {"$in": names}}, {"call": 1, "at": 1}).to_list(_OF_PERSON)
            found_here = sorted(((row["at"], row["call"]) for row in rows), reverse=True)
            keys += [key for key in found_here if before is None or key < (before.at, before.id)]
            if len(keys) > limit:
                break
        wanted = [call for _, call in keys[:limit]]
        found = {row["_id"]: call_of(row) for row in await self._rows.find({"_id": {"$in": wanted}}).to_list(limit)}
        return [found[id] for id in wanted if id in found], len(keys) > limit

    async def forget(self, person: str) -> None:
        """Their list goes with an account; the calls stay in those of the others."""
        await self._seats.delete_many({"person": person})

    async def at(self, places: Collection[str]) -> list[Call]:
        """Calls that go on at these nodes."""
        rows = await self._rows.find({"place": {"$in": list(places)}}).limit(SOME).to_list(SOME)
        return [call_of(row) for row in rows]

    async def going_on(self) -> list[tuple[str, str]]:
        """Every call that goes on, and where."""
        rows = await self._rows.find({"place": {"$gt": ""}}, {"place": 1}).limit(SOME).to_list(SOME)
        return [(row["_id"], row["place"]) for row in rows]

    async def of_sessions(self, sessions: Collection[str]) -> list[Call]:
        """Calls in which these sign-ins have a seat."""
        rows = await self._rows.find({"sessions": {"$in": list(sessions)}}).to_list(SOME)
        return [call_of(row) for row in rows]

    # ── Snapshots ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def snapshot(self, key: str) -> Document | None:
        return await self._snapshots.find_one({"_id": key})

    async def keep_snapshot(self, key: str, facts: Document) -> None:
        """Raises Duplicate when it was kept before."""
        await self._snapshots.insert_one({"_id": key, **facts})


class RecordingsRepo:
    """`call_recordings`: one document each; its files are contents of the bucket `recordings`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rows = store.collection("call_recordings")

    async def ensure_indexes(self) -> None:
        await self._store.ensure_indexes(
            "call_recordings",
            [
                Index([("call", 1)]),
                Index([("open", 1)], sparse=True),
                Index([("people", 1)]),
                Index([("doomed", 1)], sparse=True),
            ],
        )

    async def insert(self, recording: KeptRecording) -> None:
        await self._rows.update_one({"_id": recording.id}, {"$setOnInsert": _recording_row(recording)}, upsert=True)

    async def replace(self, recording: KeptRecording) -> bool:
        """False when it was deleted meanwhile."""
        change: Document = {"$set": _recording_row(recording)}  # what is doomed stays so
        if recording.ended is not None:
            change["$unset"] = {"open": ""}
        return (await self._rows.update_one({"_id": recording.id}, change)).matched_count == 1

    async def get(self, id: str) -> KeptRecording | None:
        row = await self._rows.find_one({"_id": id})
        return _recording_of(row) if row else None

    async def of_call(self, call: str) -> list[KeptRecording]:
        return [_recording_of(row) for row in await self._rows.find({"call": call}).to_list(SOME)]

    async def doom(self, person: str, tx: Tx) -> None:
        """What somebody is in goes with their account; its files are deleted afterwards."""
        await self._rows.update_many({"people": person}, {"$set": {"doomed": True}}, session=tx.session)

    async def doomed(self) -> list[KeptRecording]:
        return [_recording_of(row) for row in await self._rows.find({"doomed": True}).limit(SOME).to_list(SOME)]

    async def unfinished(self) -> list[KeptRecording]:
        """Those that go on, or that nobody has finished."""
        return [_recording_of(row) for row in await self._rows.find({"open": True}).limit(SOME).to_list(SOME)]

    async def delete(self, id: str) -> None:
        await self._rows.delete_one({"_id": id})


def _month(person: str, at: datetime) -> str:
    return f"{person}|{at:%Y-%m}"


def row_of(call: Call) -> Document:
    row: dict[str, Any] = msgspec.to_builtins(call, builtin_types=(datetime,))
    del row["id"]
    if call.over:
        del row["place"]  # the indexes are sparse
    elif sessions := [seat.session for seat in call.inside]:
        row["sessions"] = sessions
    return row


def call_of(row: Document) -> Call:
    return msgspec.convert({**row, "id": row["_id"]}, Call)


def _recording_row(recording: KeptRecording) -> Document:
    row: dict[str, Any] = msgspec.to_builtins(recording, builtin_types=(datetime,))
    del row["id"]
    if recording.ended is None:
        row["open"] = True
    return row


def _recording_of(row: Document) -> KeptRecording:
    return msgspec.convert({**row, "id": row["_id"]}, KeptRecording)
