"""What holds for recordings whatever comes between: no stale wish, no wait for files, nothing left on a disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import pytest

from server.calls.model import Call, RecordingState
from server.store import StoreError
from server.store.blobs import Bucket
from tests.calls.conftest import Switchboard
from tests.calls.test_media import recorded
from tests.conftest import eventually


class Slow:
    """The bucket of recordings, which takes nothing before it is told to."""

    def __init__(self, board: Switchboard, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()
        self._real = board.calls.recordings._bucket.put
        monkeypatch.setattr(Bucket, "put", self._put)

    async def _put(self, key: str, pieces: AsyncIterator[bytes], now: datetime) -> int:
        self.asked.set()
        await self.go_on.wait()
        return await self._real(key, pieces, now)


async def test_who_looked_before_somebody_withdrew_does_not_begin_it_again(
    board: Switchboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, ann, tom = await recorded(board)
    media = board.calls.media
    looked, go_on = asyncio.Event(), asyncio.Event()
    real = media._repo.get

    async def slowly(id: str, *more: Any) -> Call | None:
        found = await real(id, *more)
        if not looked.is_set():
            looked.set()
            await go_on.wait()
        return found

    monkeypatch.setattr(media._repo, "get", slowly)
    late = asyncio.create_task(media.reconcile(call))
    await looked.wait()
    await board.calls.recordings.consent(board.who(tom), call, False)
    await asyncio.wait(board.calls.keeper._background._tasks, timeout=1)
    go_on.set()
    await late
    await board.settle()
    assert board.plane.recording == {}
    assert board.calls.recordings._running == {}
    [view] = (await board.calls.recordings.of(board.who(ann), call)).recordings
    assert view.ended is not None


async def test_the_end_of_a_call_does_not_wait_for_its_files(
    board: Switchboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, ann, _ = await recorded(board)
    slow = Slow(board, monkeypatch)
    await board.calls.end(board.who(ann), call)
    await slow.asked.wait()
    await eventually(lambda: board.plane.links == {})
    await board.calls.keeper.look()  # nor does anybody else's call
    await board.calls.recordings.tidy()  # and nobody takes them a second time
    slow.go_on.set()
    await board.settle()
    [view] = (await board.calls.recordings.of(board.who(ann), call)).recordings
    assert (view.reason, len(view.files)) == ("stopped", 2)


async def test_after_a_workers_death_people_do_not_wait_for_files_either(
    board: Switchboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, ann, _ = await recorded(board)
    _, _, directory = board.plane.recording[call]
    (directory / f"{ann}.mkv.part").write_bytes(b"half")
    slow = Slow(board, monkeypatch)
    board.plane.die(call)
    await slow.asked.wait()
    after = await board.calls.changes.get(call)
    assert (after.epoch, after.recording.state) == (2, RecordingState.OFF)
    assert not any(seat.agrees for seat in after.seats)
    slow.go_on.set()
    await board.settle()
    [view] = (await board.calls.recordings.of(board.who(ann), call)).recordings
    assert (view.reason, [file.bytes for file in view.files]) == ("failed", [4])


async def test_with_the_media_at_another_node_nothing_is_recorded_there_unasked(board: Switchboard) -> None:
    call, ann, tom = await recorded(board)
    await board.services.store.collection("calls").update_one({"_id": call}, {"$set": {"place": "n_gone"}})
    board.plane.recording.clear()
    board.calls.recordings._running.clear()
    await board.calls.keeper.take_over("n_gone")
    await board.connect(ann, call, epoch=2)
    await board.settle()
    await board.calls.keeper.look()
    assert board.plane.recording == {}
    assert (await board.view_of(tom, call)).can.count("record") == 1, "everybody is asked anew"


async def test_what_could_not_be_kept_is_kept_in_the_next_round(
    board: Switchboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, ann, _ = await recorded(board)
    with monkeypatch.context() as patch:

        async def away(*_: object) -> int:
            raise StoreError("away")

        patch.setattr(Bucket, "put", away)
        await board.calls.end(board.who(ann), call)
        await board.settle()
    [view] = (await board.calls.recordings.of(board.who(ann), call)).recordings
    assert view.ended is None
    await board.calls.recordings.tidy()
    [view] = (await board.calls.recordings.of(board.who(ann), call)).recordings
    assert (view.ended is not None, len(view.files)) == (True, 2)


async def test_no_file_stays_on_a_disk_that_is_in_the_database_or_was_deleted(board: Switchboard) -> None:
    call, ann, _ = await recorded(board)
    recording, _, directory = board.plane.recording[call]
    other = directory.parent
    await board.calls.recordings.tidy()
    assert directory.is_dir(), "it goes on"
    await board.calls.end(board.who(ann), call)
    await board.settle()
    for name in (recording, "cr_" + "0" * 20):  # as of a node that died, and came back after it was given up
        (other / name).mkdir()
        (other / name / f"{ann}.mkv").write_bytes(b"somebody")
    (other / "mine").mkdir()
    await board.calls.recordings.tidy()
    assert [path.name for path in other.iterdir()] == ["mine"]
