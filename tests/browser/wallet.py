"""A wallet as its owner and the server show it, and the way to the check-out."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.person import Person


def available(person: Person, currency: str = "CNY") -> int:
    purses = person.api("GET", "/me/wallet")["purses"]
    return next((int(purse["available"]) for purse in purses if purse["currency"] == currency), 0)


def payments(person: Person) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = person.api("GET", "/me/wallet/payments")["payments"]
    return found


def begin(page: Page, amount: str) -> None:
    """From the form to the check-out page."""
    page.goto("/wallet/top-up")
    page.get_by_label("How much").fill(amount)
    page.get_by_role("button", name="Go on to Practice Pay").click()


def at_check_out(page: Page, amount: str) -> None:
    expect(page).to_have_url(re.compile("/pay/"))
    expect(page.get_by_role("heading", name=amount)).to_be_visible()


def purse(page: Page) -> Any:
    """The card of the wallet beside every page of it."""
    return page.get_by_role("region", name="Wallet, CNY")
