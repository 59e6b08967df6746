"""What is counted of pledges. Labels have few values, never people or amounts."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

from server.metrics import REGISTRY

TIMED = Counter(
    "vouch_pledge_timers_total",
    "Pledges whose time had come: done, failed (tried again in a minute) or waits (the database is away)",
    ["result"],
    registry=REGISTRY,
)
LATE = Gauge(
    "vouch_pledge_timers_late_seconds",
    "How late those were that were done last; 0 when nothing is due",
    registry=REGISTRY,
)
