"""A group from its making to the leaving of its maker."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.person import Person

People = Callable[..., Person]


def test_a_group_is_made_renamed_joined_and_left(people: People) -> None:
    ada, lin, ben = people("Ada"), people("小林", language="zh-CN"), people("Ben", width="phone")
    ada.befriend(lin)
    ada.befriend(ben)
    lin.open("/chats")
    ada.open("/chats")

    ada.page.get_by_role("button", name="New chat").click()
    ada.page.get_by_role("menuitem", name="New group").click()
    sheet = ada.page.get_by_role("dialog")
    sheet.get_by_role("button", name="Create group").click()
    expect(sheet.get_by_text("Give the group a name")).to_be_visible()
    expect(sheet.get_by_text("Choose at least one friend.")).to_be_visible()
    sheet.get_by_label("Group name").fill("Reading club")
    sheet.get_by_role("checkbox", name=re.compile("小林")).click()
    sheet.get_by_text("New members may read earlier messages").click()
    sheet.get_by_role("button", name="Create group").click()
    expect(ada.page.get_by_role("heading", name="Reading club")).to_be_visible()
    expect(ada.notice("You added 小林")).to_be_visible()
    ada.write("Welcome")

    # It appears at the other one by itself.
    lin.page.get_by_role("link", name=re.compile("Reading club")).click()
    expect(lin.bubble("Welcome")).to_be_visible()
    expect(lin.notice("Ada邀请了你")).to_be_visible()
    expect(ada.page.locator(".message__told")).to_have_text("Read by all")

    ada.page.get_by_role("button", name="Group details").click()
    details = ada.page.locator(".shell__detail")
    details.get_by_role("button", name="Rename").click()
    ada.page.get_by_role("dialog").get_by_label("Group name").fill("Night readers")
    ada.page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(lin.page.get_by_role("heading", name="Night readers")).to_be_visible()
    expect(lin.notice("Ada把群名改为“Night readers”")).to_be_visible()

    details.get_by_role("button", name="Add friends").click()
    ada.page.get_by_role("dialog").get_by_role("checkbox", name=re.compile("Ben")).click()
    ada.page.get_by_role("dialog").get_by_role("button", name="Add", exact=True).click()
    expect(details.get_by_role("listitem")).to_have_count(3)
    ben.open("/chats")
    ben.page.get_by_role("link", name=re.compile("Night readers")).click()
    expect(ben.bubble("Welcome")).to_be_visible()

    details.get_by_role("button", name="Actions for 小林").click()
    ada.page.get_by_role("menuitem", name="Make owner").click()
    ada.page.get_by_role("dialog").get_by_role("button", name="Make owner").click()
    expect(lin.notice("Ada把群主交给了你")).to_be_visible()
    expect(details.get_by_role("button", name="Rename")).to_have_count(0)

    # The new owner removes somebody, who is shown out at once.
    lin.page.get_by_role("button", name="群资料").click()
    lin.page.get_by_role("button", name="对Ben的操作").click()
    lin.page.get_by_role("menuitem", name="移出群").click()
    lin.page.get_by_role("dialog").get_by_role("button", name="移出群").click()
    expect(ben.page.get_by_text("This chat is not yours to read")).to_be_visible()

    details.get_by_role("button", name="Leave group").click()
    ada.page.get_by_role("dialog").get_by_role("button", name="Leave group").click()
    expect(ada.page).to_have_url(re.compile("/chats$"))
    expect(ada.page.get_by_role("link", name=re.compile("Night readers"))).to_have_count(0)
    expect(lin.notice("Ada退出了群")).to_be_visible()
