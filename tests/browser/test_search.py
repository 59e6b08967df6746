"""Finding what was said: in the list on a desktop, on a page of its own on a phone, from the keyboard and back."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import expect

from tests.browser.person import Person

People = Callable[..., Person]


def hits(person: Person) -> Any:
    return person.page.locator(".hit")


def field(person: Person) -> Any:
    return person.page.locator(".shell__list").get_by_role("searchbox")


def opener(person: Person, name: str) -> Any:
    return person.page.get_by_role("group", name=re.compile("Filters|筛选")).get_by_role(
        "button", name=name, exact=True
    )


def test_search_in_the_list_with_filters_and_the_keyboard(people: People) -> None:
    ada, lin = people("Ada"), people("小林")
    ada.befriend(lin)
    direct, club = ada.direct(lin), ada.group("Reading club", lin)
    for number in range(40):
        ada.say(club, f"page {number} of the book")
    lin.say(club, "我们明天去图书馆借书，好吗？")
    ada.say(direct, "The café near the library 图书馆")
    for number in range(60):
        lin.say(club, f"later {number}")
    ada.open("/chats")
    expect(ada.page.get_by_role("link", name=re.compile("Reading club"))).to_be_visible()

    # From anywhere: Ctrl+K. Names come at once, messages below them.
    ada.page.keyboard.press("Control+k")
    expect(field(ada)).to_be_focused()
    ada.page.keyboard.type("reading")
    expect(ada.page.get_by_role("region", name="People and groups").get_by_role("link")).to_have_count(1)

    field(ada).fill("图书馆")
    expect(hits(ada)).to_have_count(2)
    expect(hits(ada).locator("mark")).to_have_text(["图书馆", "图书馆"])
    expect(hits(ada).first).to_contain_text("You: The café")
    field(ada).fill("CAFE")
    expect(hits(ada).locator("mark")).to_have_text(["café"])
    field(ada).fill('"near library"')
    expect(ada.page.get_by_role("heading", name="No message has this")).to_be_visible()

    # Filters, one after the other, and taken away again.
    field(ada).fill("图书馆")
    opener(ada, "From").click()
    ada.page.locator(".picker").get_by_role("button", name=re.compile("小林")).click()
    expect(hits(ada)).to_have_count(1)
    expect(hits(ada)).to_contain_text("Reading club")
    ada.page.get_by_role("button", name="Take the filter away: 小林").click()
    expect(hits(ada)).to_have_count(2)
    opener(ada, "When").click()
    ada.page.get_by_role("button", name="Today").click()
    expect(hits(ada)).to_have_count(2)
    opener(ada, "What").click()
    ada.page.get_by_role("button", name="Pictures").click()
    expect(ada.page.get_by_role("heading", name="No message has this")).to_be_visible()
    ada.page.get_by_role("button", name="Take the filter away: Pictures").click()
    expect(hits(ada)).to_have_count(2)

    # Down into the hits, Enter to the message, which is shown among those around it.
    field(ada).press("ArrowDown")
    ada.page.keyboard.press("ArrowDown")
    expect(hits(ada).nth(1)).to_be_focused()
    ada.page.keyboard.press("Enter")
    expect(ada.page).to_have_url(re.compile(rf"/chats/{club}\?at=\d+"))
    found = ada.bubble("我们明天去图书馆")
    expect(found).to_be_in_viewport()
    expect(ada.bubble("page 39 of the book")).to_be_visible()
    expect(hits(ada)).to_have_count(2)  # what was found stays beside it

    # Only in this chat; Escape ends it.
    ada.page.get_by_role("button", name="Search this chat").click()
    expect(field(ada)).to_be_focused()
    expect(hits(ada)).to_have_count(1)
    field(ada).fill("page 1")
    expect(hits(ada)).to_have_count(1)
    field(ada).fill("page 1 boo")
    expect(hits(ada).locator("mark")).to_have_text(["page", "1", "boo"])
    field(ada).press("Escape")
    expect(hits(ada)).to_have_count(0)
    expect(ada.page.locator(".shell__list .row")).to_have_count(2)


def test_search_on_a_phone_has_an_address(people: People) -> None:
    lin, ada = people("小林", width="phone", language="zh-CN"), people("Ada")
    lin.befriend(ada)
    direct = lin.direct(ada)
    ada.say(direct, "一言为定，周五晚上八点")
    for number in range(30):
        ada.say(direct, f"第{number}页 of many")
    lin.open("/chats")
    lin.page.get_by_role("searchbox").click()
    expect(lin.page).to_have_url(re.compile("/search"))
    expect(field(lin)).to_be_focused()
    expect(lin.page.get_by_role("heading", name="想找什么？")).to_be_visible()
    field(lin).fill("页")
    expect(hits(lin)).to_have_count(20)
    expect(lin.page.get_by_text("20 条以上")).to_be_visible()
    hits(lin).last.scroll_into_view_if_needed()
    expect(hits(lin)).to_have_count(30)  # the rest comes while one scrolls

    field(lin).fill("周五晚上")
    expect(hits(lin)).to_have_count(1)
    expect(lin.page).to_have_url(re.compile(r"/search\?q="))
    lin.page.reload()  # the address keeps it
    expect(field(lin)).to_have_value("周五晚上")
    expect(hits(lin)).to_have_count(1)
    hits(lin).click()
    expect(lin.bubble("一言为定")).to_be_in_viewport()
    lin.page.go_back()
    expect(field(lin)).to_have_value("周五晚上")
    expect(hits(lin)).to_have_count(1)

    # What is deleted is found no more.
    entries = ada.api("GET", f"/conversations/{direct}/entries?after=0&limit=5")["entries"]
    promise = next(entry["seq"] for entry in entries if "一言为定" in entry["body"].get("text", ""))
    body = {"id": "d" * 22, "kind": "delete", "body": {}, "ref": promise}
    ada.api("POST", f"/conversations/{direct}/entries", body)
    lin.page.reload()
    expect(lin.page.get_by_role("heading", name="没有找到这样的消息")).to_be_visible()
    lin.page.get_by_role("button", name="返回").click()
    expect(lin.page.get_by_role("link", name=re.compile("Ada"))).to_be_visible()
