"""A real browser publishes two cameras and watches them in one line, one after the other, over a line that loses."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from playwright.async_api import Page

from server.calls.wire import Direction, Track
from server.calls.worker.feedback import Publisher
from server.calls.worker.peer import Endpoint
from server.calls.worker.sender import Viewer, Wanted
from server.calls.worker.source import Source
from tests.calls.worker.test_chromium import answered, page
from tests.calls.worker.test_forwarding import lossy

pytestmark = [pytest.mark.browser, pytest.mark.alone, pytest.mark.gen_test(timeout=120)]

#: A tone, a camera of one colour, and the same camera's small picture.
_PUBLISH = """async () => {
  const picture = (width, height) => {
    const canvas = document.createElement("canvas"); canvas.width = width; canvas.height = height;
    const brush = canvas.getContext("2d");
    let turn = 0;
    setInterval(() => {
      brush.fillStyle = COLOUR; brush.fillRect(0, 0, width, height);
      brush.fillStyle = "white"; brush.fillRect(turn++ * 7 % width, 0, 9, 9);
    }, 40);
    return canvas.captureStream(25).getVideoTracks()[0];
  };
  const context = new AudioContext(), tone = context.createOscillator(), out = context.createMediaStreamDestination();
  tone.connect(out); tone.start();
  const peer = window.NAME = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  peer.addTransceiver(out.stream.getAudioTracks()[0], { direction: "sendonly" });
  peer.addTransceiver(picture(480, 360), { direction: "sendonly" });
  peer.addTransceiver(picture(160, 120), { direction: "sendonly" });
  await peer.setLocalDescription();
  return peer.localDescription.sdp;
}"""
_WATCH = """async () => {
  const peer = window.watching = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  window.shown = document.createElement("video"); shown.muted = true; shown.autoplay = true;
  document.body.append(shown);
  window.heard = new AudioContext();  // what nobody plays is not decoded, and nobody says how loud it is
  peer.ontrack = (event) => {
    const stream = new MediaStream([event.track]);
    if (event.track.kind === "video") { shown.srcObject = stream; return; }
    window.speaker = new Audio(); speaker.srcObject = stream; speaker.play();
    heard.createMediaStreamSource(stream).connect(heard.destination);
  };
  peer.addTransceiver("audio", { direction: "recvonly" });
  peer.addTransceiver("video", { direction: "recvonly" });
  await peer.setLocalDescription();
  return peer.localDescription.sdp;
}"""
#: The colour in the middle of what is shown, its width, and what the browser counts.
_LOOK = """async () => {
  const canvas = document.createElement("canvas"); canvas.width = canvas.height = 1;
  const brush = canvas.getContext("2d");
  const width = shown.videoWidth, height = shown.videoHeight;
  if (width) brush.drawImage(shown, width / 2, height / 2, 1, 1, 0, 0, 1, 1);
  const [red, green, blue] = brush.getImageData(0, 0, 1, 1).data;
  const found = { red, blue, width };
  for (const receiver of watching.getReceivers()) for (const source of receiver.getSynchronizationSources()) {
    if (receiver.track.kind === "audio") found.loud = Math.round(100 * (source.audioLevel ?? 0));
  }
  for (const report of (await watching.getStats()).values()) if (report.type === "inbound-rtp") {
    found[report.kind] = report.packetsReceived;
    if (report.kind === "video") {
      Object.assign(found, { frames: report.framesDecoded ?? 0, repaired: report.retransmittedPacketsReceived ?? 0 });
    }
  }
  return found;
}"""


async def published(server: Endpoint, window: Page, name: str, colour: str) -> Publisher:
    script = _PUBLISH.replace("NAME", name).replace("COLOUR", f"'{colour}'")
    peer, _ = await answered(server, window, script, name, Direction.PUBLISH)
    order = (Track.VOICE, Track.CAMERA, Track.SMALL)
    return Publisher(peer, {media.mid: track for media, track in zip(peer.media, order, strict=True)})


async def until(window: Page, wanted: Callable[[dict[str, int]], bool]) -> dict[str, int]:
    """Looks until it is so: the test has a time limit of its own."""
    while True:
        found: dict[str, int] = await window.evaluate(_LOOK)
        if wanted(found):
            return found
        await window.wait_for_timeout(50)


def coloured(red: bool, widths: range, found: dict[str, int]) -> bool:
    return (found["red"] > 150) == red and (found["blue"] > 150) != red and found["width"] in widths


def further(frames: int, found: dict[str, int]) -> bool:
    return found["frames"] > frames


async def test_a_browser_follows_every_change_on_a_line_that_loses() -> None:
    server = await Endpoint.open("127.0.0.1", 0, ["127.0.0.1"])
    async with page() as window:
        red = await published(server, window, "red", "#d00000")
        blue = await published(server, window, "blue", "#0000d0")
        peer, _ = await answered(server, window, _WATCH, "watching", Direction.WATCH)
        lossy(peer)
        viewer = Viewer(peer)

        def show(publisher: Publisher, track: Track) -> Source:
            sources = publisher.sources
            viewer.view({0: Wanted(sources[Track.VOICE]), 1: Wanted(sources[track])})
            return sources[track]

        frames = 0
        for publisher, track in (
            (red, Track.CAMERA),
            (blue, Track.CAMERA),
            (blue, Track.SMALL),
            (red, Track.SMALL),
            (red, Track.CAMERA),
        ):
            source = show(publisher, track)
            widths = range(1, 161) if track is Track.SMALL else range(161, 481)
            seen = await until(window, partial(coloured, publisher is red, widths))
            assert viewer.senders[1].live is source
            assert seen["frames"] > frames
            frames = seen["frames"]
            # and it goes on
            await until(window, partial(further, frames + 5))
        seen = await until(window, lambda found: found["repaired"] > 0 and viewer.bitrate > 0)
        assert seen["audio"] > 50
        await until(window, lambda found: found.get("loud", 0) > 10)
        viewer.close()
        red.close()
        blue.close()
    await server.close()
