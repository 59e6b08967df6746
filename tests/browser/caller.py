"""Somebody in a call: what they press, and what arrives at them."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Browser, Locator, expect

from tests.browser.caller_films import GREY, LOOKS, Look
from tests.browser.caller_spy import HEARS, SEES, SILENT, SPY
from tests.browser.person import PASSWORD, Person

#: Where a film shows its colour, and where it is grey; above the snow.
_POINTS = [(0.25, 0.25), (0.75, 0.25)]
LEAVE = re.compile("^(Hang up|Leave)$")


class Caller(Person):
    """`look`: what camera and microphone of this browser give; None: never mind, they are not looked at."""

    def __init__(self, browser: Browser, url: str, name: str, look: Look | None = None, **options: Any) -> None:
        super().__init__(browser, url, name, **options)
        self.look = look
        self.context.add_init_script(SPY)

    def sign_in_as(self, other: Person) -> None:
        """From now on this browser is another device of that person."""
        self.context.clear_cookies()
        self.api("POST", "/sessions", {"login": other.handle, "password": PASSWORD})
        self.id, self.handle = other.id, other.handle

    # ── In and out ────────────────────────────────────────────────────────────────────────────────────────────────

    def ring(self, conversation: str, *, camera: bool = True, voice: bool = True, pledge: str = "") -> str:
        """Calls the others of a conversation, as the pages do; the call's id."""
        self.before(conversation, pledge)
        return self.go_in(camera=camera, voice=voice)

    def before(self, conversation: str, pledge: str = "") -> None:
        """The page on which nobody is called yet."""
        about = f"&pledge={pledge}" if pledge else ""
        self.open(f"/calls/new?conversation={conversation}&video=1{about}")

    def join(self, call: str, *, camera: bool = True, voice: bool = True) -> str:
        self.open(f"/calls/{call}")
        return self.go_in(camera=camera, voice=voice)

    def go_in(self, *, camera: bool = True, voice: bool = True) -> str:
        """From the page before a call into it."""
        self.try_to_go_in(camera=camera, voice=voice)
        self.room.wait_for()
        return self.page.url.rsplit("/", 1)[1].partition("?")[0]

    def try_to_go_in(self, *, camera: bool = True, voice: bool = True) -> None:
        join = self.page.locator(".before__join")
        expect(join).to_be_enabled()
        for wanted, label in ((camera, "Join with camera"), (voice, "Join with microphone")):
            if not wanted:
                self.page.locator(".wishes").get_by_text(label).click()
        assert self.live() == {}, "nothing is open before one says so"
        join.click()

    def leave(self) -> None:
        self.page.get_by_role("button", name=LEAVE).click()
        expect(self.room).to_have_count(0)

    # ── What there is ─────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def room(self) -> Locator:
        return self.page.locator("section.room")

    def tile(self, of: Person, track: str = "camera") -> Locator:
        return self.page.locator(f'.tile[data-person="{of.id}"][data-track="{track}"]')

    def press(self, name: str) -> None:
        self.room.get_by_role("toolbar").get_by_role("button", name=name).click()

    def choose(self, item: str, menu: str = "More") -> None:
        """From a menu of the bar."""
        self.press(menu)
        self.page.get_by_role("menuitem", name=item).or_(self.page.get_by_role("menuitemradio", name=item)).or_(
            self.page.get_by_role("menuitemcheckbox", name=item)
        ).click()

    def live(self) -> dict[str, int]:
        """Devices that are on, by kind; the camera's small picture counts as one more camera."""
        found: dict[str, int] = self.page.evaluate(
            """() => (window.opened ?? []).filter((track) => track.readyState === 'live')
                .reduce((all, { kind }) => ({ ...all, [kind]: (all[kind] ?? 0) + 1 }), {})"""
        )
        return found

    def lets_go(self, seconds: int = 15) -> None:
        """Camera and microphone go out."""
        self.page.wait_for_function(
            "() => window.opened.every((track) => track.readyState === 'ended')", timeout=seconds * 1000
        )

    # ── What arrives ──────────────────────────────────────────────────────────────────────────────────────────────

    def sees(self, *others: Caller, more: int = 5, seconds: float = 45) -> dict[str, Any]:
        """Their pictures come, go on for some frames, and are theirs, the right way round. By person."""
        wanted = [[one.id, "camera", _POINTS, [one.look.colour, GREY]] for one in others if one.look is not None]
        assert len(wanted) == len(others)
        seen = self.page.evaluate(SEES, [wanted, more, seconds])
        return {each["person"]: each for each in seen["found"]}

    def hears(self, *others: Caller, seconds: float = 45) -> None:
        """The tone of each of them, each in a voice of its own, and no other tone."""
        tones = [one.look.tone for one in others if one.look is not None]
        heard = self.page.evaluate(HEARS, [tones, [look.tone for look in LOOKS if look.tone not in tones], seconds])
        assert heard["other"] == [], heard

    def hears_nothing_of(self, *others: Caller, seconds: float = 20) -> None:
        self.page.evaluate(SILENT, [[one.look.tone for one in others if one.look is not None], seconds])

    def seen(self, of: Person, track: str = "camera") -> dict[str, Any]:
        """What the browser counts of somebody's picture, now."""
        found: dict[str, Any] = self.page.evaluate("([person, track]) => spy.seen(person, track)", [of.id, track])
        return found

    # ── Beside the page ───────────────────────────────────────────────────────────────────────────────────────────

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
        """With the page's sign-in, whatever comes of it: the status, and the answer or the code of the refusal."""
        request = self.context.request
        token = next(cookie["value"] for cookie in self.context.cookies() if cookie["name"] == "_xsrf")
        answer = request.fetch("/api/v1" + path, method=method, data=body, headers={"X-XSRFToken": token})
        said: Any = answer.json() if answer.text() else None
        return answer.status, said if answer.ok else said["error"]["code"]
