"""Money that goes out, in the browser: back to where it came from, and to accounts, proven by a second factor."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pyotp
import pytest
from playwright.sync_api import Browser, Page, expect

from server.clock import SystemClock
from tests.browser.hub import Hub
from tests.browser.person import PASSWORD, Person
from tests.browser.wallet import payments, purse
from tests.payments.sandbox_process import SandboxClient

People = Callable[..., Person]

#: seconds of a time step of authenticator apps (RFC 6238)
STEP = 30


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub at which pay-out accounts need not cool down."""
    hub = Hub(tmp_path_factory.mktemp("quick") / "data", VOUCH_PAY_OUT_COOLING="0")
    hub.start()
    yield hub
    hub.stop()


def test_a_part_of_a_top_up_goes_back(people: People, till: SandboxClient) -> None:
    ada = people("Ada")
    charge = ada.fund(till)
    page = ada.page
    page.get_by_role("button", name="Send back").click()
    sheet = page.get_by_role("dialog")
    expect(sheet.get_by_label("How much")).to_have_value("50.00")
    sheet.get_by_label("How much").fill("80")
    sheet.get_by_role("button", name="Send back").click()
    expect(sheet.get_by_role("alert")).to_contain_text("You have ¥50.00 to use.")
    sheet.get_by_label("How much").fill("20")
    sheet.get_by_role("button", name="Send back").click()
    expect(page).not_to_have_url(re.compile(charge["id"]))
    expect(page.get_by_text("Back where you paid from.")).to_be_visible(timeout=30_000)
    expect(purse(page)).to_contain_text("¥30.00")
    page.get_by_role("link", name="The top-up that it belongs to").click()
    expect(page.get_by_text("Sent back or on its way")).to_be_visible()
    page.get_by_role("button", name="Send back").click()
    expect(page.get_by_role("dialog").get_by_label("How much")).to_have_value("30.00")


class Authenticator:
    """An authenticator app. Each code works once, and those of the steps before and after count too: three at hand."""

    def __init__(self, person: Person) -> None:
        begun = person.api("POST", "/me/factors/totp", {"name": "Phone", "password": PASSWORD})
        self._totp = pyotp.TOTP(begun["secret"])
        self._step = int(SystemClock().now().timestamp()) // STEP - 2
        person.api("POST", f"/me/factors/totp/{begun['setup']}", {"code": self.code()})

    def code(self) -> str:
        self._step += 1
        return self._totp.generate_otp(self._step)

    def prove(self, page: Page) -> None:
        sheet = page.get_by_role("dialog")
        sheet.get_by_role("textbox").fill(self.code())
        sheet.get_by_role("textbox").press("Enter")


def add_account(person: Person, app: Authenticator) -> None:
    page = person.open("/wallet/accounts").page
    page.get_by_role("button", name="Add an account").click()
    page.get_by_label("Name at the bank").fill("Ada Lovelace")
    page.get_by_label("Number").fill("GB82 WEST 1234 5698 7654 33")
    page.get_by_role("button", name="Add", exact=True).click()
    app.prove(page)


def test_a_new_account_cools_down(people: People, till: SandboxClient) -> None:
    ada = people("Ada")
    ada.fund(till)
    ada.open("/wallet/pay-out")
    expect(ada.page.get_by_role("heading", name="First a second factor")).to_be_visible()
    app = Authenticator(ada)
    add_account(ada, app)
    expect(ada.page.get_by_text("This is no account number.")).to_be_visible()  # a mistyped digit
    ada.page.get_by_label("Number").fill("GB82 WEST 1234 5698 7654 32")
    ada.page.get_by_role("button", name="Add", exact=True).click()
    app.prove(ada.page)
    expect(ada.page.get_by_text("Practice Pay, ending 5432")).to_be_visible()
    expect(ada.page.get_by_text(re.compile("Money goes there from"))).to_be_visible()
    assert "GB82" not in ada.page.content()
    ada.open("/wallet/pay-out")
    expect(ada.page.get_by_role("heading", name="Not ready yet")).to_be_visible()
    expect(ada.page.get_by_label("How much")).to_have_count(0)
    ada.open("/inbox")
    expect(ada.page.locator(".notice", has_text="An account for pay-outs was added: 5432")).to_be_visible()
    ada.open("/wallet/accounts")
    ada.page.get_by_role("button", name="Remove Practice Pay, ending 5432").click()
    ada.page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(ada.page.get_by_role("heading", name="No account yet")).to_be_visible()


def test_a_pay_out_is_proven_by_a_second_factor(quick: Hub, chrome: Browser) -> None:
    till = SandboxClient.of_hub(quick.data_dir)
    ada = Person(chrome, quick.url, "Ada").register()
    try:
        ada.fund(till, 5_000_00)
        app = Authenticator(ada)
        page = ada.page
        account = {"provider": "sandbox", "number": "GB82WEST12345698765432"}
        proof = ada.api("POST", "/me/proofs", {"purpose": "payout_account", "facts": account})["id"]
        ada.api("POST", f"/me/proofs/{proof}", {"code": app.code()})
        ada.api("POST", "/me/wallet/payout-accounts", account | {"holder": "Ada Lovelace", "proof": proof})

        ada.open("/wallet/pay-out")
        page.get_by_label("How much").fill("3000")
        expect(
            page.get_by_text("Somebody looks at it first, then it goes to Practice Pay, ending 5432.")
        ).to_be_visible()
        page.get_by_label("How much").fill("30")
        page.get_by_role("button", name="Pay out ¥30.00").click()
        sheet = page.get_by_role("dialog")
        expect(sheet).to_contain_text("Confirm that ¥30.00 goes to Practice Pay, ending 5432.")
        sheet.get_by_role("textbox").fill("000000")
        sheet.get_by_role("textbox").press("Enter")
        expect(sheet.get_by_role("alert")).to_be_visible()
        app.prove(page)
        expect(page).to_have_url(re.compile("/wallet/payments/y_"))
        expect(page.get_by_text("Sent to Practice Pay, ending 5432.")).to_be_visible(timeout=60_000)
        expect(purse(page)).to_contain_text("¥4,970.00")
        assert [payment["kind"] for payment in payments(ada)] == ["pay_out", "charge"]
        assert ada.complaints == []
    finally:
        ada.context.close()
