"""What each figure should be, and how it is told to a reader."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from scripts.benchmarks.readings import number


class Ratio(msgspec.Struct, frozen=True):
    """At most so many times what this peer has in the same call."""

    peer: str
    most: float

    def __str__(self) -> str:
        if self.most < 1:
            return f"{number(1 / self.most)} × less than {self.peer}"
        return f"≤ {number(self.most)} × {self.peer}"


class Figure(msgspec.Struct, frozen=True):
    """`least` or `most` is the target of Vouch, in the figure's unit, and so are `ratios` to what peers have; `title`
    is what a chart calls it.
    """

    title: str
    least: float | None = None
    most: float | None = None
    ratios: tuple[Ratio, ...] = ()

    def met(self, value: float, peers: Mapping[str, float] | None = None) -> bool | None:
        """Whether the target is reached; None where there is none, or a peer that it names was not measured."""
        if self.least is not None and value < self.least:
            return False
        if self.most is not None and value > self.most:
            return False
        found = [None if peers is None else peers.get(ratio.peer) for ratio in self.ratios]
        if any(peer is not None and value > ratio.most * peer for ratio, peer in zip(self.ratios, found, strict=True)):
            return False
        if None in found or (self.least is None and self.most is None and not self.ratios):
            return None
        return True

    @property
    def target(self) -> str:
        parts = [] if self.least is None else [f"≥ {number(self.least)}"]
        parts += [] if self.most is None else [f"≤ {number(self.most)}"]
        return ", ".join([*parts, *map(str, self.ratios)]) or "–"


def _forwarding(title: str, janus: float, relay: float | None = None) -> Figure:
    """What forwarding may cost, by what it costs others."""
    encoding = () if relay is None else (Ratio("mediarelay", 1 / relay),)
    return Figure(title, ratios=(Ratio("janus", janus), *encoding))


#: (bench, metric) → what is told of it, in the order of the report
FIGURES = {
    ("fanout", "fanout_n500"): Figure("Fan-out to 500 members", least=350_000),
    ("fanout", "fanout_n2000"): Figure("Fan-out to 2,000 members", least=250_000),
    ("fanout", "burst10_n2000"): Figure("Bursts of ten to 2,000 members", least=1_500_000),
    ("idle", "kib_per_connection"): Figure("Memory of an idle connection", most=16),
    ("idle", "kib_per_connection_bare"): Figure("… before it subscribes"),
    ("churn", "rss_growth_pct"): Figure("Growth by 100,000 connects and disconnects", most=1),
    ("churn", "connects_per_s"): Figure("Connects and disconnects"),
    ("churn", "connect_cpu_ms"): Figure("Processor time of a connect and disconnect"),
    ("durable", "sustained_per_s"): Figure("Durable messages", least=2_500),
    ("durable", "per_cpu_s"): Figure("Durable messages per processor time"),
    ("durable", "ack_p50_ms"): Figure("Acknowledgement at 500 messages/s, median"),
    ("durable", "ack_p99_ms"): Figure("Acknowledgement at 500 messages/s, p99", most=50),
    ("latency", "p50_ms"): Figure("Delivery to 1,000 members, median"),
    ("latency", "p99_ms"): Figure("Delivery to 1,000 members, p99", most=12),
    ("reconnect", "seconds"): Figure("5,000 clients resume", most=6),
    ("reconnect", "history_reads"): Figure("… reading the log", most=0),
    ("reconnect", "restart_seconds"): Figure("5,000 clients resume after a restart"),
    ("reconnect", "restart_history_reads"): Figure("… reading the log"),
    ("slow", "others_p99_ratio"): Figure("p99 beside 500 stalled readers, to before", most=1.1),
    ("slow", "others_p99_ms"): Figure("… p99 beside stalled readers"),
    ("slow", "all_reading_p99_ms"): Figure("… p99 when all read"),
    ("slow", "stalled_ended"): Figure("… stalled connections ended by the server"),
    ("search", "p50_ms"): Figure("Search in 200,000 messages, median"),
    ("search", "p95_ms"): Figure("Search in 200,000 messages, p95", most=300),
    ("search", "max_ms"): Figure("… the slowest query"),
    ("search", "indexed_per_s"): Figure("Messages written and indexed"),
    ("search", "core_pct_at_1000_per_s"): Figure("The server at 1,000 messages/s, index included"),
    ("search", "behind_s"): Figure("… how far the index is behind then"),
    ("ledger", "transfers_per_s"): Figure("Transfers among 200 people"),
    ("ledger", "transfer_p95_ms"): Figure("… eight at a time, p95"),
    ("ledger", "one_account_per_s"): Figure("Transfers that all touch one account of the house"),
    ("ledger", "lost_or_doubled"): Figure("Wrong balances after 50 at once over 20 accounts, each asked twice", most=0),
    ("ledger", "verify_s"): Figure("Verifying 100,000 transfers", most=60),
    ("timers", "seconds"): Figure("10,000 pledges due at once, worked off"),
    ("timers", "ack_p99_ratio"): Figure("… acknowledgement p99 beside it, to before", most=2),
    ("timers", "ack_p99_beside_ms"): Figure("… acknowledgement p99 beside it", most=50),
    ("timers", "ack_p99_alone_ms"): Figure("… acknowledgement p99 before"),
    ("calls", "cpu_pct_v1"): _forwarding("A browser's call to one viewer, share of a core", 1.5, 5),
    ("calls", "fps_v1"): Figure("… pictures a second that each gets"),
    ("calls", "cpu_pct_v8"): _forwarding("… to eight", 1.2, 12),
    ("calls", "fps_v8"): Figure("… pictures a second"),
    ("calls", "cpu_pct_v24"): _forwarding("… to 24", 1.1),
    ("calls", "fps_v24"): Figure("… pictures a second"),
    ("calls", "ramp_s"): Figure("Until 1 Mbit/s and 30 pictures a second", most=5),
    ("calls", "first_frame_ms"): Figure("First picture on a connection that is there", most=400),
    ("calls", "added_ms_p95"): Figure("From publisher to viewer, p95", most=10),
    ("calls", "fps_at_5pct_loss"): Figure("Pictures shown when 5 % of packets are lost", least=24),
    ("calls", "frozen_pct_at_5pct_loss"): Figure("… time that the picture stood still", most=0),
    ("calls_crowd", "cpu_pct"): Figure("30 people, 150 times watched: share of a core"),
    ("calls_crowd", "lost_pct"): Figure("… packets lost"),
    ("calls_crowd", "delay_p50_ms"): Figure("… from publisher to viewer, median"),
    ("calls_crowd", "delay_p95_ms"): Figure("… p95"),
    ("calls_crowd", "memory_pct"): Figure("Memory after 100 joins and leaves, to before", most=105),
}
