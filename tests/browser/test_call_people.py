"""Calls of four: one watched by three, three watched by one, all by all. Who is who is seen and heard (R-14, R-15)."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.caller import Caller
from tests.browser.caller_films import BLUE, GOLD, GREEN, RED
from tests.browser.conftest import Callers

pytestmark = pytest.mark.alone


@pytest.fixture
def four(callers: Callers) -> tuple[Caller, Caller, Caller, Caller, str]:
    """Ada, a friend of the three others, and the group of them all."""
    ada, ben, cho, dan = callers("Ada", RED), callers("Ben", GREEN), callers("Cho", BLUE), callers("Dan", GOLD)
    for other in (ben, cho, dan):
        ada.befriend(other)
    return ada, ben, cho, dan, ada.group("Four", ben, cho, dan)


def watched_by(one: Caller, *names: str) -> None:
    """The bar above one's own picture names them all, and nobody else."""
    listed = ", ".join(names[:-1]) + " and " + names[-1]
    said = "".join(f"(?=.*{name})" for name in names)
    expect(one.page.locator(".watched--live")).to_have_text(
        re.compile(f"^ *You are being watched by {said}.{{{len(listed)}}} *$")
    )


def test_one_is_watched_by_three(four: tuple[Caller, Caller, Caller, Caller, str]) -> None:
    """What one shows arrives at three, who show nothing; the one is told by name who looks, and who stops."""
    ada, *three, group = four
    call = ada.ring(group)
    for one in three:
        one.join(call, camera=False, voice=False)
    for one in three:
        one.sees(ada)
        one.hears(ada)
        assert one.live() == {}, "who only watches opens nothing"
    watched_by(ada, "Ben", "Cho", "Dan")

    # On another page the call goes on, small, and one can leave it there.
    cho = three[1]
    cho.room.get_by_role("button", name="Back").click()
    small = cho.page.get_by_role("complementary", name="Running call")
    expect(small.locator("video")).to_be_visible()
    cho.hears(ada)
    small.get_by_role("button", name="Leave").click()
    watched_by(ada, "Ben", "Dan")

    # Muted is silence, camera off is no picture, at everybody.
    ada.press("Mute")
    ada.press("Turn off the camera")
    for one in (three[0], three[2]):
        one.hears_nothing_of(ada)
        expect(one.tile(ada).locator("video")).to_have_count(0)
    expect(ada.page.locator(".watched--live")).to_have_count(0)
    ada.press("Unmute")
    ada.press("Turn on the camera")
    for one in (three[0], three[2]):
        one.sees(ada)
        one.hears(ada)


def test_three_are_watched_by_one(four: tuple[Caller, Caller, Caller, Caller, str]) -> None:
    """The watch wall: each in their own colour and voice, beside each other, and each told that one looks."""
    coach, *pupils, group = four
    call = coach.ring(group, camera=False, voice=False)
    for one in pupils:
        one.join(call)
    coach.choose("Wall of those you watch", menu="Layout")
    coach.sees(*pupils)
    coach.hears(*pupils)
    boxes = [coach.tile(one).bounding_box() for one in pupils]
    sizes = {(round(box["width"]), round(box["height"])) for box in boxes if box}
    assert len(sizes) == 1, boxes
    own = coach.tile(coach).bounding_box()
    assert own is not None
    assert own["width"] < min(width for width, _ in sizes)
    for one in pupils:
        expect(one.page.locator(".watched")).to_contain_text("Ada")
        one.hears(*(other for other in pupils if other is not one))

    # Put out by the one who called: at once nothing of it is left, at either end.
    ben, cho, dan = pupils
    coach.press("People")
    coach.page.get_by_role("button", name="Actions for Ben").click()
    coach.page.get_by_role("menuitem", name="Remove from the call").click()
    coach.page.get_by_role("dialog").get_by_role("button", name="Remove from the call").click()
    ben.lets_go()
    expect(ben.page.get_by_text("You were removed from this call")).to_be_visible()
    expect(coach.tile(ben)).to_have_count(0)
    assert ben.ask("POST", f"/calls/{call}/accept") == (409, "conflict")
    coach.hears_nothing_of(ben)
    coach.sees(cho, dan)


def test_four_who_all_see_each_other(four: tuple[Caller, Caller, Caller, Caller, str]) -> None:
    *everybody, group = four
    call = everybody[0].ring(group)
    for one in everybody[1:]:
        one.join(call)
    for one in everybody:
        others = [other for other in everybody if other is not one]
        one.sees(*others)
        one.hears(*others)

    # Who speaks is large, unless somebody has been chosen.
    ada, ben, cho, _ = everybody
    ada.choose("Who speaks is large", menu="Layout")
    ada.tile(cho).hover()
    ada.page.get_by_role("button", name="Show Cho large").click()
    large, strip = ada.tile(cho).bounding_box(), ada.tile(ben).bounding_box()
    assert large is not None
    assert strip is not None
    expect(ada.tile(cho).get_by_role("button", name="Show all alike")).to_have_attribute("aria-pressed", "true")
    ada.page.wait_for_function(
        "([one, other]) => spy.video(one, 'camera')?.clientWidth > 2 * spy.video(other, 'camera')?.clientWidth",
        arg=[cho.id, ben.id],
    )
    ada.sees(ben, cho)
    # One who leaves is gone for all, and for the others it goes on.
    ben.leave()
    ben.lets_go()
    for one in (ada, cho):
        expect(one.tile(ben)).to_have_count(0)
    cho.sees(ada)
