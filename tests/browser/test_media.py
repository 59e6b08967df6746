"""Pictures, voices, videos and files between two people, over lines that break."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image
from playwright.sync_api import Route, expect

from tests.browser.hub import Hub
from tests.browser.person import Person, Wire, hurry
from tests.media.samples import encoded, film, jpeg, png

People = Callable[..., Person]


@pytest.fixture
def pair(people: People) -> tuple[Person, Person, str]:
    ada, lin = people("Ada"), people("小林", language="zh-CN", width="phone")
    ada.befriend(lin)
    return ada, lin, ada.direct(lin)


_TRANSFER = """([name, type, content]) => {
    const bytes = Uint8Array.from(atob(content), (sign) => sign.charCodeAt(0))
    const transfer = new DataTransfer()
    transfer.items.add(new File([bytes], name, { type }))
    return transfer
}"""


def transfer(person: Person, name: str, kind: str, content: bytes) -> Any:
    """As the clipboard and a dragging hand hold files."""
    return person.page.evaluate_handle(_TRANSFER, [name, kind, base64.b64encode(content).decode()])


def paste(person: Person, name: str, kind: str, content: bytes) -> None:
    held = transfer(person, name, kind, content)
    person.page.evaluate(
        """(data) => document.querySelector('textarea').dispatchEvent(
            new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }))""",
        held,
    )


def drop(person: Person, name: str, kind: str, content: bytes) -> None:
    held = transfer(person, name, kind, content)
    area = person.page.locator(".conversation")
    area.dispatch_event("dragenter", {"dataTransfer": held})
    expect(person.page.locator(".drop--over")).to_be_visible()
    area.dispatch_event("drop", {"dataTransfer": held})


def noise(side: int = 1100) -> bytes:
    """A picture that cannot be packed: some megabytes, and so several pieces."""
    return encoded(Image.effect_noise((side, side), 90).convert("RGB"), "PNG")


class Pieces:
    """Watches the pieces of one person's uploads, and what is done to each: `act(n)` is asked before the n-th."""

    def __init__(self, person: Person, act: Callable[[int], str] = lambda _: "") -> None:
        self.sent: list[tuple[int, int]] = []
        self.created = 0
        self._act = act
        person.context.route(re.compile(r"/api/v1/uploads(/u_|$)"), self._see)

    def _see(self, route: Route) -> None:
        request = route.request
        self.created += request.method == "POST"
        if request.method != "PATCH":
            route.continue_()
            return
        offset = int(parse_qs(urlsplit(request.url).query)["offset"][0])
        self.sent.append((offset, len(request.post_data_buffer or b"")))
        match self._act(len(self.sent)):
            case "lost":
                route.abort()
            case "unanswered":
                route.fetch()
                route.abort()
            case _:
                route.continue_()


def tray(person: Person) -> Any:
    return person.page.locator(".tray__item")


def tile(person: Person) -> Any:
    return person.page.locator("button.tile")


def shown(person: Person, at: int = 0) -> Any:
    """The picture itself, once it is loaded; its size in pixels."""
    image = tile(person).nth(at).locator("img.tile__picture--there")
    expect(image).to_be_visible(timeout=40_000)  # it was made ready on the server first
    return image.evaluate("(image) => [image.naturalWidth, image.naturalHeight]")


def test_a_pasted_picture_is_seen_by_the_other(pair: tuple[Person, Person, str]) -> None:
    ada, lin, conversation = pair
    ada.open_chat(conversation)
    lin.open_chat(conversation)
    paste(ada, "circle.png", "image/png", png(640, 400))
    expect(tray(ada)).to_have_count(1)
    ada.composer.fill("This one")
    ada.composer.press("Enter")
    expect(tray(ada)).to_have_count(0)
    expect(ada.bubble("This one").locator(".tile img")).to_be_visible()

    width, height = shown(lin)
    assert abs(width / height - 640 / 400) < 0.02
    assert shown(ada) == [640, 400]
    expect(lin.bubble("This one")).to_have_count(1)
    box = tile(lin).bounding_box()
    assert abs(box["width"] / box["height"] - 640 / 400) < 0.02

    ada.page.reload()
    width, height = shown(ada)
    assert abs(width / height - 640 / 400) < 0.02
    assert re.search(r"/media/m_\w+/(thumb|preview)$", tile(ada).locator("img").last.get_attribute("src"))


