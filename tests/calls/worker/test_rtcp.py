"""RTCP: against another implementation, and against rubbish."""

from __future__ import annotations

import struct

import pytest
from aiortc.rtp import (
    RtcpPacket,
    RtcpPsfbPacket,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSdesPacket,
    RtcpSrPacket,
    pack_remb_fci,
    unpack_remb_fci,
)
from hypothesis import given
from hypothesis import strategies as st

from server.calls.worker import rtcp
from server.calls.worker.arrivals import Arrivals

U8, U32 = st.integers(0, 255), st.integers(0, 0xFFFFFFFF)
REPORTS = st.lists(st.builds(rtcp.Report, U32, U8, st.integers(-0x800000, 0x7FFFFF), U32, U32, U32, U32), max_size=31)


@given(U32, REPORTS)
def test_receiver_reports(ssrc: int, blocks: list[rtcp.Report]) -> None:
    written = rtcp.receiver_report(ssrc, blocks)
    (theirs,) = RtcpPacket.parse(written)
    assert isinstance(theirs, RtcpRrPacket)
    assert theirs.ssrc == ssrc
    assert [(block.ssrc, block.packets_lost, block.highest_sequence) for block in theirs.reports] == [
        (block.ssrc, block.lost, block.highest) for block in blocks
    ]
    (part,) = rtcp.parts(bytes(theirs))
    assert rtcp.reports(part) == blocks


@given(
    st.builds(rtcp.SenderInfo, U32, st.integers(0, 2**64 - 1), U32, U32, U32), st.text("abc0", min_size=1, max_size=9)
)
def test_sender_reports_with_names(info: rtcp.SenderInfo, name: str) -> None:
    report, names = RtcpPacket.parse(rtcp.sender_report(info) + rtcp.description(info.ssrc, name))
    assert isinstance(report, RtcpSrPacket)
    assert isinstance(names, RtcpSdesPacket)
    said = report.sender_info
    assert (said.ntp_timestamp, said.rtp_timestamp) == (info.ntp, info.rtp)
    assert (said.packet_count, said.octet_count) == (info.packets, info.octets)
    assert [(chunk.ssrc, chunk.items) for chunk in names.chunks] == [
        (info.ssrc, [(1, name.encode())]),
    ]
    part = rtcp.parts(bytes(report))[0]
    assert rtcp.sender_info(part) == info


@given(st.integers(0, 0xFFFF), st.lists(st.integers(1, 40), max_size=40))
def test_what_is_missing(first: int, steps: list[int]) -> None:
    missing = [first]
    for step in steps:
        missing.append((missing[-1] + step) & 0xFFFF)
    written = rtcp.generic_nack(1, 2, missing)
    (theirs,) = RtcpPacket.parse(written)
    assert isinstance(theirs, RtcpRtpfbPacket)
    assert [number & 0xFFFF for number in theirs.lost] == missing
    asked = rtcp.nacks(rtcp.parts(written)[0])
    assert asked is not None
    assert asked == (2, missing)


def test_nobody_asks_for_everything() -> None:
    greedy = struct.pack("!BBHII", 0x81, 205, 2 + 4_000, 1, 2) + b"".join(
        struct.pack("!HH", 17 * place & 0xFFFF, 0xFFFF) for place in range(4_000)
    )
    asked = rtcp.nacks(rtcp.parts(greedy)[0])
    assert asked is not None
    assert len(asked[1]) == rtcp.MAX_NACKS


def test_keyframes_are_wanted_in_two_ways() -> None:
    (theirs,) = RtcpPacket.parse(rtcp.picture_loss(1, 2))
    assert isinstance(theirs, RtcpPsfbPacket)
    assert (theirs.fmt, theirs.ssrc, theirs.media_ssrc) == (1, 1, 2)
    assert rtcp.keyframes_wanted(rtcp.parts(bytes(theirs))[0]) == [2]
    intra = RtcpPsfbPacket(fmt=4, ssrc=1, media_ssrc=0, fci=struct.pack("!IIII", 5, 0, 6, 0))
    assert rtcp.keyframes_wanted(rtcp.parts(bytes(intra))[0]) == [5, 6]


@given(st.integers(0, 10**10))
def test_an_estimate(bitrate: int) -> None:
    written = RtcpPsfbPacket(fmt=15, ssrc=1, media_ssrc=0, fci=pack_remb_fci(bitrate, [5]))
    found = rtcp.remb(rtcp.parts(bytes(written))[0])
    assert found == pytest.approx(bitrate, rel=1e-4, abs=1)


@given(st.integers(0, 10**10), st.lists(U32, max_size=20))
def test_an_estimate_of_ours(bitrate: int, of: list[int]) -> None:
    (theirs,) = RtcpPacket.parse(rtcp.estimate(7, bitrate, of))
    assert isinstance(theirs, RtcpPsfbPacket)
    found, ssrcs = unpack_remb_fci(theirs.fci)
    assert found == pytest.approx(bitrate, rel=1e-4)
    assert ssrcs == of


@given(st.binary(max_size=80) | st.binary(max_size=80).map(lambda rest: b"\x81\xcd\x00\x03" + rest))
def test_rubbish_is_dropped(data: bytes) -> None:
    for part in rtcp.parts(data):
        rtcp.sender_info(part)
        rtcp.reports(part)
        rtcp.nacks(part)
        rtcp.keyframes_wanted(part)
        rtcp.remb(part)


