"""The platform's API: what a merchant asks with its key, and what a tester asks with the console's word.

Answers are JSON: a movement, or `{"error": {"code", "message"}}`.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from typing import Any, TypeVar

import msgspec
from tornado.web import HTTPError, RequestHandler

from server.payments.sandbox import rules
from server.payments.sandbox.messenger import Messenger
from server.payments.sandbox.model import (
    MOST,
    STATUS,
    Amount,
    CancelRequest,
    ChargeRequest,
    Kind,
    Movement,
    Outage,
    PayOutRequest,
    RefundRequest,
    Refusal,
    RefusalCode,
    Troubles,
    Word,
)
from server.payments.sandbox.till import Till

T = TypeVar("T")

#: seconds after which an answer comes while the platform is `slow`
SLOW_SECONDS = 30.0
_KEY_LONGEST = 200
_PAGE = 100
_KINDS = {"charges": Kind.CHARGE, "refunds": Kind.REFUND, "pay-outs": Kind.PAY_OUT}


class Platform(msgspec.Struct):
    """What handlers share. `public_url` is where browsers find pages; empty: at the merchant's host and our port."""

    till: Till
    messenger: Messenger
    api_key: str
    console_word: str
    public_url: str
    scheme: str
    port: int

    @property
    def secure(self) -> bool:
        """Whether browsers reach the pages by https, here or at a proxy."""
        return (self.public_url or f"{self.scheme}:").startswith("https:")

    def page_url(self, charge: Movement) -> str | None:
        if charge.token is None:
            return None
        origin = self.public_url or rules.page_origin(charge.return_url, self.scheme, self.port)
        return f"{origin}/pay/{charge.token}"


