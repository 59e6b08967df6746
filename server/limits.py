"""How often somebody may do something: one table of named limits, counted in Redis by a moving window.

Without Redis each process counts for itself until it is back: limits are then looser with several nodes, but nobody is
locked out and nothing is unlimited.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
import structlog
from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from redis.asyncio import Redis
from redis.exceptions import RedisError

from server import metrics
from server.errors import Code, VouchError

T = TypeVar("T")


class Limit(msgspec.Struct, frozen=True):
    """`rate` as the limits library reads it; `by` says whose tries are counted together, in words."""

    rate: str
    by: str


LIMITS: dict[str, Limit] = {
    "sign_in": Limit("10 per 15 minutes", "login"),
    "sign_in_ip": Limit("60 per 15 minutes", "address"),
    "register_ip": Limit("20 per 1 hour", "address"),
    "confirm_password": Limit("10 per 15 minutes", "person"),
    "find_person": Limit("20 per 1 hour", "person"),
    "find_person_ip": Limit("60 per 1 hour", "address"),
    "friend_request": Limit("50 per 1 day", "person"),
    "change_profile": Limit("60 per 1 hour", "person"),
    "create_conversation": Limit("60 per 1 hour", "person"),
    "add_members": Limit("120 per 1 hour", "person"),
    # Taken in portions of at most SEND_BURST and spent by the node.
    "send": Limit("240 per 1 minute", "person"),
}
#: How many messages one person may send at once.
SEND_BURST = 60
#: Seconds for which Redis is left alone after it did not answer.
PAUSE = 5.0
_TIMEOUT = 0.5  # seconds for one answer of Redis

log = structlog.get_logger("vouch.limits")


class Limits:
    """`factor` multiplies every amount, for tests and demonstrations."""

    def __init__(self, redis_url: str, *, factor: float = 1.0, pause: float = PAUSE) -> None:
        self._items = {name: _scaled(parse(limit.rate), factor) for name, limit in LIMITS.items()}
        self._client = Redis.from_url(redis_url, socket_timeout=_TIMEOUT, socket_connect_timeout=_TIMEOUT)
        self._redis = RedisStorage(
            "async+redis://",
            implementation="redispy",
            key_prefix="vouch:limit",
            connection_pool=self._client.connection_pool,  # type: ignore[arg-type]
        )
        self._shared = MovingWindowRateLimiter(self._redis)
        self._own = MovingWindowRateLimiter(MemoryStorage())
        self._pause = pause
        self._away_until = 0.0
        self._away = False

    async def stop(self) -> None:
        await self._client.aclose()

    async def ping(self) -> bool:
        """Whether Redis answers."""
        try:
            async with asyncio.timeout(2 * _TIMEOUT):
                return await self._redis.check()
        except TimeoutError:
            return False

    async def hit(self, name: str, key: str) -> None:
        """Counts one; raises `too_often` with the seconds until there is room again."""
        if not await self.take(name, key, 1):
            item = self._items[name]
            stats = await self._with_redis(lambda limiter: limiter.get_window_stats(item, name, _digest(key)))
            metrics.LIMITED.labels(name).inc()
            raise VouchError(Code.TOO_OFTEN, retry_after=max(1.0, round(stats.reset_time - time.time(), 1)))

    async def take(self, name: str, key: str, n: int) -> bool:
        """Reserves `n` at once, or nothing."""
        item = self._items[name]
        return await self._with_redis(lambda limiter: limiter.hit(item, name, _digest(key), cost=n))

    async def _with_redis(self, count: Callable[[MovingWindowRateLimiter], Awaitable[T]]) -> T:
        """Asks Redis; while it is away, this process."""
        if time.monotonic() >= self._away_until:
            try:
                result = await count(self._shared)
            except (RedisError, OSError, TimeoutError) as fault:
                self._away_until = time.monotonic() + self._pause
                if not self._away:
                    log.warning("redis does not answer; counting limits in this process", fault=type(fault).__name__)
                self._away = True
            else:
                if self._away:
                    log.info("redis answers again; counting limits there")
                self._away = False
                return result
        metrics.LIMITS_LOCAL.inc()
        return await count(self._own)


def _scaled(item: RateLimitItem, factor: float) -> RateLimitItem:
    return type(item)(max(1, round(item.amount * factor)), item.multiples)


def _digest(key: str) -> str:
    """Keys may be addresses and names: Redis is not told."""
    return hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
