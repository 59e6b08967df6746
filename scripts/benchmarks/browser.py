"""Real ends of a call: a Chromium without a screen, whose camera is a film of noise and whose microphone beeps."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from playwright.async_api import Page, async_playwright

from scripts.benchmarks.film import FPS, HEIGHT, WIDTH, scenes

#: Bits per second that the client of Vouch lets a camera have at most.
_MOST = 1_500_000
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    # two pages are in use at once, and only one can be in front
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--disable-background-timer-throttling",
    "--use-fake-ui-for-media-stream",
    f"--use-fake-device-for-media-stream=fps={FPS}",
    "--autoplay-policy=no-user-gesture-required",
)
#: Cameras are for secure pages only; this one is served by nobody.
_PAGE = "http://localhost:9/bench"
_SCRIPT = """
const whole = (peer) => new Promise((done) => {
    if (peer.iceGatheringState === 'complete') return done()
    peer.onicegatheringstatechange = () => peer.iceGatheringState === 'complete' && done()
})
const only = (transceiver, kind) => {
    const wanted = kind === 'audio' ? ['audio/opus'] : ['video/vp8', 'video/rtx']
    const codecs = RTCRtpReceiver.getCapabilities(kind).codecs
    transceiver.setCodecPreferences(codecs.filter(({ mimeType }) => wanted.includes(mimeType.toLowerCase())))
}
window.peer = new RTCPeerConnection({ bundlePolicy: 'max-bundle' })
const shown = document.createElement('video')
Object.assign(shown, { muted: true, autoplay: true, srcObject: new MediaStream() })
// in no document: nothing is painted
peer.ontrack = ({ track }) => shown.srcObject.addTrack(track)
window.publish = async (width, height, fps, most) => {
    const video = { width, height, frameRate: fps }
    const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false }
    const stream = await navigator.mediaDevices.getUserMedia({ video, audio })
    const sound = peer.addTransceiver(stream.getAudioTracks()[0], { direction: 'sendonly' })
    const camera = peer.addTransceiver(stream.getVideoTracks()[0], {
        direction: 'sendonly', sendEncodings: [{ maxBitrate: most, maxFramerate: fps }],
    })
    // the same size for every subject, however slowly its line becomes wide
    const wanted = camera.sender.getParameters()
    wanted.degradationPreference = 'maintain-framerate-and-resolution'
    await camera.sender.setParameters(wanted)
    only(sound, 'audio')
    only(camera, 'video')
}
window.watch = () => ['audio', 'video'].map((kind) => only(peer.addTransceiver(kind, { direction: 'recvonly' }), kind))
window.offer = async () => {
    await peer.setLocalDescription(await peer.createOffer())
    await whole(peer)
    return peer.localDescription.sdp
}
window.take = (sdp) => peer.setRemoteDescription({ type: 'answer', sdp })
window.answer = async (sdp) => {
    await peer.setRemoteDescription({ type: 'offer', sdp })
    await peer.setLocalDescription(await peer.createAnswer())
    await whole(peer)
    return peer.localDescription.sdp
}
window.seen = async () => {
    for (const one of (await peer.getStats()).values()) {
        if (one.kind !== 'video' || !['inbound-rtp', 'outbound-rtp'].includes(one.type)) continue
        return {
            at: one.timestamp, frames: one.framesDecoded ?? one.framesEncoded ?? 0, freezes: one.freezeCount ?? 0,
            frozen: one.totalFreezesDuration ?? 0, repaired: one.retransmittedPacketsReceived ?? 0,
            asked: one.nackCount ?? 0, octets: one.bytesReceived ?? one.bytesSent ?? 0, lost: one.packetsLost ?? 0,
        }
    }
    return null
}
"""


def program() -> str | None:
    """Where Chromium is; CHROMIUM names another one."""
    named = os.environ.get("CHROMIUM")
    return named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Seen(msgspec.Struct, frozen=True):
    """`at` in ms; `frozen` the seconds that the picture stood still; `octets` of payload; the others are counts."""

    at: float = 0
    frames: int = 0
    freezes: int = 0
    frozen: float = 0
    repaired: int = 0
    asked: int = 0
    octets: int = 0
    lost: int = 0


class BrowserEnd:
    """A page with one peer connection: an End as those of film.py are."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def offer(self) -> str:
        return str(await self._page.evaluate("offer()"))

    async def take(self, answer: str) -> None:
        await self._page.evaluate("(sdp) => take(sdp)", answer)

    async def answer(self, offer: str) -> str:
        return str(await self._page.evaluate("(sdp) => answer(sdp)", offer))

    async def connected(self) -> None:
        await self._page.wait_for_function("peer.connectionState === 'connected'", polling=20)

    async def seen(self) -> Seen:
        """What the browser has counted of its one picture so far."""
        found = await self._page.evaluate("seen()")
        return Seen() if found is None else msgspec.convert(found, Seen)

    async def close(self) -> None:
        await self._page.close()


class Chromium:
    """Made by `chromium_running`."""

    def __init__(self, context: Any) -> None:
        self._context = context

    async def publisher(self) -> BrowserEnd:
        page = await self._opened()
        await page.evaluate(f"publish({WIDTH}, {HEIGHT}, {FPS}, {_MOST})")
        return BrowserEnd(page)

    async def viewer(self, *, offers: bool) -> BrowserEnd:
        """`offers`: it is to offer, not to answer."""
        page = await self._opened()
        if offers:
            await page.evaluate("void watch()")
        return BrowserEnd(page)

    async def _opened(self) -> Page:
        page: Page = await self._context.new_page()
        await page.goto(_PAGE)
        await page.evaluate(_SCRIPT)
        return page


@asynccontextmanager
async def chromium_running() -> AsyncIterator[Chromium]:
    with tempfile.TemporaryDirectory(prefix="vouch-bench-") as folder:
        film = Path(folder) / "film.y4m"
        write_film(film)
        async with async_playwright() as playwright:
            flags = [*_FLAGS, f"--use-file-for-fake-video-capture={film}"]
            browser = await playwright.chromium.launch(executable_path=program(), args=flags)
            try:
                context = await browser.new_context()
                await context.grant_permissions(["camera", "microphone"], origin="http://localhost:9")
                await context.route(
                    _PAGE, lambda route: route.fulfill(body="<!doctype html><body>", content_type="text/html")
                )
                yield Chromium(context)
            finally:
                await browser.close()


def write_film(path: Path) -> None:
    """YUV4MPEG2 for Chromium's pretended camera, which plays it over and over."""
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F{FPS}:1 Ip A1:1 C420jpeg\n".encode())
        for frame in scenes():
            file.write(b"FRAME\n")
            for plane, (width, height) in zip(
                frame.planes, ((WIDTH, HEIGHT), (WIDTH // 2, HEIGHT // 2), (WIDTH // 2, HEIGHT // 2)), strict=True
            ):
                rows = memoryview(plane)
                for row in range(height):
                    file.write(rows[row * plane.line_size : row * plane.line_size + width])
