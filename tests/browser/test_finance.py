"""The finance desk in the browser, with money that came through the real check-out of the platform for practice."""

from __future__ import annotations

import csv
import io
import re
import secrets
import subprocess
import sys
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from server.settings import ROOT
from tests.browser.hub import Hub
from tests.browser.person import PASSWORD, Person
from tests.browser.test_pages import faults
from tests.payments.sandbox_process import SandboxClient

People = Callable[..., Person]


@pytest.fixture
def admin(hub: Hub, people: People) -> Person:
    ann = people("Ann", registered=False)
    command = [sys.executable, "-m", "server", "admin", "create", ann.handle, "--password-stdin"]
    command += ["--data-dir", str(hub.data_dir)]
    subprocess.run(command, input=PASSWORD + "\n", text=True, check=True, capture_output=True, cwd=ROOT, timeout=120)
    signed_in = ann.api("POST", "/sessions", {"login": ann.handle, "password": PASSWORD})
    ann.id = signed_in["me"]["id"]
    ann.api("PATCH", "/me", {"name": "Ann", "time_zone": "Asia/Shanghai"})
    return ann


@pytest.fixture
def fay(people: People, admin: Person) -> Person:
    """Somebody who looks after the money and nothing else."""
    fay = people("Fay")
    admin.api("PUT", f"/admin/users/{fay.id}/grants/finance")
    return fay


def topped_up(person: Person, till: SandboxClient, amount: int) -> str:
    """The id of a charge that was paid at the check-out page."""
    wanted = {"id": secrets.token_urlsafe(16), "provider": "sandbox", "amount": amount, "currency": "CNY"}
    payment = person.api("POST", "/me/wallet/top-ups", wanted)
    till.pay(payment["check_out"])
    person.open(f"/wallet/payments/{payment['id']}")
    expect(person.page.get_by_text("Done", exact=True)).to_be_visible()
    id: str = payment["id"]
    return id


def proposed(person: Person, target: Person, amount: int, reason: str) -> None:
    wanted = {"id": secrets.token_urlsafe(16), "source": "external:bank", "target": f"available:{target.id}"}
    person.api("POST", "/finance/adjustments", wanted | {"amount": amount, "currency": "CNY", "reason": reason})


def test_a_large_refund_waits_for_somebody_else(
    people: People, till: SandboxClient, admin: Person, fay: Person
) -> None:
    ada = people("Ada")
    charge = topped_up(ada, till, 9_000_00)
    back = ada.api("POST", f"/me/wallet/payments/{charge}/refunds", {"id": secrets.token_urlsafe(16)})
    assert back["state"] == "approval"
    page = fay.open("/desk").page
    expect(page.get_by_role("link", name="Reports")).to_have_count(0)
    page.get_by_role("link", name=re.compile("^Approvals")).click()
    card = page.locator("section").filter(has_text="Ada").filter(has_text="¥9,000.00").last
    card.get_by_role("button", name="Refuse").click()
    sheet = page.get_by_role("dialog")
    expect(sheet.get_by_role("button", name="Refuse")).to_be_disabled()
    sheet.get_by_label("Reason").fill("Please ask for it in two parts.")
    sheet.get_by_role("button", name="Refuse").click()
    expect(page.get_by_text("Refused. The money is back.")).to_be_visible()
    ada.open(f"/wallet/payments/{back['id']}")
    expect(ada.page.get_by_text("Did not work", exact=True)).to_be_visible()

    again = ada.api(
        "POST", f"/me/wallet/payments/{charge}/refunds", {"id": secrets.token_urlsafe(16), "amount": 6_000_00}
    )
    fay.open("/desk/approvals")
    card = page.locator("section").filter(has_text="Ada").filter(has_text="¥6,000.00").last
    card.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("Approved. It goes to the provider now.")).to_be_visible()
    fay.open(f"/desk/payments/{again['id']}")
    expect(page.get_by_text("Approved by")).to_be_visible()
    ada.open(f"/wallet/payments/{again['id']}")
    expect(ada.page.get_by_text("Done", exact=True)).to_be_visible()
    admin.open("/desk/audit")
    expect(admin.page.get_by_text("Fay approved a payment of Ada")).to_be_visible()


def test_a_disputed_payment_is_given_back_with_a_reason(people: People, till: SandboxClient, fay: Person) -> None:
    ada = people("Ada")
    fay.open("/desk/disputes")
    expect(fay.page.get_by_text("No disputes")).to_be_visible()
    charge = topped_up(ada, till, 80_00)
    mine = ada.page
    mine.get_by_role("button", name="Something is wrong").click()
    mine.get_by_role("dialog").get_by_role("textbox").fill("I pressed the button twice.")
    mine.get_by_role("dialog").locator("footer button").last.click()
    page = fay.page
    page.get_by_role("link", name="I pressed the button twice.").click()  # it came without a hand
    page.get_by_role("button", name="Decide").click()
    sheet = page.get_by_role("dialog")
    sheet.get_by_label("Amount").fill("30")
    sheet.get_by_label("Answer").fill("You did. Half of it goes back.")
    sheet.get_by_role("button", name="Decide").click()
    expect(page.get_by_text("Decided. The person is told.")).to_be_visible()
    expect(page.get_by_text("Given back", exact=True)).to_be_visible()
    page.get_by_role("link", name="The refund").click()
    expect(page.get_by_text("¥30.00").first).to_be_visible()
    ada.open(f"/wallet/payments/{charge}")
    expect(mine.get_by_role("button", name="Something is wrong")).to_have_count(0)
    purses = ada.api("GET", "/me/wallet")["purses"]
    assert [purse["available"] for purse in purses] == [50_00]