class Answer(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A movement as merchants see it."""

    id: str
    kind: Kind
    order: str
    state: str
    amount: int
    currency: str
    refunded: int
    disputed: int
    created_at: int
    changed_at: int
    url: str | None = None
    fault: str | None = None
    charge: str | None = None


class Listed(msgspec.Struct):
    """`next` is given as `after` for what follows; None at the end."""

    items: list[Answer]
    next: int | None


class _Dispute(msgspec.Struct, forbid_unknown_fields=True):
    amount: Amount | None = None


class _Finish(msgspec.Struct, forbid_unknown_fields=True):
    fault: Word | None = None


class _Notify(msgspec.Struct, forbid_unknown_fields=True):
    url: str


class ApiHandler(RequestHandler):
    """Knows who asks, and tells what went wrong."""

    @property
    def platform(self) -> Platform:
        platform: Platform = self.settings["platform"]
        return platform

    @property
    def till(self) -> Till:
        return self.platform.till

    def check_xsrf_cookie(self) -> None:
        """Whoever asks here shows a key, which no browser adds by itself."""

    def admit(self, word: str) -> None:
        given = self.request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode("utf-8", "replace"), f"Bearer {word}".encode()):
            raise Refusal(RefusalCode.CREDENTIALS, "the key does not fit")

    def body(self, type_: type[T]) -> T:
        try:
            return msgspec.json.decode(self.request.body or b"{}", type=type_)
        except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
            raise Refusal(RefusalCode.BAD_REQUEST, str(fault)) from None

    def answer(self, value: object) -> None:
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "no-store")
        self.finish(msgspec.json.encode(value))

    def shown(self, movement: Movement) -> Answer:
        return Answer(
            id=movement.id,
            kind=movement.kind,
            order=movement.order,
            state=movement.state,
            amount=movement.amount,
            currency=movement.currency,
            refunded=movement.refunded,
            disputed=movement.disputed,
            created_at=movement.created_at,
            changed_at=movement.changed_at,
            url=self.platform.page_url(movement),
            fault=movement.fault if movement.state == "failed" else None,
            charge=movement.charge,
        )

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        match kwargs.get("exc_info", (None, None))[1]:
            case Refusal() as refusal:
                pass
            case HTTPError() if status_code == 404:
                refusal = Refusal(RefusalCode.UNKNOWN)
            case HTTPError() if status_code == 405:
                refusal = Refusal(RefusalCode.METHOD)
            case HTTPError() if status_code < 500:
                refusal = Refusal(RefusalCode.BAD_REQUEST)
            case _:
                refusal = Refusal(RefusalCode.FAULT)
        self.set_status(STATUS[refusal.code])
        self.answer({"error": {"code": refusal.code, "message": refusal.text}})

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:
        if not isinstance(value, Refusal):
            super().log_exception(typ, value, tb)


class MerchantHandler(ApiHandler):
    """Before anything is done the key is looked at, and whether the platform is to be down."""

    _outage = Outage.NONE

    def prepare(self) -> None:
        self.admit(self.platform.api_key)
        troubles = self.till.book.troubles()
        self._outage = troubles.outage
        if self._outage is Outage.NONE:
            return
        if troubles.outage_requests:
            left = rules.fewer(troubles, "outage_requests")
            ended = {} if left.outage_requests else {"outage": Outage.NONE}
            self.till.trouble(msgspec.structs.replace(left, **ended))
        if self._outage is Outage.REFUSING:
            raise Refusal(RefusalCode.DOWN, "the tester wanted it down")

    async def done(self, value: object) -> None:
        """Answers – unless a tester wants that nobody hears of it, or too late."""
        if self._outage is Outage.MUTE:
            self.detach().close()
            return
        if self._outage is Outage.SLOW:
            await asyncio.sleep(SLOW_SECONDS)
        self.answer(value)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        if self._outage is Outage.MUTE:
            self.detach().close()
            return
        super().write_error(status_code, **kwargs)

    def key(self) -> str:
        key = self.request.headers.get("Idempotency-Key", "")
        if not 1 <= len(key) <= _KEY_LONGEST:
            raise Refusal(RefusalCode.BAD_REQUEST, "Idempotency-Key is missing or too long")
        return key

    def digest(self, request: object) -> str:
        """Of what is asked, whatever way it was written."""
        return hashlib.sha256(
            f"{self.request.path}\n".encode() + msgspec.json.encode(request, order="sorted")
        ).hexdigest()

    def number(self, name: str, default: int) -> int:
        text = self.get_query_argument(name, str(default))
        if not (text.isascii() and text.isdigit() and int(text) <= MOST):
            raise Refusal(RefusalCode.BAD_REQUEST, f"{name} is no number")
        return int(text)


class MovementsHandler(MerchantHandler):
    """POST makes one, GET lists: `?order=` the one of an order, or `?since&until&after` page by page."""

    async def post(self, name: str) -> None:
        match _KINDS[name]:
            case Kind.CHARGE:
                charge = self.body(ChargeRequest)
                made = self.till.charge(self.key(), self.digest(charge), charge)
            case Kind.REFUND:
                refund = self.body(RefundRequest)
                made = self.till.refund(self.key(), self.digest(refund), refund)
            case _:
                pay_out = self.body(PayOutRequest)
                made = self.till.pay_out(self.key(), self.digest(pay_out), pay_out)
        await self.done(self.shown(made))

    async def get(self, name: str) -> None:
        kind = _KINDS[name]
        order = self.get_query_argument("order", None)
        if order is not None:
            found = self.till.by_order(kind, order)
            await self.done(Listed([] if found is None else [self.shown(found)], None))
            return
        self.till.pass_time()
        since, until, after = self.number("since", 0), self.number("until", MOST), self.number("after", 0)
        items = self.till.book.made(kind, since, until, after, _PAGE)
        following = items[-1].number if len(items) == _PAGE else None
        await self.done(Listed([self.shown(item) for item in items], following))


class MovementHandler(MerchantHandler):
    async def get(self, name: str, id: str) -> None:
        await self.done(self.shown(self.till.movement(_KINDS[name], id)))


class CancelHandler(MerchantHandler):
    async def post(self) -> None:
        await self.done(self.shown(self.till.cancel(self.body(CancelRequest))))


# ── The tester ──────────────────────────────────────────────────────────────────────────────────────────────────────


class TesterHandler(ApiHandler):
    def prepare(self) -> None:
        self.admit(self.platform.console_word)


class TroublesHandler(TesterHandler):
    """PUT replaces all trouble, PATCH what is named."""

    def get(self) -> None:
        self.answer(self.till.book.troubles())

    def put(self) -> None:
        self._make(self.body(Troubles))

    def patch(self) -> None:
        now: dict[str, Any] = msgspec.to_builtins(self.till.book.troubles())
        try:
            self._make(msgspec.convert(now | self.body(dict[str, Any]), Troubles))
        except msgspec.ValidationError as fault:
            raise Refusal(RefusalCode.BAD_REQUEST, str(fault)) from None

    def _make(self, troubles: Troubles) -> None:
        self.till.trouble(troubles)
        self.answer(troubles)


class DisputeHandler(TesterHandler):
    def post(self, id: str) -> None:
        self.answer(self.shown(self.till.dispute(id, self.body(_Dispute).amount)))


class RestoreHandler(TesterHandler):
    def post(self, id: str) -> None:
        self.answer(self.shown(self.till.restore(id, self.body(_Dispute).amount)))


class FinishHandler(TesterHandler):
    def post(self, id: str) -> None:
        self.answer(self.shown(self.till.finish(id, self.body(_Finish).fault)))


class NotifyHandler(TesterHandler):
    """Where notices go."""

    def put(self) -> None:
        self.platform.messenger.url = self.body(_Notify).url
        self.platform.messenger.wake()
        self.answer({"url": self.platform.messenger.url})


class Told(msgspec.Struct):
    """A notice and what became of it."""

    id: int
    notice: str
    order: str
    state: str
    tries: int
    answer: str


class NoticesHandler(TesterHandler):
    """GET lists the latest, DELETE loses all that wait."""

    def get(self) -> None:
        latest = self.till.book.latest_deliveries(_PAGE)
        self.answer([Told(d.id, d.notice, d.order, d.state, d.tries, d.answer) for d in latest])

    def delete(self) -> None:
        self.till.lose_notices()
        self.answer({})


class SendAgainHandler(TesterHandler):
    def post(self, id: str) -> None:
        self.till.send_again(int(id))
        self.answer({})


class HealthHandler(ApiHandler):
    def get(self) -> None:
        self.answer({"ok": True})


class NothingHandler(ApiHandler):
    def prepare(self) -> None:
        raise Refusal(RefusalCode.UNKNOWN)


def routes() -> list[Any]:
    kinds = "(charges|refunds|pay-outs)"
    id_ = "([a-z]{2}_[0-9a-f]{24})"
    return [
        (r"/healthz", HealthHandler),
        (r"/v1/charges/cancel", CancelHandler),
        (rf"/v1/{kinds}", MovementsHandler),
        (rf"/v1/{kinds}/{id_}", MovementHandler),
        (r"/v1/tester/troubles", TroublesHandler),
        (rf"/v1/tester/charges/{id_}/dispute", DisputeHandler),
        (rf"/v1/tester/charges/{id_}/restore", RestoreHandler),
        (rf"/v1/tester/movements/{id_}/finish", FinishHandler),
        (r"/v1/tester/notify", NotifyHandler),
        (r"/v1/tester/notices", NoticesHandler),
        (r"/v1/tester/notices/([0-9]{1,12})/again", SendAgainHandler),
        (r"/v1(?:/.*)?", NothingHandler),
    ]
