"""The desk: a report from a chat, its decision by staff, and what admins see (docs/administration.md)."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, expect

from server.settings import ROOT
from tests.browser.hub import Hub
from tests.browser.person import PASSWORD, Person
from tests.browser.test_pages import faults

People = Callable[..., Person]
MENU = "Message actions"


@pytest.fixture
def admin(hub: Hub, people: People) -> Person:
    """Made as docs/administration.md says it, while the server runs."""
    ann = people("Ann", registered=False)
    command = [sys.executable, "-m", "server", "admin", "create", ann.handle, "--password-stdin"]
    command += ["--data-dir", str(hub.data_dir)]
    subprocess.run(command, input=PASSWORD + "\n", text=True, check=True, capture_output=True, cwd=ROOT, timeout=60)
    signed_in = ann.api("POST", "/sessions", {"login": ann.handle, "password": PASSWORD})
    ann.id = signed_in["me"]["id"]
    ann.api("PATCH", "/me", {"name": "Ann", "time_zone": "Asia/Shanghai"})
    return ann


def bubble(person: Person, text: str) -> Locator:
    return person.page.locator("[data-seq]").filter(has_text=text).last


def test_a_report_from_a_chat_is_decided_and_both_are_told(people: People, admin: Person) -> None:
    ada, ben = people("Ada"), people("Ben")
    ada.befriend(ben)
    room = ada.group("Reading circle", ben)
    ada.say(room, "How far are you?")
    ben.say(room, "You are too slow for this")
    ada.open_chat(room)
    message = bubble(ada, "You are too slow for this")
    message.hover()
    message.get_by_role("button", name=MENU).click()
    ada.page.get_by_role("menuitem", name="Report").click()
    sheet = ada.page.get_by_role("dialog")
    sheet.get_by_label("Insults somebody").check()
    sheet.get_by_role("button", name="Send report").click()
    expect(ada.page.get_by_text("Reported. You will hear what followed.")).to_be_visible()

    page = admin.page
    admin.open("/desk/reports")
    page.get_by_role("link", name="You are too slow for this").first.click()
    expect(page.get_by_text("How far are you?")).to_be_visible()
    page.get_by_role("button", name="Work on it").click()
    page.get_by_role("button", name="Decide").click()
    decision = page.get_by_role("dialog")
    decision.get_by_label("Remove the message").check()
    decision.get_by_label("Warn Ben").check()
    decision.locator("footer").get_by_role("button", name="Decide").click()
    expect(page.get_by_text("Decided. Both were told.")).to_be_visible()
    expect(page.get_by_role("heading", name="Message removed · Warned")).to_be_visible()

    expect(ada.page.get_by_text("Removed by staff")).to_be_visible()
    expect(ada.page.get_by_text("You are too slow for this")).to_have_count(0)
    told = {who.name: {entry["kind"] for entry in inbox(who)} for who in (ada, ben)}
    assert "report_decided" in told["Ada"]
    assert "moderated" in told["Ben"]


def inbox(person: Person) -> list[dict[str, str]]:
    """The person's inbox as their own page hears it."""
    person.open("/inbox")
    entries: list[dict[str, str]] = person.page.evaluate(
        """async (id) => {
            const socket = new WebSocket(`${location.origin.replace('http', 'ws')}/api/v1/socket`)
            const found = []
            await new Promise((done) => {
                socket.onopen = () => socket.send(JSON.stringify({ t: 'hello', v: 1 }))
                socket.onmessage = ({ data }) => {
                    const frame = JSON.parse(data)
                    const wanted = { t: 'history', rid: 1, ch: `inbox:${id}`, limit: 100 }
                    if (frame.t === 'welcome') socket.send(JSON.stringify(wanted))
                    if (frame.t === 'page') { found.push(...frame.page.entries); done() }
                }
            })
            socket.close()
            return found
        }""",
        person.id,
    )
    return entries


def test_an_admin_finds_somebody_suspends_them_and_sees_figures(people: People, admin: Person) -> None:
    joe = people("Joe Suspendable")
    joe.open("/chats")
    page = admin.page
    admin.open("/desk/people")
    page.get_by_label("Find by name, handle or phone").fill("suspendab")
    page.get_by_role("link", name="Joe Suspendable").click()
    page.get_by_role("button", name="Suspend").click()
    sheet = page.get_by_role("dialog")
    sheet.get_by_label("Deceives people").check()
    sheet.get_by_role("button", name="Suspend", exact=True).click()
    expect(page.get_by_text("Suspended until")).to_be_visible()
    expect(joe.page).to_have_url(re.compile("/sign-in"))
    joe.page.get_by_label("Handle or phone").fill(joe.handle)
    joe.page.get_by_label("Password", exact=True).fill(PASSWORD)
    joe.page.get_by_role("button", name="Sign in").click()
    expect(joe.page.get_by_text("This account is suspended until")).to_be_visible()

    admin.open("/desk/overview")
    expect(page.get_by_role("heading", name="Messages and events per minute")).to_be_visible()
    admin.open("/desk/audit")
    expect(page.get_by_text("You suspended Joe Suspendable")).to_be_visible()


@pytest.mark.parametrize("width", ["desktop", "phone"])
def test_every_page_of_the_desk_can_be_read(people: People, admin: Person, width: str) -> None:
    ada, ben = people("Ada"), people("Ben")
    ada.befriend(ben)
    room = ada.direct(ben)
    ben.say(room, "buy this at https://example.org/" + "x" * 120)
    report = ada.api("POST", "/reports", {"reason": "spam", "note": "Again.", "conversation": room, "seq": 2})
    if width == "phone":
        admin.page.set_viewport_size({"width": 390, "height": 844})
    problems: list[str] = []
    for path in (
        "/desk",
        "/desk/reports",
        f"/desk/reports/{report['id']}",
        "/desk/overview",
        "/desk/people",
        f"/desk/people/{ada.id}",
        "/desk/server",
        "/desk/configuration",
        "/desk/audit",
    ):
        admin.open(path)
        expect(admin.page.locator("h1, h2").first).to_be_attached()
        expect(admin.page.locator(".skeleton:visible")).to_have_count(0)
        problems += faults(admin)
    assert problems == []


def test_others_find_no_desk(people: People) -> None:
    ada = people("Ada")
    ada.open("/desk/people")
    expect(ada.page.get_by_text("Nothing is here")).to_be_visible()
    expect(ada.page.get_by_role("link", name="Desk")).to_have_count(0)
