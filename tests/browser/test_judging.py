"""A spot check answered early, and a meeting of two phones: each with both people's pages open."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import segno
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import People
from tests.browser.person import Person


def promise(owner: Person, supervisor: Person) -> str:
    """One that has begun: due in three hours, and it can be done already. Nothing moves with it."""
    due = datetime.now(UTC) + timedelta(hours=3)
    terms = {
        "title": "Run again",
        "zone": "UTC",
        "tasks": [{"title": "Run 5 km", "due": f"{due:%Y-%m-%dT%H:%M}"}],
        "stake": {"kind": "points", "points": 10},
        "checks": {"quiet_from": "00:00", "quiet_to": "00:00"},
    }
    owner.befriend(supervisor)
    wanted = {"id": secrets.token_urlsafe(16), "side": "owner", "terms": terms, "supervisors": [supervisor.id]}
    id: str = owner.api("POST", "/pledges", wanted)["id"]
    owner.api("POST", f"/pledges/{id}/publish")
    begun = supervisor.api("POST", f"/pledges/{id}/invitation/accept")
    assert begun["state"] == "active"
    return id


def task_of(page: Page) -> Locator:
    return page.locator("li.task")


def test_a_spot_check_finds_it_done_early(people: People) -> None:
    emma, tom = people("Emma", width="phone"), people("Tom")
    id = promise(emma, tom)
    emma.open(f"/pledges/{id}")
    tom.open(f"/pledges/{id}")
    task_of(tom.page).get_by_role("button", name="Ask for proof now").click()
    tom.page.get_by_role("dialog").get_by_role("button", name="Ask for proof now").click()

    expect(emma.page.get_by_text("Tom asks: is it done?").first).to_be_visible()
    emma.page.get_by_label("A few words").first.fill("Back from the river.")
    emma.page.get_by_role("button", name="It is done").first.click()

    expect(task_of(tom.page).get_by_text("Back from the river.")).to_be_visible()
    expect(task_of(tom.page).get_by_role("button", name="Ask for proof now")).to_be_hidden()
    task_of(tom.page).get_by_role("button", name="Stamp", exact=True).click()
    tom.page.get_by_role("dialog").get_by_role("button", name="Press the seal").click()
    expect(tom.page.get_by_role("status").get_by_text("Stamped")).to_be_visible()

    for person in (emma, tom):
        expect(task_of(person.page)).to_contain_text("Kept · early")
    assert state(emma, id) == ("challenge_window", "kept", True)


def test_two_phones_attest_that_they_have_met(people: People) -> None:
    emma, tom = people("Emma", width="phone"), people("Tom", width="phone")
    id = promise(emma, tom)
    emma.open(f"/pledges/{id}")
    task_of(emma.page).get_by_role("button", name="Actions for task 1").click()
    with emma.page.expect_response(MEETINGS) as begun:
        emma.page.get_by_role("menuitem", name="Meet in person").click()
    number, choices = scanned(emma, tom, begun.value.json())
    wrong = next(one for one in choices if one != number)
    emma.page.get_by_role("button", name=f"Number {wrong}", exact=True).click()
    expect(emma.page.get_by_text("The code has run out")).to_be_visible()
    expect(tom.page.get_by_text("The time ran out before the number was tapped.")).to_be_visible()

    with emma.page.expect_response(MEETINGS) as again:
        emma.page.get_by_role("button", name="Show a new code").click()
    number, _ = scanned(emma, tom, again.value.json())
    emma.page.get_by_role("button", name=f"Number {number}", exact=True).click()
    for person in (emma, tom):
        expect(person.page.get_by_text("Attested", exact=True)).to_be_visible()
    tom.page.get_by_role("link", name="Open the promise").click()
    task_of(tom.page).get_by_role("button", name="Details of task 1").click()
    expect(task_of(tom.page)).to_contain_text("in person")
    assert state(emma, id) == ("challenge_window", "kept", True)


#: where a meeting is begun
MEETINGS = re.compile(r"/tasks/1/meetings$")


def scanned(emma: Person, tom: Person, meeting: dict[str, Any]) -> tuple[str, list[str]]:
    """Tom's camera reads the code on Emma's phone: the number that his shows, and those between which she chooses."""
    picture = emma.page.get_by_role("img", name="Code to be scanned")
    expect(picture).to_have_attribute("src", re.compile("^data:image/svg"))
    drawn = segno.make(meeting["url"], error="m").symbol_size(border=2)[0]
    assert f'viewBox="0 0 {drawn} {drawn}"' in meeting["svg"] or f'width="{drawn}"' in meeting["svg"]
    tom.open(urlsplit(meeting["url"]).path)
    shown = tom.page.get_by_label(re.compile(r"^The number is \d+$"))
    expect(shown).to_be_visible()
    buttons = emma.page.get_by_role("button", name=re.compile(r"^Number \d+$"))
    expect(buttons).to_have_count(3)
    return shown.inner_text(), buttons.all_inner_texts()


def state(person: Person, id: str) -> tuple[str, str, bool]:
    """Of the pledge, its outcome, and whether its task was done early."""
    view: dict[str, Any] = person.api("GET", f"/pledges/{id}")
    return view["state"], view["outcome"], view["tasks"][0]["early"]
