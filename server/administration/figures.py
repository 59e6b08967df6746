"""How the server was, minute by minute: each node keeps a small document per minute for a week.

Latencies are kept as the counts of their buckets, so that nodes and minutes can be put together truthfully.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from prometheus_client import Counter, Gauge, Histogram

from server.administration.model import Charts, Moment
from server.administration.quantiles import added, quantile
from server.clock import Clock, to_ms
from server.metrics import LOOP_LAG
from server.realtime.metrics import APPEND_SECONDS, APPENDED, CONNECTIONS
from server.store import Document, Index, Store, StoreError

EVERY = 30.0  # seconds
LASTS = timedelta(days=7)
#: one query reads no more than this: ranges stay narrow
_WINDOW = timedelta(hours=6)
#: so many moments a chart shows at most
_MOMENTS = 240
_MINUTE = timedelta(minutes=1)

log = structlog.get_logger(__name__)


class Reading:
    """What this process has counted since it began."""

    def __init__(self) -> None:
        self.entries = _value(APPENDED)
        self.append = _buckets(APPEND_SECONDS)
        self.lag = _buckets(LOOP_LAG)


class Figures:
    """Gathers between `start` and `stop`; `between` reads."""

    def __init__(self, store: Store, clock: Clock, node: str) -> None:
        self._store = store
        self._rows = store.collection("figures")
        self._clock = clock
        self._node = node
        self._before = Reading()
        self._task: asyncio.Task[None] | None = None

    async def ensure_indexes(self) -> None:
        await self._store.ensure_indexes("figures", [Index([("at", 1)], ttl=round(LASTS.total_seconds()))])

    def start(self) -> None:
        self._before = Reading()
        self._task = asyncio.create_task(self._run(), name="figures")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            try:
                await self.gather()
            except StoreError as fault:
                log.warning("figures wait for the database", fault=type(fault).__name__)

    async def gather(self) -> None:
        """Adds what was counted since the last time to the minute that it is now."""
        now, before = Reading(), self._before
        minute = _minute(self._clock.now())
        more: dict[str, float] = {"entries": now.entries - before.entries}
        for name, after, former in (("append", now.append, before.append), ("lag", now.lag, before.lag)):
            more |= {f"{name}.{index}": a - f for index, (a, f) in enumerate(zip(after, former, strict=True)) if a != f}
        # The row is this node's own: nobody else writes it at the same time.
        await self._rows.update_one(
            {"_id": f"{self._node}:{minute:%Y%m%d%H%M}"},
            {"$set": {"at": minute, "node": self._node}, "$inc": more, "$max": {"connections": _value(CONNECTIONS)}},
            upsert=True,
        )
        self._before = now

    async def between(self, first: datetime, end: datetime) -> Charts:
        """Everything in `first <= … < end`, cut to what is kept, at most 240 moments."""
        now = self._clock.now()
        first, end = _minute(max(first, now - LASTS)), min(end, now + _MINUTE)
        step = _MINUTE * max(1, -(-int((end - first) / _MINUTE) // _MOMENTS))
        rows: list[Document] = []
        low = first
        while low < end:
            high = min(low + _WINDOW, end)
            rows += await self._rows.find({"at": {"$gte": low, "$lt": high}}).to_list(None)
            low = high
        slots: dict[int, list[Document]] = {}
        for row in rows:
            slots.setdefault((row["at"] - first) // step, []).append(row)
        moments = [_moment(first + step * slot, step, some) for slot, some in sorted(slots.items())]
        return Charts(round(step.total_seconds() * 1000), moments)


def _moment(at: datetime, step: timedelta, rows: Sequence[Document]) -> Moment:
    minutes = {row["at"] for row in rows}
    append: list[float] = []
    lag: list[float] = []
    connections: dict[str, int] = {}
    for row in rows:
        append = added(append, _counts(row.get("append", {})))
        lag = added(lag, _counts(row.get("lag", {})))
        connections[row["node"]] = max(connections.get(row["node"], 0), round(row.get("connections", 0)))
    return Moment(
        at=to_ms(at),
        entries=round(sum(row.get("entries", 0.0) for row in rows) / len(minutes), 1),
        connections=sum(connections.values()),
        p50=_ms(quantile(_bounds(APPEND_SECONDS), append, 0.5)),
        p99=_ms(quantile(_bounds(APPEND_SECONDS), append, 0.99)),
        lag=_ms(quantile(_bounds(LOOP_LAG), lag, 0.99)),
    )


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def _counts(kept: Document) -> list[float]:
    counts = [0.0] * (max((int(index) for index in kept), default=-1) + 1)
    for index, count in kept.items():
        counts[int(index)] = float(count)
    return counts


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def _value(metric: Counter | Gauge) -> float:
    return next(iter(metric.collect())).samples[0].value


def _buckets(metric: Histogram) -> list[float]:
    """How many measurements lie in each bucket (Prometheus counts them upwards)."""
    upwards = [s.value for s in next(iter(metric.collect())).samples if s.name.endswith("_bucket")]
    return [count - below for count, below in zip(upwards, [0.0, *upwards], strict=False)]


def _bounds(metric: Histogram) -> list[float]:
    samples = next(iter(metric.collect())).samples
    return [float(s.labels["le"]) for s in samples if s.name.endswith("_bucket") and s.labels["le"] != "+Inf"]
