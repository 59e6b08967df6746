"""What notifications count."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from server.metrics import REGISTRY

PUSHES = Counter("vouch_pushes_total", "Pushes by what became of them.", ["result"], registry=REGISTRY)
PUSH_SECONDS = Histogram(
    "vouch_push_seconds",
    "Time until a push service has answered one try.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=REGISTRY,
)
PUSHES_WAITING = Gauge("vouch_pushes_waiting", "Pushes under way or waiting to be tried again.", registry=REGISTRY)
