"""Connections, views, recordings and snapshots: at the node that has the media, and closed when a right is lost."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from server.calls import wire
from server.calls.model import RecordingState
from server.calls.neighbours import Parties
from server.calls.views import AnswerSnapshot, ChangeSeat, NewConnection, SetView, SlotWanted, TakeSnapshot
from server.calls.wire import MAX_SDP, Direction, Layer, Slot, Track
from server.errors import Code
from server.realtime.protocol import SignalEvent
from tests.calls.conftest import OFFER, Switchboard
from tests.calls.test_service import refusal
from tests.chat.conftest import PASSWORD
from tests.wire.client import client_id


async def test_media_belong_to_the_sign_in_that_has_the_seat(board: Switchboard) -> None:
    ann, tom = await board.friends("ann", "tom")
    call = await board.joined(await board.direct(ann, tom), ann, tom)
    for direction in Direction:
        await board.connect(ann, call.id, direction)
    first = await board.connect(tom, call.id)
    again = await board.connect(tom, call.id)
    assert board.plane.people(call.id) == sorted([(ann, "publish"), (ann, "watch"), (tom, "publish")])
    assert list(board.calls.media.links(call.id)) != [first]
    assert again in board.calls.media.links(call.id)
    assert await refusal(board.connect(tom, call.id, device="2")) is Code.CONFLICT
    await board.calls.accept(board.who(tom, "2"), call.id)
    await board.settle()
    assert board.plane.people(call.id) == [(ann, "publish"), (ann, "watch")]
    assert await refusal(board.connect(tom, call.id)) is Code.CONFLICT
    await board.connect(tom, call.id, device="2")
    await board.calls.end(board.who(ann), call.id)
    await board.settle()
    assert board.plane.links == {}
    assert board.calls.media.calls == []
    assert await refusal(board.connect(ann, call.id)) is Code.CONFLICT


async def test_what_is_refused_has_a_stable_code(board: Switchboard) -> None:
    ann, tom = await board.friends("ann", "tom")
    call = await board.joined(await board.direct(ann, tom), ann, tom)
    assert await refusal(board.connect(ann, call.id, offer="x" * (MAX_SDP + 1))) is Code.TOO_LARGE
    assert await refusal(board.connect(ann, call.id, offer="nonsense")) is Code.BAD_OFFER
    assert await refusal(board.connect(ann, call.id, epoch=7)) is Code.STALE
    for code in ("unavailable", "lost", "full", "failed"):
        board.plane.refuses = code
        assert await refusal(board.connect(ann, call.id)) is Code.UNAVAILABLE


async def test_only_ones_own_connections_are_closed_and_changed(board: Switchboard) -> None:
    ann, tom, max_ = await board.friends("ann", "tom", "max")
    call = await board.joined(await board.group(ann, tom, max_), ann, tom)
    theirs, mine = await board.connect(ann, call.id), await board.connect(tom, call.id, Direction.WATCH)
    wanted = SetView([SlotWanted(0, ann, Track.CAMERA, Layer.LARGE), SlotWanted(1, max_), SlotWanted(2, tom)])
    connections = board.calls.connections
    for someone, which in ((tom, theirs), (tom, "cx_" + "0" * 20)):
        assert await refusal(connections.disconnect(board.who(someone), call.id, which)) is Code.NOT_FOUND
        assert await refusal(connections.view(board.who(someone), call.id, which, wanted)) is Code.NOT_FOUND
    assert await refusal(connections.view(board.who(ann), call.id, theirs, wanted)) is Code.CONFLICT
    assert await refusal(connections.view(board.who(max_), call.id, mine, wanted)) is Code.CONFLICT
    await connections.view(board.who(tom), call.id, mine, wanted)
    assert board.plane.views[mine] == (Slot(0, ann, Track.CAMERA, Layer.LARGE),)  # nobody who is not there
    await connections.disconnect(board.who(tom), call.id, mine)
    assert board.plane.people(call.id) == [(ann, "publish")]


async def test_who_is_seen_is_told_whatever_the_viewer_says(board: Switchboard) -> None:
    """The bar "you are being watched by …" follows what flows (R-14)."""
    ann, tom, max_ = await board.friends("ann", "tom", "max")
    call = await board.joined(await board.group(ann, tom, max_), ann, tom, max_)
    mine = await board.connect(tom, call.id, Direction.WATCH)
    connections, me = board.calls.connections, board.who(tom)

    async def watched(person: str) -> list[str]:
        await board.settle()
        return (await board.view_of(person, call.id)).watched_by

    await connections.view(me, call.id, mine, SetView([SlotWanted(0, ann), SlotWanted(1, max_, Track.VOICE)]))
    assert (await watched(ann), await watched(max_)) == ([tom], []), "a voice is heard, not seen"
    await board.calls.leave(board.who(ann), call.id)
    assert await watched(ann) == []
    await board.calls.accept(board.who(ann), call.id)
    assert await watched(ann) == [tom], "her picture flows to him as soon as she shows it"
    await board.calls.change_seat(me, call.id, ChangeSeat(watching=[]))
    assert await watched(ann) == [tom], "and cannot be denied"
    board.plane.refuses = "failed"
    refused = connections.view(me, call.id, mine, SetView([SlotWanted(0, max_)]))
    assert await refusal(refused) is Code.UNAVAILABLE
    assert (await watched(ann), await watched(max_)) == ([tom], [tom]), "nobody knows what flows"
    board.plane.refuses = ""
    await connections.view(me, call.id, mine, SetView([SlotWanted(0, max_, Track.SCREEN)]))
    assert (await watched(ann), await watched(max_)) == ([], [tom])
    board.plane.on_news(wire.Down(call.id, mine, "timeout"))
    assert await watched(max_) == []
    mine = await board.connect(tom, call.id, Direction.WATCH)
    await connections.view(me, call.id, mine, SetView([SlotWanted(0, ann, Track.SMALL)]))
    assert await watched(ann) == [tom]
    await connections.disconnect(me, call.id, mine)
    assert await watched(ann) == []


async def test_what_is_told_of_watching_keeps_the_order_of_what_flows(
    board: Switchboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two views at once, or one while the connection before it ends, hide nobody who looks."""
    ann, tom = await board.friends("ann", "tom")
    call = await board.joined(await board.direct(ann, tom), ann, tom)
    mine = await board.connect(tom, call.id, Direction.WATCH)
    real, busy, most = board.plane.view, 0, 0

    async def view(*asked: Any) -> None:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await board.calls.changes.get(call.id)
        await real(*asked)
        busy -= 1

    monkeypatch.setattr(board.plane, "view", view)
    wanted = [SetView([SlotWanted(0, ann)]), SetView([])] * 3
    await asyncio.gather(*(board.calls.connections.view(board.who(tom), call.id, mine, one) for one in wanted))
    assert most == 1
    board.plane.on_news(wire.Down(call.id, mine, "timeout"))
    mine = await board.connect(tom, call.id, Direction.WATCH)
    await board.calls.connections.view(board.who(tom), call.id, mine, SetView([SlotWanted(0, ann)]))
    await board.settle()
    assert (await board.view_of(ann, call.id)).watched_by == [tom]


