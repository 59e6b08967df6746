"""The other end as aiortc makes it: an implementation of WebRTC that is not ours, on the loopback addresses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aioice.ice
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from server.calls.wire import Direction
from server.calls.worker.peer import Endpoint, Peer


@asynccontextmanager
async def endpoint(host: str = "127.0.0.1", *addresses: str, batches: bool = True) -> AsyncIterator[Endpoint]:
    opened = await Endpoint.open(host, 0, addresses or (host,), batches=batches)
    try:
        yield opened
    finally:
        await opened.close()


@asynccontextmanager
async def connection(monkeypatch: pytest.MonkeyPatch, *hosts: str) -> AsyncIterator[RTCPeerConnection]:
    """A stock peer connection that knows only these addresses of its machine, and no servers of others."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: list(hosts or ("127.0.0.1",)))
    made = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        yield made
    finally:
        await made.close()


async def connected(server: Endpoint, client: RTCPeerConnection, direction: Direction) -> Peer:
    """Offer and answer; returns when both ends are up."""
    await client.setLocalDescription(await client.createOffer())
    peer = server.accept(client.localDescription.sdp, direction)
    ended = watched(peer)
    there = asyncio.Event()
    client.on("connectionstatechange", lambda: there.set() if client.connectionState == "connected" else None)
    await client.setRemoteDescription(RTCSessionDescription(sdp=peer.answer(), type="answer"))
    up, down = asyncio.ensure_future(ended.up.wait()), asyncio.ensure_future(ended.down.wait())
    await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
    down.cancel()
    assert up.done(), ended.reasons
    await there.wait()
    return peer


class Watched:
    """What a peer has said by its callbacks."""

    def __init__(self) -> None:
        self.up = asyncio.Event()
        self.down = asyncio.Event()
        self.reasons: list[str] = []
        self.rtp: asyncio.Queue[bytes] = asyncio.Queue()
        self.rtcp: asyncio.Queue[bytes] = asyncio.Queue()

    def ended(self, reason: str) -> None:
        self.reasons.append(reason)
        self.down.set()


def watched(peer: Peer) -> Watched:
    said = Watched()
    peer.on_up = said.up.set
    peer.on_down = said.ended
    peer.on_rtp = lambda packet, at: said.rtp.put_nowait(packet)
    peer.on_rtcp = said.rtcp.put_nowait
    return said


def as_stock_reads(answer: str) -> str:
    """aiortc takes the candidates of a bundle's last m-line; they stand in its first (RFC 8843 section 10.1.2)."""
    candidates = "".join(f"{line}\r\n" for line in answer.splitlines() if line.startswith("a=candidate"))
    first, *others = answer.split("m=video")
    return "m=video".join([first, *(other + candidates for other in others)])
