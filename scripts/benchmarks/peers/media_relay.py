"""aiortc's own way to forward, as its documentation shows it: MediaRelay decodes once and encodes for every viewer.

Its argument is the address for media. Each line of standard input is an offer (JSON); the first is the publisher's.
Answers go to standard output.
"""

from __future__ import annotations

import asyncio
import json
import sys

import aioice.ice
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaRelay


async def main() -> None:
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: [sys.argv[1]]
    loop = asyncio.get_running_loop()
    relay = MediaRelay()
    published: list[MediaStreamTrack] = []
    peers: list[RTCPeerConnection] = []
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        peers.append(peer)
        first = len(peers) == 1
        if first:
            peer.on("track", published.append)
        await peer.setRemoteDescription(RTCSessionDescription(sdp=json.loads(line), type="offer"))
        if not first:
            for track in published:
                peer.addTrack(relay.subscribe(track))
        await peer.setLocalDescription(await peer.createAnswer())
        print(json.dumps(peer.localDescription.sdp), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
