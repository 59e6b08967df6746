"""Money that comes in, in the browser, through the real check-out page of the platform for practice."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Route, expect

from tests.browser.person import Person
from tests.browser.wallet import at_check_out, available, begin, payments, purse
from tests.payments.sandbox_process import SandboxClient

People = Callable[..., Person]


def test_a_top_up_is_confirmed_at_the_check_out(people: People, till: SandboxClient) -> None:
    ada = people("Ada")
    page = ada.open("/wallet").page
    expect(purse(page)).to_contain_text("¥0.00")
    page.get_by_role("button", name="Add money").first.click()
    field = page.get_by_label("How much")
    field.fill("１２，５０")
    expect(page.get_by_text("Read as ¥12.50")).to_be_visible()
    field.blur()
    expect(field).to_have_value("12.50")
    page.get_by_role("button", name="Go on to Practice Pay").click()
    at_check_out(page, "¥12.50")
    page.get_by_role("button", name="Pay ¥12.50").click()
    expect(page).to_have_url(re.compile("/wallet/payments/y_"))
    expect(page.get_by_text("Done", exact=True)).to_be_visible()
    expect(page.get_by_text("In your wallet.", exact=True)).to_be_visible()
    expect(purse(page)).to_contain_text("¥12.50")
    page.get_by_role("link", name=re.compile("^Statement")).click()
    line = page.get_by_role("listitem").filter(has_text="Top-up")
    expect(line).to_contain_text("+¥12.50")
    expect(line).to_contain_text("then ¥12.50")
    assert available(ada) == 12_50


def test_a_refused_and_a_cancelled_top_up_take_nothing(people: People, till: SandboxClient) -> None:
    ada = people("Ada")
    begin(ada.page, "20")
    at_check_out(ada.page, "¥20.00")
    ada.page.get_by_role("button", name="Do not pay").click()
    expect(ada.page.get_by_text("Did not work", exact=True)).to_be_visible()
    expect(ada.page.get_by_text("Still with you. Nothing was taken.")).to_be_visible()
    ada.page.get_by_role("link", name="Begin again").click()
    begin(ada.page, "30")
    at_check_out(ada.page, "¥30.00")
    ada.page.get_by_role("link", name="Go back and decide later").click()
    ada.page.get_by_role("button", name="Cancel").click()
    ada.page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(ada.page.get_by_text("Cancelled", exact=True)).to_be_visible()
    assert available(ada) == 0
    assert sorted(payment["state"] for payment in payments(ada)) == ["cancelled", "failed"]


def test_who_leaves_the_check_out_pays_later_and_sees_it_happen(people: People, till: SandboxClient) -> None:
    ada = people("Ada")
    begin(ada.page, "20")
    at_check_out(ada.page, "¥20.00")
    check_out = ada.page.url
    ada.page.get_by_role("link", name="Go back and decide later").click()
    expect(ada.page.get_by_role("main").get_by_text("To be confirmed", exact=True)).to_be_visible()
    ada.open("/wallet")
    under_way = ada.page.get_by_role("link").filter(has_text="To be confirmed")
    expect(under_way).to_contain_text("Nothing is taken before you confirm.")
    under_way.click()
    link = ada.page.get_by_role("link", name="Confirm at Practice Pay", exact=True)
    expect(link).to_have_attribute("href", check_out)
    other = ada.window()
    other.goto(check_out)
    other.get_by_role("button", name="Pay ¥20.00").click()
    expect(other.get_by_text("Done", exact=True)).to_be_visible()
    expect(ada.page.get_by_text("Done", exact=True)).to_be_visible()  # the first window, without a hand
    expect(purse(ada.page)).to_contain_text("¥20.00")


def test_a_double_click_and_a_reload_in_the_middle_ask_once(people: People, till: SandboxClient) -> None:
    ada = people("Ada")
    page = ada.page
    lost: list[str] = []

    def lose(route: Route) -> None:
        """The server does it, and its answer is lost on the way."""
        if route.request.method != "POST" or len(lost) >= 2:
            route.continue_()
            return
        lost.append(route.fetch().json()["id"])
        route.abort()

    page.route(re.compile("/api/v1/me/wallet/top-ups"), lose)
    page.goto("/wallet/top-up")
    page.get_by_label("How much").fill("40")
    page.get_by_role("button", name="Go on to Practice Pay").dblclick()
    expect(page.get_by_text("No answer came.")).to_be_visible()
    expect(page.get_by_label("How much")).to_be_disabled()
    page.reload()  # asks again by itself, in vain
    expect(page.get_by_text("No answer came.")).to_be_visible()
    expect(page.get_by_label("How much")).to_have_value("40.00")
    page.get_by_role("button", name="Ask again").click()
    at_check_out(page, "¥40.00")
    assert len(lost) == 2
    assert [payment["id"] for payment in payments(ada)] == [lost[0]] == [lost[1]]
    page.go_back()
    expect(page).to_have_url(re.compile(f"/wallet/payments/{lost[0]}"))  # not the form: nothing is asked twice


def test_a_provider_that_is_down_is_waited_for(people: People, till: SandboxClient) -> None:
    ada = people("Ada")
    till.trouble(outage="refusing")
    begin(ada.page, "20")
    main = ada.page.get_by_role("main")
    expect(main.get_by_text("Practice Pay has not answered yet; we keep asking.")).to_be_visible()
    expect(main.get_by_text("Waiting", exact=True)).to_be_visible()
    till.calm()
    link = ada.page.get_by_role("link", name="Confirm at Practice Pay", exact=True)
    expect(link).to_be_visible(timeout=60_000)  # by itself
    link.click()
    at_check_out(ada.page, "¥20.00")
    ada.page.get_by_role("button", name="Pay ¥20.00").click()
    expect(ada.page.get_by_text("Done", exact=True)).to_be_visible()
    assert available(ada) == 20_00


def test_amounts_are_read_with_care(people: People, till: SandboxClient) -> None:
    ada = people("Ada")
    page = ada.open("/wallet/top-up").page
    field, fault = page.get_by_label("How much"), page.get_by_role("alert")
    for typed, words in [
        ("12.345", "two decimals at most"),
        ("twelve", "not a number"),
        ("-5", "Leave out the minus"),
        ("€5", "another currency"),
        ("9" * 30, "more than can be counted"),
    ]:
        field.fill(typed)
        expect(fault).to_contain_text(words)
        expect(field).to_have_attribute("aria-invalid", "true")
    field.fill("1,234.5元")
    expect(fault).to_have_count(0)
    expect(page.get_by_text("Read as ¥1,234.50")).to_be_visible()
    field.fill("")
    page.get_by_role("button", name="Go on to Practice Pay").click()
    expect(fault).to_contain_text("Write an amount.")
    field.fill("9999999")
    expect(fault).to_contain_text("can be moved now")
    page.get_by_label("Currency").select_option("JPY")
    field.fill("500.5")
    expect(fault).to_contain_text("no decimals")
    page.get_by_role("button", name="JP¥500", exact=True).click()
    expect(field).to_have_value("500")
    page.get_by_role("button", name="Go on to Practice Pay").click()
    at_check_out(page, "¥500")
    assert [payment["amount"] for payment in payments(ada)] == [{"amount": 500, "currency": "JPY"}]
