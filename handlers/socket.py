"""The WebSocket endpoint: hands frames from Tornado to a Connection and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog
from tornado.websocket import WebSocketHandler

from handlers.edge import COOKIE_DAYS, SESSION_COOKIE, client_ip, origin_allowed
from server.errors import Code, VouchError
from server.principals import Principal
from server.realtime.connection import Connection
from server.realtime.protocol import MAX_FRAME
from server.realtime.transport import TornadoTransport
from server.store import StoreError

if TYPE_CHECKING:
    from server.services import Services

log = structlog.get_logger("vouch.socket")


class SocketHandler(WebSocketHandler):
    """GET /api/v1/socket. Browsers are known by their cookie, so pages of foreign origins are refused."""

    def initialize(self, services: Services) -> None:
        self._services = services
        self._connection: Connection | None = None
        self._principal: Principal | None = None

    def check_origin(self, origin: str) -> bool:
        return origin_allowed(self.request, self._services.settings.public_origins)

    @property
    def max_message_size(self) -> int:
        """Beyond it Tornado closes with 1009 before it reads on; up to it our own code tells what is wrong."""
        return 2 * MAX_FRAME

    def get_compression_options(self) -> dict[str, Any] | None:
        return None  # permessage-deflate would cost each subscriber a copy and a compressor

    async def prepare(self) -> None:
        cookie = self.get_signed_cookie(SESSION_COOKIE, max_age_days=COOKIE_DAYS)
        if cookie is not None:
            try:
                self._principal = await self._services.people.authenticate_session(cookie.decode())
            except StoreError:
                raise VouchError(Code.UNAVAILABLE) from None

    def open(self, *args: str, **kwargs: str) -> None:
        self.set_nodelay(True)
        address = client_ip(self.request, self._services.settings.trusted_proxies)
        self._connection = Connection(self._services.hub, TornadoTransport(self), self._principal, address)

    async def on_message(self, message: str | bytes) -> None:
        if self._connection is not None:
            await self._connection.on_frame(message)

    def on_pong(self, data: bytes) -> None:
        if self._connection is not None:
            self._connection.missed = 0

    def on_close(self) -> None:
        if self._connection is not None:
            self._connection.closed()

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        info = kwargs.get("exc_info")
        fault = info[1] if info else None
        self.set_status(fault.status if isinstance(fault, VouchError) else status_code)
        self.finish()

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:
        if not isinstance(value, VouchError):
            log.error("socket fault", exc_info=(typ, value, tb))
