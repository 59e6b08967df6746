"""Runs operations: authenticates, checks who may, reads the request, calls the function, writes the answer."""

from __future__ import annotations

from typing import Any

import msgspec
import structlog
from tornado.web import HTTPError, stream_request_body

from handlers.edge import COOKIE_DAYS, SESSION_COOKIE, EdgeHandler, origin_allowed
from handlers.operations import Binary, Call, Operation
from server.errors import Code, VouchError
from server.principals import ANONYMOUS, Principal

_encoder = msgspec.json.Encoder()


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
        self._body = bytearray()
        self._too_large = False

    async def prepare(self) -> None:
        await super().prepare()
        operation = self._operations.get(self.request.method or "")
        if operation is None:
            raise VouchError(Code.METHOD_NOT_ALLOWED)
        self._operation = operation
        self.operation_id = operation.id
        await self._authenticate()
        if not self._bearer:
            self.xsrf_token  # noqa: B018  (reading it is what sets the cookie)
        operation.allow.check(self._principal)
        if operation.changes_state and not self._bearer:
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
        operation = self._operation
        assert operation is not None  # prepare has refused every other method
        if self._too_large:
            raise VouchError(Code.TOO_LARGE)
        arguments: dict[str, Any] = operation.decode_params(parts)
        if operation.query is not None:
            arguments["query"] = operation.decode_query(self.request.query_arguments)
        if operation.request is not None:
            content_type = self.request.headers.get("Content-Type", "")
            arguments["body"] = operation.decode_request(content_type, bytes(self._body))
        call = Call(
            services=self.services,
            principal=self._principal,
            ip=self.ip,
            user_agent=self.request.headers.get("User-Agent", ""),
            languages=self.request.headers.get("Accept-Language", ""),
            request_id=self.request_id,
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
        elif operation.response is None:
            self.clear_header("Content-Type")
            self.finish()
        else:
            self.set_header("Content-Type", "application/json")
            self.finish(_encoder.encode(result))

    get = post = put = patch = delete = _run

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        if self._operation is None and self.request.method not in self._operations:
            self.set_header("Allow", ", ".join(sorted(self._operations)))
        super().write_error(status_code, **kwargs)

    def _start_session(self, token: str) -> None:
        self.set_signed_cookie(
            SESSION_COOKIE,
            token,
            expires_days=COOKIE_DAYS - 1,
            path="/",
            httponly=True,
            samesite="Lax",
            secure=self.secure,
        )

    def _end_session(self) -> None:
        self.clear_cookie(SESSION_COOKIE, path="/", httponly=True, samesite="Lax", secure=self.secure)


class UnknownHandler(EdgeHandler):
    """Every address that nothing else answers."""

    operation_id = "unknown"

    async def prepare(self) -> None:
        await super().prepare()
        raise VouchError(Code.NOT_FOUND)
