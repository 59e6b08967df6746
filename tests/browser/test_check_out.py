"""The pages of the platform for play money in a real browser: what only a browser holds them to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from tests.browser.hub import Hub
from tests.payments.sandbox_process import SandboxProcess, sandbox, sandbox_process
from tests.payments.test_sandbox_platform import now, opened, paid

__all__ = ["sandbox", "sandbox_process"]

DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}


@pytest.fixture
def visit(chrome: Browser, sandbox: SandboxProcess) -> Iterator[Any]:
    """`visit(url)` is a page there. At the end none may have complained, or have asked anybody else for anything."""
    complaints: list[str] = []
    contexts = []

    def open_(url: str, *, expected: Sequence[str] = (), **options: Any) -> Page:
        def said(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning") and not any(text in message.text for text in expected):
                complaints.append(message.text)

        context = chrome.new_context(**({"viewport": DESKTOP, "locale": "en-GB"} | options))
        contexts.append(context)
        page = context.new_page()
        page.on("console", said)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda asked: None if asked.url.startswith(here) else complaints.append(asked.url))
        page.goto(url)
        return page

    here = ("http://127.0.0.1:", "data:")
    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


def charge(sandbox: SandboxProcess, hub: Hub, **more: Any) -> dict[str, Any]:
    """Whoever pays it comes back to the hub, at another port and so another origin."""
    return opened(sandbox, 50_00, **({"return_url": hub.url + "/healthz", "description": "Top-up"} | more))


def test_a_payer_confirms_and_is_led_back_to_another_origin(hub: Hub, sandbox: SandboxProcess, visit: Any) -> None:
    made = charge(sandbox, hub)
    page = visit(made["url"])
    expect(page.get_by_role("heading", name="¥50.00")).to_be_visible()
    expect(page.get_by_text("No real money moves")).to_be_visible()
    page.get_by_role("button", name="Pay ¥50.00").click()
    expect(page).to_have_url(hub.url + "/healthz")  # the page's own policy lets the form lead there
    assert now(sandbox, made)["state"] == "done"
    page.goto(made["url"])
    expect(page.get_by_role("heading", name="Paid")).to_be_visible()
    page.get_by_role("link", name="Back to Vouch").click()
    expect(page).to_have_url(hub.url + "/healthz")


def test_by_keyboard_alone_in_chinese_on_a_phone(hub: Hub, sandbox: SandboxProcess, visit: Any) -> None:
    made = charge(sandbox, hub, language="zh-CN", description="给钱包充值")
    page = visit(made["url"], viewport=PHONE, locale="zh-CN", color_scheme="dark")
    expect(page.get_by_text("游戏币")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    small = page.locator("a, button, label.purse").evaluate_all(
        "all => all.filter(one => one.getBoundingClientRect().height < 44).map(one => one.textContent)"
    )
    assert small == []
    page.get_by_role("radio", name="装满的钱包").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("radio", name="空钱包")).to_be_checked()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="付 ¥50.00")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(hub.url + "/healthz")
    after = now(sandbox, made)
    assert (after["state"], after["fault"]) == ("failed", "declined")


def test_a_payer_refuses_or_decides_later(hub: Hub, sandbox: SandboxProcess, visit: Any) -> None:
    made = charge(sandbox, hub)
    page = visit(made["url"])
    page.get_by_role("link", name="decide later").click()
    expect(page).to_have_url(hub.url + "/healthz")
    assert now(sandbox, made)["state"] == "open"
    page.go_back()
    page.get_by_role("link", name="中文").click()
    page.get_by_role("button", name="不付了").click()
    expect(page).to_have_url(hub.url + "/healthz")
    assert now(sandbox, made)["state"] == "failed"


def test_a_tester_makes_trouble_and_takes_a_charge_back(sandbox: SandboxProcess, visit: Any) -> None:
    made = paid(sandbox, 77_00)
    page = visit(sandbox.url + "/console", expected=["401 (Unauthorized)"])
    page.get_by_label("The console's word").fill(sandbox.console_word)
    page.get_by_role("button", name="Open").click()
    page.get_by_role("combobox", name="The platform").select_option("mute")
    page.get_by_label("Lose the next notices").fill("2")
    page.get_by_role("button", name="Make trouble").click()
    expect(page.get_by_label("Lose the next notices")).to_have_value("2")
    assert sandbox.tester("GET", "troubles")["outage"] == "mute"
    page.get_by_role("button", name="No trouble").click()
    expect(page.get_by_label("Lose the next notices")).to_have_value("0")
    row = page.get_by_role("listitem").filter(has_text=made["order"]).first
    row.get_by_role("button", name="Take it back").click()
    expect(page.get_by_text("taken back ¥77.00")).to_be_visible()
    assert now(sandbox, made)["disputed"] == 77_00
