"""What people do with a promise: offer and accept, pay, say and stamp, admit, object and add evidence."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from playwright.sync_api import FilePayload, Locator, Page, expect

from tests.browser.conftest import People
from tests.browser.person import Person
from tests.media.samples import png
from tests.payments.sandbox_process import SandboxClient


def promise(owner: Person, *supervisors: Person, most: int = 2, times: int = 2) -> str:
    """Published, with money at stake, and found by the owner's friends. It can be done at once."""
    due = datetime.now(UTC) + timedelta(hours=3)
    task = {"title": "Read 30 minutes", "due": f"{due:%Y-%m-%dT%H:%M}", "repeat": f"FREQ=DAILY;COUNT={times}"}
    terms = {
        "title": "A book a month",
        "zone": "UTC",
        "tasks": [task],
        "stake": {"kind": "deposit", "amount": 50_00, "currency": "CNY", "moves_if_failed": 40_00},
        "most": most,
        "visibility": "friends",
    }
    wanted = {
        "id": secrets.token_urlsafe(16),
        "side": "owner",
        "terms": terms,
        "supervisors": [one.id for one in supervisors],
        "days": 1,
    }
    id: str = owner.api("POST", "/pledges", wanted)["id"]
    owner.api("POST", f"/pledges/{id}/publish")
    for one in supervisors:
        one.api("POST", f"/pledges/{id}/invitation/accept")
    return id


def seats(page: Page) -> Locator:
    return page.get_by_role("region", name="Who watches")


def state(person: Person, id: str) -> str:
    view: dict[str, Any] = person.api("GET", f"/pledges/{id}")
    return str(view["state"])


def test_somebody_offers_is_accepted_and_the_check_out_pays(people: People) -> None:
    emma, ann = people("Emma", width="phone"), people("Ann")
    emma.befriend(ann)
    id = promise(emma, most=1)
    ann.open(f"/pledges/{id}")
    seats(ann.page).get_by_role("button", name="Offer to watch").click()
    ann.page.get_by_label("A line to Emma").fill("I read as well.")
    ann.page.get_by_role("button", name="Offer", exact=True).click()
    expect(seats(ann.page).get_by_text("Offers to watch")).to_be_visible()

    emma.open(f"/pledges/{id}")
    expect(seats(emma.page).get_by_text("I read as well.")).to_be_visible()
    seats(emma.page).get_by_role("button", name="Accept Ann").click()
    expect(seats(emma.page).get_by_text("Watches", exact=True)).to_be_visible()

    emma.page.get_by_role("button", name="Put in ¥50.00").first.click()
    sheet = emma.page.get_by_role("dialog", name="Set the stake aside")
    expect(sheet.get_by_text("back to you").first).to_be_visible()
    expect(sheet.get_by_text("¥40.00")).to_be_visible()
    sheet.get_by_role("button", name="Pay ¥50.00 with Practice Pay").click()
    expect(emma.page).to_have_url(re.compile("/pay/"))

    # She looks at it again before she pays: it is the same check-out.
    emma.open(f"/pledges/{id}?payment=open")
    expect(sheet.get_by_text("Still with you. Confirm at Practice Pay")).to_be_visible()
    sheet.get_by_role("link", name="To the check-out").click()
    emma.page.get_by_role("button", name="Pay ¥50.00").click()
    expect(sheet.get_by_text("¥50.00 is set aside.")).to_be_visible()
    sheet.get_by_role("button", name="Close").last.click()
    expect(emma.page).to_have_url(re.compile(f"/pledges/{id}$"))
    assert state(emma, id) == "active"


