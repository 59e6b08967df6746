"""What viewers ask for and report: bounded, believed as far as it can be true, and nobody else's business."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.calls.worker import rtcp
from server.calls.worker.sender import Viewer, Wanted
from server.calls.worker.source import Source
from server.calls.worker.sync import Offset, ntp
from tests.calls.worker.forwarding import (
    VP8,
    Camera,
    Clock,
    Peer,
    Seat,
    contiguous,
    line,
)


def test_packets_are_sent_again_as_they_were_and_not_twice_at_once() -> None:
    seat = Seat()
    one, other = Camera(seat.clock, picture=100), Camera(seat.clock, picture=900)
    for camera in (one, other):
        seat.show(camera.source)
        camera.frame(3, key=True)
    sent = {packet.sequence: packet for packet in seat.got()}
    assert len(sent) == 6
    again = seat.nack(*sent)
    assert contiguous([packet.sequence for packet in again])
    assert {packet.payload_type for packet in again} == {97}
    for packet in again:
        (number,) = struct.unpack_from("!H", packet.payload)
        original = sent[number]
        assert packet.payload[2:] == original.payload
        assert (packet.timestamp, packet.marker) == (original.timestamp, original.marker)
    assert seat.nack(*sent) == []


def test_repetitions_are_never_more_than_what_is_sent() -> None:
    seat = Seat()
    camera = Camera(seat.clock)
    seat.show(camera.source)
    camera.frame(200, key=True)
    for _ in range(100):
        seat.nack(*seat.sequences())
        seat.clock.advance(0.1)
    sender = seat.viewer.senders[1]
    repeated = sum(len(packet.payload) - 2 for packet in seat.got(201))
    assert 0 < repeated <= sender.octets


def test_nobody_gets_what_was_never_sent() -> None:
    seat = Seat()
    camera = Camera(seat.clock)
    camera.frame(20)
    seat.show(camera.source)
    camera.frame(2, key=True)
    first, last = seat.sequences()
    assert seat.nack(*range(first - 30, first), *range(last + 1, last + 30)) == []
    assert seat.nack(first, ssrc=102) == []
    assert seat.nack(first, ssrc=9_999) == []
    assert len(seat.nack(first, last)) == 2


def test_a_picture_that_is_wanted_anew_is_wanted_once_a_second_at_most() -> None:
    seat = Seat()
    camera = Camera(seat.clock)
    seat.show(camera.source)
    camera.frame(key=True)
    camera.asked.clear()
    for _ in range(1_000):
        seat.clock.advance(0.01)
        seat.peer.on_rtcp(rtcp.picture_loss(1, 101))
        camera.frame()
    assert 9 <= len(camera.asked) <= 12
    camera.asked.clear()
    seat.peer.on_rtcp(rtcp.picture_loss(1, 101))
    seat.clock.advance(2)
    assert len(camera.asked) == 1, "asked for too soon, and yet not forgotten"


def test_changes_of_the_view_ask_for_no_more_than_one_keyframe_a_second() -> None:
    """Whoever goes to and fro between people, in all lines at once, disturbs none of those who watch."""
    seat = Seat()
    one, other = Camera(seat.clock), Camera(seat.clock)
    for turn in range(1_000):
        first, second = (one, other) if turn % 2 else (other, one)
        seat.viewer.view({1: Wanted(first.source), 2: Wanted(second.source)})
        for camera in (one, other):
            camera.frame(key=turn % 7 == 0)
        seat.peer.on_rtcp(rtcp.picture_loss(1, 101) + rtcp.picture_loss(1, 102))
        seat.clock.advance(0.01)
    for camera in (one, other):
        assert 8 <= len(camera.asked) <= 15
    seat.show(one.source)
    asked = len(one.asked)
    one.frame()
    seat.clock.advance(2)
    assert len(one.asked) > asked, "and is served yet"


@pytest.mark.parametrize(
    ("packet", "times"),
    [
        (rtcp.generic_nack(1, 9, [1]), 1_000),
        # of numbers that are never given: a viewer's first lies below 0x4000
        (rtcp.generic_nack(1, 101, list(range(0x8000, 0x8100))), 16),
        (rtcp.receiver_report(1, [rtcp.Report(101, 0, 0, 0, 0, 0, 0)] * 31), 5),
    ],
    ids=["packets", "numbers", "reports"],
)
def test_reading_is_bounded(packet: bytes, times: int) -> None:
    seat = Seat()
    camera = Camera(seat.clock)
    seat.show(camera.source)
    camera.frame(key=True)
    for _ in range(times):
        seat.peer.on_rtcp(packet)
    assert seat.nack(*seat.sequences()) == []
    seat.clock.advance(0.5)
    assert len(seat.nack(*seat.sequences())) == 1


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_rubbish_harms_nobody(packets: list[bytes]) -> None:
    seat = Seat()
    for packet in packets:
        seat.peer.on_rtcp(packet)
        for kind in (200, 201, 202, 205, 206):
            for count in (0, 1, 4, 15):
                body = packet[: len(packet) // 4 * 4]
                seat.peer.on_rtcp(struct.pack("!BBH", 0x80 | count, kind, len(body) // 4) + body)
    camera = Camera(seat.clock)
    seat.show(camera.source)
    camera.frame(key=True)
    assert len(seat.got()) == 1


@pytest.mark.parametrize(
    ("pictures", "small", "repeats"),
    [(2, False, 3), (2, True, 2), (1, False, 2)],
    ids=["large", "small for a thin line", "screen"],
)
def test_what_a_large_camera_lost_twice_is_sent_twice(pictures: int, small: bool, repeats: int) -> None:
    seat = Seat()
    camera, other = Camera(seat.clock), Camera(seat.clock)
    seat.show(camera.source, other.source if pictures == 2 else None)
    camera.frame(3, key=True)
    sender = seat.viewer.senders[1]
    sender.choice.small = small
    lost = seat.sequences(101)[1]
    for _ in range(2):
        seat.peer.on_rtcp(rtcp.generic_nack(1, 101, [lost]))
        seat.clock.advance(0.05)
    assert sender.repeats == repeats


# -- what the viewer reports


def report(seat: Seat, lost: int, *, ssrc: int = 101) -> None:
    highest = 0x10000 * (len(seat.got(ssrc)) // 0x10000) + seat.sequences(ssrc)[-1]
    seat.peer.on_rtcp(rtcp.receiver_report(1, [rtcp.Report(ssrc, 0, lost, highest, 0, 0, 0)]))


def test_loss_is_that_of_the_line_not_of_the_publisher() -> None:
    seat = Seat()
    camera = Camera(seat.clock)
    seat.show(camera.source)
    camera.frame(2, key=True)
    report(seat, 0)
    for turn in range(100):
        if turn % 2:
            camera.sequence += 1  # lost before it came to us
        camera.frame()
    report(seat, 50)
    assert seat.viewer.loss == 0
    for _ in range(100):
        camera.frame()
    report(seat, 50 + 25)
    assert seat.viewer.loss == pytest.approx(10)
    seat.clock.advance(3)
    assert seat.viewer.loss == 0


def test_absurd_reports_count_for_nothing() -> None:
    seat = Seat()
    camera = Camera(seat.clock)
    seat.show(camera.source)
    camera.frame(2, key=True)
    for highest, lost in ((5, 0), (1 << 31, 5), (7, -9), (3, 0x7FFFFF), (900_000, 0)):
        seat.peer.on_rtcp(rtcp.receiver_report(1, [rtcp.Report(101, 255, lost, highest, 0, 0, 0)]))
    assert 0 <= seat.viewer.loss <= 100


def estimate(seat: Seat, bitrate: int) -> None:
    exponent = max(0, bitrate.bit_length() - 18)
    mantissa = bitrate >> exponent
    fields = struct.pack("!BBH", 1, exponent << 2 | mantissa >> 16, mantissa & 0xFFFF)
    body = struct.pack("!II", 1, 0) + b"REMB" + fields + struct.pack("!I", 101)
    seat.peer.on_rtcp(struct.pack("!BBH", 0x8F, 206, len(body) // 4) + body)


def test_a_thin_line_gets_the_small_picture_and_nobody_else_does() -> None:
    clock = Clock()
    thin, wide = Seat(clock), Seat(clock)
    large, small = Camera(clock), Camera(clock)
    for seat in (thin, wide):
        seat.show(large.source, small.source)
    for turn in range(100):
        large.frame(25, key=turn == 0)
        small.frame(1, key=turn == 50)
        for camera in (large, small):
            camera.source.measure(clock.now + 0.001)
        if turn % 10 == 0:
            estimate(thin, 30_000)
            estimate(wide, 3_000_000)
        clock.advance(0.1)
    assert thin.viewer.senders[1].live is small.source
    assert wide.viewer.senders[1].live is large.source
    assert contiguous(thin.sequences())
    assert thin.viewer.bitrate == pytest.approx(30_000, rel=0.01)
    clock.advance(11)
    assert thin.viewer.bitrate != pytest.approx(30_000, rel=0.01), "too long ago"


def test_sender_reports_keep_voice_and_picture_together() -> None:
    """One moment of the publisher's is one NTP time in what both tracks' reports say, over switches too."""
    seat = Seat()
    offset = Offset()
    voice = Source("audio", "OPUS", lambda: None, loop=seat.clock, rate=48_000, cname="anna", offset=offset)
    camera = Camera(seat.clock, timestamp=500, cname="anna", offset=offset)
    before = Camera(seat.clock, timestamp=9_999)
    seat.show(before.source)
    before.frame(key=True)
    seat.clock.advance(0.1)
    seat.viewer.view({0: Wanted(voice), 1: Wanted(camera.source)})
    start = seat.clock.now

    def sampled() -> tuple[int, int]:
        """Timestamps of this very moment."""
        return round((seat.clock.now - start) * 48_000), (500 + round(seat.clock.now * 90_000)) & 0xFFFFFFFF

    theirs = ntp(5.0 - start)  # add the moment: their clock
    for turn in range(30):
        sound, _ = sampled()
        voice.put(turn, sound, 0, b"x", seat.clock.now)
        camera.frame(key=turn == 0)
        if turn == 3:
            for source, timestamp in ((voice, sampled()[0]), (camera.source, sampled()[1])):
                # The moment of the reports' making was 30 ms before they came.
                source.report(theirs + ntp(seat.clock.now) - ntp(0), timestamp, seat.clock.now + 0.03)
        seat.clock.advance(0.05)
    infos = [rtcp.sender_info(part) for part in seat.peer.parts(rtcp.SR)]
    last = {info.ssrc: info for info in infos if info is not None}
    assert set(last) == {100, 101}
    assert last[100].ntp == last[101].ntp
    # What went out with the last packets, which were of one moment, lies equally far behind that.
    ago = [
        ((last[ssrc].rtp - seat.got(ssrc)[-1].timestamp + 0x80000000 & 0xFFFFFFFF) - 0x80000000) / rate
        for ssrc, rate in ((100, 48_000), (101, 90_000))
    ]
    assert ago[0] == pytest.approx(ago[1], abs=0.001)
    assert last[101].packets <= len(seat.got(101))
    names = [part.body for part in seat.peer.parts(rtcp.SDES)]
    assert all(b"anna" in name for name in names)


def test_idle_lines_report_nothing() -> None:
    seat = Seat()
    camera = Camera(seat.clock)
    seat.show(camera.source)
    camera.frame(key=True)
    seat.clock.advance(1)
    assert len(seat.peer.parts(rtcp.SR)) == 1
    seat.clock.advance(10)
    assert len(seat.peer.parts(rtcp.SR)) <= 3


def test_all_viewers_look_at_the_same_moments_and_once() -> None:
    clock = Clock()
    moments: set[float] = set()
    call_later = clock.call_later

    def noted(delay: float, callback: Callable[[], object], /) -> asyncio.TimerHandle:
        moments.add(round(clock.now + delay, 6))
        return call_later(delay - 1e-9, callback)  # loops are early by so much

    clock.call_later = noted  # type: ignore[method-assign]
    for _ in range(20):
        Viewer(Peer(line(0, VP8)), clock)
        clock.advance(0.037)
    clock.advance(5 - 20 * 0.037)
    assert len(moments) <= 11


def test_after_the_end_nothing_is_said() -> None:
    seat = Seat()
    camera = Camera(seat.clock)
    seat.show(camera.source)
    camera.frame(key=True)
    seat.viewer.close()
    seat.viewer.close()
    camera.frame(key=True)
    seat.nack(*seat.sequences())
    seat.clock.advance(10)
    assert len(seat.got()) == 1
    assert seat.clock.timers == 0
    assert camera.source.live == camera.source.waiting == []


def test_many_cameras_begin_small_beyond_the_first() -> None:
    clock = Clock()
    peer = Peer(*(line(index, VP8) for index in range(8)))
    viewer = Viewer(peer, clock)
    wanted = {index: Wanted(Camera(clock).source, Camera(clock).source) for index in range(8)}
    viewer.view(wanted)
    assert [sender.choice.small for sender in viewer.senders.values()] == [False] * 4 + [True] * 4
    viewer.view(wanted)
    assert [sender.choice.small for sender in viewer.senders.values()] == [False] * 4 + [True] * 4
