"""The thread of a promise in the browser: people talk, send pictures and stamp in one timeline, live for both sides."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime, timedelta

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import People
from tests.browser.person import Person
from tests.media import samples


def promise(owner: Person, supervisor: Person) -> str:
    due = datetime.now(UTC) + timedelta(hours=3)
    terms = {
        "title": "Read every evening",
        "zone": "UTC",
        "tasks": [{"title": "Read 30 min", "due": f"{due:%Y-%m-%dT%H:%M}", "repeat": "FREQ=DAILY;COUNT=2"}],
        "stake": {"kind": "points", "points": 10},
    }
    owner.befriend(supervisor)
    wanted = {"id": secrets.token_urlsafe(16), "side": "owner", "terms": terms, "supervisors": [supervisor.id]}
    id: str = owner.api("POST", "/pledges", wanted)["id"]
    owner.api("POST", f"/pledges/{id}/publish")
    return id


def log(page: Page) -> Locator:
    return page.get_by_role("log", name="What happened")


def rows(page: Page) -> Locator:
    return log(page).get_by_role("article")


def test_one_timeline_for_both_sides(people: People) -> None:
    emma, tom = people("Emma", width="phone"), people("Tom")
    id = promise(emma, tom)
    emma.open(f"/pledges/{id}")
    emma.page.get_by_text("Timeline", exact=True).click()  # on a phone it has a view of its own
    expect(log(emma.page).get_by_text("It waits for somebody to watch over it.")).to_be_visible()
    tom.api("POST", f"/pledges/{id}/invitation/accept")
    expect(log(emma.page).get_by_text("Watching over it: Tom.")).to_be_visible()  # live
    expect(log(emma.page).get_by_text("It has begun.")).to_be_visible()

    tom.open(f"/pledges/{id}")
    writing = emma.page.get_by_role("textbox", name="Write to everybody concerned")
    writing.fill("Chapter one, **done**")
    writing.press("Enter")
    expect(log(tom.page).get_by_text("Chapter one, done")).to_be_visible()
    expect(log(tom.page).locator("strong", has_text="done")).to_be_visible()

    emma.page.locator("input[data-way=picture]").last.set_input_files(
        {"name": "book.jpg", "mimeType": "image/jpeg", "buffer": samples.jpeg(640, 480)}
    )
    writing.fill("This one")
    emma.page.get_by_role("button", name="Send", exact=True).click()
    shown = log(tom.page).locator("article", has_text="This one").locator("img").last
    expect(shown).to_be_visible(timeout=60_000)  # a process makes it harmless first
    expect(shown).to_have_js_property("complete", True)

    tom.api("POST", f"/pledges/{id}/tasks/1/stamps", {"verdict": "done", "words": "I saw the book."})
    for page in (emma.page, tom.page):
        stamp = rows(page).filter(has_text="stamped it: done")
        expect(stamp).to_contain_text("1 · Read 30 min")
        expect(stamp).to_contain_text("I saw the book.")
        expect(stamp.get_by_role("img", name=re.compile("stamped it: done"))).to_be_visible()  # the seal
        expect(rows(page).filter(has_text="Kept, ahead of time")).to_be_visible()

    emma.api("POST", f"/pledges/{id}/evidence", {"words": "The receipt of the library."})
    expect(rows(tom.page).filter(has_text="Emma added evidence.")).to_contain_text("The receipt of the library.")

    tom.page.reload()
    order = ("Watching over it", "It has begun", "Chapter one", "This one", "stamped it", "added evidence")
    expect(rows(tom.page).filter(has_text="added evidence")).to_be_visible()
    told = rows(tom.page).all_inner_texts()
    places = [next(at for at, text in enumerate(told) if words in text) for words in order]
    assert places == sorted(places)
    width = emma.page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390


def test_ones_own_words_can_be_taken_back_and_a_stamp_cannot(people: People) -> None:
    emma, tom = people("Emma"), people("Tom")
    id = promise(emma, tom)
    tom.api("POST", f"/pledges/{id}/invitation/accept")
    emma.open(f"/pledges/{id}")
    writing = emma.page.get_by_role("textbox", name="Write to everybody concerned")
    writing.fill("A slip")
    writing.press("Enter")
    tom.open(f"/pledges/{id}")
    expect(log(tom.page).get_by_text("A slip")).to_be_visible()
    expect(rows(tom.page).get_by_role("button")).to_have_count(0)
    said = rows(emma.page).filter(has_text="A slip")
    said.hover()
    said.get_by_role("button", name=re.compile("^Delete your message of")).click()
    emma.page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    for page in (emma.page, tom.page):
        expect(log(page).get_by_text("This message was deleted.")).to_be_visible()
        expect(log(page).get_by_text("A slip")).to_be_hidden()


def test_the_inbox_tells_of_a_promise(people: People) -> None:
    emma, tom = people("Emma"), people("Tom", width="phone", language="zh-CN")
    id = promise(emma, tom)
    tom.open("/inbox")
    told = tom.page.get_by_role("link", name=re.compile("Emma 请你来监督。"))
    expect(told).to_contain_text("Read every evening")
    told.click()
    expect(tom.page).to_have_url(re.compile(f"/pledges/{id}$"))


def test_without_a_connection_what_was_said_waits(people: People) -> None:
    emma, tom = people("Emma"), people("Tom")
    id = promise(emma, tom)
    tom.api("POST", f"/pledges/{id}/invitation/accept")
    emma.open(f"/pledges/{id}")
    tom.open(f"/pledges/{id}")
    expect(log(tom.page).get_by_text("It has begun.")).to_be_visible()
    tom.context.set_offline(True)
    writing = tom.page.get_by_role("textbox", name="Write to everybody concerned")
    writing.fill("On the train")
    writing.press("Enter")
    expect(rows(tom.page).filter(has_text="On the train")).to_be_visible()
    emma.page.get_by_role("textbox", name="Write to everybody concerned").fill("Where are you?")
    emma.page.keyboard.press("Enter")
    tom.context.set_offline(False)
    expect(log(emma.page).get_by_text("On the train")).to_be_visible()
    expect(log(tom.page).get_by_text("Where are you?")).to_be_visible()
