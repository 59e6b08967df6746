"""The platform's pages: check-out for payers, the console for testers. They need no script."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from tornado.web import HTTPError, RequestHandler

from server.payments.sandbox import rules
from server.payments.sandbox.api import Platform
from server.payments.sandbox.model import Kind, Movement, Outage, Refusal, RefusalCode, State, Troubles
from server.payments.sandbox.till import PURSES, Till
from server.payments.sandbox.words import LANGUAGES, Words, words

_FILES = Path(__file__).with_name("templates")
_CONSOLE_COOKIE = "practice_console"
_COUNTS = ("outage_requests", "decline", "fail_pay_outs", "delay", "copies", "lose")
_SHOWN = 25


class PlatformPage(RequestHandler):
    """Nothing is loaded from elsewhere, no page is framed, and a form that another page has made is refused."""

    @property
    def platform(self) -> Platform:
        platform: Platform = self.settings["platform"]
        return platform

    @property
    def till(self) -> Till:
        return self.platform.till

    def set_default_headers(self) -> None:
        self.allow_forms_to()
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("X-Frame-Options", "DENY")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cache-Control", "no-store")
        self.clear_header("Server")

    def allow_forms_to(self, *origins: str) -> None:
        """Browsers hold a form to this also where its answer sends them on."""
        self.set_header(
            "Content-Security-Policy",
            "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
            + " ".join(("form-action 'self'", *origins)),
        )

    def words(self, language: str = "") -> Words:
        wish = self.get_query_argument("lang", "")
        return words(wish if wish in LANGUAGES else "", language, self.request.headers.get("Accept-Language", ""))

    def show(self, template: str, words: Words, **values: Any) -> None:
        self.render(template, words=words, other=f"{self.request.path}?lang={words['other_lang']}", **values)

    def tell(self, what: str, words: Words, charge: Movement | None = None) -> None:
        """One sentence, and the way back."""
        amount = rules.spelled(charge.amount, charge.currency) if charge else ""
        self.show("told.html", words, what=what, amount=amount, back=charge.return_url if charge else "")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        what = {403: "stale", 404: "unknown", 503: "down"}
        match kwargs.get("exc_info", (None, None))[1]:
            case Refusal(code=RefusalCode.UNKNOWN):
                self.set_status(404)
            case Refusal():
                self.set_status(409)
        status = self.get_status()
        self.tell(what.get(status, "stale" if status < 500 else "down"), self.words())

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:
        if not isinstance(value, Refusal):
            super().log_exception(typ, value, tb)


class CheckOutPage(PlatformPage):
    """The address is the payer's only right to it; it holds 256 random bits."""

    def prepare(self) -> None:
        if self.till.book.troubles().outage is Outage.REFUSING:
            raise HTTPError(503)

    def get(self, token: str) -> None:
        self._show(self.till.page(token))

    def post(self, token: str) -> None:
        match self.get_body_argument("act", ""), self.get_body_argument("purse", PURSES[0]):
            case "pay", purse if purse in PURSES:
                charge = self.till.pay(token, purse)
            case "refuse", _:
                charge = self.till.decline(token)
            case _:
                raise HTTPError(400)
        self.redirect(charge.return_url, status=303)

    def _show(self, charge: Movement) -> None:
        said = self.words(charge.language)
        if charge.state is not State.OPEN:
            self.tell(charge.state, said, charge)
            return
        self.allow_forms_to(rules.origin_of(charge.return_url))
        amount = rules.spelled(charge.amount, charge.currency)
        left = max(0, (charge.due or 0) - int(datetime.now(UTC).timestamp() * 1_000)) // 60_000
        self.show("pay.html", said, charge=charge, amount=amount, minutes=left, purses=PURSES)


