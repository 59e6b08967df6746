"""What all answers have in common: request id, error shape, security headers, a line in the log, a measurement."""

from __future__ import annotations

import ipaddress
import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
import structlog
from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.web import HTTPError, OutputTransform, RequestHandler

from server import metrics
from server.errors import Code, VouchError
from server.settings import Settings
from server.store import Unavailable

if TYPE_CHECKING:
    from server.services import Services

SESSION_COOKIE = "vouch_session"
#: Tornado's own check of the signature's age; the session's expiry in the database is the real one.
COOKIE_DAYS = 31
#: Says only that it is the same browser: it stays when somebody signs out (server/people/browsers.py).
BROWSER_COOKIE = "vouch_browser"
BROWSER_DAYS = 400
#: for pages, scripts and styles
CSP = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' blob: data:",
        "media-src 'self' blob:",
        "style-src 'self'",
        "script-src 'self'",
        "connect-src 'self' {sockets}",
        "worker-src 'self'",
        "manifest-src 'self'",
        "frame-src 'none'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
#: for everything that is no part of a page: data, pictures of people, errors. Opened by itself it can do nothing.
DATA_CSP = "default-src 'none'; frame-ancestors 'none'; sandbox"
_PAGE_TYPES = ("text/html", "text/javascript", "text/css")
PERMISSIONS = ", ".join(
    (
        *(f"{feature}=(self)" for feature in ("camera", "microphone", "display-capture", "geolocation")),
        *(f"{feature}=()" for feature in ("payment", "usb", "serial", "hid", "midi")),
        *(f"{feature}=()" for feature in ("accelerometer", "gyroscope", "magnetometer")),
    )
)
_STATUS_CODES = {404: Code.NOT_FOUND, 405: Code.METHOD_NOT_ALLOWED, 413: Code.TOO_LARGE, 403: Code.XSRF}

log = structlog.get_logger("vouch.http")


class ErrorDetail(msgspec.Struct, frozen=True, omit_defaults=True):
    """`field` names the offending field in dotted form; `retry_after` is in seconds."""

    code: Code
    message: str
    request_id: str
    field: str | None = None
    retry_after: float | None = None


class ErrorAnswer(msgspec.Struct, frozen=True):
    """Every answer with a status of 400 or more has this form."""

    error: ErrorDetail


