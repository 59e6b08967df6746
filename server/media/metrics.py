"""What is counted of media. Labels: kinds and reasons, never people."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from server.metrics import REGISTRY

RECEIVED = Counter("vouch_media_received_bytes_total", "Bytes of uploads that were kept", registry=REGISTRY)
READY = Counter("vouch_media_ready_total", "Uploads made ready", ["kind"], registry=REGISTRY)
REFUSED = Counter(
    "vouch_media_refused_total", "Uploads refused after they had arrived", ["kind", "why"], registry=REGISTRY
)
WAITING = Gauge("vouch_media_waiting", "Uploads that wait to be made ready or are, at the last look", registry=REGISTRY)
SECONDS = Histogram(
    "vouch_media_processing_seconds",
    "From the last byte's job being begun to its being ready or refused",
    ["kind"],
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180, 600, 1800),
    registry=REGISTRY,
)
SENT = Counter("vouch_media_sent_bytes_total", "Bytes of media given out", registry=REGISTRY)
CLEARED = Counter("vouch_media_cleared_total", "Contents deleted because nothing needs them", registry=REGISTRY)
