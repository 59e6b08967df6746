"""Stock peers on both ends: what one publishes is decoded by another, over a change of what is shown, with losses."""

from __future__ import annotations

import asyncio

import pytest
from aiortc import AudioStreamTrack, RTCPeerConnection, VideoStreamTrack
from av import VideoFrame

from server.calls.wire import Direction, Track
from server.calls.worker.feedback import Publisher
from server.calls.worker.peer import Endpoint, Peer
from server.calls.worker.sender import Viewer, Wanted
from tests.calls.worker.stock import connected, connection, endpoint


class Plain(VideoStreamTrack):
    """A picture of one brightness."""

    def __init__(self, brightness: int, width: int = 160) -> None:
        super().__init__()
        self._brightness = brightness
        self._width = width

    async def recv(self) -> VideoFrame:
        frame = VideoFrame(self._width, 120, "yuv420p")
        for plane, value in zip(frame.planes, (self._brightness, 128, 128), strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        frame.pts, frame.time_base = await self.next_timestamp()
        return frame


async def published(server: Endpoint, client: RTCPeerConnection, brightness: int) -> Publisher:
    client.addTransceiver(AudioStreamTrack(), direction="sendonly")
    client.addTransceiver(Plain(brightness), direction="sendonly")
    peer = await connected(server, client, Direction.PUBLISH)
    voice, camera = peer.media
    return Publisher(peer, {voice.mid: Track.VOICE, camera.mid: Track.CAMERA})


def lossy(peer: Peer) -> None:
    """Each thirteenth packet of media never arrives, the first time."""
    send, count = peer.send_rtp, 0

    def sometimes(packet: bytes) -> None:
        nonlocal count
        count += 1
        if count % 13 or packet[1] & 0x7F != peer.media[1].codec.payload_type:
            send(packet)

    peer.send_rtp = sometimes  # type: ignore[method-assign]


@pytest.mark.parametrize("losses", [False, True])
async def test_a_stock_peer_sees_what_others_publish(monkeypatch: pytest.MonkeyPatch, losses: bool) -> None:
    async with (
        endpoint() as server,
        connection(monkeypatch) as dark,
        connection(monkeypatch) as bright,
        connection(monkeypatch) as watching,
    ):
        publishers = [await published(server, dark, 40), await published(server, bright, 200)]
        sound = watching.addTransceiver("audio", direction="recvonly")
        picture = watching.addTransceiver("video", direction="recvonly")
        peer = await connected(server, watching, Direction.WATCH)
        if losses:
            lossy(peer)
        viewer = Viewer(peer)
        try:
            for publisher, brightness in ((publishers[0], 40), (publishers[1], 200), (publishers[0], 40)):
                viewer.view({0: Wanted(publisher.sources[Track.VOICE]), 1: Wanted(publisher.sources[Track.CAMERA])})
                shown = 0
                while shown < 5:
                    frame = await picture.receiver.track.recv()
                    assert isinstance(frame, VideoFrame)
                    shown += abs(bytes(frame.planes[0])[5_000] - brightness) < 10
            heard = await sound.receiver.track.recv()
            assert heard.pts is not None
            while viewer.senders[1].octets and not (losses is False or viewer.senders[1].repeats):
                await asyncio.wait_for(picture.receiver.track.recv(), 10)
        finally:
            viewer.close()
            for publisher in publishers:
                publisher.close()
