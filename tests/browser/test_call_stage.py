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
