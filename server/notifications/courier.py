"""Brings pushes to the services that browsers have named: tries again where that makes sense, ends what has ended, and
remembers how it goes."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

import msgspec
import structlog

from server.clock import Clock, to_ms
from server.notifications.metrics import PUSH_SECONDS, PUSHES, PUSHES_WAITING
from server.notifications.model import Subscription
from server.notifications.repo import SubscriptionsRepo
from server.notifications.webpush import TTL, Sealer
from server.outbound import Answer, Outbound, OutboundFault, OutboundRefused, target
from server.realtime.protocol import Millis
from server.store import StoreError
from server.turns import Turns

#: Seconds after which a push that met a busy or silent service is tried again.
RETRIES: tuple[float, ...] = (2.0, 15.0, 60.0)
#: The longest that a service may make us wait (Retry-After), in seconds: what comes later is not news any more.
LONGEST_WAIT = 300.0
#: Pushes under way or waiting; beyond this they are dropped, and counted.
MOST_WAITING = 5_000
#: Of one person so many are under way at once: nobody's slow services hold everybody's pushes up.
MOST_PER_PERSON = 3
#: A subscription that fails is tried at most this often, and ended when it has failed for so long.
FAILING_EVERY = timedelta(minutes=1)
FAILED_FOR_GOOD = timedelta(days=14)
#: A success is written down at most this often.
_NOTED_EVERY = timedelta(hours=1)
_HOSTS_KNOWN = 50
_ENDED = (404, 410)

log = structlog.get_logger(__name__)


class ServiceHealth(msgspec.Struct):
    """One push service (its host) since this node has started; `fault` is null when the last push went well."""

    host: str
    sent: int = 0
    failed: int = 0
    fault: str | None = None
    last_at: Millis | None = None


class Courier:
    """`retries` may be changed (tests)."""

    def __init__(
        self,
        repo: SubscriptionsRepo,
        outbound: Outbound,
        sealer: Sealer,
        clock: Clock,
    ) -> None:
        self._repo = repo
        self._outbound = outbound
        self._sealer = sealer
        self._clock = clock
        self.retries = RETRIES
        self._tasks: set[asyncio.Task[None]] = set()
        self._turns = Turns(MOST_PER_PERSON)
        self._services: OrderedDict[str, ServiceHealth] = OrderedDict()
        self.sent = self.failed = self.ended = self.dropped = 0
        self.last_sent_at: datetime | None = None

    @property
    def waiting(self) -> int:
        return len(self._tasks)

    def services(self) -> list[ServiceHealth]:
        """The services used last, the newest first."""
        return list(reversed(self._services.values()))

    def send(self, to: Subscription, payload: bytes, *, topic: str, urgent: bool, ttl: timedelta = TTL) -> None:
        """Begins to bring a push; nobody waits for it. `ttl`: later it is no news."""
        if to.failing_since is not None and to.last_at is not None and self._clock.now() - to.last_at < FAILING_EVERY:
            PUSHES.labels("left_out").inc()
            return
        if len(self._tasks) >= MOST_WAITING:
            self.dropped += 1
            PUSHES.labels("dropped").inc()
            return
        task = asyncio.create_task(self._deliver(to, payload, topic, urgent, ttl), name="push")
        self._tasks.add(task)
        PUSHES_WAITING.set(len(self._tasks))
        task.add_done_callback(self._over)

    async def settled(self) -> None:
        """Waits until nothing is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def stop(self, within: float = 1.0) -> None:
        """Gives what is under way a moment; what waits to be tried again is lost."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=within)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        PUSHES_WAITING.set(len(self._tasks))
        if not task.cancelled() and (fault := task.exception()) is not None:
            log.error("push failed", exc_info=fault)

    async def _deliver(self, to: Subscription, payload: bytes, topic: str, urgent: bool, ttl: timedelta) -> None:
        outcome = await self._try(to, payload, topic, urgent, ttl)
        for pause in self.retries:
            if outcome.again is None or max(pause, outcome.again) > min(LONGEST_WAIT, ttl.total_seconds()):
                break
            PUSHES.labels("retried").inc()
            await asyncio.sleep(max(pause, outcome.again))
            outcome = await self._try(to, payload, topic, urgent, ttl)
        try:
            await self._conclude(to, outcome)
        except StoreError as fault:
            log.warning("outcome of a push not noted", fault=type(fault).__name__)

    async def _try(self, to: Subscription, payload: bytes, topic: str, urgent: bool, ttl: timedelta) -> _Outcome:
        async with self._turns.of(to.person):
            request = self._sealer.request(to, payload, topic=topic, urgent=urgent, ttl=ttl, at=self._clock.now())
            began = time.monotonic()
            try:
                answer = await self._outbound.post(request.url, headers=request.headers, body=request.body)
            except OutboundRefused:
                return _Outcome("its address is not public", ended=True)
            except OutboundFault as fault:
                return _Outcome(str(fault), again=0.0)
            PUSH_SECONDS.observe(time.monotonic() - began)
        return self._judge(answer)

    def _judge(self, answer: Answer) -> _Outcome:
        if 200 <= answer.status < 300:
            return _Outcome(None)
        fault = f"status {answer.status}"
        if answer.status in _ENDED:
            return _Outcome(fault, ended=True)
        if answer.status == 429 or answer.status >= 500:
            return _Outcome(fault, again=retry_after(answer.headers.get("retry-after", ""), self._clock.now()))
        return _Outcome(fault)

    async def _conclude(self, to: Subscription, outcome: _Outcome) -> None:
        now = self._clock.now()
        self._count(to, outcome, now)
        failing_for = now - to.failing_since if to.failing_since else timedelta()
        if outcome.ended or (outcome.fault and failing_for > FAILED_FOR_GOOD):
            await self._repo.gone([to.id])
        elif outcome.fault or to.fault or to.last_at is None or now - to.last_at > _NOTED_EVERY:
            await self._repo.tried(to, now, outcome.fault)

    def _count(self, to: Subscription, outcome: _Outcome, now: datetime) -> None:
        host = target(to.endpoint).host
        service = self._services.setdefault(host, ServiceHealth(host))
        self._services.move_to_end(host)
        while len(self._services) > _HOSTS_KNOWN:
            self._services.popitem(last=False)
        service.last_at = to_ms(now)
        if outcome.ended:
            self.ended += 1
            PUSHES.labels("ended").inc()
        elif outcome.fault:
            self.failed += 1
            service.failed += 1
            service.fault = outcome.fault
            PUSHES.labels("failed").inc()
            log.warning("push failed", service=host, fault=outcome.fault)
        else:
            self.sent += 1
            service.sent += 1
            service.fault = None
            self.last_sent_at = now
            PUSHES.labels("sent").inc()


class _Outcome(msgspec.Struct, frozen=True):
    """`fault`: None when the push was taken; `ended`: the subscription is no more; `again`: seconds after which it may
    be tried again at the earliest, None where that makes no sense."""

    fault: str | None
    ended: bool = False
    again: float | None = None


def retry_after(header: str, now: datetime) -> float:
    """Seconds that a Retry-After header asks for (RFC 9110 section 10.2.3); 0 for one that cannot be read."""
    if header.isascii() and header.isdigit():
        return float(header)
    try:
        return max(0.0, (parsedate_to_datetime(header) - now).total_seconds())
    except (TypeError, ValueError):
        return 0.0