def is_trusted(address: str, proxies: tuple[str, ...]) -> bool:
    """Whether this peer is one of the proxies (addresses or networks) whose forwarding headers are believed."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(ip in ipaddress.ip_network(proxy, strict=False) for proxy in proxies)


def client_ip(request: HTTPServerRequest, proxies: tuple[str, ...]) -> str:
    """The address of the client: the right-most one in X-Forwarded-For that is no trusted proxy of ours."""
    address = request.remote_ip or ""
    forwarded = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",") if part.strip()]
    while forwarded and is_trusted(address, proxies):
        address = forwarded.pop()
    try:
        return ipaddress.ip_address(address).compressed
    except ValueError:
        return request.remote_ip or ""


def is_secure(request: HTTPServerRequest, proxies: tuple[str, ...]) -> bool:
    """Whether the client speaks TLS, to us or to a trusted proxy."""
    if request.protocol == "https":
        return True
    return request.headers.get("X-Forwarded-Proto") == "https" and is_trusted(request.remote_ip or "", proxies)


def origin_allowed(request: HTTPServerRequest, origins: tuple[str, ...]) -> bool:
    """No Origin (a program), the own host, or one of the listed origins. `null` is none of them."""
    origin = request.headers.get("Origin")
    if origin is None or origin in origins:
        return True
    parts = urlsplit(origin)
    return parts.scheme in ("http", "https") and parts.netloc.lower() == request.host.lower()


class SecurityHeaders(OutputTransform):
    """Puts the security headers onto every answer of every handler; a handler may set a stricter one itself."""

    def __init__(self, request: HTTPServerRequest, proxies: tuple[str, ...] = ()) -> None:
        self._host = request.host
        self._secure = is_secure(request, proxies)

    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        if status_code != 304:  # its headers replace those that came with what the browser keeps, and it has no type
            page = headers.get("Content-Type", "").startswith(_PAGE_TYPES)
            policy = CSP.format(sockets=self._sockets()) if page else DATA_CSP
            headers.setdefault("Content-Security-Policy", policy)
        for name, value in (
            ("X-Content-Type-Options", "nosniff"),
            ("X-Frame-Options", "DENY"),
            ("Referrer-Policy", "no-referrer"),
            ("Permissions-Policy", PERMISSIONS),
            ("Cross-Origin-Opener-Policy", "same-origin"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
        ):
            headers.setdefault(name, value)
        if self._secure:
            headers.setdefault("Strict-Transport-Security", "max-age=31536000")
        headers.pop("Server", None)
        return status_code, headers, chunk

    def _sockets(self) -> str:
        """Where the page may open sockets, for browsers to which 'self' does not mean them too."""
        if not all(c.isalnum() or c in ".-:[]" for c in self._host) or not self._host:
            return ""
        return f"wss://{self._host}" if self._secure else f"ws://{self._host} wss://{self._host}"


class EdgeHandler(RequestHandler):
    """The base of our handlers. `operation_id` names the answer in logs and measurements."""

    request_id: str = ""
    operation_id: str = "other"
    refusal: str = ""

    def set_default_headers(self) -> None:
        # Called before anything else, and again when an error replaces what was begun: the id stays.
        self.request_id = self.request_id or "r_" + secrets.token_hex(10)
        self.set_header("X-Request-Id", self.request_id)
        self.set_header("Cache-Control", "no-store")

    @property
    def services(self) -> Services:
        services: Services = self.settings["services"]
        return services

    @property
    def config(self) -> Settings:
        return self.services.settings

    @property
    def ip(self) -> str:
        return client_ip(self.request, self.config.trusted_proxies)

    @property
    def secure(self) -> bool:
        return is_secure(self.request, self.config.trusted_proxies)

    def session_token(self) -> str | None:
        """The session's token from the signed cookie; None without one, or when the signature does not fit."""
        raw = self.get_signed_cookie(SESSION_COOKIE, max_age_days=COOKIE_DAYS, min_version=2)
        return raw.decode() if raw else None

    def browser(self) -> str:
        """What the browser is known by; empty for one that has not signed in yet."""
        raw = self.get_signed_cookie(BROWSER_COOKIE, max_age_days=BROWSER_DAYS, min_version=2)
        return raw.decode() if raw else ""

    def set_cookie(self, name: str, *arguments: Any, **options: Any) -> None:
        """Tornado makes the XSRF cookie by itself; whether it is for https only depends on the request."""
        if name == "_xsrf":
            options["secure"] = self.secure
        super().set_cookie(name, *arguments, **options)

    def decode_argument(self, value: bytes, name: str | None = None) -> str:
        """A part of the path that is not UTF-8 names nothing."""
        try:
            return super().decode_argument(value, name)
        except HTTPError:
            raise VouchError(Code.XSRF if name == "_xsrf" else Code.NOT_FOUND) from None

    async def prepare(self) -> None:
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=self.request_id)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """The one error shape, for whatever was raised; what we did not foresee becomes `internal`."""
        info = kwargs.get("exc_info")
        error = as_error(info[1] if info else None, status_code)
        self.refusal = error.code
        self.set_status(error.status)
        if error.retry_after is not None:
            self.set_header("Retry-After", str(max(1, round(error.retry_after + 0.5))))
        self.set_header("Content-Type", "application/json")
        detail = ErrorDetail(error.code, error.message, self.request_id, error.field, error.retry_after)
        self.finish(msgspec.json.encode(ErrorAnswer(detail)))

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:
        if isinstance(value, VouchError | HTTPError):
            return
        if isinstance(value, Unavailable):
            log.warning("database unavailable", operation=self.operation_id, fault=type(value).__name__)
            return
        log.error("fault", operation=self.operation_id, exc_info=(typ, value, tb))

    def on_finish(self) -> None:
        seconds = self.request.request_time()
        status = self.get_status()
        metrics.HTTP_SECONDS.labels(self.operation_id, f"{status // 100}xx").observe(seconds)
        log.log(
            20 if status < 500 else 30,
            "request",
            request_id=self.request_id,
            method=self.request.method,
            path=self.request.path,
            status=status,
            ms=round(seconds * 1000, 1),
            operation=self.operation_id,
            ip=self.ip,
            **({"code": self.refusal} if self.refusal else {}),
        )


def as_error(fault: BaseException | None, status: int) -> VouchError:
    """The refusal that a client is told of. Foreign exceptions never carry their text out."""
    match fault:
        case VouchError():
            return fault
        case Unavailable():
            return VouchError(Code.UNAVAILABLE, retry_after=2.0)
        case HTTPError() if fault.status_code in _STATUS_CODES:
            return VouchError(_STATUS_CODES[fault.status_code])
        case HTTPError() if 400 <= fault.status_code < 500:
            return VouchError(Code.BAD_REQUEST)
        case None if status in _STATUS_CODES:
            return VouchError(_STATUS_CODES[status])
    return VouchError(Code.INTERNAL)


def quiet_log(handler: RequestHandler) -> None:
    """Replaces Tornado's access log, which would write query strings: ours is written in `on_finish`."""
