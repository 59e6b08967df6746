"""What one looks at in a call: a shared screen, the small window, the whole screen, the layouts, a phone (R-15)."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.caller import Caller
from tests.browser.caller_films import BLUE, GREEN, RED
from tests.browser.conftest import Callers

pytestmark = pytest.mark.alone

#: The screen's picture arrives and moves on; how large it is.
_SCREEN = """async (person) => {
    let begin = 0
    return spy.until(async () => {
        const now = await spy.seen(person, 'screen', [[0.5, 0.5]])
        begin ||= now.frames
        return { ...now, ok: begin > 0 && now.frames > begin + 3 && now.colours.length === 1 }
    })
}"""


#: A phone as browsers tell of it: what its camera is, at the front, and at the back something blue on the table.
_PHONE = """() => {
    const devices = navigator.mediaDevices
    if (!devices) return
    const open = devices.getUserMedia.bind(devices)
    const named = (deviceId, label) => ({ kind: 'videoinput', deviceId, label, groupId: deviceId })
    const cameras = [named('1', 'camera2 1, facing front'), named('0', 'camera2 0, facing back')]
    const told = (track, settings) => {
        const own = track.getSettings.bind(track)
        track.getSettings = () => ({ ...own(), ...settings })
    }
    devices.enumerateDevices = () => Promise.resolve(cameras)
    devices.getUserMedia = async (wants) => {
        if (wants.video?.deviceId?.ideal !== '0') {
            const stream = await open(wants)
            stream.getVideoTracks().forEach((track) => told(track, { deviceId: '1', facingMode: 'user' }))
            return stream
        }
        const film = Object.assign(document.createElement('canvas'), { width: 640, height: 360 })
        const pen = film.getContext('2d')
        const fill = (colour, ...place) => Object.assign(pen, { fillStyle: colour }).fillRect(...place)
        setInterval(() => {
            fill('rgb(40, 50, 220)', 0, 0, 320, 360)
            fill('rgb(90, 90, 90)', 320, 0, 320, 360)
            fill('white', (performance.now() / 2) % 616, 336, 24, 24)
        }, 50)
        const stream = film.captureStream(20)
        told(stream.getVideoTracks()[0], { deviceId: '0', facingMode: 'environment' })
        if (wants.audio) (await open({ audio: wants.audio })).getTracks().forEach((track) => stream.addTrack(track))
        return stream
    }
}"""

#: The cameras that are on, by name.
_ON = """() => window.opened.filter(({ kind, readyState }) => kind === 'video' && readyState === 'live')
    .map(({ label }) => label)"""


def shown(person: Caller, of: Caller) -> dict[str, Any]:
    found: dict[str, Any] = person.page.evaluate(_SCREEN, of.id)
    return found


@pytest.fixture
def three(callers: Callers) -> tuple[Caller, Caller, Caller]:
    ada, ben, cho = callers("Ada", RED), callers("Ben", GREEN), callers("Cho", BLUE, width="phone")
    for other in (ben, cho):
        ada.befriend(other)
    call = ada.ring(ada.group("Three", ben, cho))
    for one in (ben, cho):
        one.join(call)
    ada.sees(ben, cho)
    return ada, ben, cho


def test_a_screen_is_shared_and_layouts_follow(three: tuple[Caller, Caller, Caller]) -> None:
    ada, ben, cho = three
    ben.press("Share your screen")
    expect(ben.tile(ben, "screen")).to_have_accessible_name("You are showing your screen")
    for one in (ada, cho):
        assert shown(one, ben)["width"] >= 640
        # Camera and screen are shown beside each other, and the screen is the large one.
        one.sees(ben)
        large, small = one.tile(ben, "screen").bounding_box(), one.tile(ben).bounding_box()
        assert large is not None
        assert small is not None
        assert large["width"] * large["height"] > 2 * small["width"] * small["height"]
    ada.choose("All alike", menu="Layout")
    ada.page.wait_for_function(
        "(id) => spy.video(id, 'screen').clientWidth === spy.video(id, 'camera').clientWidth", arg=ben.id
    )
    ben.press("Stop sharing")
    for one in three:
        expect(one.tile(ben, "screen")).to_have_count(0)
    assert ben.live() == {"audio": 1, "video": 2}, "the screen is let go of, the camera is not"
    # Ended by the browser's own button it is told as well.
    ben.press("Share your screen")
    shown(ada, ben)
    ben.page.evaluate(
        """() => {
            const screen = window.opened.findLast((track) => track.kind === 'video' && track.readyState === 'live')
            screen.stop()
            screen.dispatchEvent(new Event('ended'))
        }"""
    )
    expect(ada.tile(ben, "screen")).to_have_count(0)
    ada.sees(ben)


def test_whole_screen_small_window_and_keys(three: tuple[Caller, Caller, Caller]) -> None:
    ada, ben, cho = three
    ada.choose("Full screen")
    ada.page.wait_for_function("() => document.fullscreenElement?.matches('.room')")
    ada.sees(ben, cho)
    ada.page.keyboard.press("f")
    ada.page.wait_for_function("() => document.fullscreenElement === null")
    # Keys: the microphone, and held to be heard while it is off.
    ada.page.keyboard.press("m")
    ben.hears_nothing_of(ada)
    ada.room.focus()
    ada.page.keyboard.down("Space")
    ben.hears(ada, cho)
    ada.page.keyboard.up("Space")
    ben.hears_nothing_of(ada)

    ada.choose("Small window")
    ada.page.wait_for_function("() => document.pictureInPictureElement?.videoWidth > 0")
    ada.sees(ben, cho)
    ada.choose("Small window")
    ada.page.wait_for_function("() => document.pictureInPictureElement === null")
    # On a phone everybody fits, beside or below each other, inside the window.
    cho.sees(ada, ben)
    assert cho.page.evaluate(
        """() => [...document.querySelectorAll('.tile')].every((tile) => {
            const { left, right, top, bottom } = tile.getBoundingClientRect()
            return left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight
        })"""
    )


def test_the_camera_of_a_phone_is_turned_around(callers: Callers) -> None:
    ada, ben = callers("Ada", RED, width="phone"), callers("Ben", GREEN)
    ada.context.add_init_script(f"({_PHONE})()")
    ada.befriend(ben)
    ada.before(ada.direct(ben))
    # One looks at oneself as in a mirror, and reads what lies on the table.
    ada.page.get_by_role("button", name="Try camera and microphone").click()
    preview = ada.page.locator(".preview video")
    expect(preview).to_contain_class("stream--mirrored")
    ada.page.get_by_role("button", name="Turn the camera around").click()
    expect(preview).not_to_contain_class("stream--mirrored")
    ada.page.get_by_role("button", name="Turn the camera around").click()
    expect(preview).to_contain_class("stream--mirrored")
    ada.page.locator(".before__join").click()
    ada.room.wait_for()
    call = ada.page.url.rsplit("/", 1)[1].partition("?")[0]
    ben.join(call)
    ben.sees(ada)
    own = ada.tile(ada).locator("video")
    expect(own).to_contain_class("stream--mirrored")
    front = set(ada.page.evaluate(_ON))
    assert front
    ada.tile(ada).get_by_role("button", name="Turn the camera around").click()
    ada.look = BLUE
    ben.sees(ada)
    expect(own).not_to_contain_class("stream--mirrored")
    assert front.isdisjoint(ada.page.evaluate(_ON)), "the camera in front is let go of"
    ada.tile(ada).get_by_role("button", name="Turn the camera around").click()
    ada.look = RED
    ben.sees(ada)
    # A computer's cameras have no other side.
    expect(ben.tile(ben)).to_be_visible()
    expect(ben.page.get_by_role("button", name="Turn the camera around")).to_have_count(0)
