"""Recording: asked of everybody, announced, ended by anybody; the files play, and are deleted (R-15). H264, too."""

from __future__ import annotations

import io
from typing import Any

import av
import numpy as np
import pytest
from playwright.sync_api import expect

from tests.browser.caller import Caller
from tests.browser.caller_films import GREEN, GREY, RED, Look
from tests.browser.conftest import Callers

pytestmark = pytest.mark.alone

#: As a browser that has no VP8.
_H264_ONLY = """
for (const side of [RTCRtpReceiver, RTCRtpSender]) {
    const stock = side.getCapabilities.bind(side)
    side.getCapabilities = (kind) => {
        const all = stock(kind)
        return { ...all, codecs: all.codecs.filter(({ mimeType }) => !/video\\/(?!h264|rtx)/i.test(mimeType)) }
    }
}
"""
_CODECS = """async () => {
    const pictures = ({ type, mimeType }) => type === 'codec' && mimeType.startsWith('video/')
    return [...new Set((await spy.reports()).filter(pictures).map(({ mimeType }) => mimeType))]
}"""


def played(file: bytes, look: Look) -> tuple[str, int]:
    """Both tracks decode, and are that person's: the codec of the pictures, and how many there are."""
    with av.open(io.BytesIO(file), "r") as container:
        codec = container.streams.video[0].codec_context.name
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    with av.open(io.BytesIO(file), "r") as container:
        rate = container.streams.audio[0].codec_context.sample_rate
        sound: Any = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    for picture in (pictures[0], pictures[-1]):
        height, width, _ = picture.shape
        for x, wanted in ((width // 4, look.colour), (3 * width // 4, GREY)):
            assert np.abs(picture[height // 4, x].astype(int) - wanted).max() < 45, (look.name, picture[height // 4, x])
    strength = np.abs(np.fft.rfft(sound))
    loudest = int(strength[1:].argmax() + 1) * rate / len(sound)
    assert abs(loudest - look.tone) < 25, (look.name, loudest)
    return codec, len(pictures)


@pytest.mark.parametrize("codec", ["vp8", "h264"])
def test_a_recording_that_all_agreed_to(callers: Callers, codec: str) -> None:
    ada, ben = callers("Ada", RED), callers("Ben", GREEN)
    if codec == "h264":
        for one in (ada, ben):
            one.context.add_init_script(_H264_ONLY)
    ada.befriend(ben)
    call = ada.ring(ada.direct(ben))
    ben.join(call)
    for one, other in ((ada, ben), (ben, ada)):
        one.sees(other)
        one.hears(other)
        assert one.page.evaluate(_CODECS) == [{"vp8": "video/VP8", "h264": "video/H264"}[codec]]

    ada.choose("Ask to record")
    ada.page.get_by_role("dialog").get_by_role("button", name="Ask everybody").click()
    asked = ben.page.get_by_role("dialog", name="Ada asks to record this call")
    expect(asked).to_be_visible()
    expect(ada.page.get_by_text("Recording asked for: 1 of 2 agreed")).to_be_visible()
    sign = [one.room.get_by_role("img", name="This call is being recorded") for one in (ada, ben)]
    for each in sign:
        expect(each).to_have_count(0)
    asked.get_by_role("button", name="Agree to be recorded").click()
    for each in sign:
        expect(each).to_be_visible()
    ada.sees(ben, more=20)
    ben.sees(ada, more=20)
    # Whoever withdraws ends it at once, for all.
    ben.choose("Stop the recording")
    ben.page.get_by_role("dialog").get_by_role("button", name="Stop recording").click()
    for each in sign:
        expect(each).to_have_count(0)
    ada.sees(ben)

    ada.leave()
    for one in (ada, ben):
        one.lets_go()
        expect(one.page.get_by_role("heading", name="Recordings")).to_be_visible()
    expect(ada.page.get_by_role("button", name="Delete")).to_be_visible()
    [recording] = ben.api("GET", f"/calls/{call}/recordings")["recordings"]
    looks = {ada.id: ada.look, ben.id: ben.look}
    assert {file["person"] for file in recording["files"]} == set(looks)
    for file in recording["files"]:
        answer = ben.context.request.get(f"/api/v1/recordings/{recording['id']}/files/{file['n']}")
        look = looks[file["person"]]
        assert look is not None
        name, pictures = played(answer.body(), look)
        assert name == codec
        assert pictures >= 10
    deleted(ada, ben, call, recording)


def deleted(one: Caller, other: Caller, call: str, recording: dict[str, Any]) -> None:
    """By one of them, for both."""
    one.page.get_by_role("button", name="Delete").click()
    one.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(one.page.get_by_text("The recording is deleted.")).to_be_visible()
    expect(one.page.get_by_role("heading", name="Recordings")).to_have_count(0)
    assert other.api("GET", f"/calls/{call}/recordings")["recordings"] == []
    file = f"/recordings/{recording['id']}/files/{recording['files'][0]['n']}"
    assert other.ask("GET", file) == (404, "not_found")
