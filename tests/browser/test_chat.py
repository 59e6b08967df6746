"""Two people talk."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.person import Person

People = Callable[..., Person]


@pytest.fixture
def pair(people: People) -> tuple[Person, Person, str]:
    ada, lin = people("Ada"), people("小林", language="zh-CN", width="phone")
    ada.befriend(lin)
    return ada, lin, ada.direct(lin)


def test_they_see_each_other_type_write_and_read(pair: tuple[Person, Person, str]) -> None:
    ada, lin, conversation = pair
    ada.open_chat(conversation)
    lin.open_chat(conversation)
    expect(ada.page.locator(".pane-header").get_by_text("online").last).to_be_visible()

    lin.composer.press_sequentially("我在")
    expect(ada.page.get_by_text("小林 is typing …")).to_be_visible()
    lin.composer.press("Enter")
    expect(ada.bubble("我在")).to_be_visible()
    expect(ada.page.get_by_text("小林 is typing …")).to_have_count(0)
    expect(lin.page.locator(".message__told")).to_have_text("已读")

    ada.write("Good. https://example.org/a_(b). <b>not bold</b>")
    link = lin.page.get_by_role("link", name="https://example.org/a_(b)")
    expect(link).to_have_attribute("href", "https://example.org/a_(b)")
    expect(link).to_have_attribute("rel", re.compile("noopener noreferrer"))
    expect(lin.bubble("<b>not bold</b>")).to_be_visible()


def test_messages_are_edited_and_deleted_for_both(pair: tuple[Person, Person, str]) -> None:
    ada, lin, conversation = pair
    ada.open_chat(conversation)
    lin.open_chat(conversation)
    ada.write("Chaptre three")
    expect(lin.bubble("Chaptre three")).to_be_visible()
    expect(ada.page.locator(".message__told")).to_have_text("Read")

    ada.composer.press("ArrowUp")
    expect(ada.page.get_by_text("Editing your message")).to_be_visible()
    ada.write("Chapter three")
    expect(lin.bubble("Chapter three").get_by_text("改过")).to_be_visible()
    expect(ada.bubble("Chapter three").get_by_text("edited")).to_be_visible()

    ada.bubble("Chapter three").hover()
    ada.bubble("Chapter three").get_by_role("button", name="Message actions").click()
    ada.page.get_by_role("menuitem", name="Delete").click()
    ada.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(lin.bubble("消息已删除")).to_be_visible()
    expect(ada.bubble("Message deleted")).to_be_visible()
    ada.page.reload()
    expect(ada.bubble("Message deleted")).to_be_visible()


def test_unread_messages_are_counted_until_they_are_seen(pair: tuple[Person, Person, str]) -> None:
    ada, lin, conversation = pair
    lin.open("/chats")
    expect(lin.page.get_by_text("Ada")).to_be_visible()
    for at in range(3):
        ada.say(conversation, f"number {at}")
    row = lin.page.get_by_role("link", name=re.compile("Ada"))
    expect(row.get_by_text("3 条未读")).to_be_attached()
    expect(lin.page).to_have_title("(3) 守约")
    expect(row).to_contain_text("number 2")
    row.click()
    expect(lin.page.get_by_text("新消息", exact=True)).to_be_visible()
    expect(lin.page).to_have_title("守约")
    ada.open_chat(conversation)
    expect(ada.page.locator(".message__told")).to_have_text("Read")
    lin.page.get_by_role("button", name="返回").click()
    expect(row.get_by_text("条未读")).to_have_count(0)
    lin.page.reload()
    expect(row).to_be_visible()
    expect(lin.page).to_have_title("守约")


def test_a_draft_survives_a_reload(pair: tuple[Person, Person, str]) -> None:
    ada, _, conversation = pair
    ada.open_chat(conversation)
    ada.composer.fill("half a thou")
    ada.page.reload()
    expect(ada.composer).to_have_value("half a thou")
    ada.open("/chats")
    expect(ada.page.get_by_text("Draft: half a thou")).to_be_visible()


def test_enter_during_input_of_chinese_sends_nothing(pair: tuple[Person, Person, str]) -> None:
    ada, _, conversation = pair
    ada.open_chat(conversation)
    ada.composer.fill("ni hao")
    ada.composer.dispatch_event("keydown", {"key": "Enter", "isComposing": True, "bubbles": True, "cancelable": True})
    expect(ada.composer).to_have_value("ni hao")
    ada.composer.press("Shift+Enter")
    expect(ada.composer).to_have_value("ni hao\n")
    ada.composer.press("Enter")
    expect(ada.composer).to_have_value("")
    assert ada.texts() == ["ni hao"]


def test_a_message_that_is_too_long_is_not_sent(pair: tuple[Person, Person, str]) -> None:
    ada, _, conversation = pair
    ada.open_chat(conversation)
    ada.composer.fill("好" * 15_900)
    expect(ada.page.get_by_text("100 characters left")).to_be_visible()
    ada.composer.fill("好" * 16_001)
    expect(ada.page.get_by_text("1 character too many")).to_be_visible()
    expect(ada.page.get_by_role("button", name="Send")).to_be_disabled()
    ada.composer.fill("好" * 16_000)
    ada.composer.press("Enter")
    expect(ada.page.locator(".message__told")).to_have_text("Sent")


def test_a_phone_goes_back_from_everywhere(pair: tuple[Person, Person, str]) -> None:
    _, lin, conversation = pair
    lin.open("/chats")
    lin.page.get_by_role("link", name=re.compile("Ada")).click()
    expect(lin.composer).to_be_visible()
    expect(lin.page.get_by_role("navigation", name="分区").last).to_be_hidden()
    lin.page.get_by_role("link", name="Ada的资料").click()
    expect(lin.page.get_by_role("button", name="发消息")).to_be_visible()
    lin.page.go_back()
    expect(lin.composer).to_be_visible()
    lin.page.get_by_role("button", name="返回").click()
    expect(lin.page).to_have_url(re.compile("/chats$"))
    # Opened directly, there is nothing to go back to: the list it is.
    lin.open(f"/chats/{conversation}")
    lin.page.get_by_role("button", name="返回").click()
    expect(lin.page).to_have_url(re.compile("/chats$"))
