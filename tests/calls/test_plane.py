"""The media plane whole: stock peers at both ends, a worker process between them, the hub's side in this process."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aioice.ice
import av
import pytest
from aiortc import (
    AudioStreamTrack,
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
    VideoStreamTrack,
)
from aiortc.mediastreams import MediaStreamError

from server.calls import wire
from server.calls.plane import Plane, PlaneError
from server.calls.wire import Direction, Slot, Track
from server.settings import Settings
from tests.calls.worker.footage import picture
from tests.calls.worker.stock import as_stock_reads
from tests.conftest import eventually

CALL = "cl_1"


class Scene(VideoStreamTrack):
    """Red on the left, dark on the right (tests/calls/worker/footage.py)."""

    def __init__(self, width: int = 320, height: int = 240) -> None:
        super().__init__()
        self._size = (width, height)
        self._number = 0

    async def recv(self) -> av.VideoFrame:
        pts, time_base = await self.next_timestamp()
        self._number += 1
        frame = picture(*self._size, self._number)
        frame.pts, frame.time_base = pts, time_base
        return frame


class Stage:
    """A plane, what it tells, and the people who are connected to it."""

    def __init__(self, directory: Path) -> None:
        self.news: list[wire.News] = []
        self.lost: list[str] = []
        settings = Settings(data_dir=directory, calls_workers=1, calls_spare=False, calls_addresses=("127.0.0.1",))
        self.plane = Plane(settings, on_news=self.news.append, on_lost=self.lost.extend)
        self._peers: list[RTCPeerConnection] = []
        self._number = 0

    async def _connect(self, peer: RTCPeerConnection, person: str, direction: Direction) -> str:
        self._peers.append(peer)
        self._number += 1
        id = f"cc_{self._number}"
        await peer.setLocalDescription(await peer.createOffer())
        answer = await self.plane.connect(CALL, id, person, direction, peer.localDescription.sdp)
        await peer.setRemoteDescription(RTCSessionDescription(sdp=as_stock_reads(answer), type="answer"))
        await eventually(lambda: wire.Up(call=CALL, connection=id) in self.news)
        return id

    async def publish(self, person: str, *, small: bool = False, width: int = 320) -> tuple[str, RTCPeerConnection]:
        """Voice and camera, and a small picture when asked for."""
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        tracks: list[MediaStreamTrack] = [AudioStreamTrack(), Scene(width)]
        for track in [*tracks, Scene(160, 120)] if small else tracks:
            peer.addTransceiver(track, direction="sendonly")
        return await self._connect(peer, person, Direction.PUBLISH), peer

    async def watch(self, person: str) -> tuple[str, dict[str, MediaStreamTrack]]:
        """One slot of sound (0) and one of pictures (1)."""
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        slots = {kind: peer.addTransceiver(kind, direction="recvonly") for kind in ("audio", "video")}
        connection = await self._connect(peer, person, Direction.WATCH)
        return connection, {kind: slot.receiver.track for kind, slot in slots.items()}

    async def show(self, connection: str, person: str) -> None:
        slots = [Slot(index=0, person=person, track=Track.VOICE), Slot(index=1, person=person, track=Track.CAMERA)]
        await self.plane.view(CALL, connection, slots)

    def flowing(self, person: str, track: Track, on: bool = True) -> bool:
        return wire.Flowing(call=CALL, person=person, track=track, on=on) in self.news

    async def close(self) -> None:
        await asyncio.gather(*(peer.close() for peer in self._peers))
        await self.plane.stop()


@asynccontextmanager
async def stage(directory: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])
    made = Stage(directory)
    await made.plane.start()
    try:
        await made.plane.open(CALL)
        yield made
    finally:
        await made.close()


async def seen(track: MediaStreamTrack, width: int = 320) -> None:
    """Returns with the first frame that is the scene."""
    while True:
        frame = await asyncio.wait_for(track.recv(), 20)
        assert isinstance(frame, av.VideoFrame)
        if frame.width == width:
            break
    rgb = frame.reformat(format="rgb24")
    row = bytes(rgb.planes[0])[rgb.planes[0].line_size * (frame.height // 2) :]
    assert row[3 * (width // 8)] > 180
    assert max(row[3 * (width - width // 8) : 3 * (width - width // 8) + 3]) < 60


async def drained(track: MediaStreamTrack) -> None:
    while True:
        await asyncio.wait_for(track.recv(), 20)


async def test_what_one_publishes_another_sees_and_hears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with stage(tmp_path, monkeypatch) as on:
        await on.publish("us_a")
        connection, tracks = await on.watch("us_b")
        await on.show(connection, "us_a")
        await seen(tracks["video"])
        sound = await asyncio.wait_for(tracks["audio"].recv(), 20)
        assert isinstance(sound, av.AudioFrame)
        await eventually(lambda: on.flowing("us_a", Track.VOICE) and on.flowing("us_a", Track.CAMERA))
        await eventually(lambda: any(isinstance(news, wire.Line) and news.person == "us_b" for news in on.news))
        (measured,) = await on.plane.measure()
        assert (measured.calls, measured.publishing, measured.watching) == (1, 1, 1)
        assert min(measured.packets_in, measured.packets_out, measured.bytes_in, measured.cpu_seconds) > 0
        assert measured.resident > 1_000_000


async def test_who_watches_before_anything_is_there_gets_it_when_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage(tmp_path, monkeypatch) as on:
        connection, tracks = await on.watch("us_b")
        await on.show(connection, "us_a")
        published, _ = await on.publish("us_a")
        await seen(tracks["video"])
        await eventually(lambda: on.flowing("us_a", Track.CAMERA))
        await on.plane.disconnect(CALL, published)
        await on.plane.disconnect(CALL, published)
        await on.publish("us_a", width=480)
        await seen(tracks["video"], 480)
        assert on.flowing("us_a", Track.CAMERA, on=False)
        assert not any(isinstance(news, wire.Down) for news in on.news), "it was asked for"


async def test_a_small_picture_for_who_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with stage(tmp_path, monkeypatch) as on:
        await on.publish("us_a", small=True)
        await eventually(lambda: on.flowing("us_a", Track.SMALL))
        connection, tracks = await on.watch("us_b")
        slot = Slot(index=1, person="us_a", track=Track.CAMERA, layer=wire.Layer.SMALL)
        await on.plane.view(CALL, connection, [slot])
        await seen(tracks["video"], 160)
        await on.plane.view(CALL, connection, [Slot(index=1, person="us_a", layer=wire.Layer.LARGE)])
        await seen(tracks["video"], 320)


async def test_a_worker_that_is_killed_is_told_of_and_everything_works_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage(tmp_path, monkeypatch) as on:
        await on.publish("us_a")
        (pid,) = on.plane.pids
        os.kill(pid, signal.SIGKILL)
        await eventually(lambda: on.lost == [CALL])
        assert on.plane.calls == frozenset()
        with pytest.raises(PlaneError) as caught:
            await on.publish("us_a")
        assert caught.value.code == "unknown_call"
        await on.plane.open(CALL)
        await on.publish("us_a")
        connection, tracks = await on.watch("us_b")
        await on.show(connection, "us_a")
        await seen(tracks["video"])
        assert pid not in on.plane.pids


async def test_a_person_who_leaves_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with stage(tmp_path, monkeypatch) as on:
        connection, peer = await on.publish("us_a")
        await eventually(lambda: on.flowing("us_a", Track.CAMERA))
        await peer.close()
        await eventually(lambda: any(isinstance(news, wire.Down) for news in on.news), 20)
        assert [news.connection for news in on.news if isinstance(news, wire.Down)] == [connection]
        assert on.flowing("us_a", Track.CAMERA, on=False)


async def test_a_new_connection_takes_the_place_of_the_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with stage(tmp_path, monkeypatch) as on:
        await on.publish("us_a")
        connection, tracks = await on.watch("us_b")
        await on.show(connection, "us_a")
        await seen(tracks["video"])
        again, new = await on.watch("us_b")
        await on.show(again, "us_a")
        await seen(new["video"])
        with pytest.raises(PlaneError) as caught:
            await on.show(connection, "us_a")
        assert caught.value.code == "unknown_connection"
        with pytest.raises(MediaStreamError):
            await drained(tracks["video"])


async def test_a_snapshot_is_the_picture_of_the_camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with stage(tmp_path, monkeypatch) as on:
        await on.publish("us_a", small=True)
        shot = await on.plane.snapshot(CALL, "us_a", within=20)
        assert (shot.width, shot.height, len(shot.rgb)) == (320, 240, 320 * 240 * 3)
        row = shot.rgb[320 * 3 * 120 : 320 * 3 * 121]
        assert row[3 * 40] > 180
        assert max(row[3 * 280 : 3 * 280 + 3]) < 60
        for person in ("us_b", "us_a"):
            if person == "us_a":
                await on.plane.disconnect(CALL, "cc_1")
            with pytest.raises(PlaneError) as caught:
                await on.plane.snapshot(CALL, person, within=0.1)
            assert caught.value.code == "no_picture"


async def test_a_recording_can_be_played_and_ends_with_its_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "recording"
    directory.mkdir()
    async with stage(tmp_path, monkeypatch) as on:
        published, _ = await on.publish("us_a")

        async def record(lease: float) -> None:
            await on.plane.record(CALL, "rc_1", ["us_a", "us_c"], directory, lease=lease, max_bytes=10_000_000)

        await record(30)
        await eventually((directory / "us_a.mkv.part").exists)
        await on.plane.disconnect(CALL, published)
        await on.publish("us_a")
        await on.publish("us_b")
        await record(2)
        ended = wire.RecordingEnded(call=CALL, recording="rc_1", reason="lease")
        await eventually(lambda: ended in on.news)
        with pytest.raises(PlaneError) as caught:
            await record(30)
        assert caught.value.code == "failed"
        assert "us_a.mkv" in (files := await on.plane.stop_recording(CALL, "rc_1"))
        assert files == {path.name: path.stat().st_size for path in directory.iterdir()}
        assert await on.plane.stop_recording(CALL, "rc_1") == {}
    for kind in ("video", "audio"):
        with av.open(str(directory / "us_a.mkv")) as container:
            assert sum(1 for _ in container.decode(**{kind: 0})) > 5


async def test_a_call_that_is_closed_ends_its_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = tmp_path / "recording"
    directory.mkdir()
    async with stage(tmp_path, monkeypatch) as on:
        await on.publish("us_a")
        await on.plane.record(CALL, "rc_1", ["us_a"], directory, lease=30, max_bytes=10_000_000)
        await eventually((directory / "us_a.mkv.part").exists)
        await on.plane.close(CALL)
        await on.plane.close(CALL)
        assert [path.name for path in directory.iterdir()] == ["us_a.mkv"]
        assert on.plane.calls == frozenset()


async def test_what_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with stage(tmp_path, monkeypatch) as on:

        async def code(offer: str, call: str = CALL) -> str:
            with pytest.raises(PlaneError) as caught:
                await on.plane.connect(call, "cc_1", "us_a", Direction.PUBLISH, offer)
            return caught.value.code

        assert await code("v=0") == "bad_offer"
        assert await code("v" * (wire.MAX_SDP + 1)) == "too_large"
        assert await code("v=0", "cl_2") == "unknown_call"
        await on.plane.disconnect(CALL, "cc_9")
        with pytest.raises(PlaneError) as caught:
            await on.plane.view(CALL, "cc_9", [])
        assert caught.value.code == "unknown_connection"
        with pytest.raises(PlaneError) as caught:
            await on.plane.record(CALL, "rc_1", ["us_a"], tmp_path / "none", lease=1, max_bytes=1)
        assert caught.value.code == "failed"
