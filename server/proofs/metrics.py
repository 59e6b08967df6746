"""What is counted of live proofs. Labels have few values, never people or promises."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from server.metrics import REGISTRY

FILED = Counter(
    "vouch_proofs_total", "Live proofs that were filed: photo, snapshot or location", ["kind"], registry=REGISTRY
)
REFUSED = Counter("vouch_proofs_refused_total", "Pictures refused as live, by the code", ["code"], registry=REGISTRY)
ALIKE = Counter(
    "vouch_proofs_alike_total", "Proofs filed with a note that they look like an earlier one", registry=REGISTRY
)
VERIFIED = Counter(
    "vouch_proofs_verified_total", "Files that people had verified, by the answer", ["state"], registry=REGISTRY
)
STEP_SECONDS = Histogram(
    "vouch_proof_step_seconds",
    "What a picture worker took for its order, with the wait for it: read, seal or check",
    ["step"],
    buckets=(0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1, 1.5, 2.5, 5, 10, 30),
    registry=REGISTRY,
)
FAULTS = Counter(
    "vouch_proof_worker_faults_total",
    "Orders that a picture worker did not carry out: lost, late or broken",
    ["step", "why"],
    registry=REGISTRY,
)
WORKERS = Gauge("vouch_proof_workers", "Picture workers that live, those that wait for an order too", registry=REGISTRY)
