"""What is counted of calls. Labels have few values, never people or conversations."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

from server.metrics import REGISTRY

STARTED = Counter("vouch_calls_started_total", "Calls that people have started", registry=REGISTRY)
ENDED = Counter(
    "vouch_calls_ended_total",
    "Calls that are over: done, missed, declined, cancelled or failed",
    ["ending"],
    registry=REGISTRY,
)
HERE = Gauge("vouch_calls_here", "Calls whose media are at this node now", registry=REGISTRY)
CONNECTIONS = Gauge("vouch_call_connections", "Connections of media at this node", registry=REGISTRY)
MOVED = Counter(
    "vouch_calls_moved_total",
    "Calls whose media had to be set up anew: a worker or a node has died",
    registry=REGISTRY,
)
RECORDINGS = Counter(
    "vouch_call_recordings_total",
    "Recordings that have ended: stopped, full or failed",
    ["ending"],
    registry=REGISTRY,
)
