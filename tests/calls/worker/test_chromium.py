"""A real browser at both ends: what it publishes comes back to it through the port, and it shows that."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright

from server.calls.wire import Direction
from server.calls.worker.peer import Endpoint, Peer
from tests.browser.conftest import FLAGS
from tests.browser.hub import chromium
from tests.calls.worker.stock import watched

pytestmark = [pytest.mark.browser, pytest.mark.alone, pytest.mark.gen_test(timeout=90)]

_PUBLISH = """async () => {
  const canvas = document.createElement("canvas"); canvas.width = 320; canvas.height = 240;
  const brush = canvas.getContext("2d");
  const paint = () => {
    brush.fillStyle = `hsl(${performance.now() / 10 % 360} 90% 50%)`; brush.fillRect(0, 0, 320, 240);
  };
  setInterval(paint, 40);
  const context = new AudioContext(), tone = context.createOscillator(), out = context.createMediaStreamDestination();
  tone.connect(out); tone.start();
  window.one = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  one.addTransceiver(out.stream.getAudioTracks()[0], { direction: "sendonly" });
  one.addTransceiver(canvas.captureStream(25).getVideoTracks()[0], { direction: "sendonly" });
  await one.setLocalDescription();
  return one.localDescription.sdp;
}"""
_WATCH = """async () => {
  window.two = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  two.addTransceiver("audio", { direction: "recvonly" });
  two.addTransceiver("video", { direction: "recvonly" });
  await two.setLocalDescription();
  return two.localDescription.sdp;
}"""
_ANSWER = "async ([name, sdp]) => { await window[name].setRemoteDescription({ type: 'answer', sdp }) }"
_SHOWN = """async () => {
  let video = 0, audio = 0, lost = 0;
  for (const report of (await two.getStats()).values()) if (report.type === "inbound-rtp") {
    if (report.kind === "video") video = report.framesDecoded ?? 0; else audio = report.packetsReceived;
    lost += report.packetsLost;
  }
  return { video, audio, lost };
}"""


@asynccontextmanager
async def page() -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield await browser.new_page()
        await browser.close()


async def answered(server: Endpoint, window: Page, script: str, name: str, direction: Direction) -> tuple[Peer, Any]:
    peer = server.accept(await window.evaluate(script), direction)
    said = watched(peer)
    await window.evaluate(_ANSWER, [name, peer.answer()])
    await said.up.wait()
    return peer, said


@pytest.mark.parametrize(("host", "address"), [("0.0.0.0", "127.0.0.1"), ("::", "::1")], ids=["ipv4", "ipv6"])
async def test_a_browser_sees_and_hears_itself(host: str, address: str) -> None:
    server = await Endpoint.open(host, 0, [address])
    async with page() as window:
        publisher, _ = await answered(server, window, _PUBLISH, "one", Direction.PUBLISH)
        assert [media.codec.name for media in publisher.media] == ["OPUS", "VP8"]
        viewer, _ = await answered(server, window, _WATCH, "two", Direction.WATCH)
        targets = {here.codec.payload_type: there for here, there in zip(publisher.media, viewer.media, strict=True)}
        pictures: set[int] = set()

        def forward(packet: bytes, at: float) -> None:
            """The same packet under our SSRC, without the extensions of whoever sent it."""
            media = targets.get(packet[1] & 0x7F)
            if media is None:
                return
            if media.kind == "video" and not pictures:
                pictures.add(struct.unpack_from("!I", packet, 8)[0])
                publisher.send_rtcp(struct.pack("!BBHLL", 0x81, 206, 2, publisher.ssrc, *pictures))
            start = 12
            if packet[0] & 0x10:
                start += 4 + 4 * int.from_bytes(packet[14:16], "big")
            marker = packet[1] & 0x80
            head = bytes([packet[0] & 0xEF, marker | media.codec.payload_type]) + packet[2:8]
            viewer.send_rtp(head + media.ssrc.to_bytes(4, "big") + packet[start:])

        publisher.on_rtp = forward
        shown: dict[str, int] = {}
        while shown.get("video", 0) < 25 or shown.get("audio", 0) < 50:
            shown = await window.evaluate(_SHOWN)
        assert shown["lost"] == 0
        assert publisher.round_trip is not None
        down = watched(viewer)
        await window.evaluate("() => two.close()")
        await down.down.wait()
        assert down.reasons == ["closed_by_peer"]
        publisher.close()
        await window.wait_for_function("one.connectionState !== 'connected'")
    await server.close()
    await asyncio.sleep(0)
