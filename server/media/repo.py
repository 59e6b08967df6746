"""Where uploads and things are kept.

`uploads` (one row each), `upload_parts` (their bytes until they are made ready), `media_jobs` (what is to be made
ready, and who does it), `media` (things), `media_usage` (bytes and open uploads per person), `media_checks` (contents
and parts that may be needed no more, each to be looked at when it is due) and `media_erasures` (deleted accounts).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import msgspec

from server.media.model import FaultCode, Media, MediaKind, UploadState, Variant
from server.media.rows import Job, MediaRow, Part, UploadRow
from server.store import Document, Duplicate, Index, Store, Tx

#: rows that one look takes
SOME = 100


class MediaRepo:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._uploads = store.collection("uploads")
        self._parts = store.collection("upload_parts")
        self._jobs = store.collection("media_jobs")
        self._media = store.collection("media")
        self._usage = store.collection("media_usage")
        self._checks = store.collection("media_checks")
        self._erasures = store.collection("media_erasures")

    async def ensure_indexes(self) -> None:
        ensure = self._store.ensure_indexes
        await ensure("uploads", [Index([("due", 1)]), Index([("by", 1)])])
        await ensure("upload_parts", [Index([("upload", 1)])])
        await ensure(
            "media",
            [Index([("by", 1)]), Index([("keys", 1)]), Index([("due", 1)], sparse=True)],
        )
        await ensure("media_checks", [Index([("due", 1)])])

    # ── Uploads ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def add_upload(self, tx: Tx, row: UploadRow, due: datetime) -> None:
        document: Document = {
            "_id": row.id,
            "by": row.by,
            "conv": row.place,
            "kind": row.kind.value,
            "name": row.name,
            "size": row.size,
            "offset": row.offset,
            "seconds": row.seconds,
            "state": row.state.value,
            "due": due,
        }
        await self._uploads.insert_one(document, session=tx.session)

    async def upload(self, id: str, tx: Tx | None = None) -> UploadRow | None:
        found = await self._uploads.find_one({"_id": id}, session=tx.session if tx else None)
        return _upload(found) if found else None

    async def uploads_of(self, person: str) -> list[UploadRow]:
        return [_upload(row) for row in await self._uploads.find({"by": person}).to_list(SOME)]

    async def uploads_due(self, now: datetime) -> list[UploadRow]:
        return [_upload(row) for row in await self._uploads.find({"due": {"$lte": now}}).to_list(SOME)]

    async def move_upload(self, tx: Tx, before: UploadRow, due: datetime, **changes: Any) -> bool:
        """Compare and set by state and offset; False when somebody was faster."""
        same = {"_id": before.id, "state": before.state.value, "offset": before.offset}
        result = await self._uploads.update_one(same, {"$set": {**changes, "due": due}}, session=tx.session)
        return result.matched_count == 1

    async def delete_upload(self, tx: Tx, before: UploadRow) -> bool:
        """Compare and delete; False when it has changed."""
        same = {"_id": before.id, "state": before.state.value, "offset": before.offset}
        return (await self._uploads.delete_one(same, session=tx.session)).deleted_count == 1

    async def add_part(self, tx: Tx, upload: str, offset: int, data: bytes) -> None:
        row: Document = {"_id": f"{upload}:{offset}", "upload": upload, "at": offset, "data": data}
        await self._parts.insert_one(row, session=tx.session)

    async def parts(self, upload: str) -> AsyncIterator[bytes]:
        """What has arrived, from the first byte on."""
        rows = await self._parts.find({"upload": upload}, {"at": 1}).to_list(None)
        for row in sorted(rows, key=lambda row: int(row["at"])):
            part = await self._parts.find_one({"_id": row["_id"]})
            if part is not None:
                yield bytes(part["data"])

    async def delete_parts(self, upload: str) -> None:
        await self._parts.delete_many({"upload": upload})

    # ── Jobs ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def add_job(self, tx: Tx, upload: str, at: datetime) -> None:
        await self._jobs.insert_one({"_id": upload, "node": None, "tries": 0, "at": at}, session=tx.session)

    async def jobs(self) -> list[Job]:
        """The oldest first."""
        rows = await self._jobs.find({}).to_list(None)
        return [Job(row["_id"], row["node"], row["tries"]) for row in sorted(rows, key=lambda row: row["at"])]

    async def waiting_since(self) -> list[datetime]:
        """When each of the jobs came up."""
        return [row["at"] for row in await self._jobs.find({}, {"at": 1}).to_list(None)]

    async def take_job(self, job: Job, node: str) -> bool:
        """False when another node was faster."""
        same = {"_id": job.upload, "node": job.node, "tries": job.tries}
        result = await self._jobs.update_one(same, {"$set": {"node": node, "tries": job.tries + 1}})
        return result.modified_count == 1

    async def leave_job(self, upload: str, node: str, *, tries: int) -> None:
        """Lets another node, or the next start, begin with it again."""
        await self._jobs.update_one({"_id": upload, "node": node}, {"$set": {"node": None, "tries": tries}})

    async def delete_job(self, tx: Tx, upload: str) -> None:
        await self._jobs.delete_one({"_id": upload}, session=tx.session)

    # ── Things ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def add_media(self, tx: Tx, row: MediaRow, due: datetime) -> None:
        document: Document = {
            "_id": row.id,
            "by": row.by,
            "conv": row.place,
            "facts": msgspec.to_builtins(row.facts),
            "parts": {name.value: msgspec.to_builtins(part) for name, part in row.parts.items()},
            "keys": row.keys,
            "bytes": row.bytes,
            "at": row.at,
            "entry": None,
            "due": due,
        }
        await self._media.insert_one(document, session=tx.session)

    async def media(self, id: str, tx: Tx | None = None) -> MediaRow | None:
        found = await self._media.find_one({"_id": id}, session=tx.session if tx else None)
        return _media(found) if found else None

    async def many(self, ids: Sequence[str], tx: Tx | None = None) -> dict[str, MediaRow]:
        cursor = self._media.find({"_id": {"$in": list(ids)}}, session=tx.session if tx else None)
        return {row["_id"]: _media(row) for row in await cursor.to_list(None)}

    async def media_of(self, person: str) -> list[MediaRow]:
        return [_media(row) for row in await self._media.find({"by": person}).to_list(SOME)]

    async def media_due(self, now: datetime) -> list[MediaRow]:
        return [_media(row) for row in await self._media.find({"due": {"$lte": now}}).to_list(SOME)]

    async def claim(self, tx: Tx, id: str, entry: str, due: datetime) -> bool:
        """Binds a thing to an entry that may soon be in the log; False when it is bound to another."""
        free = {"_id": id, "entry": {"$in": [None, entry]}}
        result = await self._media.update_one(free, {"$set": {"entry": entry, "due": due}}, session=tx.session)
        return result.matched_count == 1

    async def found_in_log(self, id: str, entry: str, seq: int) -> None:
        """The entry is durable: now the thing stays as long as that does."""
        await self._media.update_one({"_id": id, "entry": entry}, {"$set": {"seq": seq}, "$unset": {"due": ""}})

    async def keep_for(self, tx: Tx, id: str, keeper: str) -> bool:
        """From now on the thing stays with `keeper`, as it would with an entry; False when something has it already."""
        change: Document = {"$set": {"entry": keeper, "kept": True}, "$unset": {"due": ""}}
        result = await self._media.update_one({"_id": id, "entry": None}, change, session=tx.session)
        return result.matched_count == 1

    async def let_go(self, tx: Tx, ids: Sequence[str], due: datetime) -> None:
        change: Document = {"$set": {"entry": None, "due": due}, "$unset": {"kept": ""}}
        await self._media.update_many({"_id": {"$in": list(ids)}}, change, session=tx.session)

    async def touch(self, tx: Tx, id: str, at: datetime) -> bool:
        """Makes a transaction that relies on a thing conflict with one that deletes it."""
        result = await self._media.update_one({"_id": id}, {"$set": {"copied": at}}, session=tx.session)
        return result.matched_count == 1

    async def delete_media(self, tx: Tx, row: MediaRow, *, unsent: bool = False) -> bool:
        """`unsent`: only while no entry of the log is known to carry it and the claim is as it was."""
        same: Document = {"_id": row.id}
        if unsent:
            same |= {"entry": row.entry, "seq": {"$exists": False}}
        return (await self._media.delete_one(same, session=tx.session)).deleted_count == 1

    # ── What people have ────────────────────────────────────────────────────────────────────────────────────────────

    async def used(self, person: str) -> tuple[int, int]:
        """(bytes, open uploads)"""
        found = await self._usage.find_one({"_id": person})
        return (found["bytes"], found["open"]) if found else (0, 0)

    async def begin_usage(self, person: str) -> None:
        with suppress(Duplicate):
            await self._usage.insert_one({"_id": person, "bytes": 0, "open": 0})

    async def reserve(self, tx: Tx, person: str, size: int, quota: int, *, uploads_most: int | None = None) -> bool:
        """Counts `size` bytes, and with `uploads_most` an open upload; False when there is no room."""
        room: Document = {"_id": person, "bytes": {"$lte": quota - size}}
        more: Document = {"bytes": size}
        if uploads_most is not None:
            room["open"] = {"$lt": uploads_most}
            more["open"] = 1
        result = await self._usage.update_one(room, {"$inc": more}, session=tx.session)
        return result.matched_count == 1

    async def release(self, tx: Tx, person: str, size: int, *, uploads: int = 0) -> None:
        await self._usage.update_one({"_id": person}, {"$inc": {"bytes": -size, "open": -uploads}}, session=tx.session)

    async def end_usage(self, tx: Tx, person: str) -> None:
        await self._usage.delete_one({"_id": person}, session=tx.session)

    # ── What may be needed no more: keys of contents, and uploads whose parts are left ──────────────────────────────

    async def check(self, tx: Tx | None, names: Iterable[str], due: datetime) -> None:
        """To be looked at when it is due. What is noted already is looked at no later than before."""
        for name in names:
            row: Document = {"$min": {"due": due}}
            await self._checks.update_one({"_id": name}, row, upsert=True, session=tx.session if tx else None)

    async def keep(self, tx: Tx, keys: Sequence[str]) -> bool:
        """These contents are needed after all; False when one of them is being deleted."""
        wanted = {"_id": {"$in": list(keys)}, "gone": {"$exists": False}}
        return (await self._checks.delete_many(wanted, session=tx.session)).deleted_count == len(keys)

    async def checks_due(self, now: datetime) -> list[str]:
        return [row["_id"] for row in await self._checks.find({"due": {"$lte": now}}, {"_id": 1}).to_list(SOME)]

    async def give_up(self, key: str) -> bool:
        """From now on the content cannot be kept any more; False when it was kept meanwhile."""
        return (await self._checks.update_one({"_id": key}, {"$set": {"gone": True}})).matched_count == 1

    async def end_check(self, name: str) -> None:
        await self._checks.delete_one({"_id": name})

    async def is_used(self, key: str) -> bool:
        return await self._media.find_one({"keys": key}, {"_id": 1}) is not None

    # ── Deleted accounts ────────────────────────────────────────────────────────────────────────────────────────────

    async def add_erasure(self, tx: Tx, person: str, at: datetime) -> None:
        await self._erasures.insert_one({"_id": person, "at": at}, session=tx.session)

    async def erasures(self) -> list[tuple[str, datetime]]:
        """(person, when the account was deleted)"""
        return [(row["_id"], row["at"]) for row in await self._erasures.find({}).to_list(SOME)]

    async def end_erasure(self, person: str) -> None:
        await self._erasures.delete_one({"_id": person})


def _upload(row: Document) -> UploadRow:
    return UploadRow(
        id=row["_id"],
        by=row["by"],
        place=row["conv"],
        kind=MediaKind(row["kind"]),
        name=row["name"],
        size=row["size"],
        offset=row["offset"],
        seconds=row["seconds"],
        state=UploadState(row["state"]),
        media=row.get("media"),
        fault=FaultCode(row["fault"]) if row.get("fault") else None,
    )


def _media(row: Document) -> MediaRow:
    parts: Mapping[str, Document] = row["parts"]
    return MediaRow(
        by=row["by"],
        place=row["conv"],
        facts=msgspec.convert(row["facts"], Media),
        parts={Variant(name): Part(**part) for name, part in parts.items()},
        bytes=row["bytes"],
        at=row["at"],
        entry=row["entry"],
        seq=row.get("seq"),
        kept=row.get("kept", False),
    )
