"""Promises with a stake: the wizard, one's own list, the list of those that seek somebody, the page (R-02, R-04)."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.conftest import People
from tests.browser.person import Person
from tests.payments.sandbox_process import SandboxClient


def promise(page: Page, title: str) -> None:
    """Step 1 of the wizard, with what it proposes: every day, five times."""
    page.get_by_label("What is promised").fill(title)


def following(page: Page, heading: str) -> None:
    page.get_by_role("button", name="Next", exact=True).click()
    expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()


def draft(owner: Person, title: str, **fields: Any) -> dict[str, Any]:
    """A draft without money, by the API."""
    due = (datetime.now(UTC) + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M")
    stake = fields.pop("stake", {"kind": "points", "points": 20})
    supervisors = fields.pop("supervisors", [])
    terms = {"title": title, "zone": "UTC", "tasks": [{"title": title, "due": due}], "stake": stake} | fields
    body = {"id": secrets.token_urlsafe(16), "side": "owner", "terms": terms, "supervisors": supervisors}
    return dict(owner.api("POST", "/pledges", body))


def test_a_promise_in_four_steps(people: People, till: SandboxClient) -> None:
    """What is written survives a reload; the bar shows both outcomes before anything is published."""
    ada, ben = people("Ada"), people("Ben")
    ada.befriend(ben)
    page = ada.open("/pledges").page
    page.get_by_role("main").get_by_role("button", name="New promise").click()
    promise(page, "Read 30 minutes")
    expect(page.get_by_text("5 due times")).to_be_visible()
    expect(page.get_by_text("You promise “Read 30 minutes”.").first).to_be_visible()

    page.reload()
    expect(page.get_by_label("What is promised")).to_have_value("Read 30 minutes")

    following(page, "Who watches")
    page.get_by_role("button", name="Next", exact=True).click()
    expect(page.get_by_text("Choose whom you ask, or let others offer.")).to_be_visible()
    page.get_by_role("checkbox", name="Ben").click()

    following(page, "What is at stake")
    page.get_by_role("textbox", name="Amount", exact=True).fill("50")
    page.get_by_role("group", name="If it is not kept, to Ben").get_by_text("A part", exact=True).click()
    page.get_by_role("textbox", name="How much of it").fill("40")
    bar = page.locator(".split")
    expect(bar.get_by_text("¥40.00")).to_be_visible()
    expect(bar.get_by_text("¥10.00")).to_be_visible()

    following(page, "Read and publish")
    expect(page.get_by_text("Not kept: ¥40.00 goes to Ben, ¥10.00 comes back.")).to_be_visible()
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.get_by_role("heading", name="Read 30 minutes").first).to_be_visible()
    expect(page.get_by_text("Those who were asked have to answer before it begins.")).to_be_visible()

    menu = ben.open("/pledges").page
    expect(menu.get_by_role("heading", name="Waits for you")).to_be_visible()
    menu.get_by_role("link", name="Read 30 minutes").click()
    expect(menu.get_by_text("Ada promises", exact=True)).to_be_visible()


def test_the_page_follows_what_others_do(people: People) -> None:
    """A draft is published on its page; when somebody agrees to watch, the page says that it runs."""
    ada, ben = people("Ada"), people("Ben", width="phone")
    ada.befriend(ben)
    pledge = draft(ada, "Run before school", supervisors=[ben.id])
    page = ada.open(f"/pledges/{pledge['id']}").page
    page.get_by_role("main").get_by_role("button", name="Publish").click()
    page.get_by_role("dialog").get_by_role("button", name="Publish").click()
    expect(page.get_by_role("article").get_by_text("Seeks a watcher")).to_be_visible()

    ben.api("POST", f"/pledges/{pledge['id']}/invitation/accept")
    expect(page.get_by_role("article").get_by_text("Running", exact=True)).to_be_visible()

    ben.open(f"/pledges/{pledge['id']}")
    expect(ben.page.get_by_text("Ada promises", exact=True)).to_be_visible()
    ben.page.locator("label", has_text="Timeline").click()
    expect(ben.page.get_by_role("log", name="What happened")).to_be_visible()


def test_those_that_seek_somebody_are_found_by_filters(people: People) -> None:
    ada, ben = people("Ada"), people("Ben", language="zh-CN", width="phone")
    word = secrets.token_hex(4)
    for title, stake in (
        (f"Swim {word}", {"kind": "points", "points": 20}),
        (f"Sing {word}", {"kind": "none"}),
    ):
        pledge = draft(ada, title, stake=stake, visibility="public")
        ada.api("POST", f"/pledges/{pledge['id']}/publish")
    page = ben.open("/pledges/open").page
    page.get_by_placeholder("搜这些约定").fill(word)
    expect(page.get_by_text(f"Swim {word}")).to_be_visible()
    expect(page.get_by_text(f"Sing {word}")).to_be_visible()
    page.get_by_role("button", name="积分").click()
    expect(page.get_by_text(f"Sing {word}")).to_have_count(0)
    page.get_by_text(f"Swim {word}").click()
    expect(page.get_by_text("Ada的约定")).to_be_visible()
    expect(page.get_by_text("还差 1 个人监督才开始。", exact=False)).to_be_visible()


def test_a_promise_that_is_not_ones_own_is_not_there(people: People) -> None:
    ada, ben = people("Ada"), people("Ben")
    pledge = draft(ada, "Nobody's business")
    ben.open(f"/pledges/{pledge['id']}")
    expect(ben.page.get_by_text("This promise is not yours to see")).to_be_visible()
