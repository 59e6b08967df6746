"""The measurements that /metrics shows (Prometheus). One flat module, so that a name is found, and taken, in one place.

Labels have few values by design: never a person, a channel, an address or a path.
"""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    ProcessCollector,
    generate_latest,
)

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

# ── This process ────────────────────────────────────────────────────────────────────────────────────────────────────

BUILD = Info("vouch_build", "What runs here.", registry=REGISTRY)
LOOP_LAG = Histogram(
    "vouch_loop_lag_seconds",
    "How much later than asked for the event loop came back to a timer, looked at twice a second.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
    registry=REGISTRY,
)
DATA_FREE = Gauge(
    "vouch_data_free_bytes", "Free bytes on the disk of the data directory; at 200 MB it stops.", registry=REGISTRY
)
CERTIFICATE_END = Gauge(
    "vouch_certificate_end_timestamp_seconds",
    "When the certificate of --tls ends, as Unix time; 0 without one.",
    registry=REGISTRY,
)

TURNED_AWAY = Counter(
    "vouch_connections_turned_away_total",
    "Connections closed at once because too few open files were left.",
    registry=REGISTRY,
)

# ── HTTP ────────────────────────────────────────────────────────────────────────────────────────────────────────────

HTTP_SECONDS = Histogram(
    "vouch_http_request_seconds",
    "Time from the first byte of a request to the last of its answer.",
    ["operation", "status"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
    registry=REGISTRY,
)

# ── People and limits ───────────────────────────────────────────────────────────────────────────────────────────────

SIGN_INS = Counter("vouch_sign_ins_total", "Sign-ins by result.", ["result"], registry=REGISTRY)
LIMITED = Counter("vouch_limited_total", "Requests refused because they came too often.", ["limit"], registry=REGISTRY)
LIMITS_LOCAL = Counter(
    "vouch_limits_local_total",
    "Limits counted by this process alone because Redis did not answer.",
    registry=REGISTRY,
)


def exposition() -> bytes:
    """All measurements in the Prometheus text format."""
    return generate_latest(REGISTRY)