def test_several_are_put_in_order_and_sent_as_one(pair: tuple[Person, Person, str]) -> None:
    ada, lin, conversation = pair
    ada.open_chat(conversation)
    lin.open_chat(conversation)
    drop(ada, "wide.jpg", "image/jpeg", jpeg(900, 400))
    expect(tray(ada)).to_have_count(1)
    drop(ada, "high.jpg", "image/jpeg", jpeg(400, 700))
    expect(tray(ada)).to_have_count(2)
    drop(ada, "gone.jpg", "image/jpeg", jpeg(300, 300))
    expect(tray(ada)).to_have_count(3)
    ada.page.get_by_role("button", name="Remove gone.jpg").click()
    tray(ada).nth(1).focus()
    ada.page.keyboard.press("ArrowLeft")
    expect(tray(ada).first).to_have_attribute("aria-label", re.compile("high.jpg"))
    ada.page.get_by_role("button", name="Send", exact=True).click()

    expect(tile(lin)).to_have_count(2)
    first, second = shown(lin, 0), shown(lin, 1)
    assert first[1] > first[0]
    assert second[0] > second[1]
    boxes = [tile(lin).nth(at).bounding_box() for at in range(2)]
    assert abs(boxes[0]["height"] - boxes[1]["height"]) < 2, "both stand in one row"
    assert boxes[0]["x"] < boxes[1]["x"]


def test_a_dropped_file_is_downloaded_as_it_was(pair: tuple[Person, Person, str]) -> None:
    ada, lin, conversation = pair
    content = b"<script>alert(1)</script>" * 40
    ada.open_chat(conversation)
    lin.open_chat(conversation)
    drop(ada, "笔记 <b>.html", "text/html", content)
    ada.composer.press("Enter")
    card = lin.page.locator("a.file")
    expect(card).to_contain_text("笔记 <b>.html")
    with lin.page.expect_download() as waiting:
        card.click()
    assert waiting.value.path().read_bytes() == content
    ada.open("/chats")
    lin.open("/chats")
    expect(lin.page.get_by_role("link", name=re.compile("Ada"))).to_contain_text("笔记")


def test_a_voice_is_recorded_listened_to_and_heard(pair: tuple[Person, Person, str]) -> None:
    ada, lin, conversation = pair
    ada.open_chat(conversation)
    lin.open_chat(conversation)
    ada.page.get_by_role("button", name="Record a voice message").click()
    expect(ada.page.locator(".recorder__time")).to_have_text(re.compile("0:[0-3][2-9]"))
    ada.page.get_by_role("button", name="Stop and listen").click()
    ada.page.get_by_role("button", name="Listen").click()
    expect(ada.page.get_by_role("button", name="Pause")).to_be_visible()
    ada.page.get_by_role("button", name="Send the voice message").click()
    expect(ada.composer).to_be_visible()

    voice = lin.page.locator(".voice")
    slider = voice.get_by_role("slider")
    expect(slider).to_be_visible()
    heights = slider.locator(".wave__bar").evaluate_all("(bars) => bars.map((bar) => bar.offsetHeight)")
    assert max(heights) > 2 * min(heights), "the waveform shows that the microphone hums and pauses"
    voice.get_by_role("button", name="1 倍速").click()
    expect(voice.get_by_role("button", name="1.5 倍速")).to_be_visible()
    slider.focus()
    lin.page.keyboard.press("End")
    assert float(slider.get_attribute("aria-valuenow") or 0) >= 1
    lin.page.keyboard.press("Home")
    expect(slider).to_have_attribute("aria-valuenow", "0")
    lin.page.evaluate(
        """window.heard = new Promise((done) =>
            document.addEventListener('ended', ({ target }) => done(target.duration), { capture: true, once: true }))
        void 0"""
    )
    voice.get_by_role("button", name=re.compile("播放语音")).click()
    expect(voice.get_by_role("button", name="暂停语音")).to_be_visible()
    assert 0.8 < lin.page.evaluate("window.heard") < 30


def test_a_held_voice_is_sent_when_the_finger_lifts_and_deleted_when_it_slides(
    pair: tuple[Person, Person, str],
) -> None:
    ada, lin, conversation = pair
    ada.open_chat(conversation)
    lin.open_chat(conversation)
    button = lin.page.get_by_role("button", name="录制语音")
    box = button.bounding_box()
    assert box is not None
    x, y = box["x"] + 22, box["y"] + 22

    hand = lin.context.new_cdp_session(lin.page)

    def finger(kind: str, dx: float = 0, dy: float = 0) -> None:
        """One finger, as the browser tells of it."""
        touch = {"x": x + dx, "y": y + dy}
        hand.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [] if kind == "touchEnd" else [touch]})

    finger("touchStart")
    expect(lin.page.get_by_text("左滑删除")).to_be_visible()
    expect(lin.page.locator(".recorder__time")).to_have_text(re.compile("0:[0-3][1-9]"))
    finger("touchMove", -120)
    expect(lin.page.get_by_text("松开删除")).to_be_visible()
    finger("touchEnd")
    expect(lin.page.locator(".recorder__line")).to_have_count(0)

    finger("touchStart")
    expect(lin.page.locator(".recorder__time")).to_have_text(re.compile("0:[0-3][1-9]"))
    finger("touchMove", 0, -100)
    finger("touchEnd")
    expect(lin.page.get_by_role("button", name="停止并试听")).to_be_visible()
    lin.page.get_by_role("button", name="删除录音").click()

    finger("touchStart")
    expect(lin.page.locator(".recorder__time")).to_have_text(re.compile("0:[0-3][1-9]"))
    finger("touchEnd")
    expect(ada.page.locator(".voice").get_by_role("button", name=re.compile("Play the voice message"))).to_have_count(1)