class ConsolePage(PlatformPage):
    """What only those see who have said the console's word in this browser."""

    def open(self) -> bool:
        said = self.get_signed_cookie(_CONSOLE_COOKIE, max_age_days=1)
        if said == b"open":
            return True
        self.set_status(401)
        self.show("word.html", self.words(), wrong=False)
        return False

    def again(self) -> None:
        self.redirect(f"/console?lang={self.words()['lang']}", status=303)

    def get(self) -> None:
        if not self.open():
            return
        book = self.till.book
        self.till.pass_time()
        self.show(
            "console.html",
            self.words(),
            troubles=book.troubles(),
            counts=_COUNTS,
            lists=[
                ("charges", book.latest(Kind.CHARGE, _SHOWN)),
                ("pay_outs", book.latest(Kind.PAY_OUT, _SHOWN)),
                ("refunds", book.latest(Kind.REFUND, _SHOWN)),
            ],
            notices=book.latest_deliveries(_SHOWN),
            spelled=rules.spelled,
            clock=lambda at: f"{datetime.fromtimestamp(at / 1_000, UTC):%H:%M:%S} UTC",
            moment=lambda at: datetime.fromtimestamp(at / 1_000, UTC).isoformat(),
        )


class WordPage(ConsolePage):
    def get(self) -> None:
        self.again()

    def post(self) -> None:
        given = self.get_body_argument("word", "")
        if not hmac.compare_digest(given.encode(), self.platform.console_word.encode()):
            self.set_status(401)
            self.show("word.html", self.words(), wrong=True)
            return
        options: dict[str, Any] = {"httponly": True, "samesite": "Strict", "path": "/console"}
        options["secure"] = self.platform.secure
        self.set_signed_cookie(_CONSOLE_COOKIE, "open", expires_days=None, **options)
        self.again()


class LeavePage(ConsolePage):
    def get(self) -> None:
        self.again()

    def post(self) -> None:
        self.clear_cookie(_CONSOLE_COOKIE, path="/console")
        self.again()


class TroublesPage(ConsolePage):
    def get(self) -> None:
        self.again()

    def post(self) -> None:
        if not self.open():
            return
        wanted: dict[str, Any] = {}
        if self.get_body_argument("act", "") == "save":
            wanted = {name: self.get_body_argument(name, "0") for name in ("outage", *_COUNTS)}
            wanted |= {name: bool(self.get_body_argument(name, "")) for name in ("hold_pay_outs", "reorder")}
        try:
            self.till.trouble(msgspec.convert(wanted, Troubles, strict=False))
        except msgspec.ValidationError:
            raise HTTPError(400) from None
        self.again()


class ActPage(ConsolePage):
    """One thing done to one movement or notice."""

    def get(self) -> None:
        self.again()

    def post(self) -> None:
        if not self.open():
            return
        id = self.get_body_argument("id", "")
        match self.get_body_argument("act", ""):
            case "dispute":
                self.till.dispute(id)
            case "restore":
                self.till.restore(id)
            case "finish":
                self.till.finish(id)
            case "fail":
                self.till.finish(id, "returned")
            case "again" if id.isascii() and id.isdigit() and len(id) < 13:
                self.till.send_again(int(id))
            case _:
                raise HTTPError(400)
        self.again()


class FileHandler(PlatformPage):
    def initialize(self, name: str, type: str) -> None:
        self._content = (_FILES / name).read_bytes()
        self._type = type

    def get(self) -> None:
        self.set_header("Content-Type", self._type)
        self.set_header("Cache-Control", "no-cache")
        self.finish(self._content)


class NothingPage(PlatformPage):
    def prepare(self) -> None:
        raise HTTPError(404)


def routes() -> list[Any]:
    return [
        (r"/pay/([A-Za-z0-9_-]{43})", CheckOutPage),
        (r"/console/?", ConsolePage),
        (r"/console/word", WordPage),
        (r"/console/leave", LeavePage),
        (r"/console/troubles", TroublesPage),
        (r"/console/act", ActPage),
        (r"/style\.css", FileHandler, {"name": "style.css", "type": "text/css; charset=utf-8"}),
        (r"/icon\.svg", FileHandler, {"name": "icon.svg", "type": "image/svg+xml"}),
        (r"/.*", NothingPage),
    ]


def settings(platform: Platform) -> dict[str, Any]:
    """Of the application. Cookies know no ports: these names are not the merchant's, who may live on the same host."""
    return {
        "template_path": str(_FILES),
        "autoescape": "xhtml_escape",
        "cookie_secret": hashlib.sha256(b"console cookies " + platform.console_word.encode()).hexdigest(),
        "xsrf_cookies": True,
        "xsrf_cookie_name": "practice_xsrf",
        "xsrf_cookie_kwargs": {"samesite": "Lax", "httponly": True, "secure": platform.secure},
    }
