"""Every bench once, small, on the real server and the real peers: the figures mean nothing, that they come does."""

from __future__ import annotations

import pytest

from scripts.benchmarks import churn, durable, fanout, idle, latency, ledger, reconnect, search, slow, timers
from scripts.benchmarks.peers.running import PEERS, missing
from scripts.benchmarks.readings import Plan, Reading
from scripts.benchmarks.targets import FIGURES

SHORT = Plan(rounds=1, seconds=0.5)


def values(readings: list[Reading], bench: str, *unknown: str) -> dict[str, float]:
    """The readings by metric; every one of them but these `unknown` is known to the report, with its unit."""
    for reading in readings:
        assert reading.metric in unknown or (bench, reading.metric) in FIGURES
        assert reading.unit
    return {reading.metric: reading.value for reading in readings}


def test_timers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timers, "PLEDGES", 20)
    found = values(timers.measure("vouch", Plan(rounds=1, seconds=2.0)), "timers")
    assert found["seconds"] > 0
    assert found["ack_p99_ratio"] > 0


def test_durable() -> None:
    found = values(durable.measure("vouch", SHORT), "durable")
    assert found["sustained_per_s"] > 10
    assert found["per_cpu_s"] > 0
    assert 0 < found["ack_p50_ms"] <= found["ack_p99_ms"]


@pytest.mark.parametrize("subject", fanout.SUBJECTS)
def test_fanout(monkeypatch: pytest.MonkeyPatch, subject: str) -> None:
    if subject in PEERS:
        assert missing(subject) is None, "the peers belong to what tests need"
    monkeypatch.setattr(fanout, "MEMBERS", (20, 60))
    found = values_of_rooms(fanout.measure(subject, Plan(rounds=1, seconds=2.0)))
    assert set(found) == {"fanout_n20", "fanout_n60", "burst10_n60"}
    assert all(value > 0 for value in found.values())


def values_of_rooms(readings: list[Reading]) -> dict[str, float]:
    assert {reading.unit for reading in readings} == {"msg/cpu-s"}
    return {reading.metric: reading.value for reading in readings}


@pytest.mark.parametrize("subject", idle.SUBJECTS)
def test_idle(monkeypatch: pytest.MonkeyPatch, subject: str) -> None:
    monkeypatch.setattr(idle, "CONNECTIONS", 150)
    monkeypatch.setattr(idle, "_FIRST", 50)
    found = values(idle.measure(subject, SHORT), "idle")
    assert 1 < found["kib_per_connection"] < 200


def test_churn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(churn, "AT_A_TIME", 50)
    monkeypatch.setattr(churn, "CONNECTS", 500)
    found = values(churn.measure("vouch", SHORT), "churn")
    assert -50 < found["rss_growth_pct"] < 50
    assert found["connects_per_s"] > 1


@pytest.mark.parametrize("subject", latency.SUBJECTS)
def test_latency(monkeypatch: pytest.MonkeyPatch, subject: str) -> None:
    monkeypatch.setattr(latency, "MEMBERS", 20)
    found = values(latency.measure(subject, SHORT), "latency")
    assert 0 < found["p50_ms"] <= found["p99_ms"]


def test_reconnect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconnect, "CLIENTS", 150)
    found = values(reconnect.measure("vouch", SHORT), "reconnect")
    assert found["seconds"] > 0
    assert found["history_reads"] == 0, "what a few minutes old is, is in memory"
    assert found["restart_history_reads"] > 0, "after a restart it cannot be"


def test_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow, "READERS", 30)
    monkeypatch.setattr(slow, "STALLED", 10)
    found = values(slow.measure("vouch", SHORT), "slow")
    assert found["others_p99_ratio"] == pytest.approx(found["others_p99_ms"] / found["all_reading_p99_ms"])


def test_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "CONVERSATIONS", 4)
    monkeypatch.setattr(search, "WRITERS", 3)
    monkeypatch.setattr(search, "MESSAGES", 600)
    monkeypatch.setattr(search, "QUERIES", 30)
    monkeypatch.setattr(search, "PACE", 100)
    found = values(search.measure("vouch", SHORT), "search")
    assert 0 < found["p50_ms"] <= found["p95_ms"] <= found["max_ms"]
    assert found["indexed_per_s"] > 1
    assert 0 < found["core_pct_at_1000_per_s"] < 200
    assert found["behind_s"] >= 0


def test_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "PEOPLE", 12)
    monkeypatch.setattr(ledger, "TRANSFERS", 2_500)
    found = values(ledger.measure("vouch", SHORT), "ledger")
    assert found["transfers_per_s"] > 1
    assert found["one_account_per_s"] > 1
    assert found["lost_or_doubled"] == 0
    assert found["verify_s"] > 0