def test_without_the_microphone_it_says_what_to_do(pair: tuple[Person, Person, str]) -> None:
    ada, _, conversation = pair
    ada.page.add_init_script(
        "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no', 'NotAllowedError'))"
    )
    ada.open_chat(conversation)
    ada.page.get_by_role("button", name="Record a voice message").click()
    expect(ada.page.get_by_text("The microphone is not allowed for this page.")).to_be_visible()
    expect(ada.composer).to_be_visible()


def test_a_video_shows_how_it_begins_and_plays(pair: tuple[Person, Person, str]) -> None:
    ada, lin, conversation = pair
    ada.open_chat(conversation)
    lin.open_chat(conversation)
    content = film(2.0, form="webm", picture="libvpx", sound="libopus")
    drop(ada, "clip.webm", "video/webm", content)
    expect(tray(ada).locator(".tray__time")).to_have_text("0:02")
    ada.composer.press("Enter")
    width, height = shown(lin)
    assert abs(width / height - 320 / 240) < 0.05
    expect(tile(lin).locator(".tile__time")).to_have_text("0:02")
    with lin.page.expect_response(re.compile(r"/media/m_\w+/main$")) as answer:
        tile(lin).click()
    assert answer.value.status == 206
    video = lin.page.locator("video")
    expect(video).to_have_js_property("videoWidth", 320)


def test_a_broken_line_costs_only_what_was_on_it(pair: tuple[Person, Person, str]) -> None:
    ada, lin, conversation = pair
    content = noise()
    pieces = Pieces(ada, lambda n: {2: "lost", 4: "unanswered"}.get(n, ""))
    ada.open_chat(conversation)
    lin.open_chat(conversation)
    paste(ada, "noise.png", "image/png", content)
    ada.composer.press("Enter")
    assert shown(lin) != [0, 0]
    assert pieces.created == 1
    offsets = [offset for offset, _ in pieces.sent]
    assert offsets[2] == offsets[1], "what was lost is sent again from where the server stands"
    assert offsets[4] == offsets[3] + pieces.sent[3][1], "what only lost its answer is not sent again"
    assert pieces.sent[-1][0] + pieces.sent[-1][1] == len(content)


def test_a_server_that_dies_finds_the_rest_when_it_is_back(pair: tuple[Person, Person, str], hub: Hub) -> None:
    ada, lin, conversation = pair
    content = noise()

    def act(n: int) -> str:
        if n != 3:
            return ""
        hub.kill()
        return "lost"

    pieces = Pieces(ada, act)
    ada.open_chat(conversation)
    lin.open_chat(conversation)
    paste(ada, "noise.png", "image/png", content)
    ada.composer.press("Enter")
    expect(ada.page.get_by_text("Waits for the connection.").first).to_be_visible()
    expect(ada.page.locator(".tile img")).to_be_visible()
    hub.start()
    image = tile(lin).locator("img.tile__picture--there")
    expect(image).to_be_visible(timeout=40_000)
    assert pieces.created == 1
    resumed = [offset for offset, _ in pieces.sent[3:]]
    assert resumed[0] == pieces.sent[2][0], "it goes on where the server stood when it died"
    assert pieces.sent[-1][0] + pieces.sent[-1][1] == len(content)


def test_what_was_chosen_without_a_line_is_sent_by_the_page_that_has_one(pair: tuple[Person, Person, str]) -> None:
    ada, lin, conversation = pair
    wire = Wire(ada)
    ada.open_chat(conversation)
    lin.open_chat(conversation)
    wire.cut()
    expect(ada.page.get_by_text("Not connected.")).to_be_visible()
    paste(ada, "offline.png", "image/png", png(640, 400))
    ada.composer.fill("from the train")
    ada.composer.press("Enter")
    expect(ada.bubble("from the train").locator(".tile img")).to_be_visible()
    expect(ada.page.get_by_text("Waits for the connection.").first).to_be_visible()

    ada.page.reload()
    expect(ada.bubble("from the train").locator(".tile img")).to_be_visible()
    wire.join()
    hurry(ada.page)
    assert shown(lin)[0] > 0
    expect(lin.bubble("from the train")).to_have_count(1)
    expect(ada.bubble("from the train")).to_have_count(1)
    ada.write("after")
    expect(lin.bubble("after")).to_be_visible()
    assert lin.texts() == ["from the train", "after"]
    assert ada.stored()["records"] == 0, "nothing of it stays in the browser's database"


