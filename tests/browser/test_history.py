"""Long histories: nothing jumps, nothing stutters, and every message can be gone to."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.hub import Hub
from tests.browser.person import Person

People = Callable[..., Person]

#: Messages of the long history, and how many somebody says in a row.
LONG = 10_000
TURN = 500

#: Says many things by a socket of its own; the next one goes out when one is acknowledged.
_SAY_ALL = """async ([conversation, from, count]) => {
    const socket = new WebSocket('/api/v1/socket')
    const texts = ['yes', '好的，明天见', 'The third chapter is better than the second one. '.repeat(4)]
    await new Promise((done, fail) => {
        let next = 0
        let acknowledged = 0
        const say = () => {
            const number = from + next
            next += 1
            const text = `message ${number}: ${texts[number % texts.length]}`
            const id = `fill${String(number).padStart(18, '0')}`
            const ch = `conv:${conversation}`
            socket.send(JSON.stringify({ t: 'append', id, ch, kind: 'message', body: { text } }))
        }
        socket.onopen = () => socket.send(JSON.stringify({ t: 'hello', v: 1 }))
        socket.onclose = ({ code }) => fail(new Error(`closed: ${code}`))
        socket.onmessage = ({ data }) => {
            const frame = JSON.parse(data)
            if (frame.t === 'error') fail(new Error(data))
            if (frame.t === 'welcome') while (next < Math.min(100, count)) say()
            if (frame.t !== 'ack') return
            acknowledged += 1
            if (acknowledged === count) done()
            else if (next < count) say()
        }
    })
    socket.onclose = null
    socket.close()
}"""


def say_all(person: Person, conversation: str, first: int, count: int) -> None:
    if person.page.url == "about:blank":
        person.open("/people")
    person.page.evaluate(_SAY_ALL, [conversation, first, count])


@pytest.fixture
def pair(people: People) -> tuple[Person, Person, str]:
    """Two friends and their conversation."""
    ada, lin = people("Ada"), people("小林", language="zh-CN")
    ada.befriend(lin)
    return ada, lin, ada.direct(lin)


@pytest.fixture(scope="module")
def long(hub: Hub, chrome: Browser) -> Iterator[tuple[Person, Person, str]]:
    """Two friends who have written each other ten thousand messages, and Ada's page on the way in."""
    ada, lin = Person(chrome, hub.url, "Ada").register(), Person(chrome, hub.url, "Lin").register()
    ada.befriend(lin)
    conversation = ada.direct(lin)
    for first in range(1, LONG, TURN):
        say_all((ada, lin)[first // TURN % 2], conversation, first, TURN)
    yield ada, lin, conversation
    complaints = ada.complaints + lin.complaints
    ada.context.close()
    lin.context.close()
    assert complaints == []


def region(page: Page) -> Any:
    return page.get_by_role("region", name="Messages")


def test_older_messages_load_without_a_jump(pair: tuple[Person, Person, str]) -> None:
    ada, lin, conversation = pair
    for at in range(130):
        ada.say(conversation, f"line {at:03}")
    ada.open_chat(conversation)
    expect(ada.bubble("line 129")).to_be_in_viewport()

    # Scroll up a little at a time; whenever a page is put before, what was seen stays where it was.
    moved = region(ada.page).evaluate(
        """async (view) => {
            const turn = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))
            // Where it is in the frame that is shown: what a page that has just come changes is put right before that.
            const shown = (row) => new Promise((done) => {
                const observer = new IntersectionObserver(([entry]) => {
                    observer.disconnect()
                    done(entry.boundingClientRect.top)
                })
                observer.observe(row)
            })
            let worst = 0
            let most = 0
            for (let step = 0; step < 400; step += 1) {
                const edge = view.getBoundingClientRect().top
                const rows = [...view.querySelectorAll('.message')]
                const seen = rows.find((row) => row.getBoundingClientRect().top >= edge)
                const before = await shown(seen)
                const count = rows.length
                const height = view.scrollTop
                view.scrollTop = Math.max(0, height - 200)
                const wanted = before + height - view.scrollTop
                await turn()
                if (seen.isConnected) worst = Math.max(worst, Math.abs((await shown(seen)) - wanted))
                most = Math.max(most, count)
                if (view.scrollTop === 0 && view.textContent.includes('line 000')) break
            }
            return { worst, most }
        }"""
    )
    assert moved["worst"] <= 2
    assert 10 < moved["most"] < 80  # of 130: only what is near the view is there
    expect(ada.page.get_by_text("This is the beginning of your chat with 小林.")).to_be_in_viewport()

    # Somebody writes meanwhile: the reader stays, and is told.
    lin.say(conversation, "new below")
    jump = ada.page.get_by_role("button", name="1 new message")
    expect(jump).to_be_visible()
    expect(ada.page.get_by_text("This is the beginning of your chat with 小林.")).to_be_in_viewport()
    jump.click()
    expect(ada.bubble("new below")).to_be_in_viewport()
    expect(jump).to_have_count(0)


def test_the_keys_go_by_screens_and_to_both_ends(pair: tuple[Person, Person, str]) -> None:
    ada, _, conversation = pair
    for at in range(60):
        ada.say(conversation, f"line {at:02}")
    ada.open_chat(conversation)
    expect(ada.bubble("line 59")).to_be_in_viewport()
    region(ada.page).focus()
    ada.page.keyboard.press("PageUp")
    expect(ada.bubble("line 59")).not_to_be_in_viewport()
    ada.page.keyboard.press("Home")
    expect(ada.bubble("line 00")).to_be_in_viewport()
    ada.page.keyboard.press("End")
    expect(ada.bubble("line 59")).to_be_in_viewport()
    expect(region(ada.page)).to_be_focused()


def test_a_jump_overtakes_a_scroll_that_is_under_way(pair: tuple[Person, Person, str]) -> None:
    """Chromium glides by a screen for some 150 ms: what is left of that must not carry the window away again."""
    ada, _, conversation = pair
    for at in range(60):
        ada.say(conversation, f"line {at:02}")
    ada.open_chat(conversation)
    expect(ada.bubble("line 59")).to_be_in_viewport()
    region(ada.page).focus()
    for far, key in [("line 59", "End"), ("line 00", "Home"), ("line 59", "End")]:
        glides = "PageDown" if key == "Home" else "PageUp"
        ada.page.keyboard.press(glides)
        ada.page.keyboard.press(key)
        gone = region(ada.page).evaluate(
            """async (view, key) => {
                for (let frame = 0; frame < 40; frame++) await new Promise((done) => requestAnimationFrame(done))
                return key === 'Home' ? view.scrollTop : view.scrollHeight - view.clientHeight - view.scrollTop
            }""",
            key,
        )
        assert gone <= 2, (key, gone)
        expect(ada.bubble(far)).to_be_in_viewport()


def test_a_window_of_another_width_shows_the_same_messages(pair: tuple[Person, Person, str]) -> None:
    ada, _, conversation = pair
    for at in range(60):
        ada.say(conversation, f"line {at:02} " + "which is long enough to need several lines in a narrow window " * 3)
    ada.open_chat(conversation)
    expect(ada.bubble("line 59")).to_be_in_viewport()
    ada.page.set_viewport_size({"width": 800, "height": 500})
    expect(ada.bubble("line 59")).to_be_in_viewport()  # who is at the newest stays there
    region(ada.page).hover()
    ada.page.mouse.wheel(0, -2_000)
    expect(ada.bubble("line 59")).not_to_be_in_viewport()
    seen = region(ada.page).evaluate(
        """(view) => {
            const edge = view.getBoundingClientRect().top
            const rows = [...view.querySelectorAll('.message')]
            const first = rows.find((row) => row.getBoundingClientRect().bottom > edge + 20)
            return first.querySelector('.bubble__text').textContent
        }"""
    )
    ada.page.set_viewport_size({"width": 1280, "height": 800})
    expect(ada.bubble(seen[:7])).to_be_in_viewport()


def test_a_message_is_shown_in_its_place(long: tuple[Person, Person, str]) -> None:
    ada, lin, conversation = long
    ada.open(f"/chats/{conversation}?at=4321")
    expect(ada.page.locator('.row--marked[data-seq="4321"]')).to_be_in_viewport()
    expect(ada.page.locator(".message")).not_to_have_count(0)
    expect(ada.bubble("message 9999:")).to_have_count(0)

    # Later messages follow, and what is said meanwhile is not lost.
    region(ada.page).hover()
    ada.page.mouse.wheel(0, 6_000)
    ada.page.wait_for_function(
        "() => [...document.querySelectorAll('.row[data-seq]')].some((row) => Number(row.dataset.seq) > 4370)"
    )
    lin.say(conversation, "said meanwhile")
    back = ada.page.get_by_role("button", name="1 new message")
    expect(back).to_be_visible()
    expect(ada.bubble("said meanwhile")).to_have_count(0)
    back.click()
    expect(ada.bubble("said meanwhile")).to_be_in_viewport()
    expect(back).to_have_count(0)

    # What one writes oneself is the newest too, wherever one has been.
    ada.open(f"/chats/{conversation}?at=2000")
    expect(ada.page.locator('[data-seq="2000"]')).to_be_in_viewport()
    ada.write("written from afar")
    expect(ada.bubble("written from afar")).to_be_in_viewport()
    numbers = ada.page.locator(".message").evaluate_all(
        "(all) => all.map((each) => Number(each.closest('[data-seq]').dataset.seq)).filter((seq) => seq > 0)"
    )
    assert numbers == sorted(set(numbers))


def test_a_message_that_is_not_there_is_said_to_be(long: tuple[Person, Person, str]) -> None:
    ada, _, conversation = long
    ada.open(f"/chats/{conversation}?at=999999")
    expect(ada.page.get_by_text("This message is not there.")).to_be_visible()
    expect(ada.page.locator(".message").last).to_be_in_viewport()
    ada.open(f"/chats/{conversation}?at=nonsense")
    expect(ada.page.locator(".message").last).to_be_in_viewport()
    expect(ada.page.get_by_text("This message is not there.")).to_have_count(0)


#: Counts, for each frame that is shown, the rows of messages that were built since the one before.
_COUNT_ROWS = """(view) => {
    const counts = { frames: 0, worst: 0, most: 0 }
    let built = 0
    new MutationObserver((changes) => {
        for (const { addedNodes } of changes)
            for (const node of addedNodes)
                if (node.nodeType === 1)
                    built += node.matches('.message') ? 1 : node.querySelectorAll('.message').length
    }).observe(view, { childList: true, subtree: true })
    const frame = () => {
        counts.frames += 1
        counts.worst = Math.max(counts.worst, built)
        counts.most = Math.max(counts.most, view.querySelectorAll('.message').length)
        built = 0
        requestAnimationFrame(frame)
    }
    requestAnimationFrame(frame)
    window.rowCounts = counts
}"""


def test_ten_thousand_messages_scroll_without_a_stutter(long: tuple[Person, Person, str]) -> None:
    """What makes a frame late is the rows that it has to build: they are few, however long the history is."""
    ada, _, conversation = long
    ada.open_chat(conversation)
    expect(ada.page.locator(".message").last).to_be_in_viewport()
    region(ada.page).evaluate(_COUNT_ROWS)
    devtools = ada.context.new_cdp_session(ada.page)
    beginning = ada.page.get_by_text("This is the beginning of your chat with Lin.")
    for _ in range(120):
        devtools.send(
            "Input.synthesizeScrollGesture",
            {"x": 800, "y": 400, "yDistance": 15_000, "speed": 15_000, "gestureSourceType": "mouse"},
        )
        if beginning.count():
            break
    expect(beginning).to_be_attached()
    counts = ada.page.evaluate("window.rowCounts")
    assert counts["frames"] > 200, counts
    assert counts["worst"] <= 70, counts
    assert counts["most"] < 120, counts


def test_a_chat_that_is_known_opens_at_once(long: tuple[Person, Person, str]) -> None:
    ada, lin, conversation = long
    other = ada.group("Another chat", lin)
    lin.say(other, "hello there")
    ada.open_chat(conversation)
    expect(ada.page.locator(".message").last).to_be_in_viewport()
    switches: list[float] = []
    for target in (other, conversation):
        expect(ada.page.locator(f'a[href^="/chats/{target}"]').first).to_be_attached()
    for target in [other, conversation] * 6:
        took: float = ada.page.evaluate(
            """async (target) => {
                const frame = () => new Promise((done) => requestAnimationFrame(done))
                const link = document.querySelector(`a[href^="/chats/${target}"]`)
                const before = document.querySelector('.scroller')
                const start = performance.now()
                link.click()
                for (;;) {
                    const view = document.querySelector('.scroller')
                    if (view && view !== before && view.querySelector('.message')) break
                    await frame()
                }
                await frame()
                performance.measure('switch', { start })
                return performance.now() - start
            }""",
            target,
        )
        switches.append(took)
    known = switches[2:]  # each of them once to load it
    figures = {"median": statistics.median(known), "best": min(known), "worst": max(known)}
    assert figures["best"] <= 100, figures
    assert figures["median"] <= 300, figures
