"""What is counted of the ledger."""

from __future__ import annotations

from prometheus_client import Gauge

from server.metrics import REGISTRY

FAULTS = Gauge("vouch_ledger_faults", "Faults that the last verification of the ledger found", registry=REGISTRY)
UNSEALED = Gauge(
    "vouch_ledger_unsealed_seconds", "How far back the journal of the ledger is not sealed yet", registry=REGISTRY
)
