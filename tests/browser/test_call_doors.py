"""Into a call and out of it: busy, declined, missed, on to another device (R-14, R-15)."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.caller_films import BLUE, GREEN, RED
from tests.browser.conftest import Callers

pytestmark = pytest.mark.alone


def test_busy_declined_and_missed(callers: Callers) -> None:
    ada, ben, cho = callers("Ada", RED), callers("Ben", GREEN), callers("Cho")
    for other in (ben, cho):
        ada.befriend(other)
    cho.befriend(ben)
    group, two = ada.group("Three", ben, cho), cho.direct(ben)
    cho.open("/people")
    call = ada.ring(group)
    ben.join(call)
    ada.sees(ben)
    expect(cho.page.locator(".ring")).to_contain_text("Ada")

    # Whoever is in a call is busy for another one: there it does not ring, and the thread keeps it for later.
    cho.before(two)
    cho.try_to_go_in(camera=False, voice=False)
    expect(cho.page).to_have_url(re.compile("/calls/cl_"))
    expect(cho.page.get_by_role("heading", name="In another call just now")).to_be_visible()
    [second] = [one for one in cho.api("GET", "/calls")["calls"] if one["conversation"] == two]
    assert {seat["person"]: seat["state"] for seat in second["seats"]}[ben.id] == "busy"
    expect(ben.page.locator(".ring")).to_have_count(0)
    ben.sees(ada)

    # Cho does not answer; when the others are done the thread says what there was.
    ada.leave()
    ben.leave()
    cho.open_chat(group)
    expect(cho.page.locator(".scroller")).to_contain_text("You missed a call from Ada")
    ada.open_chat(group)
    expect(ada.page.locator(".scroller")).to_contain_text("Video call,")

    ben.open_chat(two)
    expect(ben.page.locator(".scroller")).to_contain_text("You missed a call from Cho")

    # Declined is told at once, and the phone is quiet.
    direct = ada.direct(ben)
    ben.open("/people")
    ada.ring(direct)
    ring = ben.page.locator(".ring")
    ring.get_by_role("button", name="Decline").click()
    expect(ring).to_have_count(0)
    ada.lets_go()
    expect(ada.page.get_by_text("The call was declined")).to_be_visible()
    ada.open_chat(direct)
    expect(ada.page.locator(".scroller")).to_contain_text("You called; the call was declined")


def test_a_call_moves_to_another_device(callers: Callers) -> None:
    """Ben goes on at his other device: there it is live, the first one lets go of everything and says where it went."""
    ada, ben, phone = callers("Ada", RED), callers("Ben", GREEN), callers("Ben's phone", BLUE)
    ada.befriend(ben)
    call = ada.ring(ada.direct(ben))
    ben.join(call)
    ada.sees(ben)
    ada.hears(ben)
    phone.sign_in_as(ben)
    phone.open(f"/calls/{call}")
    expect(phone.page.get_by_text("You are in this call on another device.")).to_be_visible()
    phone.go_in()
    ben.lets_go()
    expect(ben.page.get_by_text("The call goes on on your other device")).to_be_visible()
    ada.sees(phone)
    ada.hears(phone)
    phone.sees(ada)
    # And back again.
    ben.page.get_by_role("button", name="Take it over here").click()
    ben.go_in()
    phone.lets_go()
    ada.sees(ben)
    ada.hears(ben)
    ada.leave()
    ben.lets_go()


def test_a_closed_page_is_known_at_once_and_a_reload_comes_back(callers: Callers) -> None:
    ada, ben = callers("Ada", RED), callers("Ben", GREEN)
    ada.befriend(ben)
    call = ada.ring(ada.direct(ben))
    ben.join(call)
    ada.sees(ben)
    ben.page.reload()
    expect(ada.tile(ben)).to_contain_text("Connection lost, waiting …", timeout=5_000)
    ben.go_in()
    ada.sees(ben)
    ben.sees(ada)
    # Sooner than a socket that is gone would be taken for gone, and the call is over when nobody comes back.
    ben.page.close(run_before_unload=True)
    expect(ada.tile(ben)).to_contain_text("Connection lost, waiting …", timeout=5_000)
    expect(ada.room).to_have_count(0, timeout=25_000)
    ada.lets_go()
