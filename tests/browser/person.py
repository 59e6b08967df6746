"""Somebody with a browser."""

from __future__ import annotations

import re
import secrets
from typing import Any, Literal

from playwright.sync_api import Browser, BrowserContext, Page, WebSocketRoute, expect

from tests.payments.sandbox_process import SandboxClient

PASSWORD = "paper boat 42"

Width = Literal["desktop", "phone"]
Language = Literal["en", "zh-CN"]
Theme = Literal["light", "dark"]

#: What Chromium says by itself about answers that the pages expect and handle.
_EXPECTED = re.compile(r"Failed to load resource|WebSocket connection to|net::ERR_")


class Person:
    """One signed-in person in a browser context of their own; `page` is their window."""

    def __init__(
        self,
        browser: Browser,
        url: str,
        name: str = "",
        *,
        width: Width = "desktop",
        language: Language = "en",
        theme: Theme = "light",
        worker: bool = False,
    ) -> None:
        phone = width == "phone"
        self.url = url
        self.name = name
        self.handle = f"t{secrets.token_hex(5)}"
        self.id = ""
        self.language = language
        self.context: BrowserContext = browser.new_context(
            viewport={"width": 390, "height": 844} if phone else {"width": 1280, "height": 800},
            locale=language,
            color_scheme=theme,
            has_touch=phone,
            is_mobile=phone,
            timezone_id="Asia/Shanghai",
            base_url=url,
        )
        if not worker:
            # As in a private window: what the tests cut and count would otherwise be answered from the device.
            self.context.add_init_script("delete Navigator.prototype.serviceWorker")
        self.context.set_default_timeout(15_000)
        #: Warnings and errors of the console, and what was thrown: must stay empty.
        self.complaints: list[str] = []
        self.page: Page = self.window()

    def window(self) -> Page:
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on(
            "console",
            lambda message: (
                self.complaints.append(message.text)
                if message.type in ("error", "warning") and not _EXPECTED.search(message.text)
                else None
            ),
        )
        return page

    # ── The API, for what a test is not about ─────────────────────────────────────────────────────────────────────

    def api(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Asks as the page does, with its cookies. Fails on a refusal."""
        request = self.context.request
        if not any(cookie["name"] == "_xsrf" for cookie in self.context.cookies()):
            request.get("/api/v1/me")
        token = next(cookie["value"] for cookie in self.context.cookies() if cookie["name"] == "_xsrf")
        answer = request.fetch("/api/v1" + path, method=method, data=body, headers={"X-XSRFToken": token})
        assert answer.ok, f"{method} {path}: {answer.status} {answer.text()}"
        return answer.json() if answer.status != 204 else None

    def register(self) -> Person:
        me = self.api(
            "POST",
            "/registrations",
            {
                "handle": self.handle,
                "name": self.name,
                "password": PASSWORD,
                "language": self.language,
                "time_zone": "Asia/Shanghai",
            },
        )
        self.id = me["id"]
        return self

    def befriend(self, other: Person) -> None:
        self.api("POST", "/friends/requests", {"person": other.id})
        other.api("POST", f"/friends/requests/{self.id}/accept")

    def direct(self, other: Person) -> str:
        id: str = self.api("POST", "/conversations", {"kind": "direct", "person": other.id})["id"]
        return id

    def group(self, title: str, *members: Person, share_history: bool = False) -> str:
        body = {
            "kind": "group",
            "title": title,
            "members": [member.id for member in members],
            "share_history": share_history,
            "key": secrets.token_urlsafe(16),
        }
        id: str = self.api("POST", "/conversations", body)["id"]
        return id

    def say(self, conversation: str, text: str) -> None:
        body = {"id": secrets.token_urlsafe(16), "kind": "message", "body": {"text": text}}
        self.api("POST", f"/conversations/{conversation}/entries", body)

    def answer(self, conversation: str, root: int, text: str) -> None:
        body = {"id": secrets.token_urlsafe(16), "kind": "message", "body": {"text": text, "thread": root}, "ref": root}
        self.api("POST", f"/conversations/{conversation}/entries", body)

    def react(self, conversation: str, seq: int, emoji: str) -> None:
        body = {
            "id": secrets.token_urlsafe(16),
            "kind": "reaction",
            "body": {"emoji": emoji, "on": True},
            "ref": seq,
        }
        self.api("POST", f"/conversations/{conversation}/entries", body)

    def fund(self, till: SandboxClient, amount: int = 50_00, currency: str = "CNY") -> dict[str, Any]:
        """Money in the wallet, as if topped up at the pages; the payment. Amounts are in minor units."""
        wanted = {"id": secrets.token_urlsafe(16), "provider": "sandbox", "amount": amount, "currency": currency}
        payment = self.api("POST", "/me/wallet/top-ups", wanted)
        till.pay(payment["check_out"])
        self.open(f"/wallet/payments/{payment['id']}")
        expect(self.page.get_by_text("完成" if self.language == "zh-CN" else "Done", exact=True)).to_be_visible()
        return dict(self.api("GET", f"/me/wallet/payments/{payment['id']}"))

    # ── The page ──────────────────────────────────────────────────────────────────────────────────────────────────

    def open(self, path: str) -> Person:
        self.page.goto(path)
        return self

    def open_chat(self, conversation: str) -> Person:
        """Opens it and waits until it is live: what is sent from now on arrives by the socket."""
        self.open(f"/chats/{conversation}")
        expect(self.composer).to_be_visible()
        expect(self.page.get_by_role("region", name="消息" if self.language == "zh-CN" else "Messages")).to_be_visible()
        return self

    @property
    def composer(self) -> Any:
        return self.page.locator("textarea")

    def write(self, text: str) -> None:
        self.composer.fill(text)
        self.composer.press("Enter")

    def bubble(self, text: str) -> Any:
        return self.page.locator(".message", has=self.page.locator(".bubble__text", has_text=text))

    def notice(self, text: str) -> Any:
        return self.page.locator(".notice", has_text=text)

    def texts(self) -> list[str]:
        found: list[str] = self.page.locator(".bubble__text").evaluate_all(
            """all => all.map((each) => {
                const words = each.cloneNode(true)
                for (const print of words.querySelectorAll('.meta')) print.remove()
                return words.textContent
            })"""
        )
        return found

    def stored(self) -> dict[str, Any]:
        """What the browser keeps: names in localStorage, and how many records lie in IndexedDB."""
        found: dict[str, Any] = self.page.evaluate(
            """async () => {
                let records = 0
                for (const { name } of await indexedDB.databases()) {
                    const db = await new Promise((done, fail) => {
                        const asked = indexedDB.open(name)
                        asked.onsuccess = () => done(asked.result)
                        asked.onerror = () => fail(asked.error)
                    })
                    for (const store of db.objectStoreNames) {
                        records += await new Promise((done, fail) => {
                            const asked = db.transaction(store).objectStore(store).count()
                            asked.onsuccess = () => done(asked.result)
                            asked.onerror = () => fail(asked.error)
                        })
                    }
                    db.close()
                }
                return { names: Object.keys(localStorage), records }
            }"""
        )
        return found


def hurry(page: Page) -> None:
    """The network is back, as the browser tells it: the page tries at once instead of waiting out its pause."""
    page.evaluate("window.dispatchEvent(new Event('online'))")


class Wire:
    """The way between one person's page and the server, to be cut and joined. The page's own files still load."""

    def __init__(self, person: Person) -> None:
        self._cut = False
        self._open: list[WebSocketRoute] = []
        person.context.route_web_socket(re.compile(r"/api/v1/socket"), self._socket)
        person.context.route(re.compile(r"/api/v1/"), lambda route: route.abort() if self._cut else route.continue_())

    def _socket(self, socket: WebSocketRoute) -> None:
        if self._cut:
            socket.close()
            return
        socket.connect_to_server()
        self._open.append(socket)

    def cut(self) -> None:
        self._cut = True
        for socket in self._open:
            socket.close()
        self._open.clear()

    def join(self) -> None:
        self._cut = False
