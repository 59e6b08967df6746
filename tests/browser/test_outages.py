"""Nothing is lost and nothing doubled: without network, over a reload, through a kill of the server."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.hub import Hub
from tests.browser.person import Person, Wire, hurry

People = Callable[..., Person]


def test_what_was_written_offline_survives_a_reload_and_is_sent_once(people: People) -> None:
    ada, lin = people("Ada"), people("小林", language="zh-CN")
    ada.befriend(lin)
    conversation = ada.direct(lin)
    wire = Wire(ada)
    ada.open_chat(conversation)
    lin.open_chat(conversation)
    ada.write("before")
    expect(lin.bubble("before")).to_be_visible()
    # It may arrive at the other one before its sender has heard so.
    expect(ada.page.locator(".message__told")).to_have_text("Read")

    wire.cut()
    expect(ada.page.get_by_text("Not connected.")).to_be_visible()
    expect(ada.page.get_by_role("button", name="Try now")).to_be_visible()
    ada.write("one")
    ada.write("two")
    expect(ada.page.get_by_text("Not connected. 2 messages wait.")).to_be_visible()
    expect(ada.bubble("two").get_by_text("Waits for the connection").first).to_be_attached()

    ada.page.reload()
    expect(ada.page.get_by_text("Not connected. 2 messages wait.")).to_be_visible()
    expect(ada.bubble("one")).to_be_visible()
    expect(ada.bubble("two")).to_be_visible()

    wire.join()
    hurry(ada.page)
    expect(lin.bubble("two")).to_be_visible()
    expect(ada.page.get_by_text("Not connected.")).to_have_count(0)
    expect(ada.page.locator(".message__told")).to_have_text("Read")
    lin.page.reload()
    expect(lin.bubble("two")).to_be_visible()
    assert lin.texts() == ["before", "one", "two"]
    assert ada.texts() == ["before", "one", "two"]


def test_a_chat_goes_through_a_killed_server(people: People, hub: Hub) -> None:
    ada, lin = people("Ada"), people("小林", language="zh-CN", width="phone")
    ada.befriend(lin)
    conversation = ada.direct(lin)
    ada.open_chat(conversation)
    lin.open_chat(conversation)
    ada.write("before the fall")
    expect(lin.bubble("before the fall")).to_be_visible()
    expect(ada.page.locator(".message__told")).to_have_text("Read")

    hub.kill()
    expect(lin.page.get_by_text("没有连上。")).to_be_visible()
    lin.write("while it was away")
    expect(lin.page.get_by_text("没有连上，1 条消息等着发出。")).to_be_visible()
    hub.start()

    expect(ada.bubble("while it was away")).to_be_visible(timeout=40_000)
    ada.write("after")
    expect(lin.bubble("after")).to_be_visible(timeout=40_000)
    expect(lin.page.get_by_text("没有连上")).to_have_count(0)
    assert ada.texts() == ["before the fall", "while it was away", "after"]
    assert lin.texts() == ada.texts()


def test_a_refused_message_says_why_and_can_be_discarded(people: People) -> None:
    ada, ben = people("Ada"), people("Ben")
    ada.befriend(ben)
    conversation = ada.direct(ben)
    wire = Wire(ada)
    ada.open_chat(conversation)
    wire.cut()
    expect(ada.page.get_by_text("Not connected.")).to_be_visible()
    ada.write("too late")
    ben.api("PUT", f"/blocks/{ada.id}")
    wire.join()
    hurry(ada.page)
    failed = ada.bubble("too late")
    expect(failed.get_by_role("button", name="Discard")).to_be_visible()
    failed.get_by_role("button", name="Discard").click()
    expect(failed).to_have_count(0)
