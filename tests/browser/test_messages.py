"""What people do with messages beyond writing them: answering, reacting, calling each other, keeping, sending on."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Dialog, expect

from tests.browser.person import Language, Person, Theme, Width
from tests.browser.test_pages import faults

People = Callable[..., Person]


@pytest.fixture
def pair(people: People) -> tuple[Person, Person, str]:
    ada, lin = people("Ada"), people("小林", language="zh-CN")
    ada.befriend(lin)
    return ada, lin, ada.direct(lin)


def act(person: Person, text: str, action: str) -> None:
    """Chooses an action from the menu of the message with this text."""
    bubble = person.bubble(text)
    bubble.hover()
    bubble.get_by_role("button", name="消息操作" if person.language == "zh-CN" else "Message actions").click()
    person.page.get_by_role("menuitem", name=action).click()


def chip(person: Person, text: str, emoji: str) -> Any:
    return person.bubble(text).locator(".chip", has_text=emoji)


def test_an_answer_quotes_what_it_answers_and_leads_there(pair: tuple[Person, Person, str]) -> None:
    ada, lin, conversation = pair
    ada.open_chat(conversation)
    lin.open_chat(conversation)
    ada.write("Shall we read **chapter four**?")
    for line in range(20):
        ada.say(conversation, f"line {line}")
    expect(lin.bubble("line 19")).to_be_visible()

    region = lin.page.get_by_role("region", name="消息")
    lin.bubble("line 19").hover()
    region.evaluate("view => view.scrollTo(0, 0)")
    act(lin, "chapter four", "回复")
    expect(lin.page.locator(".composer .quote")).to_contain_text("Shall we read chapter four?")
    lin.page.reload()
    expect(lin.page.locator(".composer .quote")).to_contain_text("Shall we read chapter four?")
    lin.write("好，第四章")
    expect(lin.page.locator(".composer .quote")).to_have_count(0)

    answer = ada.bubble("好，第四章")
    expect(answer.locator(".quote")).to_contain_text("You")
    expect(answer.locator(".quote")).to_contain_text("Shall we read chapter four?")
    answer.locator(".bubble__quote").click()
    expect(ada.bubble("chapter four").first).to_be_in_viewport()


def test_reactions_come_and_go_on_both_sides(pair: tuple[Person, Person, str]) -> None:
    ada, lin, conversation = pair
    ada.open_chat(conversation)
    lin.open_chat(conversation)
    ada.write("We did it")

    lin.bubble("We did it").hover()
    lin.bubble("We did it").get_by_role("button", name="表情回应").click()
    lin.page.get_by_role("dialog", name="表情回应").get_by_role("button", name="🎉").click()
    expect(chip(lin, "We did it", "🎉")).to_have_attribute("aria-pressed", "true")
    theirs = chip(ada, "We did it", "🎉")
    expect(theirs).to_have_attribute("aria-pressed", "false")
    expect(theirs).to_have_attribute("title", "🎉 小林")

    theirs.click()
    expect(chip(lin, "We did it", "🎉")).to_contain_text("2")
    theirs.click()
    expect(chip(lin, "We did it", "🎉")).to_contain_text("1")
    chip(lin, "We did it", "🎉").click()
    expect(chip(ada, "We did it", "🎉")).to_have_count(0)

    # Any other one by its name, in either language.
    lin.bubble("We did it").hover()
    lin.bubble("We did it").get_by_role("button", name="表情回应").click()
    lin.page.get_by_role("button", name="全部表情").click()
    lin.page.get_by_role("combobox", name="搜索表情").fill("火箭")
    lin.page.keyboard.press("Enter")
    expect(chip(ada, "We did it", "🚀")).to_be_visible()
    ada.page.reload()
    expect(chip(ada, "We did it", "🚀")).to_be_visible()


def test_markdown_is_shown_and_nothing_of_it_is_markup(pair: tuple[Person, Person, str]) -> None:
    ada, lin, conversation = pair
    lin.open_chat(conversation)
    alarms: list[str] = []

    def alarmed(dialog: Dialog) -> None:
        alarms.append(dialog.message)
        dialog.dismiss()

    lin.page.on("dialog", alarmed)
    ada.say(conversation, "**bold** *slanted* ~~gone~~ `code` and 请看**重点。**下一句")
    words = lin.bubble("slanted")
    expect(words.locator("strong")).to_have_text(["bold", "重点。"])
    expect(words.locator("em")).to_have_text("slanted")
    expect(words.locator("s")).to_have_text("gone")
    expect(words.locator("code")).to_have_text("code")

    ada.say(conversation, "> quoted\n\n1. one\n2. two\n\n```py\nprint('<b>')\n```")
    expect(lin.page.locator(".message blockquote")).to_have_text("quoted")
    expect(lin.page.locator(".message ol li")).to_have_text(["one", "two"])
    lin.context.grant_permissions(["clipboard-read", "clipboard-write"])
    lin.page.get_by_role("button", name="复制代码").click()
    assert lin.page.evaluate("navigator.clipboard.readText()") == "print('<b>')"

    attack = (
        "<img src=x onerror=alert(1)> <script>alert(2)</script> [click](javascript:alert(3)) [x](data:text/html,hi)"
    )
    ada.say(conversation, attack)
    expect(lin.bubble("<img src=x")).to_have_text(re.compile(re.escape(attack)))
    assert (
        lin.page.locator(".bubble img, .bubble script, .bubble a[href^='javascript'], .bubble a[href^='data']").count()
        == 0
    )

    # A link says where it leads; one that pretends to lead elsewhere is shown as what it is.
    ada.say(conversation, "[the book](https://books.example/4) and [https://bank.example](https://evil.example/x)")
    links = lin.bubble("the book").get_by_role("link")
    expect(links).to_have_text(["the book", "https://evil.example/x"])
    for link in links.all():
        expect(link).to_have_attribute("rel", re.compile("noopener noreferrer"))
        expect(link).to_have_attribute("target", "_blank")
    links.first.click()
    expect(lin.page.get_by_role("dialog", name="要离开守约吗？")).to_contain_text("https://books.example/4")
    assert alarms == []


def detail(person: Person) -> Any:
    return person.page.locator(".shell__detail")


def test_a_thread_is_followed_beside_the_chat(people: People) -> None:
    ada, lin = people("Ada"), people("小林", language="zh-CN", width="phone")
    ada.befriend(lin)
    conversation = ada.direct(lin)
    ada.open_chat(conversation)
    lin.open_chat(conversation)
    ada.write("Which chapter next?")
    lin.say(conversation, "unrelated")

    # On a phone a swipe answers, and the thread is a page of its own.
    swipe(lin, "Which chapter next?")
    lin.write("第五章")
    expect(ada.bubble("Which chapter next?").first.get_by_role("button", name="1 reply")).to_be_visible()
    ada.page.get_by_role("button", name="1 reply").click()
    expect(ada.page).to_have_url(re.compile(r"/threads/\d+$"))
    side = detail(ada)
    expect(side.locator(".bubble__text")).to_have_count(2)
    expect(side.locator(".quote")).to_have_count(0)
    side.locator("textarea").fill("Five then")
    side.locator("textarea").press("Enter")
    expect(side.locator(".bubble__text").last).to_contain_text("Five then")
    # It stands in the chat as well, with what it answers.
    answer = lin.bubble("Five then")
    expect(answer.locator(".quote")).to_contain_text("Which chapter next?")
    lin.page.get_by_role("button", name="2 条回复").click()
    expect(lin.page.get_by_role("heading", name="话题")).to_be_visible()
    expect(detail(lin).locator(".bubble__text")).to_have_count(3)

    # Both sides are live: a reaction, an answer and a deletion in the thread.
    chips = side.locator(".chip")
    detail(lin).locator(".bubble").last.tap()
    detail(lin).locator(".message").last.get_by_role("button", name="表情回应").tap()
    lin.page.get_by_role("dialog", name="表情回应").get_by_role("button", name="👍").tap()
    expect(chips).to_have_text(re.compile("👍1"))
    detail(lin).locator("textarea").fill("周四见")
    detail(lin).locator("textarea").press("Enter")
    expect(side.locator(".bubble__text").last).to_contain_text("周四见")
    expect(ada.page.get_by_role("button", name="3 replies")).to_be_visible()
    side.locator(".message", has_text="Five then").hover()
    side.locator(".message", has_text="Five then").get_by_role("button", name="Message actions").click()
    ada.page.get_by_role("menuitem", name="Delete").click()
    ada.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(detail(lin).locator(".bubble__text")).to_have_count(3)
    expect(ada.page.get_by_role("button", name="2 replies")).to_be_visible()
    ada.page.reload()
    expect(side.locator(".bubble__text")).to_have_count(3)
    ada.page.get_by_role("button", name="Close thread").click()
    expect(side).to_have_count(0)


def swipe(person: Person, text: str) -> None:
    """A finger draws the message to the right."""
    person.bubble(text).first.locator(".message__line").evaluate(
        """(element) => {
            const box = element.getBoundingClientRect()
            const y = box.top + box.height / 2
            const touch = (x) => [new Touch({ identifier: 1, target: element, clientX: x, clientY: y })]
            const tell = (type, x) => {
                const touches = x === null ? [] : touch(x)
                const event = { touches, changedTouches: touch(x ?? 0), bubbles: true, cancelable: true }
                element.dispatchEvent(new TouchEvent(type, event))
            }
            tell('touchstart', box.left + 20)
            for (let x = 30; x <= 100; x += 10) tell('touchmove', box.left + x)
            tell('touchend', null)
        }"""
    )


def test_who_is_called_sees_it_in_the_list_and_finds_the_place(people: People) -> None:
    ada, lin, ben = people("Ada"), people("小林", language="zh-CN"), people("Ben")
    for other in (lin, ben):
        ada.befriend(other)
    group = ada.group("Readers", lin, ben)
    lin.open("/chats")
    ada.open_chat(group)
    ada.composer.press_sequentially("Ask @小")
    expect(ada.page.get_by_role("option", name=re.compile("小林"))).to_be_visible()
    ada.composer.press("Enter")
    expect(ada.composer).to_have_value(f"Ask @{lin.handle} ")
    ada.composer.press_sequentially("about it")
    ada.composer.press("Enter")
    chip_of_lin = ada.bubble("about it").locator(".mention")
    expect(chip_of_lin).to_have_text("@小林")

    row = lin.page.get_by_role("link", name=re.compile("Readers"))
    expect(row.get_by_text("1 条提到你")).to_be_attached()
    ben.open("/chats")
    theirs = ben.page.get_by_role("link", name=re.compile("Readers"))
    expect(theirs).to_contain_text("about it")
    expect(theirs.get_by_text("mention")).to_have_count(0)

    # The call is far below what is unread: a button leads there.
    for number in range(40):
        ben.say(group, f"line {number}")
    ada.composer.fill("@all see above")
    ada.composer.press("Enter")
    expect(row.get_by_text("2 条提到你")).to_be_attached()
    row.click()
    expect(lin.bubble("about it")).to_be_in_viewport()
    expect(lin.bubble("about it").locator(".mention--own")).to_have_text("@小林")
    button = lin.page.get_by_role("button", name=re.compile("下一条提到你的"))
    button.click()
    expect(lin.bubble("see above").locator(".mention--own")).to_have_text("@所有人")
    expect(lin.bubble("see above")).to_be_in_viewport()
    expect(button).to_have_count(0)
    lin.page.goto("/chats")
    expect(row.get_by_text("条提到你")).to_have_count(0)


def test_pins_stand_on_top_for_all_and_lead_back(people: People) -> None:
    ada, lin = people("Ada"), people("小林", language="zh-CN")
    ada.befriend(lin)
    group = ada.group("Readers", lin)
    ada.open_chat(group)
    lin.open_chat(group)
    ada.write("The plan is **chapter four**")
    ada.write("We meet on Thursday")
    lin.bubble("The plan").hover()
    lin.bubble("The plan").get_by_role("button", name="消息操作").click()
    expect(lin.page.get_by_role("menuitem", name="回复")).to_be_visible()
    expect(lin.page.get_by_role("menuitem", name="置顶")).to_have_count(0)
    lin.page.keyboard.press("Escape")

    act(ada, "The plan", "Pin")
    act(ada, "We meet", "Pin")
    top = lin.page.get_by_role("region", name="置顶消息")
    expect(top).to_contain_text("We meet on Thursday")
    expect(lin.notice("Ada置顶了一条消息")).to_have_count(2)
    for number in range(60):
        ada.say(group, f"line {number}")
    expect(lin.bubble("line 59")).to_be_visible()
    lin.page.reload()
    expect(lin.bubble("line 59")).to_be_in_viewport()
    # What is pinned is far above all that is loaded.
    expect(top).to_contain_text("We meet on Thursday")
    top.get_by_role("button", name=re.compile("We meet")).click()
    expect(lin.bubble("We meet")).to_be_in_viewport()
    expect(top).to_contain_text("The plan is chapter four")

    top.get_by_role("button", name="查看全部置顶消息").click()
    expect(lin.page.get_by_role("dialog").get_by_role("listitem")).to_have_count(2)
    lin.page.keyboard.press("Escape")
    ada.page.get_by_role("button", name="Show all pinned messages").click()
    ada.page.get_by_role("dialog").get_by_role("button", name="Unpin").first.click()
    expect(top).to_contain_text("The plan is chapter four")


def test_messages_are_chosen_and_forwarded(people: People) -> None:
    ada, lin, ben = people("Ada"), people("小林", language="zh-CN"), people("Ben")
    for other in (lin, ben):
        ada.befriend(other)
    source, target, group = ada.direct(lin), ada.direct(ben), ada.group("Readers", lin, ben)
    lin.say(source, "第一章在哪里")
    lin.say(source, "**In the library**")
    ben.open_chat(target)
    ada.open_chat(source)
    act(ada, "第一章", "Select several")
    ada.bubble("In the library").locator(".bubble").click()
    expect(ada.page.get_by_text("2 selected")).to_be_visible()
    expect(ada.page.get_by_role("button", name="Only messages that you may delete")).to_be_disabled()
    ada.page.get_by_role("button", name="Forward").click()
    sheet = ada.page.get_by_role("dialog", name="Forward 2 messages")
    sheet.get_by_role("checkbox", name="Ben").click()
    sheet.get_by_role("checkbox", name="Readers").click()
    sheet.get_by_role("button", name="Forward").click()
    expect(ada.page.get_by_text("Forwarded to 2 chats")).to_be_visible()
    expect(ada.composer).to_be_visible()
    expect(ben.bubble("In the library")).to_contain_text("Forwarded from 小林")
    expect(ben.bubble("In the library").locator("strong")).to_have_text("In the library")
    lin.open_chat(group)
    expect(lin.page.locator(".bubble__origin")).to_have_text(["转发自你", "转发自你"])
    assert [text for text in ben.texts() if text] == ["第一章在哪里", "In the library"]


def test_versions_readers_and_who_removed_what(people: People) -> None:
    ada, lin, ben = people("Ada"), people("小林", language="zh-CN"), people("Ben")
    for other in (lin, ben):
        ada.befriend(other)
    group = ada.group("Readers", lin, ben)
    ada.open_chat(group)
    ada.write("Chaptre for")
    expect(ada.page.locator("[data-seq]:not([data-seq='0'])", has_text="Chaptre for")).to_be_visible()
    ada.composer.press("ArrowUp")
    ada.write("Chapter for")
    expect(ada.bubble("Chapter for").get_by_text("edited")).to_be_visible()
    ada.composer.press("ArrowUp")
    ada.write("Chapter four")
    lin.open_chat(group)
    lin.bubble("Chapter four").get_by_role("button", name="改过").click()
    versions = lin.page.get_by_role("dialog", name="这条消息的修改记录")
    expect(versions.locator(".markdown")).to_have_text(["Chapter four", "Chapter for", "Chaptre for"])
    lin.page.keyboard.press("Escape")

    told = ada.page.locator(".message__told")
    expect(told).to_have_text("Read by 1")
    told.get_by_role("button").click()
    readers = ada.page.get_by_role("dialog", name="Read by")
    expect(readers.get_by_role("region", name="Read", exact=True)).to_contain_text("小林")
    expect(readers.get_by_role("region", name="Not received yet")).to_contain_text("Ben")
    ben.open_chat(group)
    expect(readers.get_by_role("region", name="Read", exact=True)).to_contain_text("Ben")
    ada.page.keyboard.press("Escape")

    lin.write("out of place")
    act(ada, "out of place", "Delete")
    sheet = ada.page.get_by_role("dialog", name="Remove this message of 小林?")
    sheet.get_by_role("button", name="Delete").click()
    expect(ben.bubble("Removed by Ada")).to_be_visible()
    expect(lin.bubble("被Ada移除")).to_be_visible()
    lin.page.reload()
    expect(lin.bubble("被Ada移除")).to_be_visible()


def test_what_is_read_while_one_is_away_is_seen_afterwards(pair: tuple[Person, Person, str]) -> None:
    """Positions are told live only: what was read in between is asked for when the chat is live again."""
    ada, lin, conversation = pair
    ada.open_chat(conversation)
    ada.write("Are you there")
    expect(ada.page.locator(".message__told")).to_have_text("Sent")
    ada.context.set_offline(True)
    ada.page.evaluate("window.dispatchEvent(new Event('offline'))")
    lin.open_chat(conversation)
    expect(lin.bubble("Are you there")).to_be_in_viewport()
    expect(lin.page).to_have_title("守约")
    ada.context.set_offline(False)
    ada.page.evaluate("window.dispatchEvent(new Event('online'))")
    expect(ada.page.locator(".message__told")).to_have_text("Read")


def test_the_composer_formats_and_pastes(pair: tuple[Person, Person, str]) -> None:
    ada, _, conversation = pair
    ada.open_chat(conversation)
    ada.composer.fill("read this")
    ada.composer.press("Shift+Control+ArrowLeft")
    ada.composer.press("Control+b")
    expect(ada.composer).to_have_value("read **this**")
    ada.composer.press("Control+b")
    expect(ada.composer).to_have_value("read this")
    ada.composer.press("Control+z")
    expect(ada.composer).to_have_value("read **this**")
    ada.composer.fill("")
    ada.composer.evaluate(
        """(field) => {
            const data = new DataTransfer()
            data.setData('text/html', '<p>From <b>elsewhere</b></p><ul><li>one</li></ul>')
            data.setData('text/plain', 'From elsewhere')
            field.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }))
        }"""
    )
    expect(ada.composer).to_have_value("From **elsewhere**\n\n- one")
    ada.page.get_by_role("button", name="Emoji").click()
    ada.page.get_by_role("combobox", name="Search emoji").fill("rocket")
    ada.page.keyboard.press("Enter")
    expect(ada.composer).to_have_value("From **elsewhere**\n\n- one🚀")


@pytest.mark.parametrize(("width", "language", "theme"), [("desktop", "en", "light"), ("phone", "zh-CN", "dark")])
def test_rich_messages_can_be_read_by_everybody(people: People, width: Width, language: Language, theme: Theme) -> None:
    ada, lin = people("Ada", width=width, language=language, theme=theme), people("小林")
    ada.befriend(lin)
    group = ada.group("Readers", lin)
    lin.say(group, f"**Chapter** [four](https://books.example) @{ada.handle}\n\n> quoted\n\n```py\nx = 1\n```")
    ada.open_chat(group)
    seq = ada.page.locator("[data-seq]", has_text="Chapter").first.get_attribute("data-seq")
    lin.react(group, int(seq or 0), "👍")
    lin.answer(group, int(seq or 0), "I like it")
    ada.api("PUT", f"/conversations/{group}/pins/{seq}")
    expect(ada.page.locator(".chip")).to_be_visible()
    expect(ada.page.locator(".pins")).to_be_visible()
    problems = faults(ada)
    ada.page.get_by_role("button", name="表情" if language == "zh-CN" else "Emoji", exact=True).click()
    expect(ada.page.locator(".picker__cell").first).to_be_visible()
    problems += faults(ada)
    ada.page.keyboard.press("Escape")
    ada.open(f"/chats/{group}/threads/{seq}")
    expect(detail(ada).locator(".bubble__text")).to_have_count(2)
    problems += faults(ada)
    assert problems == []