def test_an_adjustment_is_proposed_by_one_and_approved_by_another(people: People, admin: Person, fay: Person) -> None:
    ada = people("Ada")
    page = fay.open("/desk/adjustments").page
    page.get_by_role("button", name="Propose an adjustment").click()
    sheet = page.get_by_role("dialog")
    sheet.get_by_label("Handle of the one who receives").fill("nobody.at.all")
    sheet.get_by_label("Amount").fill("12.50")
    sheet.get_by_label("Reason").fill("Paid in cash")
    sheet.get_by_role("button", name="Propose", exact=True).click()
    expect(sheet.get_by_text("Nobody has the handle nobody.at.all.")).to_be_visible()
    sheet.get_by_label("Handle of the one who receives").fill("@" + ada.handle)
    sheet.get_by_role("button", name="Propose", exact=True).click()
    card = page.locator("section").filter(has_text="Paid in cash")
    expect(card.get_by_text("You proposed this. Somebody else approves.")).to_be_visible()
    expect(card.get_by_role("button", name="Approve")).to_have_count(0)

    admin.open("/desk/adjustments")
    other = admin.page.locator("section").filter(has_text="Paid in cash")
    expect(other).to_contain_text("The bank")
    other.get_by_role("button", name="Approve").click()
    expect(admin.page.get_by_text("Done. Those whose money it is are told.")).to_be_visible()
    ada.open("/wallet/statement")
    expect(ada.page.get_by_text("+¥12.50")).to_be_visible()

    fay.open(f"/desk/money/{ada.id}")
    expect(page.get_by_text("Ada, available").first).to_be_visible()
    page.get_by_role("button", name="Take back").first.click()
    sheet = page.get_by_role("dialog")
    expect(sheet.get_by_label("Amount")).to_have_value("12.50")
    sheet.get_by_label("Reason").fill("It was for somebody else")
    sheet.get_by_role("button", name="Propose").click()
    expect(page.get_by_role("heading", name="Adjustments")).to_be_visible()
    expect(page.get_by_text("It was for somebody else")).to_be_visible()


def test_the_books_agree_and_can_be_taken_along(people: People, till: SandboxClient, fay: Person) -> None:
    ada = people("=1+2 Ada")
    topped_up(ada, till, 40_00)
    page = fay.open("/desk/reconciliation").page
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_text("0 differences").first).to_be_visible()
    page.get_by_role("link", name=re.compile("Fay")).first.click()
    expect(page.get_by_role("heading", name="0 differences")).to_be_visible()

    fay.open("/desk/books")
    for title, whole in (("Ledger", "Balances agree, difference 0"), ("Audit trail", "The chain is whole")):
        book = page.locator("section").filter(has=page.get_by_role("heading", name=title, exact=True))
        book.get_by_role("button", name="Verify now").click()
        expect(book.get_by_text(whole)).to_be_visible(timeout=60_000)
    expect(page.get_by_text("Held by Practice Pay")).to_be_visible()

    fay.open("/desk/export")
    with page.expect_download() as saving:
        page.get_by_role("link", name="Save Journal (CSV)").click()
    text = saving.value.path().read_text(encoding="utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert sum(int(row["amount_minor"]) for row in rows if row["currency"] == "CNY") == 0
    assert any(row["account"] == f"available:{ada.id}" and row["amount"] == "40.00" for row in rows)


def test_an_admin_gives_the_role_on_the_page_of_an_account(people: People, admin: Person) -> None:
    gus = people("Gus")
    gus.open("/desk/approvals")
    expect(gus.page.get_by_text("Nothing is here")).to_be_visible()
    admin.open(f"/desk/people/{gus.id}")
    admin.page.get_by_text("Finance: looks after the money").click()
    expect(admin.page.get_by_text("The role was given")).to_be_visible()
    expect(gus.page.get_by_role("heading", name="Approvals")).to_be_visible()
    expect(gus.page.get_by_role("link", name=re.compile("^Desk")).first).to_be_visible()


@pytest.mark.parametrize(("width", "language", "theme"), [("desktop", "en", "light"), ("phone", "zh-CN", "dark")])
def test_every_page_of_the_finance_desk_can_be_read(
    people: People, till: SandboxClient, admin: Person, width: str, language: str, theme: str
) -> None:
    ada = people("Ada")
    charge = topped_up(ada, till, 7_000_00)
    ada.api("POST", f"/me/wallet/payments/{charge}/refunds", {"id": secrets.token_urlsafe(16)})
    small = topped_up(ada, till, 20_00)
    dispute = ada.api("POST", f"/me/wallet/payments/{small}/disputes", {"words": "https://example.org/" + "x" * 200})
    proposed(admin, ada, 5_00, "y" * 200)
    fay = people("Fay", width=width, language=language, theme=theme)
    admin.api("PUT", f"/admin/users/{fay.id}/grants/finance")
    problems: list[str] = []
    for path in (
        "/desk",
        "/desk/approvals",
        "/desk/payments",
        f"/desk/payments/{charge}",
        f"/desk/money/{ada.id}",
        "/desk/disputes",
        f"/desk/disputes/{dispute['id']}",
        "/desk/adjustments",
        "/desk/reconciliation",
        "/desk/books",
        "/desk/export",
    ):
        fay.open(path)
        expect(fay.page.locator("h1, h2").first).to_be_attached()
        expect(fay.page.locator(".skeleton:visible")).to_have_count(0)
        problems += faults(fay)
        problems += re.findall(r"\bfinance\.[a-z]\w+\.\w+", fay.page.locator("body").inner_text())
    assert problems == []
