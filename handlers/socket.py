"""The WebSocket endpoint: finds out who it is, and makes the Connection that the socket belongs to from then on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from handlers.edge import COOKIE_DAYS, SESSION_COOKIE, client_ip, origin_allowed
from server.errors import Code, VouchError
from server.principals import Principal
from server.realtime.connection import Connection
from server.realtime.handshake import StrictHandler
from server.realtime.protocol import MAX_FRAME
from server.realtime.websocket import WebSocket
from server.store import StoreError

if TYPE_CHECKING:
    from server.services import Services

log = structlog.get_logger("vouch.socket")


class SocketHandler(StrictHandler):
    """GET /api/v1/socket. Browsers are known by their cookie, so pages of foreign origins are refused."""

    def initialize(self, services: Services) -> None:
        self._services = services
        self._principal: Principal | None = None

    def check_origin(self, origin: str) -> bool:
        return origin_allowed(self.request, self._services.settings.public_origins)

    @property
    def max_message_size(self) -> int:
        """Beyond it the connection fails with 1009 before more is read; up to it our own code tells what is wrong."""
        return 2 * MAX_FRAME

    def get_compression_options(self) -> dict[str, Any] | None:
        return None  # permessage-deflate would cost each subscriber a copy and a compressor

    async def prepare(self) -> None:
        cookie = self.get_signed_cookie(SESSION_COOKIE, max_age_days=COOKIE_DAYS, min_version=2)
        if cookie is not None:
            try:
                self._principal = await self._services.people.authenticate_session(cookie.decode())
            except StoreError:
                raise VouchError(Code.UNAVAILABLE) from None

    def listener(self, socket: WebSocket) -> Connection:
        address = client_ip(self.request, self._services.settings.trusted_proxies)
        return Connection(self._services.hub, socket, self._principal, address)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        info = kwargs.get("exc_info")
        fault = info[1] if info else None
        self.set_status(fault.status if isinstance(fault, VouchError) else status_code)
        self.finish()

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:
        if not isinstance(value, VouchError):
            log.error("socket fault", exc_info=(typ, value, tb))
