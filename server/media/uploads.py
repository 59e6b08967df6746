"""Uploads: begun for one conversation or pledge, continued byte for byte after any interruption, given up."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

import structlog

from server.clock import Clock
from server.errors import Code, VouchError
from server.ids import new_id
from server.media import metrics, rules
from server.media.model import ID_LENGTH, MediaKind, Upload, UploadLimits, UploadState, fault
from server.media.repo import MediaRepo
from server.media.rows import MediaRow, UploadRow
from server.principals import Principal
from server.realtime.channels import Access
from server.store import Store, Tx

#: After so long without another byte an upload is given up; what was ready or refused is told of for as long.
ABANDONED = timedelta(hours=24)
#: bytes that must stay free on the disk besides what is sent
_ROOM = 1024 * rules.MIB

log = structlog.get_logger(__name__)


class Channels(Protocol):
    """What media need to know of conversations and pledges."""

    async def access(self, principal: Principal, ch: str) -> Access: ...


class Uploads:
    """Every method raises VouchError. `hurry` is called when something is to be made ready, `cleared` when something
    is needed no more; `stop_work` ends the worker of an upload that was given up."""

    def __init__(
        self, store: Store, repo: MediaRepo, clock: Clock, quota: int, disk: Path, channels: Callable[[], Channels]
    ) -> None:
        self._store = store
        self._repo = repo
        self._clock = clock
        self._quota = quota
        self._disk = disk
        self._channels = channels
        self.hurry: Callable[[], None] = lambda: None
        self.cleared: Callable[[], None] = lambda: None
        self.stop_work: Callable[[str], None] = lambda upload: None

    @property
    def _due(self) -> datetime:
        return self._clock.now() + ABANDONED

    async def limits(self, principal: Principal) -> UploadLimits:
        used, open_now = await self._repo.used(principal.id)
        return UploadLimits(
            kinds=rules.kind_limits(rules.tier(principal)),
            quota=self._quota,
            used=used,
            open=rules.OPEN_MOST - open_now,
            chunk=rules.CHUNK,
        )

    async def start(self, principal: Principal, place: str, kind: MediaKind, name: str, size: int) -> Upload:
        """Reserves room. Raises `not_found` unless the person may write there, `too_large`, `limit_reached`."""
        of = rules.tier(principal)
        rules.admit_upload(of, kind, size)
        await self.may_write(principal, place)
        if shutil.disk_usage(self._disk).free < _ROOM + size:
            log.error("no room for uploads on the disk", directory=str(self._disk))
            raise VouchError(Code.UNAVAILABLE, "There is no room for more on the server.", retry_after=600.0)
        row = UploadRow(
            id=new_id("u", ID_LENGTH),
            by=principal.id,
            place=place,
            kind=kind,
            name=rules.file_name(name),
            size=size,
            offset=0,
            seconds=rules.LIMITS[of][kind][1],
            state=UploadState.RECEIVING,
        )
        await self._repo.begin_usage(row.by)

        async def body(tx: Tx) -> None:
            if not await self._repo.reserve(tx, row.by, size, self._quota, uploads_most=rules.OPEN_MOST):
                raise VouchError(Code.LIMIT_REACHED, "There is no room left for more of your files.")
            await self._repo.add_upload(tx, row, self._due)

        await self._store.transact(body)
        return self._told(row)

    async def may_write(self, principal: Principal, place: str) -> None:
        """Raises `not_found` for others, `silenced` for who may not at present, `closed` where nobody writes."""
        access = await self._channels().access(principal, rules.channel_of(place))
        if not access.read:
            raise VouchError(Code.NOT_FOUND)
        if not access.write:
            raise VouchError(Code.SILENCED if access.silenced_until else Code.CLOSED)

    async def append(self, person: str, id: str, at: int, data: bytes) -> Upload:
        """Keeps the next bytes, durably, all or none of them. Raises `conflict` when `at` is not the offset."""
        row = await self._own(person, id)
        offset = rules.advance(row.state, row.offset, row.size, at, len(data))
        whole = offset == row.size
        state = UploadState.PROCESSING if whole else UploadState.RECEIVING

        async def body(tx: Tx) -> None:
            if not await self._repo.move_upload(tx, row, self._due, offset=offset, state=state.value):
                raise VouchError(Code.CONFLICT, field="offset")
            await self._repo.add_part(tx, id, at, data)
            if whole:
                await self._repo.add_job(tx, id, self._clock.now())
                tx.on_commit(self.hurry)

        await self._store.transact(body)
        metrics.RECEIVED.inc(len(data))
        return await self.get(person, id)

    async def get(self, person: str, id: str) -> Upload:
        row = await self._own(person, id)
        media = await self._repo.media(row.media) if row.media else None
        return self._told(row, media)

    async def cancel(self, person: str, id: str) -> None:
        """Gives it up, also when it is ready. Raises `conflict` once a message carries it."""
        row = await self._own(person, id)
        media = await self._repo.media(row.media) if row.media else None
        if media is not None and media.entry is not None:
            raise VouchError(Code.CONFLICT, "A message carries it: delete that.")
        await self.give_up(row, media)

    async def give_up(self, row: UploadRow, media: MediaRow | None = None) -> None:
        """Deletes the upload as it is known, and a thing that nobody has sent. Raises `conflict` if it has changed."""

        async def body(tx: Tx) -> None:
            if not await self._repo.delete_upload(tx, row):
                raise VouchError(Code.CONFLICT)
            if row.state in (UploadState.RECEIVING, UploadState.PROCESSING):
                await self._repo.release(tx, row.by, row.size, uploads=1)
                await self._repo.delete_job(tx, row.id)
                await self._repo.check(tx, [row.id], self._clock.now())
            if media is not None:
                if not await self._repo.delete_media(tx, media, unsent=True):
                    raise VouchError(Code.CONFLICT)
                await self._repo.release(tx, row.by, media.bytes)
                await self._repo.check(tx, media.keys, self._clock.now())
            tx.on_commit(self.cleared)

        await self._store.transact(body)
        self.stop_work(row.id)

    async def _own(self, person: str, id: str) -> UploadRow:
        row = await self._repo.upload(id)
        if row is None or row.by != person:
            raise VouchError(Code.NOT_FOUND)
        return row

    def _told(self, row: UploadRow, media: MediaRow | None = None) -> Upload:
        return Upload(
            id=row.id,
            offset=row.offset,
            size=row.size,
            state=row.state,
            chunk=rules.CHUNK,
            media=media.facts if media else None,
            fault=fault(row.fault) if row.fault else None,
        )