async def test_a_worker_that_dies_raises_the_epoch_and_everybody_connects_anew(board: Switchboard) -> None:
    ann, tom = await board.friends("ann", "tom")
    call = await board.joined(await board.direct(ann, tom), ann, tom)
    await board.connect(ann, call.id, epoch=1)
    board.plane.die(call.id)
    await board.settle()
    after = await board.calls.repo.get(call.id)
    assert after
    assert (after.epoch, after.over) == (2, False)
    assert await refusal(board.connect(ann, call.id, epoch=1)) is Code.STALE
    await board.connect(ann, call.id, epoch=2)
    assert board.plane.people(call.id) == [(ann, "publish")]


async def test_put_out_while_connecting(board: Switchboard) -> None:
    """The right is looked at once more when the media are there."""
    ann, tom, max_ = await board.friends("ann", "tom", "max")
    call = await board.joined(await board.group(ann, tom, max_), ann, tom, max_)
    opened, going_on = asyncio.Event(), asyncio.Event()
    real = board.plane.open

    async def slowly(call: str) -> None:
        opened.set()
        await going_on.wait()
        await real(call)

    board.plane.open = slowly  # type: ignore[method-assign]
    connecting = asyncio.create_task(board.connect(tom, call.id))
    await opened.wait()
    await board.calls.remove(board.who(ann), call.id, tom)
    await board.settle()
    going_on.set()
    assert await refusal(connecting) is Code.CONFLICT
    assert board.plane.people(call.id) == []