def test_what_is_partly_wrong_is_wholly_dropped() -> None:
    good = rtcp.picture_loss(1, 2)
    assert len(rtcp.parts(good + good)) == 2
    assert rtcp.parts(good + good[:-1]) == []
    assert rtcp.parts(good + b"\x00" + good[1:]) == []
    assert rtcp.parts(good * (rtcp.MAX_PARTS + 1)) == []
    assert rtcp.parts(b"\xa1" + good[1:-1] + b"\x00") == [], "padding of no length"
    assert rtcp.parts(b"\xa1" + good[1:-1] + b"\x40") == [], "more padding than packet"
    assert rtcp.reports(rtcp.Part(rtcp.RR, 31, bytes(28))) == []
    assert rtcp.sender_info(rtcp.Part(rtcp.SR, 0, bytes(23))) is None


# -- when packets came


def told(packet: bytes) -> dict[int, float | None]:
    """Reads feedback of the transport, as its draft says: number → seconds."""
    (part,) = rtcp.parts(packet)
    assert (part.kind, part.count) == (205, 15)
    first, count = struct.unpack_from("!HH", part.body, 8)
    reference = int.from_bytes(part.body[12:15], "big")
    at = 16
    symbols: list[int] = []
    while len(symbols) < count:
        (chunk,) = struct.unpack_from("!H", part.body, at)
        at += 2
        if chunk & 0x8000:
            assert chunk & 0x4000
            symbols += [chunk >> (12 - 2 * place) & 3 for place in range(7)]
        else:
            symbols += [chunk >> 13] * (chunk & 0x1FFF)
    found: dict[int, float | None] = {}
    ticks = reference * 256
    for place, symbol in enumerate(symbols[:count]):
        if symbol == 0:
            found[(first + place) & 0xFFFF] = None
            continue
        size = symbol
        ticks += int.from_bytes(part.body[at : at + size], "big", signed=size == 2)
        at += size
        found[(first + place) & 0xFFFF] = ticks / 4000
    assert len(part.body) - at < 4
    assert not any(part.body[at:])
    return found


@given(
    st.integers(0, 0xFFFF),
    st.lists(st.tuples(st.integers(0, 30), st.floats(0, 0.05)), min_size=1, max_size=80),
    st.floats(1, 10_000),
)
def test_the_transport_is_told_when_packets_came(first: int, packets: list[tuple[int, float]], now: float) -> None:
    arrivals = Arrivals()
    sent: dict[int, float] = {}
    number = first
    for skipped, wait in packets:
        now += wait
        sent[number & 0xFFFF] = now
        arrivals.add(number & 0xFFFF, now)
        number += 1 + skipped
    found: dict[int, float | None] = {}
    for packet in arrivals.feedback(1, 2):
        found |= told(packet)
    assert {number for number, at in found.items() if at is not None} == set(sent)
    for number, at in sent.items():
        assert found[number] == pytest.approx(at, abs=0.0006)
    assert arrivals.feedback(1, 2) == []


@given(
    st.integers(0, 0xFFFF),
    st.lists(st.none() | st.floats(-4, 4), max_size=600),
    st.floats(5, 10_000) | st.floats(2**24 * 0.064 - 3, 2**24 * 0.064 + 3),
)
def test_late_and_early_packets_are_told_over_every_turn(first: int, apart: list[float | None], now: float) -> None:
    """In any order, with long gaps, over the turns of numbers (16 bits) and of the reference (24 bits of 64 ms)."""
    arrivals = [now, *(None if wait is None else now + wait for wait in apart)]
    found = told(rtcp.transport_feedback(1, 2, first, arrivals, 3))
    turn = 2**24 * 0.064
    assert len(found) == len(arrivals)
    for place, at in enumerate(arrivals):
        said = found[(first + place) & 0xFFFF]
        assert (said is None) == (at is None)
        if at is not None and said is not None:
            assert (said - at + turn / 2) % turn - turn / 2 == pytest.approx(0, abs=0.0006)


def test_what_did_not_come_between_two_feedbacks_is_told() -> None:
    arrivals = Arrivals()
    arrivals.add(0xFFFE, 1.0)
    assert told(arrivals.feedback(1, 2)[0]) == {0xFFFE: 1.0}
    arrivals.add(1, 1.01)
    found = told(arrivals.feedback(1, 2)[0])
    assert [found[0xFFFF], found[0]] == [None, None]
    assert found[1] == pytest.approx(1.01, abs=0.0003)
    arrivals.add(0, 1.02)  # late
    found = told(arrivals.feedback(1, 2)[0])
    assert found[0] == pytest.approx(1.02, abs=0.0003)


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.floats(0, 100)), max_size=200))
def test_absurd_numbers_make_no_long_feedback(packets: list[tuple[int, float]]) -> None:
    arrivals = Arrivals()
    for number, at in packets:
        arrivals.add(number, at)
    written = arrivals.feedback(1, 2)
    assert len(written) <= 10
    assert sum(map(len, written)) <= 10_000
    for packet in written:
        told(packet)
