"""An outcome that is disputed: evidence of both sides, a ruling, an appeal to somebody else, where the money goes."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Locator, Page, expect

from scripts.hub_process import run_command
from tests.browser import test_finance
from tests.browser.hub import Hub
from tests.browser.person import Person
from tests.browser.wallet import at_check_out, available
from tests.payments.sandbox_process import SandboxClient

People = Callable[..., Person]

ZONE = "Asia/Shanghai"
TITLE = "Read every evening"
OBJECTION = "The page in that picture was read last week, not today."
ANSWER = "The picture shows today's paper beside the book."
FIRST = "The book in the picture is another one than agreed."
SECOND = "The title was agreed in the thread, and this is the book."

admin = test_finance.admin


@pytest.fixture
def staff(people: People, admin: Person) -> Callable[[str], Person]:
    """Somebody who looks after the desk and nothing else."""

    def made(name: str) -> Person:
        person = people(name)
        admin.api("PUT", f"/admin/users/{person.id}/grants/staff")
        return person

    return made


def paid(owner: Person, *supervisors: Person, amount: int = 50_00, moves: int = 40_00) -> str:
    """The id of a pledge whose deposit was paid at the check-out page and that both watch."""
    due = datetime.now(ZoneInfo(ZONE)) + timedelta(hours=2)
    terms: dict[str, Any] = {
        "title": TITLE,
        "zone": ZONE,
        "tasks": [{"title": "Read 20 pages", "due": f"{due:%Y-%m-%dT%H:%M}"}],
        "stake": {"kind": "deposit", "amount": amount, "currency": "CNY", "moves_if_failed": moves},
        "rule": {"kind": "any"},
        "least": len(supervisors),
        "most": len(supervisors),
    }
    named = [person.id for person in supervisors]
    made = {"id": secrets.token_urlsafe(16), "side": "owner", "terms": terms, "supervisors": named}
    id: str = owner.api("POST", "/pledges", made)["id"]
    owner.api("POST", f"/pledges/{id}/publish")
    for person in supervisors:
        person.api("POST", f"/pledges/{id}/invitation/accept")
    wanted = {"id": secrets.token_urlsafe(16), "provider": "sandbox"}
    page = owner.open(owner.api("POST", f"/pledges/{id}/funding", wanted)["url"]).page
    at_check_out(page, f"¥{amount // 100}.00")
    page.get_by_role("button", name=re.compile("^Pay")).click()
    owner.open(f"/pledges/{id}")
    expect(chip(page, "Running")).to_be_visible()
    return id


def chip(page: Page, text: str) -> Locator:
    """The state of the pledge on its page."""
    return page.locator(".slip__head").get_by_text(text, exact=True)


def object_to(page: Page, kind: str, words: str) -> None:
    page.get_by_role("button", name=kind, exact=True).first.click()
    sheet = page.get_by_role("dialog")
    sheet.get_by_label("What is not right?").fill(words)
    sheet.get_by_role("button", name=kind, exact=True).click()
    expect(chip(page, "Disputed")).to_be_visible()


def add_evidence(page: Page, words: str) -> None:
    page.get_by_role("button", name="Add evidence").click()
    sheet = page.get_by_role("dialog")
    sheet.get_by_label("What it shows").fill(words)
    sheet.get_by_role("button", name="Add it for good").click()
    expect(page.get_by_role("region", name="Evidence").get_by_text(words)).to_be_visible()


def take(reviewer: Person) -> Page:
    """From the queue to the case."""
    page = reviewer.open("/desk/pledges").page
    page.get_by_role("link", name=TITLE).click()
    page.get_by_role("button", name="Take this case").click()
    expect(page.get_by_role("heading", name="Your ruling")).to_be_visible()
    return page


def rule(page: Page, ruling: str, reasons: str) -> None:
    page.get_by_role("radio", name=re.compile(f"^{ruling}")).check()
    page.get_by_label("Your reasons").fill(reasons)
    page.get_by_role("button", name="Rule", exact=True).click()
    expect(page.get_by_text("Ruled. Both sides are told.")).to_be_visible()


def test_a_dispute_is_ruled_appealed_and_settled_by_somebody_else(
    people: People, staff: Callable[[str], Person], till: SandboxClient, hub: Hub
) -> None:
    emma, tom, max_ = people("Emma"), people("Tom"), people("Max")
    ray, sue = staff("Ray"), staff("Sue")
    for friend in (tom, max_):
        emma.befriend(friend)
    id = paid(emma, tom, max_)
    tom.api("POST", f"/pledges/{id}/tasks/1/stamps", {"verdict": "done"})
    expect(chip(emma.page, "Kept")).to_be_visible()

    max_.open(f"/pledges/{id}")
    object_to(max_.page, "Object", OBJECTION)
    expect(emma.page.get_by_text(OBJECTION).first).to_be_visible()
    add_evidence(emma.page, ANSWER)

    page = take(ray)
    expect(page.get_by_text(OBJECTION)).to_be_visible()
    expect(page.get_by_text(ANSWER)).to_be_visible()
    page.get_by_role("button", name="Rule", exact=True).click()
    expect(page.get_by_text("Choose one.")).to_be_visible()
    expect(page.get_by_text("20 more characters")).to_be_visible()
    rule(page, "Not kept", FIRST)
    expect(emma.page.get_by_text(FIRST).first).to_be_visible()
    assert available(emma) == 0

    object_to(emma.page, "Appeal", SECOND)
    max_.api("POST", f"/pledges/{id}/evidence", {"words": "I have nothing to add to what I said."})
    ray.open(f"/desk/pledges/{id}")
    expect(ray.page.get_by_text("You made the ruling that is appealed.").last).to_be_visible()
    expect(ray.page.get_by_role("button", name="Take this case")).to_have_count(0)
    page = take(sue)
    expect(page.get_by_text(FIRST)).to_be_visible()
    rule(page, "Kept", SECOND)

    expect(emma.page.get_by_text("It is settled.", exact=True)).to_be_visible()
    assert emma.api("GET", f"/pledges/{id}")["outcome"] == "kept"
    assert [available(person) for person in (emma, tom, max_)] == [50_00, 0, 0]
    books = run_command("ledger", "verify", "--data-dir", str(hub.data_dir))
    assert "Difference: 0. Whole." in books.stdout, books.stdout


def test_staff_goes_on_duty_and_gets_what_waits(people: People, staff: Callable[[str], Person]) -> None:
    ray, emma = staff("Ray"), people("Emma")
    page = ray.open("/desk/pledges/duty").page
    page.get_by_role("checkbox", name=re.compile("^Read")).check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved")).to_be_visible()
    due = datetime.now(ZoneInfo(ZONE)) + timedelta(hours=2)
    stake = {"kind": "staff", "amount": 20_00, "currency": "CNY", "moves_if_failed": 20_00}
    task = {"title": "Read 20 pages", "due": f"{due:%Y-%m-%dT%H:%M}"}
    terms = {"title": TITLE, "zone": ZONE, "tasks": [task], "stake": stake, "template": "reading"}
    made = {"id": secrets.token_urlsafe(16), "side": "owner", "terms": terms}
    id = emma.api("POST", "/pledges", made)["id"]
    emma.api("POST", f"/pledges/{id}/publish")
    ray.open("/desk/pledges")
    page.get_by_text("Mine").click()
    expect(page.get_by_role("link", name=TITLE)).to_be_visible()


def test_a_record_is_shown_with_consent(people: People) -> None:
    emma, tom = people("Emma"), people("Tom")
    emma.befriend(tom)
    tom.open(f"/people/{emma.id}")
    expect(tom.page.get_by_text("Write a message")).to_be_visible()
    expect(tom.page.get_by_role("heading", name="Promises so far")).to_have_count(0)
    page = emma.open("/me").page
    page.get_by_role("switch", name="Let others see this").check(force=True)
    expect(page.get_by_text("Others see it now")).to_be_visible()
    tom.page.reload()
    expect(tom.page.get_by_role("heading", name="Promises so far")).to_be_visible()
    expect(tom.page.get_by_text("No promise has ended yet.")).to_be_visible()