async def test_the_quality_of_lines_is_told_to_who_is_there(board: Switchboard) -> None:
    ann, tom = await board.friends("ann", "tom")
    call = await board.joined(await board.direct(ann, tom), ann, tom)
    told: list[SignalEvent] = []
    board.hub.teller.announce_signal = told.append  # type: ignore[method-assign, assignment]
    board.plane.on_news(wire.Line(call.id, tom, 2.5, 900_000))
    [event] = told
    assert (event.ch, event.kind, event.body) == (call.ch, "line", {"person": tom, "loss": 2.5, "bitrate": 900_000})
    connection = await board.connect(tom, call.id)
    board.plane.on_news(wire.Down(call.id, connection, "timeout"))
    assert board.calls.media.links(call.id) == {}


# ── Recordings ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def recorded(board: Switchboard) -> tuple[str, str, str]:
    """A call of two that is being recorded: the call, and its people."""
    ann, tom = await board.friends("ann", "tom")
    call = await board.joined(await board.direct(ann, tom), ann, tom)
    await board.connect(ann, call.id)
    for person in (ann, tom):
        await board.calls.recordings.consent(board.who(person), call.id, True)
    await board.settle()
    return call.id, ann, tom


async def test_a_recording_begins_when_all_agree_ends_when_one_withdraws_and_any_of_them_deletes_it(
    board: Switchboard,
) -> None:
    call, ann, tom = await recorded(board)
    recording, people, directory = board.plane.recording[call]
    assert people == (ann, tom)
    assert (await board.view_of(tom, call)).recording.state is RecordingState.ON
    recordings = board.calls.recordings
    assert await refusal(recordings.delete(board.who(tom), recording)) is Code.CONFLICT
    assert await refusal(recordings.read(board.who(tom), recording, 0)) is Code.NOT_FOUND
    await recordings.consent(board.who(tom), call, False)
    await board.settle()
    assert board.plane.recording == {}
    assert not directory.exists()
    [view] = (await recordings.of(board.who(ann), call)).recordings
    assert (view.reason, [(file.n, file.bytes) for file in view.files]) == ("stopped", [(0, len(ann)), (1, len(tom))])
    for n, file in enumerate(view.files):
        content = await recordings.read(board.who(ann), recording, n)
        assert b"".join([piece async for piece in content.read(0, content.size)]) == file.person.encode()
    [eve] = await board.people("eve")
    for refused in (
        recordings.read(board.who(eve), recording, 0),
        recordings.read(board.who(ann), recording, 2),
        recordings.delete(board.who(eve), recording),
    ):
        assert await refusal(refused) is Code.NOT_FOUND
    await recordings.delete(board.who(tom), recording)
    assert (await recordings.of(board.who(ann), call)).recordings == []
    assert await refusal(recordings.read(board.who(ann), recording, 0)) is Code.NOT_FOUND


async def test_the_end_of_a_call_ends_its_recording(board: Switchboard) -> None:
    call, ann, _ = await recorded(board)
    await board.calls.end(board.who(ann), call)
    await board.settle()
    [view] = (await board.calls.recordings.of(board.who(ann), call)).recordings
    assert view.reason == "stopped"
    assert len(view.files) == 2


async def test_a_recording_that_ends_by_itself_is_told_and_kept(board: Switchboard) -> None:
    call, ann, tom = await recorded(board)
    recording, _, directory = board.plane.recording[call]
    (directory / f"{ann}.mkv").write_bytes(b"all that fits")
    board.plane.on_news(wire.RecordingEnded(call, recording, "full"))
    await board.settle()
    view = await board.view_of(tom, call)
    assert (view.recording.state, [seat.agrees for seat in view.seats]) == (RecordingState.OFF, [False, False])
    [kept] = (await board.calls.recordings.of(board.who(ann), call)).recordings
    assert (kept.reason, [file.bytes for file in kept.files]) == ("full", [13])


