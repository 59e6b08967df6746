"""Every page, in both languages, both themes and both widths: readable, reachable, without faults."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from server.settings import ROOT
from tests.browser.hub import Hub
from tests.browser.person import Language, Person, Theme, Width
from tests.payments.sandbox_process import SandboxClient

People = Callable[..., Person]

AXE = (ROOT / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
#: A key of the locales that was shown instead of its text.
KEY = re.compile(
    r"\b(app|common|time|connection|notifications|chats|conversation|details|people|person|me|sessions|errors|wallet)\.[a-z]\w+"
)


def faults(person: Person) -> list[str]:
    """What axe finds serious, keys shown instead of texts, and a page that is wider than the screen."""
    page = person.page
    page.evaluate(AXE)
    found: list[dict[str, Any]] = page.evaluate(
        """async () => {
            // A colour half way between two is nobody's choice: what fades has to have faded (rings turn on).
            const fades = ({ effect, playState }) => playState === 'running' && effect?.getTiming().duration < 1000
                && effect.getTiming().iterations < Infinity
            for (let round = 0, moving; round < 5 && (moving = document.getAnimations().filter(fades)).length; round++)
                await Promise.allSettled(moving.map(({ finished }) => finished))
            return (await axe.run(document, { resultTypes: ['violations'] })).violations
            .filter(({ impact }) => impact === 'serious' || impact === 'critical')
            .map(({ id, nodes }) => ({ id, where: nodes.map((node) => node.target.join(' ')).slice(0, 3) }))
        }"""
    )
    problems = [f"{page.url}: {fault['id']} {fault['where']}" for fault in found]
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if wide > 0:
        problems.append(f"{page.url}: {wide} px wider than the screen")
    problems += [f"{page.url}: {key[0]}" for key in KEY.finditer(page.locator("body").inner_text())]
    return problems


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "zh-CN"])
@pytest.mark.parametrize("width", ["desktop", "phone"])
def test_every_page_can_be_read_by_everybody(people: People, width: Width, language: Language, theme: Theme) -> None:
    ada = people("Ada", width=width, language=language, theme=theme)
    lin, omar, tom = people("小林"), people("عمر الفاروق"), people("Tom")
    ada.befriend(lin)
    ada.befriend(omar)
    tom.api("POST", "/friends/requests", {"person": ada.id, "note": "Tom from the maths class"})
    direct = ada.direct(omar)
    group = ada.group("Reading club 读书会", lin, omar)
    lin.say(group, "第三章读完了吗？")
    ada.say(group, "A long line " * 30 + "https://example.org/" + "x" * 200)
    omar.say(direct, "مرحبا، هل أنت جاهز للغد؟")

    problems: list[str] = []
    pages = [
        "/chats",
        f"/chats/{group}",
        f"/chats/{group}/details",
        f"/chats/{direct}",
        "/people",
        f"/people/{lin.id}",
        f"/people/{tom.id}",
        f"/people/{ada.id}",
        "/me",
        "/inbox",
        "/me/notifications",
        "/me/sessions",
        "/me/password",
        "/me/delete",
        "/look",
        "/nothing/here",
    ]
    for path in pages:
        ada.open(path)
        expect(ada.page.locator("h1, h2").first).to_be_attached()
        expect(ada.page.locator(".skeleton:visible")).to_have_count(2 if path == "/look" else 0)
        problems += faults(ada)
    ada.context.clear_cookies()
    for path in ["/sign-in", "/register"]:
        ada.open(path)
        expect(ada.page.locator("form")).to_be_visible()
        problems += faults(ada)
    assert problems == []


@pytest.mark.parametrize(
    ("width", "language", "theme"),
    [("desktop", "en", "light"), ("desktop", "zh-CN", "dark"), ("phone", "en", "dark"), ("phone", "zh-CN", "light")],
)
def test_every_page_of_the_wallet_can_be_read(
    people: People, hub: Hub, width: Width, language: Language, theme: Theme
) -> None:
    ada, lin = people("Ada", width=width, language=language, theme=theme), people("林小雨")
    ada.befriend(lin)
    payment = ada.fund(SandboxClient.of_hub(hub.data_dir))
    wanted = {"id": "a" * 22, "to": lin.id, "amount": 1, "currency": "CNY", "note": "A long word " + "x" * 150}
    ada.api("POST", "/me/wallet/transfers", wanted)
    problems: list[str] = []
    pages = [
        "/wallet",
        "/wallet/statement?period=own",
        "/wallet/top-up",
        "/wallet/pay",
        f"/wallet/pay?to={lin.id}",
        "/wallet/pay-out",
        "/wallet/accounts",
        "/wallet/payments",
        f"/wallet/payments/{payment['id']}",
        "/receipts/" + "0" * 36,
    ]
    for path in pages:
        ada.open(path)
        expect(ada.page.locator("h1, h2").first).to_be_attached()
        expect(ada.page.locator(".skeleton:visible")).to_have_count(0)
        problems += faults(ada)
    assert problems == []


def test_nothing_is_shown_to_strangers(people: People) -> None:
    ada, stranger = people("Ada"), people("Stranger")
    ben = people("Ben")
    ada.befriend(ben)
    conversation = ada.direct(ben)
    stranger.open(f"/chats/{conversation}")
    expect(stranger.page.get_by_text("This chat is not yours to read")).to_be_visible()
    stranger.open(f"/people/{ada.id}")
    expect(stranger.page.get_by_text("This profile is not visible to you")).to_be_visible()


def test_the_keyboard_reaches_a_chat_and_comes_back(people: People) -> None:
    ada, ben = people("Ada"), people("Ben")
    ada.befriend(ben)
    first = ada.direct(ben)
    ada.group("Second", ben)
    ben.say(first, "hello")
    ada.open("/chats")
    rows = ada.page.locator("[data-row]")
    expect(rows).to_have_count(2)
    rows.first.focus()
    ada.page.keyboard.press("ArrowDown")
    expect(rows.nth(1)).to_be_focused()
    ada.page.keyboard.press("ArrowUp")
    ada.page.keyboard.press("Enter")
    expect(ada.composer).to_be_focused()
    ada.page.get_by_role("button", name="New chat").focus()
    ada.page.keyboard.press("Enter")
    expect(ada.page.get_by_role("menuitem", name="Write to a friend")).to_be_focused()
    ada.page.keyboard.press("Escape")
    expect(ada.page.get_by_role("button", name="New chat")).to_be_focused()


def test_the_first_load_is_small(people: People) -> None:
    """The scripts of the chat page, compressed as they travel: at most 300 kB."""
    ada, ben = people("Ada"), people("Ben")
    ada.befriend(ben)
    conversation = ada.direct(ben)
    sizes: list[int] = []

    def measure(request: Any) -> None:
        if request.resource_type == "script":
            sizes.append(request.sizes()["responseBodySize"])

    ada.page.on("requestfinished", measure)
    ada.open_chat(conversation)
    ada.page.wait_for_load_state("load")
    assert sizes
    assert sum(sizes) <= 300_000
