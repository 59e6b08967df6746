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
from limits.aio.storage import MemoryStorage, RedisClusterStorage, RedisStorage
from limits.aio.storage.redis.redispy import RedispyBridge
from limits.aio.strategies import MovingWindowRateLimiter
from redis.asyncio import RedisCluster

from server import metrics
from server.errors import Code, VouchError
from server.redis_url import FAULTS, Client, RedisUrl

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
    # Counts answers, right and wrong: a code of six digits bears few guesses.
    "prove": Limit("10 per 15 minutes", "person"),
    "begin_proof": Limit("60 per 1 hour", "person"),
    "change_factors": Limit("20 per 1 hour", "person"),
    "request_guardian": Limit("20 per 1 day", "person"),
    "find_person": Limit("20 per 1 hour", "person"),
    "find_person_ip": Limit("60 per 1 hour", "address"),
    "friend_request": Limit("50 per 1 day", "person"),
    "change_profile": Limit("60 per 1 hour", "person"),
    "create_conversation": Limit("60 per 1 hour", "person"),
    "add_members": Limit("120 per 1 hour", "person"),
    "pin": Limit("120 per 1 hour", "person"),
    "report": Limit("30 per 1 day", "person"),
    "push_subscription": Limit("30 per 1 hour", "person"),
    "payment": Limit("60 per 1 hour", "person"),
    "forged_notice": Limit("60 per 1 minute", "address"),
    # What is beyond is left out: a push says that there is something, and the next one says it again.
    "push": Limit("60 per 1 minute", "person"),
    # How much may be moved is another question (server/wallet/rules.py).
    "pay_person": Limit("60 per 1 hour", "person"),
    "payout_account": Limit("20 per 1 day", "person"),
    "add_evidence": Limit("120 per 1 hour", "person"),
    "photo_nonce": Limit("120 per 1 hour", "person"),
    "live_photo": Limit("60 per 1 hour", "person"),
    "share_location": Limit("60 per 1 hour", "person"),
    "verify_proof_ip": Limit("60 per 1 hour", "address"),
    "pledge_application": Limit("60 per 1 hour", "person"),
    "pledge_invitation": Limit("60 per 1 hour", "person"),
    "dispute": Limit("20 per 1 day", "person"),
    "receipt": Limit("120 per 1 hour", "person"),
    "check_receipt_ip": Limit("120 per 1 hour", "address"),
    "draft_pledge": Limit("60 per 1 hour", "person"),
    # Each makes phones ring.
    "start_call": Limit("30 per 1 hour", "person"),
    # A bad line connects anew every few seconds; each costs a DTLS handshake.
    "call_connection": Limit("120 per 10 minutes", "person"),
    "call_view": Limit("300 per 1 minute", "person"),
    # Who comes and goes has all screens redrawn; each recording is files. Leaving and withdrawing are free.
    "join_call": Limit("60 per 10 minutes", "person"),
    "record_call": Limit("60 per 1 hour", "person"),
    "call_seat": Limit("120 per 1 minute", "person"),
    "snapshot": Limit("60 per 1 hour", "person"),
    # Codes shown, and codes scanned.
    "meet": Limit("120 per 1 hour", "person"),
    # Somebody who types asks several times for one search.
    "search": Limit("120 per 1 minute", "person"),
    "start_upload": Limit("300 per 1 hour", "person"),
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
        self._client = RedisUrl(redis_url).client(_TIMEOUT)
        self._redis = _storage(self._client)
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
            except FAULTS as fault:
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


def _storage(client: Client) -> RedisStorage:
    """The limits library would make a client of its own from a URL that knows neither sockets nor TLS to a cluster."""
    kind = RedisClusterStorage if isinstance(client, RedisCluster) else RedisStorage
    scheme = "async+redis+cluster" if kind is RedisClusterStorage else "async+redis"
    storage = kind(f"{scheme}://127.0.0.1:1", implementation="redispy", key_prefix="vouch:limit")
    bridge = storage.bridge
    assert isinstance(bridge, RedispyBridge)
    bridge.storage = client
    bridge.register_scripts()
    return storage


def _scaled(item: RateLimitItem, factor: float) -> RateLimitItem:
    return type(item)(max(1, round(item.amount * factor)), item.multiples)


def _digest(key: str) -> str:
    """Keys may be addresses and names: Redis is not told."""
    return hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
