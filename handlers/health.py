"""Whether the server lives, whether it can serve, and how it does."""

from __future__ import annotations

import asyncio
import ipaddress

import msgspec

from handlers.edge import EdgeHandler, is_trusted
from server import metrics
from server.errors import Code, VouchError
from server.principals import Role
from server.store import StoreError

_PATIENCE = 2.0  # seconds


class LiveHandler(EdgeHandler):
    """GET /healthz: the process runs and its loop turns."""

    operation_id = "healthz"

    def get(self) -> None:
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish("ok")

    head = get


class ReadyHandler(EdgeHandler):
    """GET /readyz: 200 when database and Redis answer, else 503 with which of them is away."""

    operation_id = "readyz"

    async def get(self) -> None:
        database, redis = await asyncio.gather(self._database(), self.services.limits.ping())
        self.set_status(200 if database and redis else 503)
        self.set_header("Content-Type", "application/json")
        self.finish(msgspec.json.encode({"database": "ok" if database else "away", "redis": "ok" if redis else "away"}))

    head = get

    async def _database(self) -> bool:
        try:
            async with asyncio.timeout(_PATIENCE):
                await self.services.store.ping()
        except (StoreError, TimeoutError):
            return False
        return True


class MetricsHandler(EdgeHandler):
    """GET /metrics: for this machine, and for admins."""

    operation_id = "metrics"

    async def get(self) -> None:
        if not self._local() and not await self._admin():
            raise VouchError(Code.FORBIDDEN)
        self.set_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.finish(metrics.exposition())

    def _local(self) -> bool:
        """From this machine, and not passed on by a proxy here that we were not told of."""
        forwarded = "X-Forwarded-For" in self.request.headers or "Forwarded" in self.request.headers
        if forwarded and not is_trusted(self.request.remote_ip or "", self.config.trusted_proxies):
            return False
        try:
            return ipaddress.ip_address(self.ip).is_loopback
        except ValueError:
            return False

    async def _admin(self) -> bool:
        people = self.services.people
        token = self.session_token()
        scheme, _, bearer = self.request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            principal = await people.authenticate_token(bearer.strip())
        else:
            principal = await people.authenticate_session(token) if token else None
        return principal is not None and principal.has(Role.ADMIN)