def test_what_was_done_is_said_and_stamped_with_one_thumb(people: People, till: SandboxClient) -> None:
    emma, tom, ann = people("Emma", width="phone"), people("Tom", width="phone"), people("Ann", language="zh-CN")
    for one in (tom, ann):
        emma.befriend(one)
    id = promise(emma, tom, ann)
    emma.fund(till, 50_00)
    emma.open(f"/pledges/{id}")
    emma.page.get_by_role("button", name="Put in ¥50.00").first.click()
    emma.page.get_by_role("button", name="Set ¥50.00 aside").click()
    expect(emma.page.get_by_text("¥50.00 is set aside.")).to_be_visible()

    emma.open("/pledges/check-in")
    expect(emma.page.get_by_text("1 waits for you", exact=True)).to_be_visible()
    page_of_book: FilePayload = {"name": "page.png", "mimeType": "image/png", "buffer": png(640, 400)}
    emma.page.locator("[data-way=picture]").set_input_files(page_of_book)
    emma.page.get_by_label("What you did").fill("Chapters 3 and 4.")
    emma.page.get_by_role("button", name="I have done it").click()
    expect(emma.page.get_by_text("Nothing waits for you")).to_be_visible()

    tom.open("/pledges/check-in")
    expect(tom.page.get_by_text("Chapters 3 and 4.")).to_be_visible()
    expect(tom.page.get_by_role("link", name="Attachment 1")).to_be_visible()
    expect(tom.page.get_by_role("radio", name="Not done")).to_be_disabled()
    assert tom.page.evaluate("document.documentElement.scrollWidth") == 390
    tom.page.get_by_role("button", name="Press the seal").click()
    expect(tom.page.get_by_text("Stamped", exact=True)).to_be_visible()
    expect(tom.page.get_by_text("1 done · 0 not done · 0 unsure")).to_be_visible()
    tom.page.get_by_role("button", name="Close").click()
    expect(tom.page.get_by_text("Nothing waits for you")).to_be_visible()

    # Until the vote has closed, who has not voted does not see how it stands.
    ann.open("/pledges/check-in")
    expect(ann.page.get_by_text("Emma说做完了")).to_be_visible()
    assert ann.api("GET", f"/pledges/{id}")["tasks"][0]["votes"] == []
    ann.page.get_by_role("button", name="盖章").click()
    expect(ann.page.get_by_text("盖好了")).to_be_visible()
    assert emma.api("GET", f"/pledges/{id}")["tasks"][0]["state"] == "kept"


def test_who_admits_it_may_still_be_objected_to_with_evidence(people: People, till: SandboxClient) -> None:
    emma, tom = people("Emma"), people("Tom", width="phone")
    emma.befriend(tom)
    id = promise(emma, tom, most=1)
    emma.fund(till, 50_00)
    emma.api("POST", f"/pledges/{id}/funding", {"id": secrets.token_urlsafe(16), "provider": None})

    emma.open(f"/pledges/{id}")
    emma.page.get_by_role("button", name="More actions").click()
    emma.page.get_by_role("menuitem", name="Admit that it is not kept").click()
    sheet = emma.page.get_by_role("dialog", name="End it: not kept")
    expect(sheet.get_by_text("¥40.00")).to_be_visible()
    sheet.get_by_role("button", name="I did not keep it").click()
    outcome = emma.page.get_by_role("region", name="The outcome")
    expect(outcome.get_by_text("Not kept", exact=True)).to_be_visible()

    tom.open(f"/pledges/{id}")
    tom.page.get_by_role("button", name="Object", exact=True).click()
    sheet = tom.page.get_by_role("dialog", name="Object to the outcome")
    sheet.get_by_label("What is not right?").fill("She read it")
    sheet.get_by_role("button", name="Object", exact=True).click()
    expect(sheet.get_by_text("9 more characters")).to_be_visible()
    sheet.get_by_label("What is not right?").fill("She read it with me, all of it.")
    sheet.get_by_role("button", name="Object", exact=True).click()
    expect(sheet).to_be_hidden()
    assert state(tom, id) == "disputed"

    tom.page.get_by_role("button", name="Add evidence").click()
    sheet = tom.page.get_by_role("dialog", name="Add evidence")
    sheet.get_by_role("button", name="Add it for good").click()
    expect(sheet.get_by_text("Write something, or add a picture.")).to_be_visible()
    sheet.get_by_label("What it shows").fill("We sat in the library.")
    sheet.get_by_role("button", name="Add it for good").click()
    evidence = tom.page.get_by_role("region", name="Evidence")
    expect(evidence.get_by_text("We sat in the library.")).to_be_visible()
    expect(evidence.get_by_text("Unbroken")).to_be_visible()
