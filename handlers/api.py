"""Runs operations: authenticates, checks who may, reads the request, calls the function, writes the answer."""

from __future__ import annotations

import secrets
from typing import Any

import msgspec
import structlog
from tornado.iostream import StreamClosedError
from tornado.web import HTTPError, stream_request_body

from handlers.edge import (
    BROWSER_COOKIE,
    BROWSER_DAYS,
    COOKIE_DAYS,
    SESSION_COOKIE,
    EdgeHandler,
    origin_allowed,
)
from handlers.operations import Binary, Call, Feed, Operation, Stream
from handlers.ranges import ByteRange, NoSuchRange, requested_range
from server.errors import Code, VouchError
from server.principals import ANONYMOUS, Principal

_encoder = msgspec.json.Encoder()

log = structlog.get_logger("vouch.http")


@stream_request_body
class OperationHandler(EdgeHandler):
    """All operations of one path.

    The body is streamed so that who may not call, or sends too much, is answered before the body is read.
    """

    def initialize(self, operations: dict[str, Operation]) -> None:
        self._operations = operations
        self._operation: Operation | None = None
        self._principal: Principal = ANONYMOUS
        self._bearer = False
        self._known_as = ""
        self._body = bytearray()
        self._too_large = False
        #: the whole request was read
        self._read = False

    async def prepare(self) -> None:
        await super().prepare()
        operation = self._operations.get(self.request.method or "")
        if operation is None and self.request.method == "HEAD":
            operation = self._operations.get("GET")
            operation = operation if operation is not None and operation.streams else None
        if operation is None:
            raise VouchError(Code.METHOD_NOT_ALLOWED)
        self._operation = operation
        self.operation_id = operation.id
        if not operation.signed:
            await self._authenticate()
        if not self._bearer and not operation.signed:
            self.xsrf_token  # noqa: B018  (reading it is what sets the cookie)
        operation.allow.check(self._principal)
        if operation.changes_state and not self._bearer and not operation.signed:
            self._check_origin()
        length = self.request.headers.get("Content-Length", "")
        if length.isdigit() and int(length) > operation.body_limit:
            raise VouchError(Code.TOO_LARGE)

    def data_received(self, chunk: bytes) -> None:
        limit = self._operation.body_limit if self._operation else 0
        if len(self._body) + len(chunk) > limit:
            self._too_large = True
            self._body.clear()
        elif not self._too_large:
            self._body += chunk

    async def _authenticate(self) -> None:
        """Finds out who is asking. A token that is not valid is refused even where anybody may call."""
        authorization = self.request.headers.get("Authorization", "")
        people = self.services.people
        if authorization:
            scheme, _, token = authorization.partition(" ")
            found = await people.authenticate_token(token.strip(), ip=self.ip) if scheme.lower() == "bearer" else None
            if found is None:
                raise VouchError(Code.UNAUTHENTICATED)
            self._principal, self._bearer = found, True
        elif token := self.session_token() or "":
            known = await people.sessions.authenticate_browser(token, ip=self.ip)
            if known is not None:
                self._principal = known.principal
                if known.touched:  # the session has slid on, so the cookie must
                    self._start_session(token)
        if self._principal.id:
            structlog.contextvars.bind_contextvars(who=self._principal.id)

    def _check_origin(self) -> None:
        """Raises `forbidden` for a page of another origin, `xsrf` without the page's own token."""
        if not origin_allowed(self.request, self.config.public_origins):
            raise VouchError(Code.FORBIDDEN, "Pages of other origins may not do this.")
        try:
            self.check_xsrf_cookie()
        except HTTPError:
            raise VouchError(Code.XSRF) from None

    async def _run(self, **parts: str) -> None:
        self._read = True
        operation = self._operation
        assert operation is not None  # prepare has refused every other method
        if self._too_large:
            raise VouchError(Code.TOO_LARGE)
        arguments: dict[str, Any] = operation.decode_params(parts)
        if operation.query is not None:
            arguments["query"] = operation.decode_query(self.request.query_arguments)
        if operation.request is not None:
            headers = self.request.headers
            arguments["body"] = operation.decode_request(headers.get("Content-Type", ""), bytes(self._body), headers)
        call = Call(
            services=self.services,
            principal=self._principal,
            ip=self.ip,
            user_agent=self.request.headers.get("User-Agent", ""),
            languages=self.request.headers.get("Accept-Language", ""),
            request_id=self.request_id,
            origin=self.request.headers.get("Origin") or f"{'https' if self.secure else 'http'}://{self.request.host}",
            browser=self._browser(),
            start_session=self._start_session,
            end_session=self._end_session,
            status=operation.status,
        )
        result = await operation.run(call, **arguments)
        self.set_status(call.status)
        if isinstance(result, Binary):
            self.set_header("Content-Type", result.content_type)
            for name, value in result.headers.items():
                self.set_header(name, value)
            self.finish(result.data)
        elif isinstance(result, Stream):
            await self._give_out(result)
        elif isinstance(result, Feed):
            await self._feed(result)
        elif operation.response is None:
            self.clear_header("Content-Type")
            self.finish()
        else:
            self.set_header("Content-Type", "application/json")
            self.finish(_encoder.encode(result))

    get = head = post = put = patch = delete = _run

    async def _give_out(self, stream: Stream) -> None:
        """The whole, a part, or nothing when the client has it already."""
        self.set_header("Content-Type", stream.content_type)
        self.set_header("ETag", f'"{stream.etag}"')
        self.set_header("Accept-Ranges", "bytes")
        for name, value in stream.headers.items():
            self.set_header(name, value)
        if self.check_etag_header():
            self.set_status(304)
            self.finish()
            return
        part = requested_range(self.request.headers, stream.size, f'"{stream.etag}"')
        if part is None:
            part = ByteRange(0, stream.size)
        else:
            self.set_status(206)
            self.set_header("Content-Range", f"bytes {part.first}-{part.first + part.length - 1}/{stream.size}")
        self.set_header("Content-Length", str(part.length))
        if self.request.method != "HEAD" and part.length:
            try:
                async for piece in stream.read(part.first, part.length):
                    self.write(piece)
                    await self.flush()
            except StreamClosedError:
                return  # the client wants no more
        self.finish()

    async def _feed(self, feed: Feed) -> None:
        """In pieces, each when the one before has left."""
        self.set_header("Content-Type", feed.content_type)
        for name, value in feed.headers.items():
            self.set_header(name, value)
        try:
            async for piece in feed.pieces:
                self.write(piece)
                await self.flush()
        except StreamClosedError:
            return  # the client wants no more
        except Exception:
            if not self._headers_written:
                raise
            log.exception("an answer broke off", operation=self.operation_id)
            self.request.connection.stream.close()  # type: ignore[union-attr]
            return
        self.finish()

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        if not self._read:  # Tornado ends a connection on which a request was refused before it was read: say so
            self.set_header("Connection", "close")
        if self._operation is None and self.request.method not in self._operations:
            self.set_header("Allow", ", ".join(sorted(self._operations)))
        fault = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        if isinstance(fault, NoSuchRange):
            self.set_header("Content-Range", f"bytes */{fault.size}")
        super().write_error(status_code, **kwargs)

    def _browser(self) -> str:
        """What this browser is known by; a new one gets it with its first sign-in."""
        self._known_as = self._known_as or self.browser() or secrets.token_urlsafe(16)
        return self._known_as

    def _start_session(self, token: str) -> None:
        kept = ((SESSION_COOKIE, token, COOKIE_DAYS), (BROWSER_COOKIE, self._browser(), BROWSER_DAYS))
        for name, value, days in kept:
            self.set_signed_cookie(
                name, value, expires_days=days - 1, path="/", httponly=True, samesite="Lax", secure=self.secure
            )

    def _end_session(self) -> None:
        self.clear_cookie(SESSION_COOKIE, path="/", httponly=True, samesite="Lax", secure=self.secure)


class UnknownHandler(EdgeHandler):
    """Every address that nothing else answers."""

    operation_id = "unknown"

    async def prepare(self) -> None:
        await super().prepare()
        raise VouchError(Code.NOT_FOUND)
