"""The gate lets entries through in order and once, whatever the bus does (DESIGN 2)."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.realtime import gate as gate_module
from server.realtime.gate import RING_ENTRIES, Gate
from server.realtime.protocol import Entry, EntryEvent
from tests.conftest import Run


def entry(seq: int, text: str = "word") -> Entry:
    return Entry(seq, seq, 1_000 + seq, "p_1", f"id{seq:020}", "message", {"text": text})


class Seen:
    """A subscriber that keeps what it is sent."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def send(self, frame: bytes) -> None:
        self.frames.append(frame)

    def entries(self) -> list[Entry]:
        return [msgspec.json.decode(_payload(frame), type=EntryEvent).entry for frame in self.frames]


def _payload(frame: bytes) -> bytes:
    """RFC 6455 §5.2: the payload of an unmasked frame."""
    length = frame[1]
    return frame[2:] if length < 126 else frame[4:] if length == 126 else frame[10:]


class Log:
    """What the log holds; reads may be counted and may fail."""

    def __init__(self, last: int) -> None:
        self.last = last
        self.reads = 0

    async def read(self, ch: str, first: int, last: int) -> list[Entry]:
        self.reads += 1
        return [entry(seq) for seq in range(first, min(last, self.last) + 1)]


def open_gate(log: Log, passed: list[int], at: int = 0) -> tuple[Gate, Seen]:
    gate = Gate("conv:c", log.read, lambda _, e: passed.append(e.seq))
    gate.open_at(at, at)
    seen = Seen()
    gate.subscribers.add(seen)
    return gate, seen


#: what the bus delivers of entries 1 … n: some lost, some doubled, any order
arrivals = st.integers(1, 30).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.integers(1, n), max_size=60)))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(arrivals)
def test_lost_doubled_reordered_arrivals_pass_in_order_and_once(run: Run[Any], arriving: tuple[int, list[int]]) -> None:
    n, order = arriving

    async def body() -> None:
        passed: list[int] = []
        gate, seen = open_gate(Log(n), passed)
        for seq in order:
            gate.offer(entry(seq))
        while gate._hole is not None:
            await asyncio.shield(gate._hole)
        highest = max(order, default=0)
        assert passed == list(range(1, highest + 1))
        assert [e.seq for e in seen.entries()] == passed
        assert gate.delivered == highest

    wait, gate_module.HOLE_WAIT = gate_module.HOLE_WAIT, 0.0
    try:
        run(body())
    finally:
        gate_module.HOLE_WAIT = wait


async def test_in_order_arrivals_never_read_the_log() -> None:
    passed: list[int] = []
    log = Log(100)
    gate, _ = open_gate(log, passed)
    for seq in range(1, 101):
        gate.offer(entry(seq))
    assert passed == list(range(1, 101))
    assert log.reads == 0


async def test_what_arrives_while_the_gate_opens_is_held_and_sorted() -> None:
    passed: list[int] = []
    gate = Gate("conv:c", Log(9).read, lambda _, e: passed.append(e.seq))
    for seq in (7, 9, 5, 8):
        gate.offer(entry(seq))
    assert passed == []
    gate.open_at(6, 6)
    assert passed == [7, 8, 9]


async def test_a_hole_waits_for_a_log_that_is_slower_than_the_bus() -> None:
    passed: list[int] = []
    log = Log(0)
    gate, _ = open_gate(log, passed)
    gate.offer(entry(2))
    while log.reads == 0:
        await asyncio.sleep(0)
        await asyncio.sleep(0.005)
    assert passed == []
    log.last = 2
    assert gate._hole is not None
    await gate._hole
    assert passed == [1, 2]


async def test_the_ring_keeps_the_newest_and_knows_what_it_covers() -> None:
    gate, _ = open_gate(Log(0), [])
    total = RING_ENTRIES + 50
    for seq in range(1, total + 1):
        gate.offer(entry(seq))
    assert gate.covers(total)
    assert gate.covers(total - RING_ENTRIES)
    assert not gate.covers(total - RING_ENTRIES - 1)
    assert len(gate.since(total - 10)) == 10


async def test_a_ring_of_large_entries_is_bounded_by_bytes() -> None:
    gate, _ = open_gate(Log(0), [])
    for seq in range(1, 41):
        gate.offer(entry(seq, "x" * 60_000))
    assert len(gate.recent()) < 20
    assert not gate.covers(0)


async def test_scrubbed_words_leave_the_ring() -> None:
    gate, _ = open_gate(Log(0), [])
    for seq in (1, 2, 3):
        gate.offer(entry(seq, "secret"))
    gate.scrub({2})
    assert [e.gone for e in gate.recent()] == [False, True, False]
    assert sum(b"secret" in frame for frame in gate.since(0)) == 2


async def test_one_frame_is_shared_by_all_subscribers() -> None:
    gate, first = open_gate(Log(0), [])
    second = Seen()
    gate.subscribers.add(second)
    gate.offer(entry(1))
    assert first.frames[0] is second.frames[0]
