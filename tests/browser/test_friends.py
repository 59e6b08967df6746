"""Finding people, asking, answering, blocking: seen from both sides at the same time."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.person import Person

People = Callable[..., Person]


def test_two_people_become_friends_and_write(people: People) -> None:
    ada, lin = people("Ada"), people("小林", language="zh-CN")
    lin.open("/chats")
    expect(lin.page.get_by_role("heading", name="还没有聊天")).to_be_visible()
    ada.open("/people")
    ada.page.get_by_role("button", name="Add a friend").first.click()
    sheet = ada.page.get_by_role("dialog")
    sheet.get_by_label("Handle or phone").fill("nobody_has_this")
    sheet.get_by_role("button", name="Find").click()
    expect(sheet.get_by_text("Nobody has this handle or number")).to_be_visible()
    sheet.get_by_label("Handle or phone").fill(lin.handle.upper())
    sheet.get_by_role("button", name="Find").click()
    sheet.get_by_label("A line to say who you are").fill("From the reading club")
    sheet.get_by_role("button", name="Ask to be friends").click()
    expect(ada.page.get_by_text("Asked. 小林 sees it at once.")).to_be_visible()
    expect(ada.page.get_by_role("button", name="Withdraw")).to_be_visible()

    # The other one is told without loading anything again.
    expect(lin.page.get_by_role("link", name="1 个请求等你回应 联系人")).to_be_visible()
    lin.page.get_by_role("link", name=re.compile("联系人")).click()
    expect(lin.page.get_by_text("From the reading club")).to_be_visible()
    lin.page.get_by_role("button", name="同意").click()
    expect(lin.page.get_by_text("你和Ada是朋友了")).to_be_visible()
    expect(ada.page.get_by_role("button", name="Withdraw")).to_have_count(0)

    ada.page.get_by_role("link", name=re.compile("小林")).click()
    ada.page.get_by_role("button", name="Write a message").click()
    ada.write("你好")
    expect(ada.bubble("你好")).to_be_visible()
    expect(lin.page.get_by_role("link", name="1 条未读 聊天")).to_be_visible()
    lin.page.get_by_role("link", name=re.compile("聊天")).first.click()
    lin.page.get_by_role("link", name=re.compile("Ada")).click()
    expect(lin.bubble("你好")).to_be_visible()


def test_a_block_closes_the_chat_for_both(people: People) -> None:
    ada, ben = people("Ada"), people("Ben")
    ada.befriend(ben)
    conversation = ada.direct(ben)
    ben.open_chat(conversation)
    ada.open(f"/people/{ben.id}")
    ada.page.get_by_role("button", name="More actions").click()
    ada.page.get_by_role("menuitem", name="Block").click()
    ada.page.get_by_role("dialog").get_by_role("button", name="Block").click()
    expect(ada.page.get_by_text("You blocked Ben. Neither can write to the other.")).to_be_visible()
    expect(ben.page.get_by_text("This chat is closed. You can read it, but nobody can write.")).to_be_visible()
    expect(ben.composer).to_have_count(0)


def test_a_request_is_withdrawn_and_another_declined(people: People) -> None:
    ada, ben = people("Ada"), people("Ben")
    ada.api("POST", "/friends/requests", {"person": ben.id})
    ben.open("/people")
    expect(ben.page.get_by_role("heading", name="Wants to be your friend")).to_be_visible()
    ada.open("/people")
    ada.page.get_by_role("button", name="Withdraw").click()
    expect(ben.page.get_by_role("heading", name="No friends yet")).to_be_visible()
    ada.api("POST", "/friends/requests", {"person": ben.id})
    ben.page.get_by_role("button", name="Decline").click()
    expect(ben.page.get_by_role("heading", name="No friends yet")).to_be_visible()