def test_an_upload_is_stopped_and_nothing_of_it_stays(pair: tuple[Person, Person, str]) -> None:
    ada, lin, conversation = pair
    Pieces(ada, lambda n: "lost" if n > 2 else "")
    ada.open_chat(conversation)
    lin.open_chat(conversation)
    before = ada.api("GET", "/uploads/limits")
    paste(ada, "noise.png", "image/png", noise())
    ada.composer.press("Enter")
    expect(ada.page.get_by_text(re.compile(r"Sending, [1-9]\d? %")).first).to_be_attached()
    ada.page.get_by_role("button", name="Stop and delete").click()
    expect(ada.page.locator(".tile")).to_have_count(0)
    ada.write("never mind")
    expect(lin.bubble("never mind")).to_be_visible()
    assert lin.page.locator(".tile").count() == 0
    ada.page.reload()
    expect(ada.bubble("never mind")).to_be_visible()
    expect(ada.page.locator(".tile")).to_have_count(0)
    assert ada.api("GET", "/uploads/limits") == before
    assert ada.stored()["records"] == 0


def test_what_cannot_be_a_picture_is_refused_with_a_way_on(pair: tuple[Person, Person, str]) -> None:
    ada, lin, conversation = pair
    ada.open_chat(conversation)
    lin.open_chat(conversation)
    content = jpeg(800, 600)[:20_000]
    drop(ada, "torn.jpg", "image/jpeg", content)
    drop(ada, "whole.png", "image/png", png(640, 400))
    ada.composer.fill("two of them")
    ada.composer.press("Enter")
    expect(ada.page.get_by_text("The content is damaged or incomplete.")).to_be_visible()
    assert lin.page.locator(".tile").count() == 0
    ada.page.get_by_role("button", name="Send as a file").click()
    expect(lin.bubble("two of them").locator("a.file")).to_contain_text("torn.jpg")
    expect(lin.bubble("two of them").locator("button.tile")).to_have_count(1)


def test_what_is_too_large_is_refused_before_it_travels(pair: tuple[Person, Person, str]) -> None:
    ada, _, conversation = pair
    limits = ada.api("GET", "/uploads/limits")
    for limit in limits["kinds"]:
        limit["size"] = 1000
    ada.context.route(re.compile(r"/uploads/limits"), lambda route: route.fulfill(json=limits))
    pieces = Pieces(ada)
    ada.open_chat(conversation)
    paste(ada, "large.png", "image/png", png(640, 400))
    expect(ada.page.get_by_text("large.png is larger than the 1 kB that are allowed.")).to_be_visible()
    expect(tray(ada)).to_have_count(0)
    assert pieces.created == 0


def test_pictures_are_looked_at_by_keyboard(pair: tuple[Person, Person, str]) -> None:
    ada, _, conversation = pair
    ada.open_chat(conversation)
    for colour, size in (("one", (640, 400)), ("two", (500, 500)), ("three", (400, 600))):
        paste(ada, f"{colour}.png", "image/png", png(*size))
    expect(tray(ada)).to_have_count(3)
    ada.composer.press("Enter")
    expect(tile(ada)).to_have_count(3)
    where = ada.page.url

    tile(ada).nth(1).focus()
    ada.page.keyboard.press("Enter")
    box = ada.page.locator("dialog.lightbox")
    expect(box).to_have_attribute("aria-label", "Picture 2 of 3")
    expect(box.locator(".lightbox__image--there")).to_have_js_property("naturalWidth", 500)
    expect(box.get_by_text(re.compile("^You, "))).to_be_visible()
    ada.page.keyboard.press("ArrowRight")
    expect(box).to_have_attribute("aria-label", "Picture 3 of 3")
    for _ in range(12):
        ada.page.keyboard.press("Tab")
        assert ada.page.evaluate(
            "[document.body, null].includes(document.activeElement) || !!document.activeElement.closest('dialog')"
        )
    ada.page.keyboard.press("+")
    expect(box.locator(".lightbox__picture")).to_have_css("transform", re.compile(r"matrix\(1\.6, "))
    ada.page.keyboard.press("0")
    ada.page.reload()
    expect(box).to_have_attribute("aria-label", "Picture 3 of 3")
    ada.page.keyboard.press("Escape")
    expect(box).to_have_count(0)
    assert ada.page.url == where

    tile(ada).first.click()
    expect(box).to_be_visible()
    ada.page.go_back()
    expect(box).to_have_count(0)
    assert ada.page.url == where
