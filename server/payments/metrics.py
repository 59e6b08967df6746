"""What is counted of payments. Labels: kinds, states, names of providers and faults, never people or amounts."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from server.metrics import REGISTRY

ENDED = Counter(
    "vouch_payments_ended_total", "Orders that came to an end", ["provider", "kind", "state"], registry=REGISTRY
)
ASKED = Histogram(
    "vouch_payments_provider_seconds",
    "How long a provider took to answer, or we to give it up",
    ["provider", "result"],
    buckets=(0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20),
    registry=REGISTRY,
)
NOTICES = Counter(
    "vouch_payments_notices_total",
    "Notices that arrived: known, unknown (of no order of ours), other (no concern of ours) or forged",
    ["provider", "result"],
    registry=REGISTRY,
)
OPEN = Gauge(
    "vouch_payments_open", "Orders that have not ended, by state, at the last look", ["state"], registry=REGISTRY
)
SILENT = Gauge("vouch_payments_provider_silent", "1 while a provider does not answer", ["provider"], registry=REGISTRY)
RESTING = Gauge(
    "vouch_payments_resting",
    "Orders that wait for the finance desk because the provider did something else than it was asked",
    registry=REGISTRY,
)
DIFFERENCES = Gauge(
    "vouch_payments_differences", "Differences of the last reconciliation", ["provider"], registry=REGISTRY
)