async def test_what_a_crash_has_left_is_found(board: Switchboard) -> None:
    call, ann, _ = await recorded(board)
    recording, _, directory = board.plane.recording.pop(call)
    (directory / f"{ann}.mkv.part").write_bytes(b"half")
    board.calls.recordings._running.clear()
    rows = board.services.store.collection("call_recordings")
    await rows.update_one({"_id": recording}, {"$set": {"node": "n_gone"}})
    await board.calls.recordings.tidy()
    [kept] = (await board.calls.recordings.of(board.who(ann), call)).recordings
    assert (kept.reason, [(file.person, file.bytes) for file in kept.files]) == ("failed", [(ann, 4)])
    await rows.update_one({"_id": recording}, {"$set": {"ended": None, "open": True, "node": "n_lost"}})
    await board.calls.recordings.tidy()
    assert (await board.calls.recordings.of(board.who(ann), call)).recordings[0].ended is None
    board.clock.at += timedelta(hours=2)
    await board.calls.recordings.tidy()
    assert (await board.calls.recordings.of(board.who(ann), call)).recordings[0].reason == "failed"


async def test_with_an_account_go_its_recordings(board: Switchboard) -> None:
    call, _, tom = await recorded(board)
    recording = board.plane.recording[call][0]
    await board.services.people.accounts.delete(tom, PASSWORD)
    await board.settle()
    await board.calls.keeper.look()
    await board.calls.recordings.tidy()
    assert (await board.calls.repo.get(call)).over  # type: ignore[union-attr]
    assert await board.services.store.collection("call_recordings").find_one({"_id": recording}) is None
    assert await board.calls.recordings._bucket.size(f"{recording}/0") is None


# ── Snapshots ───────────────────────────────────────────────────────────────────────────────────────────────────────


class Darkroom:
    """What becomes a proof, and what is told of it. `parties`: of the pledge that calls are about."""

    def __init__(self, board: Switchboard, *parties: str) -> None:
        self.made: list[dict[str, str]] = []
        self.told: list[SignalEvent] = []
        board.hub.teller.announce_signal = self.told.append  # type: ignore[method-assign, assignment]
        snapshots = board.calls.snapshots
        snapshots._near = dataclasses.replace(snapshots._near, pictures=self._picture, parties=self._parties)
        self.parties = Parties(parties[0], frozenset(parties[1:]), True) if parties else None

    async def _picture(self, picture: wire.Picture, **facts: str) -> str:
        assert picture.width == 64
        if facts not in self.made:
            self.made.append(facts)
        return f"pf_{self.made.index(facts)}"

    async def _parties(self, _: str) -> Parties | None:
        return self.parties


async def about_a_pledge(board: Switchboard, call: str) -> None:
    await board.services.store.collection("calls").update_one({"_id": call}, {"$set": {"pledge": "g_1"}})


async def test_of_a_pledge_a_picture_is_taken_once_and_told(board: Switchboard) -> None:
    ann, tom = await board.friends("ann", "tom")
    call = await board.joined(await board.direct(ann, tom), ann, tom)
    room = Darkroom(board, ann, tom)
    key = client_id()
    wanted = TakeSnapshot(ann, key)
    take = board.calls.snapshots.take
    assert await refusal(take(board.who(tom), call.id, wanted)) is Code.FORBIDDEN  # it is about no pledge
    await about_a_pledge(board, call.id)
    assert await refusal(take(board.who(tom), call.id, wanted)) is Code.CONFLICT  # the camera is off
    await board.calls.change_seat(board.who(ann), call.id, ChangeSeat(camera=True))
    assert await refusal(take(board.who(tom), call.id, wanted)) is Code.CONFLICT  # and nothing comes from it
    await board.connect(ann, call.id)
    assert await refusal(take(board.who(tom, "2"), call.id, wanted)) is Code.CONFLICT
    first = await take(board.who(tom), call.id, wanted)
    assert await take(board.who(tom), call.id, wanted) == first
    assert room.made == [{"person": ann, "by": tom, "pledge": "g_1", "call": call.id, "key": key}]
    assert [event.body for event in room.told] == [{"person": ann, "by": tom, "proof": "pf_0"}]
    assert await refusal(take(board.who(tom), call.id, TakeSnapshot(tom, key))) is Code.IDEMPOTENCY_CONFLICT
    assert await refusal(take(board.who(tom), call.id, TakeSnapshot(tom, client_id()))) is Code.FORBIDDEN
    for parties in (Parties(ann, frozenset({tom}), False), None):  # not agreed, or over; gone
        room.parties = parties
        assert await refusal(take(board.who(tom), call.id, TakeSnapshot(ann, client_id()))) is Code.FORBIDDEN


