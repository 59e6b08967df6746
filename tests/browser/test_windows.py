"""One person with several windows: what is unsent is sent by one of them, once, and never in another person's name."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.person import PASSWORD, Person, Wire, hurry

People = Callable[..., Person]


def write(page: Page, text: str) -> None:
    page.locator("textarea").fill(text)
    page.locator("textarea").press("Enter")


def test_a_window_sends_what_a_closed_one_has_left_behind(people: People) -> None:
    ada, lin = people("Ada"), people("小林", language="zh-CN")
    ada.befriend(lin)
    conversation = ada.direct(lin)
    wire = Wire(ada)
    ada.open_chat(conversation)
    lin.open_chat(conversation)
    second = ada.window()
    second.goto(f"/chats/{conversation}")
    expect(second.locator("textarea")).to_be_visible()

    wire.cut()
    expect(ada.page.get_by_text("Not connected.")).to_be_visible()
    expect(second.get_by_text("Not connected.")).to_be_visible()
    ada.write("left behind")
    write(second, "by the second")
    expect(ada.page.get_by_text("Not connected. 1 message waits.")).to_be_visible()
    ada.page.close()

    wire.join()
    hurry(second)
    expect(lin.bubble("by the second")).to_be_visible()
    expect(lin.bubble("left behind")).to_be_visible(timeout=40_000)
    expect(second.get_by_text("Not connected.")).to_have_count(0)
    lin.page.reload()
    expect(lin.bubble("left behind")).to_be_visible()
    assert sorted(lin.texts()) == ["by the second", "left behind"]
    ada.page = second
    assert ada.stored()["records"] == 0


def test_both_windows_show_what_either_writes(people: People) -> None:
    ada, lin = people("Ada"), people("小林", language="zh-CN")
    ada.befriend(lin)
    conversation = ada.direct(lin)
    ada.open_chat(conversation)
    second = ada.window()
    second.goto(f"/chats/{conversation}")
    expect(second.locator("textarea")).to_be_visible()
    for number in range(4):
        write((ada.page, second)[number % 2], f"number {number}")
        for page in (ada.page, second):
            said = [re.compile(rf"^number {n}\d\d:\d\d") for n in range(number + 1)]
            expect(page.locator(".bubble__text")).to_have_text(said)


def test_unsent_words_are_never_sent_in_the_name_of_who_signed_in_since(people: People) -> None:
    """The cookie is the browser's, not the window's: another window has signed in somebody else meanwhile."""
    ada, lin, ben = people("Ada"), people("小林", language="zh-CN"), people("Ben")
    ada.befriend(lin)
    conversation = ada.direct(lin)
    wire = Wire(ada)
    ada.open_chat(conversation)
    wire.cut()
    expect(ada.page.get_by_text("Not connected.")).to_be_visible()
    ada.write("only from Ada")
    expect(ada.page.get_by_text("Not connected. 1 message waits.")).to_be_visible()
    ada.api("POST", "/sessions", {"login": ben.handle, "password": PASSWORD})
    wire.join()
    hurry(ada.page)
    expect(ada.page).to_have_url(re.compile("/sign-in"))

    # Back as herself she finds her words, and they go out.
    ada.api("POST", "/sessions", {"login": ada.handle, "password": PASSWORD})
    ada.page.goto(f"/chats/{conversation}")
    expect(ada.bubble("only from Ada")).to_be_visible()
    lin.open_chat(conversation)
    expect(lin.bubble("only from Ada")).to_be_visible()
    assert lin.texts() == ["only from Ada"]
