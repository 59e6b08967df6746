"""The front door of the domain: what is sent beside words in conversations and pledges (R-32).

A thing is uploaded for one of them, its *place*, made harmless, then bound to one entry of its log (`claim`). From then
on those may read it who may read that entry; it goes when the entry's words go. What is evidence of a pledge is bound
to that (`keeping`) and stays.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec.structs import replace

from server.clock import Clock
from server.errors import Code, VouchError
from server.ids import new_id
from server.media import metrics, rules
from server.media.blobs import DatabaseBlobs
from server.media.janitor import Janitor
from server.media.keeping import Keeping
from server.media.making import Making
from server.media.model import ID_LENGTH, Media, MediaKind, Upload, Variant
from server.media.processing import UNSENT, Processing
from server.media.repo import MediaRepo
from server.media.rows import MediaRow, Part
from server.media.scratch import Scratch
from server.media.uploads import Channels, Uploads
from server.media.workshop import Workshop
from server.principals import Principal
from server.realtime.background import Background
from server.realtime.channels import split
from server.realtime.protocol import Entry
from server.store import Document, Store, Tx


class Log(Protocol):
    """What media need to know of the log: which of these rows are in it, by their ids."""

    async def by_ids(self, ids: Sequence[str]) -> dict[str, Document]: ...


class Content(msgspec.Struct, frozen=True):
    """One variant, to be given out. `etag` never stands for anything else; `name` is what to save it under."""

    kind: MediaKind
    name: str
    type: str
    size: int
    etag: str
    read: Callable[[int, int], AsyncIterator[bytes]]


class MediaService:
    """`uploads` is for the HTTP edge, `keeping` for evidence, `making` for what the server itself has made; the
    methods for both and for conversations."""

    def __init__(
        self,
        *,
        store: Store,
        log: Log,
        clock: Clock,
        node: str,
        scratch: Path,
        quota: int,
        channels: Callable[[], Channels],
        other_nodes: Callable[[], set[str]],
        workshop: Workshop | None = None,
    ) -> None:
        self._store = store
        self._log = log
        self._clock = clock
        self._quota = quota
        self._channels = channels
        self._repo = MediaRepo(store)
        self._blobs = DatabaseBlobs(store, clock)
        self._scratch = Scratch(scratch, node)
        self._background = Background()
        self.workshop = workshop or Workshop()
        self.keeping = Keeping(store, clock)
        self.making = Making(store, clock, quota)
        self.uploads = Uploads(store, self._repo, clock, quota, scratch.parent, channels)
        self.processing = Processing(
            store, self._repo, self._blobs, self.workshop, clock, self._scratch.path, node, other_nodes
        )
        self.janitor = Janitor(store, self._repo, self._blobs, self.uploads, clock, self._is_sent)
        self.uploads.hurry = self.processing.hurry
        self.uploads.cleared = self.processing.cleared = self.janitor.rounds.hurry
        self.uploads.stop_work = self.workshop.end

    async def start(self) -> None:
        await self._repo.ensure_indexes()
        await self._blobs.ensure_indexes()
        self._scratch.open()
        self.processing.start()
        self.janitor.rounds.start()

    async def stop(self) -> None:
        await self._background.stop()
        await self.processing.stop()
        await self.janitor.rounds.stop()
        await self.workshop.stop()
        self._scratch.close()

    async def begin(self, principal: Principal, place: str, kind: MediaKind, name: str, size: int) -> Upload:
        """Begins an upload, and gets a worker ready where one will have to do with it soon."""
        begun = await self.uploads.start(principal, place, kind, name, size)
        if kind is not MediaKind.FILE:
            self._background.spawn(self.workshop.warm(), "media worker")
        return begun

    async def used(self, person: str) -> int:
        """Bytes that a person's uploads take."""
        return (await self._repo.used(person))[0]

    # ── For messages ────────────────────────────────────────────────────────────────────────────────────────────────

    async def claim(self, person: str, place: str, entry_id: str, facts: Sequence[Media]) -> None:
        """Binds things to the entry about to be appended (`entry_id`: the sender's id of it). Again is harmless.

        Raises `not_found` for what is not the person's, not ready or not for this place, `bad_request` when the
        facts are not those that were given, `conflict` when another entry carries it.
        """
        entry = f"{person}:{entry_id}"
        due = self._clock.now() + UNSENT

        async def body(tx: Tx) -> None:
            rows = await self._repo.many([fact.id for fact in facts], tx)
            for fact in facts:
                row = rows.pop(fact.id, None)  # and so naming one twice fails as well
                if row is None or row.by != person or row.place != place:
                    raise VouchError(Code.NOT_FOUND, "This was not uploaded for this message.", field="body.media")
                if row.facts != fact:
                    raise VouchError(Code.BAD_REQUEST, "These are not the facts of the upload.", field="body.media")
                if row.entry != entry and not await self._repo.claim(tx, row.id, entry, due):
                    raise VouchError(Code.CONFLICT, "Another message carries this.", field="body.media")

        await self._store.transact(body)

    async def copy(self, principal: Principal, id: str, place: str) -> Media:
        """The same thing for another place, to be forwarded; the contents are shared. Raises VouchError."""
        await self._readable(principal, id)
        await self.uploads.may_write(principal, place)
        await self._repo.begin_usage(principal.id)
        now = self._clock.now()

        async def body(tx: Tx) -> Media:
            source = await self._repo.media(id, tx)
            if source is None or not await self._repo.touch(tx, id, now):  # or it could be deleted at this moment
                raise VouchError(Code.NOT_FOUND)
            if not await self._repo.reserve(tx, principal.id, source.bytes, self._quota):
                raise VouchError(Code.LIMIT_REACHED, "There is no room left for more of your files.")
            facts = replace(source.facts, id=new_id("m", ID_LENGTH))
            made = replace(source, by=principal.id, place=place, facts=facts, at=now, entry=None, seq=None, kept=False)
            await self._repo.add_media(tx, made, now + UNSENT)
            return facts

        return await self._store.transact(body)

    # ── For readers ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def open(self, principal: Principal, id: str, variant: Variant) -> Content:
        """Raises `not_found` for who may not read it, as for what does not exist."""
        return self._content(await self._readable(principal, id), variant)

    async def content(self, id: str, variant: Variant) -> Content:
        """For a domain that decides by itself who may read it. Raises `not_found` for what does not exist."""
        row = await self._repo.media(id)
        if row is None:
            raise VouchError(Code.NOT_FOUND)
        return self._content(row, variant)

    def _content(self, row: MediaRow, variant: Variant) -> Content:
        part: Part | None = row.parts.get(variant)
        if part is None:
            raise VouchError(Code.NOT_FOUND)
        key = part.key
        return Content(
            kind=row.facts.kind,
            name=row.facts.name,
            type=part.type,
            size=part.size,
            etag=key.removeprefix("b_"),
            read=lambda first, length: self._read(key, first, length),
        )

    async def _read(self, key: str, first: int, length: int) -> AsyncIterator[bytes]:
        async for piece in self._blobs.read(key, first, length):
            metrics.SENT.inc(len(piece))
            yield piece

    async def _readable(self, principal: Principal, id: str) -> MediaRow:
        row = await self._repo.media(id)
        if row is None:
            raise VouchError(Code.NOT_FOUND)
        if row.by == principal.id:
            return row
        access = await self._channels().access(principal, rules.channel_of(row.place))
        if not access.read:
            raise VouchError(Code.NOT_FOUND)
        if row.kept:
            return row
        seq = row.seq if row.seq is not None else await self._seq(row)
        if seq is None or seq < access.first:
            raise VouchError(Code.NOT_FOUND)
        return row

    async def _seq(self, row: MediaRow) -> int | None:
        """Whoever sees the message at once may be faster than the follower."""
        found = (await self._log.by_ids([row.entry])).get(row.entry) if row.entry else None
        if found is None or found.get("gone") or row.entry is None:
            return None
        seq = int(found["seq"])
        await self._repo.found_in_log(row.id, row.entry, seq)
        return seq

    async def _is_sent(self, row: MediaRow) -> bool:
        return await self._seq(row) is not None

    # ── What the log and other domains tell us ──────────────────────────────────────────────────────────────────────

    #: as a Follower of the log
    name = "media"
    kinds = frozenset({"conv", "pledge"})

    async def follow(self, ch: str, entries: Sequence[Entry]) -> None:
        """Notes under which number a thing is in the log."""
        for entry in entries:
            for id in _named(entry):
                await self._repo.found_in_log(id, f"{entry.by}:{entry.id}", entry.seq)

    async def on_scrub(self, ch: str, entries: Sequence[Entry]) -> None:
        """The words of these entries are about to be erased: what they carry goes first."""
        _, place = split(ch)
        ids = [id for entry in entries for id in _named(entry)]
        rows = await self._repo.many(ids) if ids else {}
        carriers = {f"{entry.by}:{entry.id}" for entry in entries}
        for row in rows.values():
            if row.place == place and row.entry in carriers:
                await self.janitor.delete(row)

    async def on_delete(self, tx: Tx, person: str) -> None:
        """An account is deleted: everything of this person's goes, also what no message carries."""
        await self._repo.add_erasure(tx, person, self._clock.now())
        await self._repo.end_usage(tx, person)
        tx.on_commit(self.janitor.rounds.hurry)


def _named(entry: Entry) -> list[str]:
    """The ids of what an entry carries."""
    return [thing["id"] for thing in entry.body.get("media", ())] if entry.kind == "message" else []