async def test_without_a_pledge_whoever_is_shown_is_asked_and_their_yes_takes_the_picture(board: Switchboard) -> None:
    ann, tom = await board.friends("ann", "tom")
    call = await board.joined(await board.direct(ann, tom), ann, tom)
    room = Darkroom(board)
    snapshots, key = board.calls.snapshots, client_id()
    wanted = TakeSnapshot(ann, key)
    assert await refusal(snapshots.ask(board.who(tom), call.id, wanted)) is Code.CONFLICT  # the camera is off
    await board.calls.change_seat(board.who(ann), call.id, ChangeSeat(camera=True))
    await board.connect(ann, call.id)
    assert await refusal(snapshots.take(board.who(tom), call.id, wanted)) is Code.FORBIDDEN
    first, again = [await snapshots.ask(board.who(tom), call.id, wanted) for _ in range(2)]
    assert again == first
    [asked] = (await board.view_of(ann, call.id)).asks
    assert (asked.by, asked.person, asked.state, asked.until - asked.since) == (tom, ann, "asked", 60_000)
    assert room.made == [], "nobody has said yes"
    yes = AnswerSnapshot(asked.id, True)
    assert await refusal(snapshots.answer(board.who(tom), call.id, yes)) is Code.FORBIDDEN
    assert await refusal(snapshots.answer(board.who(ann, "2"), call.id, yes)) is Code.CONFLICT
    one, _ = await asyncio.gather(*(snapshots.answer(board.who(ann), call.id, yes) for _ in range(2)))
    assert await snapshots.answer(board.who(ann), call.id, yes) == one
    assert room.made == [{"person": ann, "by": tom, "pledge": "", "call": call.id, "key": asked.id}]
    assert [event.body for event in room.told] == [{"person": ann, "by": tom, "proof": "pf_0"}]
    [done] = (await board.view_of(tom, call.id)).asks
    assert (done.state, done.proof) == ("taken", "pf_0")


async def test_a_no_is_no_and_a_picture_that_does_not_come_leaves_the_question(board: Switchboard) -> None:
    ann, tom, max_ = await board.friends("ann", "tom", "max")
    call = await board.joined(await board.group(ann, tom, max_), ann, tom, max_)
    room = Darkroom(board, ann, max_)
    await about_a_pledge(board, call.id)
    await board.calls.change_seat(board.who(ann), call.id, ChangeSeat(camera=True))
    snapshots = board.calls.snapshots
    ask = TakeSnapshot(ann, client_id())
    assert await refusal(snapshots.ask(board.who(max_), call.id, ask)) is Code.FORBIDDEN, "he takes it at once"
    question = (await snapshots.ask(board.who(tom), call.id, ask)).asks[0].id
    assert (await board.view_of(max_, call.id)).asks == [], "it is the two's"
    assert await refusal(snapshots.answer(board.who(max_), call.id, AnswerSnapshot(question, True))) is Code.NOT_FOUND
    assert await refusal(snapshots.answer(board.who(ann), call.id, AnswerSnapshot(question, True))) is Code.CONFLICT
    assert [one.state for one in (await board.view_of(tom, call.id)).asks] == ["asked"]
    await board.connect(ann, call.id)
    await snapshots.answer(board.who(ann), call.id, AnswerSnapshot(question, False))
    assert await refusal(snapshots.answer(board.who(ann), call.id, AnswerSnapshot(question, True))) is Code.CONFLICT
    assert await refusal(snapshots.ask(board.who(tom), call.id, TakeSnapshot(ann, client_id()))) is Code.CONFLICT
    board.clock.pass_by(seconds=60)
    await board.calls.keeper.look()
    assert (await board.view_of(tom, call.id)).asks == []
    await snapshots.ask(board.who(tom), call.id, TakeSnapshot(ann, client_id()))
    assert room.made == []


async def test_an_offer_of_another_epoch_is_not_even_looked_at(board: Switchboard) -> None:
    ann, tom = await board.friends("ann", "tom")
    call = await board.joined(await board.direct(ann, tom), ann, tom)
    wanted = NewConnection(direction=Direction.WATCH, offer=OFFER, epoch=0)
    assert await refusal(board.calls.connections.connect(board.who(ann), call.id, wanted)) is Code.STALE
    assert board.plane.links == {}
