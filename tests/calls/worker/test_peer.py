"""A stock implementation of WebRTC at the other end: ICE, DTLS, SRTP, both directions, both families of addresses."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import pytest
from aiortc import AudioStreamTrack, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack
from aiortc.rtp import RtcpPacket, RtcpRrPacket, RtcpSrPacket, RtpPacket
from av import AudioFrame

from server.calls.wire import Direction
from server.calls.worker.peer import Endpoint, Peer
from tests.calls.worker.stock import connected, connection, endpoint, watched

BOTH = pytest.mark.parametrize("batches", [True, False], ids=["batches", "one by one"])


def publishing(client: RTCPeerConnection) -> None:
    for track in (AudioStreamTrack(), VideoStreamTrack()):
        client.addTransceiver(track, direction="sendonly")


async def published(server: Endpoint, client: RTCPeerConnection) -> None:
    """Sound and pictures come in, decrypted, with the payload types of the offer."""
    publishing(client)
    peer = await connected(server, client, Direction.PUBLISH)
    said = watched(peer)
    kinds = {media.codec.payload_type: media.kind for media in peer.media}
    assert sorted(kinds.values()) == ["audio", "video"]
    seen: set[str] = set()
    while seen != {"audio", "video"}:
        packet = RtpPacket.parse(await said.rtp.get())
        assert packet.payload
        seen.add(kinds[packet.payload_type])
    report = await said.rtcp.get()
    assert any(isinstance(part, RtcpSrPacket) for part in RtcpPacket.parse(report))
    assert server.counters.packets_in > 3


@BOTH
async def test_a_stock_peer_publishes(monkeypatch: pytest.MonkeyPatch, batches: bool) -> None:
    async with endpoint(batches=batches) as server, connection(monkeypatch) as client:
        await published(server, client)


@pytest.mark.parametrize("host", ["::1", "::"])
@BOTH
async def test_over_ipv6(monkeypatch: pytest.MonkeyPatch, host: str, batches: bool) -> None:
    async with endpoint(host, "::1", batches=batches) as server, connection(monkeypatch, "::1") as client:
        await published(server, client)


@BOTH
async def test_an_ipv4_address_on_a_socket_for_both(monkeypatch: pytest.MonkeyPatch, batches: bool) -> None:
    async with endpoint("::", "127.0.0.1", "::1", batches=batches) as server, connection(monkeypatch) as client:
        await published(server, client)


def rtp(media: Any, seq: int, payload: bytes = b"\xfc\xff\xfe") -> bytes:
    return struct.pack("!BBHLL", 0x80, media.codec.payload_type, seq, 960 * seq, media.ssrc) + payload


@BOTH
async def test_a_stock_peer_watches(monkeypatch: pytest.MonkeyPatch, batches: bool) -> None:
    async with endpoint(batches=batches) as server, connection(monkeypatch) as client:
        sound = client.addTransceiver("audio", direction="recvonly")
        client.addTransceiver("video", direction="recvonly")
        peer = await connected(server, client, Direction.WATCH)
        said = watched(peer)
        voice, picture = peer.media
        assert (voice.kind, picture.kind) == ("audio", "video")
        assert len({voice.ssrc, picture.ssrc, picture.rtx_ssrc, peer.ssrc}) == 4
        frame = asyncio.ensure_future(sound.receiver.track.recv())
        for seq in range(200):
            peer.send_rtp(rtp(voice, seq))
            await asyncio.sleep(0)
        heard = await frame
        assert isinstance(heard, AudioFrame)
        assert heard.sample_rate == 48_000
        while True:  # its receiver tells us that it got our packets
            for part in RtcpPacket.parse(await said.rtcp.get()):
                if isinstance(part, RtcpRrPacket) and any(report.ssrc == voice.ssrc for report in part.reports):
                    return


async def test_reports_reach_the_other_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async with endpoint() as server, connection(monkeypatch) as client:
        publishing(client)
        peer = await connected(server, client, Direction.PUBLISH)
        transport = client.getSenders()[0].transport
        arrived: asyncio.Queue[bytes] = asyncio.Queue()

        async def take(data: bytes) -> None:
            arrived.put_nowait(data)

        monkeypatch.setattr(transport, "_handle_rtcp_data", take)
        packet = struct.pack("!BBHL", 0x80, 201, 1, peer.ssrc)
        peer.send_rtcp(packet)
        assert await arrived.get() == packet


async def test_goodbyes_are_heard_on_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    async with endpoint() as server, connection(monkeypatch) as client:
        publishing(client)
        peer = await connected(server, client, Direction.PUBLISH)
        said = watched(peer)
        await client.close()
        await said.down.wait()
        assert said.reasons == ["closed_by_peer"]
        assert server.peers == ()
    async with endpoint() as server, connection(monkeypatch) as client:
        publishing(client)
        peer = await connected(server, client, Direction.PUBLISH)
        said = watched(peer)
        gone = asyncio.Event()
        transport = client.getSenders()[0].transport
        transport.on("statechange", lambda: gone.set() if transport.state == "closed" else None)
        peer.close()
        peer.close()
        await gone.wait()
        assert said.reasons == []
        assert server.peers == ()


async def test_many_at_once_keep_to_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    async with endpoint() as server, connection(monkeypatch) as one, connection(monkeypatch) as other:
        peers: list[Peer] = []
        for client in (one, other):
            client.addTransceiver(AudioStreamTrack(), direction="sendonly")
            peers.append(await connected(server, client, Direction.PUBLISH))
        for client, peer in zip((one, other), peers, strict=True):
            packet = RtpPacket.parse(await watched(peer).rtp.get())
            assert packet.ssrc == client.getSenders()[0]._ssrc


async def test_a_peer_that_falls_silent_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    async with endpoint() as server, connection(monkeypatch) as client:
        publishing(client)
        peer = await connected(server, client, Direction.PUBLISH)
        said = watched(peer)
        peer.tick(server.now() + 14)
        assert said.reasons == []
        peer.tick(server.now() + 16)
        assert said.reasons == ["timeout"]
        assert not peer.up
        before = server.counters.packets_out
        peer.send_rtcp(struct.pack("!BBHL", 0x80, 201, 1, peer.ssrc))
        assert server.counters.packets_out == before


async def test_a_certificate_that_the_offer_does_not_name(monkeypatch: pytest.MonkeyPatch) -> None:
    async with endpoint() as server, connection(monkeypatch) as client:
        publishing(client)
        fingerprints = client.getSenders()[0].transport.getLocalParameters().fingerprints
        await client.setLocalDescription(await client.createOffer())
        offer = client.localDescription.sdp
        for fingerprint in fingerprints:
            offer = offer.replace(fingerprint.value, "00" + fingerprint.value[2:])
        peer = server.accept(offer, Direction.PUBLISH)
        said = watched(peer)
        await client.setRemoteDescription(RTCSessionDescription(sdp=peer.answer(), type="answer"))
        await said.down.wait()
        assert said.reasons == ["failed"]
        assert not said.up.is_set()
