"""What the hub counts. Names follow Prometheus' conventions: a unit suffix, `_total` for counters."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from server.metrics import REGISTRY

APPENDED = Counter("vouch_entries_appended_total", "Entries made durable by this node", registry=REGISTRY)
APPEND_CONFLICTS = Counter(
    "vouch_append_conflicts_total", "Batches that had to look at the log again", registry=REGISTRY
)
APPEND_BATCH = Histogram(
    "vouch_append_batch_entries", "Entries per batch", buckets=(1, 2, 5, 10, 25, 50, 100, 250, 500), registry=REGISTRY
)
APPEND_SECONDS = Histogram(
    "vouch_append_seconds",
    "From submission to durable",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15),
    registry=REGISTRY,
)
APPEND_QUEUE = Gauge("vouch_append_queue_entries", "Entries waiting for their batch on this node", registry=REGISTRY)
OUTBOX_WAITING = Gauge(
    "vouch_outbox_waiting", "Entries of committed changes that the last sweep found unappended", registry=REGISTRY
)
DELIVERED = Counter("vouch_frames_delivered_total", "Entry frames handed to connections", registry=REGISTRY)
HOLES = Counter("vouch_gate_holes_total", "Holes a gate had to read from the log", registry=REGISTRY)
RECOVERED = Counter("vouch_sweep_recovered_total", "Entries that the sweep found undelivered", registry=REGISTRY)
HISTORY_READS = Counter("vouch_history_reads_total", "Reads of the log for pages and resumes", registry=REGISTRY)
GATES = Gauge("vouch_gates", "Channels with a gate on this node", registry=REGISTRY)
CONNECTIONS = Gauge("vouch_connections", "Open sockets on this node", registry=REGISTRY)
CLOSED = Counter("vouch_connections_closed_total", "Sockets closed by the server", ["code"], registry=REGISTRY)
REFUSED = Counter("vouch_frames_refused_total", "Client frames answered by an error", ["code"], registry=REGISTRY)
BUS_RECONNECTS = Counter("vouch_bus_reconnects_total", "Times the bus had to be joined again", registry=REGISTRY)
OWNED = Gauge("vouch_owned_channels", "Hot channels that this node numbers for the others", registry=REGISTRY)
FORWARDED = Counter("vouch_drafts_forwarded_total", "Drafts sent to the owner of a hot channel", registry=REGISTRY)
FOLLOWED = Counter("vouch_follower_entries_total", "Entries that a follower has read", ["follower"], registry=REGISTRY)
FOLLOWER_LEFT_OUT = Counter(
    "vouch_follower_left_out_total",
    "Entries that a follower could not take and will not see again",
    ["follower"],
    registry=REGISTRY,
)
