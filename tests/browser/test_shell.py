"""The frame around the pages: panes, keys, and what opens while the server is away."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.hub import CLIENT, Hub
from tests.browser.person import Person, hurry

People = Callable[..., Person]

_CONTROLLED = "() => navigator.serviceWorker.controller !== null"


def until_kept(page: Page) -> None:
    """The worker has taken over: all of the shell is on the device."""
    page.wait_for_function(_CONTROLLED)


def test_a_page_opens_while_the_server_is_away(people: People, hub: Hub) -> None:
    ada, lin = people("Ada", worker=True), people("小林", language="zh-CN")
    ada.befriend(lin)
    conversation = ada.direct(lin)
    lin.say(conversation, "before the fall")
    ada.open_chat(conversation)
    expect(ada.bubble("before the fall")).to_be_visible()
    until_kept(ada.page)
    hub.kill()
    try:
        ada.page.reload()
        expect(ada.page.get_by_text("Not connected.")).to_be_visible()
        expect(ada.page.locator("[data-row]", has_text="小林")).to_be_visible()
        expect(ada.composer).to_be_visible()
        ada.write("written meanwhile")
        expect(ada.page.get_by_text("Not connected. 1 message waits.")).to_be_visible()
        # Also an address that was never opened on this device.
        ada.page.goto("/people")
        expect(ada.page.get_by_role("heading", name="People", exact=True)).to_be_visible()
        ada.page.goto(f"/chats/{conversation}")
    finally:
        hub.start()
    hurry(ada.page)
    lin.open_chat(conversation)
    expect(lin.bubble("written meanwhile")).to_be_visible(timeout=90_000)
    expect(ada.page.get_by_text("Not connected.")).to_have_count(0)
    expect(ada.bubble("before the fall")).to_be_visible(timeout=40_000)


def test_nothing_of_a_person_is_kept_by_the_worker(people: People) -> None:
    ada, lin = people("Ada", worker=True), people("Lin")
    ada.befriend(lin)
    conversation = ada.direct(lin)
    lin.say(conversation, "only for Ada")
    ada.open_chat(conversation)
    until_kept(ada.page)
    ada.page.reload()
    expect(ada.bubble("only for Ada")).to_be_visible()
    kept: list[str] = ada.page.evaluate(
        """async () => {
            const found = []
            for (const name of await caches.keys()) {
                for (const request of await (await caches.open(name)).keys()) found.push(new URL(request.url).pathname)
            }
            return found
        }"""
    )
    assert "/" in kept
    assert any(path.startswith("/assets/") for path in kept)
    assert all(path == "/" or path.startswith(("/assets/", "/icons/")) for path in kept)


@pytest.fixture
def worker_file() -> Iterator[Path]:
    """The built worker, put back afterwards."""
    file = CLIENT / "worker.js"
    before = file.read_bytes()
    yield file
    file.write_bytes(before)


def test_a_new_version_waits_until_somebody_takes_it(people: People, worker_file: Path) -> None:
    ada = people("Ada", worker=True)
    ada.open("/chats")
    until_kept(ada.page)
    bar = ada.page.get_by_text("A new version is ready.")
    expect(bar).to_have_count(0)
    ada.page.evaluate("window.stayed = true")

    worker_file.write_bytes(worker_file.read_bytes() + b"\n// another build\n")
    ada.page.evaluate("navigator.serviceWorker.getRegistration().then((registration) => registration.update())")
    expect(bar).to_be_visible()
    assert ada.page.evaluate("window.stayed") is True  # nobody's page changes under their hands

    with ada.page.expect_navigation():
        ada.page.get_by_role("button", name="Reload").click()
    expect(ada.page.get_by_role("heading", name="Chats", exact=True)).to_be_visible()
    expect(bar).to_have_count(0)
    assert ada.page.evaluate("window.stayed") is None


def test_it_can_be_installed_under_its_name(people: People) -> None:
    for language, name in (("en", "Vouch"), ("zh-CN", "守约")):
        ada = people("Ada", language=language)
        ada.open("/chats")
        address = ada.page.locator('link[rel="manifest"]').get_attribute("href")
        manifest = ada.context.request.get(str(address)).json()
        assert manifest["name"] == name
        for icon in manifest["icons"]:
            answer = ada.context.request.get(icon["src"])
            assert answer.headers["content-type"] == "image/png"
            assert answer.body().startswith(b"\x89PNG")
        devtools = ada.context.new_cdp_session(ada.page)
        assert devtools.send("Page.getAppManifest")["errors"] == []


def test_the_keys_are_listed_and_do_what_they_say(people: People) -> None:
    ada, ben, lin = people("Ada"), people("Ben"), people("Lin")
    ada.befriend(ben)
    ada.befriend(lin)
    first, second, third = ada.direct(ben), ada.direct(lin), ada.group("Third", ben)
    ben.say(third, "oldest")
    lin.say(second, "middle")
    ben.say(first, "newest")
    ada.open(f"/chats/{first}")
    expect(ada.composer).to_be_visible()
    press = ada.page.keyboard.press

    ada.composer.blur()
    press("Shift+?")
    sheet = ada.page.get_by_role("dialog", name="Shortcuts")
    expect(sheet.get_by_text("Unread chat below")).to_be_visible()
    expect(sheet.get_by_text("Answer the last message")).to_be_visible()
    press("Escape")
    expect(sheet).to_have_count(0)

    press("Alt+ArrowDown")
    expect(ada.page).to_have_url(re.compile(second))
    chats = ada.page.get_by_role("list", name="Chats")
    expect(chats.get_by_role("link", name=re.compile("Lin.*unread"))).to_have_count(0)  # it has been read
    press("Alt+ArrowUp")
    expect(ada.page).to_have_url(re.compile(first))
    press("Alt+Shift+ArrowDown")
    expect(ada.page).to_have_url(re.compile(third))
    press("Alt+2")
    expect(ada.page).to_have_url(re.compile("/pledges$"))
    press("Alt+3")
    expect(ada.page).to_have_url(re.compile("/calls$"))
    press("Alt+5")
    expect(ada.page).to_have_url(re.compile("/people$"))
    ada.open(f"/chats/{third}/details")
    expect(ada.page.locator(".shell__detail")).to_be_visible()
    press("Escape")
    expect(ada.page).to_have_url(re.compile(f"/chats/{third}$"))

    expect(ada.bubble("oldest")).to_be_visible()
    ada.composer.blur()
    press("r")
    expect(ada.composer).to_be_focused()
    ada.composer.type("? r")  # where somebody writes these are letters
    expect(ada.composer).to_have_value("? r")


def test_panes_stand_side_by_side_or_one_at_a_time(people: People) -> None:
    ada, ben = people("Ada"), people("Ben")
    ada.befriend(ben)
    group = ada.group("Reading club", ben)
    page = ada.page
    chats, composer = page.get_by_role("heading", name="Chats", exact=True), page.locator("textarea")
    details = page.locator(".shell__detail")
    rail, bar = page.locator(".shell__rail"), page.locator(".shell__bar")

    ada.open(f"/chats/{group}/details")
    for part in (rail, chats, composer, details):
        expect(part).to_be_visible()
    page.set_viewport_size({"width": 1000, "height": 700})  # the detail takes the place of the chat
    expect(composer).to_be_hidden()
    for part in (rail, chats, details):
        expect(part).to_be_visible()
    page.set_viewport_size({"width": 390, "height": 844})
    for part in (rail, chats, composer):
        expect(part).to_be_hidden()
    expect(details).to_be_visible()
    page.locator(".shell__detail").get_by_role("button").first.click()
    expect(composer).to_be_visible()
    expect(details).to_have_count(0)
    page.get_by_role("button", name="Back").click()
    expect(chats).to_be_visible()
    expect(bar).to_be_visible()
    expect(bar.get_by_role("link")).to_have_count(4)


def test_the_first_tab_leads_past_the_lists(people: People) -> None:
    ada = people("Ada")
    ada.open("/me")
    expect(ada.page.get_by_role("heading", name="Profile").first).to_be_visible()
    ada.page.keyboard.press("Tab")
    skip = ada.page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    ada.page.keyboard.press("Enter")
    expect(ada.page.locator("main")).to_be_focused()
