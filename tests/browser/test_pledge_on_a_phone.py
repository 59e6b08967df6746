"""R-19: every role on a phone. A promise is sent, received, supervised, paid and checked in at 390 px, and settled."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from scripts.hub_process import run_command
from tests.browser.hub import Hub
from tests.browser.person import Person
from tests.browser.wallet import at_check_out, available
from tests.payments.sandbox_process import SandboxClient

People = Callable[..., Person]


def fits(page: Page) -> None:
    """Nothing is wider than the phone."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.url


def send(page: Page, name: str) -> None:
    """Four steps; the stake is ¥20, all of it for who watches when it is not kept."""
    page.goto("/pledges")
    page.get_by_role("button", name="New promise").first.click()
    page.get_by_label("What is promised").fill("Read 30 minutes")
    page.get_by_label("How often").select_option(label="Once")
    page.get_by_label("Can be done from").select_option(label="2 days before")
    fits(page)
    page.get_by_role("button", name="Next").click()
    page.get_by_role("list", name="Whom you ask").get_by_role("checkbox", name=name).click()
    fits(page)
    page.get_by_role("button", name="Next").click()
    page.get_by_label("Amount", exact=True).fill("20")
    page.get_by_role("group", name="If it is not kept, to").get_by_text("All of it").click()
    fits(page)
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text(f"{name} watches.")).to_be_visible()
    expect(page.get_by_text("Not kept: all of it goes to", exact=False)).to_be_visible()
    fits(page)
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page).to_have_url(re.compile("/pledges/g_"))


def pay(page: Page) -> None:
    """Through the provider's page and back; the promise begins while one looks."""
    page.get_by_role("button", name="Put in ¥20.00").click()
    sheet = page.get_by_role("dialog")
    expect(sheet.get_by_role("radio", name=re.compile("Practice Pay"))).to_be_checked()
    fits(page)
    sheet.get_by_role("button", name="Pay ¥20.00 with Practice Pay").click()
    at_check_out(page, "¥20.00")
    page.get_by_role("button", name="Pay ¥20.00").click()
    expect(page).to_have_url(re.compile("/pledges/g_"))
    expect(page.get_by_role("dialog")).to_contain_text("¥20.00 is set aside.")
    page.get_by_role("dialog").get_by_role("button", name="Close").first.click()
    expect(page.get_by_role("article").get_by_text("Running", exact=True)).to_be_visible()


def test_a_promise_on_two_phones(people: People, hub: Hub, till: SandboxClient) -> None:
    emma, tom = people("Emma", width="phone"), people("Tom", width="phone")
    emma.befriend(tom)
    send(emma.page, "Tom")

    received = tom.open("/pledges").page
    received.get_by_role("link", name=re.compile("Read 30 minutes")).click()
    fits(received)
    received.get_by_role("button", name="I will watch").click()
    expect(received.get_by_text("You watch now")).to_be_visible()

    pay(emma.page)
    fits(emma.page)

    emma.page.get_by_role("region", name="What happens next").get_by_role("button", name="Report").click()
    emma.page.get_by_label("What you did").fill("Chapter three, to the end.")
    fits(emma.page)
    emma.page.get_by_role("button", name="I have done it").click()
    expect(emma.page.get_by_text("Said. Those who watch are told.")).to_be_visible()

    tom.open("/pledges")
    received.get_by_role("link", name=re.compile("^Check in")).click()
    expect(received.get_by_text("Chapter three, to the end.")).to_be_visible()
    fits(received)
    received.get_by_role("button", name="Press the seal").click()
    expect(received.get_by_text("Stamped", exact=True)).to_be_visible()

    for person in (emma, tom):
        id = emma.page.url.rsplit("/", 1)[1].partition("?")[0]
        page = person.open(f"/pledges/{id}").page
        expect(page.get_by_role("region", name="The outcome")).to_contain_text("It counts as kept.")
        fits(page)
        page.get_by_role("button", name="Accept the outcome").click()
    expect(tom.page.get_by_text("It is settled. Nothing more happens.")).to_be_visible()
    assert [available(person) for person in (emma, tom)] == [20_00, 0]
    books = run_command("ledger", "verify", "--data-dir", str(hub.data_dir))
    assert "Difference: 0. Whole." in books.stdout, books.stdout
