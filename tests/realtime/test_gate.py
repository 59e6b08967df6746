"""The gate lets entries through in order and once, whatever the bus does (DESIGN 2)."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.realtime import gate as gate_module
from server.realtime.frames import text_frame
from server.realtime.gate import RING_ENTRIES, Gate, Passed
from server.realtime.protocol import Entry, EntryEvent, encode
from tests.conftest import Run


def entry(seq: int, text: str = "word") -> Entry:
    return Entry(seq, seq, 1_000 + seq, "p_1", f"id{seq:020}", "message", {"text": text})


class Seen:
    """A subscriber that keeps what it is sent."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def send(self, frame: bytes) -> None:
        self.frames.append(frame)

    def transmit(self, frame: bytes) -> None:
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
    gate = Gate("conv:c", log.read, lambda _, e: passed.append(e.seq), Gate.flush)
    gate.open_at(at, at)
    seen = Seen()
    gate.subscribe(seen)
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


async def test_words_are_withheld_from_those_who_came_later_and_no_number_is_missing() -> None:
    """An edit of what was said before somebody's time reaches them without its words: live, and from the ring."""

    def withheld(ch: str, entry: Entry, first: int) -> bool:
        return entry.kind == "edit" and entry.ref is not None and entry.ref < first

    later: list[Gate] = []
    gate = Gate("conv:c", Log(0).read, lambda _, __: None, later.append, withheld)
    gate.open_at(0, 0)
    firsts = {1: Seen(), 3: Seen(), 5: Seen()}
    for first, seen in firsts.items():
        gate.subscribe(seen, first)
    edits = {4: 1, 6: 3, 7: 2}
    for seq in range(1, 9):
        said = entry(seq)
        if seq in edits:
            said = msgspec.structs.replace(said, kind="edit", ref=edits[seq])
        elif seq == 8:
            said = msgspec.structs.replace(said, kind="reaction", ref=1)
        gate.offer(said)
    gate.flush()
    for first, seen in firsts.items():
        data = b"".join(seen.frames)
        told = [found.entry for found in _frames(data)]
        assert [one.seq for one in told] == list(range(1, 9))
        assert {one.seq for one in told if one.gone} == {seq for seq, ref in edits.items() if ref < first}
        assert all(one.body == ({} if one.gone else {"text": "word"}) for one in told)
        assert [found.entry for found in _frames(b"".join(gate.since(0, first)))] == told
        gate.unsubscribe(seen)
    assert gate._late == {}


def _frames(data: bytes) -> list[EntryEvent]:
    found = []
    while data:
        length, start = data[1], 2
        if length == 126:
            length, start = int.from_bytes(data[2:4], "big"), 4
        found.append(msgspec.json.decode(data[start : start + length], type=EntryEvent))
        data = data[start + length :]
    return found


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
    gate = Gate("conv:c", Log(9).read, lambda _, e: passed.append(e.seq), Gate.flush)
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
    gate.subscribe(second)
    gate.offer(entry(1))
    assert first.frames[0] is second.frames[0]


def passed(seq: int, text: str = "word") -> Passed:
    return Passed(entry(seq, text), text_frame(encode(EntryEvent("conv:c", entry(seq, text)))))


async def test_what_one_reads_from_the_log_the_next_has_from_the_ring() -> None:
    """After a restart thousands resume from the same number: one of them reads."""
    gate, _ = open_gate(Log(50), [], at=40)
    assert not gate.covers(30)
    gate.remember([passed(seq) for seq in range(31, 41)])
    assert gate.covers(30)
    gate.offer(entry(41))
    assert [e.seq for e in gate.recent()] == list(range(31, 42))
    gate.remember([passed(seq) for seq in range(20, 35)])  # what the ring has already is left as it is
    assert [e.seq for e in gate.recent()] == list(range(20, 42))


async def test_the_ring_takes_nothing_that_leaves_a_hole_and_no_more_than_it_holds() -> None:
    gate, _ = open_gate(Log(1), [], at=1_000)
    gate.remember([passed(seq) for seq in range(10, 20)])
    assert gate.recent() == []
    gate.remember([passed(seq) for seq in range(1, 1_001)])
    assert [e.seq for e in gate.recent()] == list(range(1_001 - RING_ENTRIES, 1_001))
