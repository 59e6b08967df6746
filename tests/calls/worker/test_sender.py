"""The sending end: one unbroken stream for the browser, whatever is shown in it, and nothing to be had by asking."""

from __future__ import annotations

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.calls.worker import rtcp
from server.calls.worker.sender import Viewer, Wanted
from server.calls.worker.source import Source
from server.calls.worker.sync import Offset, ntp
from tests.calls.worker.forwarding import (
    H264,
    OPUS,
    VP8,
    Camera,
    Clock,
    Got,
    Peer,
    contiguous,
    got,
    line,
    numbers,
)


class Seat:
    """Somebody watches: a voice in line 0, pictures in lines 1 and 2."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.peer = Peer(line(0, OPUS), line(1, VP8), line(2, VP8))
        self.viewer = Viewer(self.peer, self.clock)

    def show(self, source: Source | None, small: Source | None = None) -> None:
        self.viewer.view({1: Wanted(source, small)})

    def got(self, ssrc: int = 101) -> list[Got]:
        return [packet for packet in map(got, self.peer.rtp) if packet.ssrc == ssrc]

    def sequences(self, ssrc: int = 101) -> list[int]:
        return [packet.sequence for packet in self.got(ssrc)]

    def nack(self, *missing: int, ssrc: int = 101) -> list[Got]:
        """What comes again for that."""
        before = len(self.got(201))
        self.peer.on_rtcp(rtcp.generic_nack(1, ssrc, [number & 0xFFFF for number in missing]))
        return self.got(201)[before:]


def test_pictures_begin_with_a_keyframe_that_was_asked_for() -> None:
    seat = Seat()
    camera = Camera(seat.clock)
    camera.frame()
    seat.show(camera.source)
    assert camera.asked == [seat.clock.now]
    camera.frame(3)
    assert seat.got() == []
    camera.frame(2, key=True)
    camera.frame()
    found = seat.got()
    assert [packet.marker for packet in found] == [0, 1, 1]
    assert contiguous(seat.sequences())
    assert {(packet.payload_type, packet.mid) for packet in found} == {(96, b"1")}


def test_who_is_not_up_yet_misses_no_keyframe() -> None:
    seat = Seat()
    seat.peer.up = False
    camera = Camera(seat.clock)
    seat.show(camera.source)
    camera.frame(key=True)
    assert (seat.got(), camera.asked) == ([], [])
    seat.peer.up = True
    camera.frame()
    assert len(camera.asked) == 1
    camera.frame(key=True)
    assert len(seat.got()) == 1


def test_a_keyframe_that_does_not_come_is_asked_for_again() -> None:
    seat = Seat()
    camera = Camera(seat.clock)
    camera.frame()
    seat.show(camera.source)
    for _ in range(40):
        camera.frame()
        seat.clock.advance(0.1)
    assert 3 <= len(camera.asked) <= 5


def test_a_source_of_another_codec_is_not_shown() -> None:
    seat = Seat()
    source = Source("video", "H264", lambda: None, loop=seat.clock)
    seat.show(source)
    source.put(1, 1, 1, b"\x67abc", seat.clock.now)
    assert seat.got() == []
    peer = Peer(line(0, H264))
    Viewer(peer, seat.clock).view({0: Wanted(source)})
    source.put(2, 1, 1, b"\x65abc", seat.clock.now)
    assert peer.rtp == [], "a picture without its parameters"
    source.put(3, 1, 1, b"\x18\x00\x03\x67ab\x00\x02\x68a", seat.clock.now)
    source.put(4, 1, 1, b"\x65abc", seat.clock.now)
    assert [got(packet).payload[0] for packet in peer.rtp] == [0x18, 0x65]


def test_sound_changes_at_once_and_says_so() -> None:
    seat = Seat()
    voices = [Source("audio", "OPUS", lambda: None, loop=seat.clock, rate=48_000) for _ in range(2)]
    for turn in range(6):
        seat.viewer.view({0: Wanted(voices[turn // 3])})
        voices[turn // 3].put(40_000 * (turn // 3) + turn, 960 * turn, 0, b"%d" % turn, seat.clock.now)
        seat.clock.advance(0.02)
    found = seat.got(100)
    assert [packet.payload for packet in found] == [b"%d" % turn for turn in range(6)]
    assert contiguous(seat.sequences(100))
    assert [packet.marker for packet in found if packet.payload in (b"0", b"3")] == [1, 1]


def test_what_somebody_else_shows_stops_at_once() -> None:
    seat = Seat()
    one, other = Camera(seat.clock), Camera(seat.clock)
    seat.show(one.source)
    one.frame(key=True)
    seat.show(other.source)
    one.frame()
    other.frame()
    assert len(seat.got()) == 1
    other.frame(key=True)
    assert len(seat.got()) == 2
    seat.show(None)
    other.frame()
    assert len(seat.got()) == 2
    assert one.source.live == other.source.live == one.source.waiting == other.source.waiting == []


def test_a_switch_goes_on_in_numbers_time_and_picture_ids() -> None:
    seat = Seat()
    one = Camera(seat.clock, sequence=65_530, timestamp=0xFFFFFF00, picture=32_766, level=250)
    other = Camera(seat.clock, sequence=100, timestamp=77, picture=5, level=9)
    moments = []
    for turn in range(60):
        camera, still = (one, other) if turn % 20 < 10 else (other, one)
        seat.show(camera.source)
        still.frame()
        camera.frame(2, key=turn % 10 == 0)
        moments.append(seat.clock.now)
        seat.clock.advance(0.04)
    found = seat.got()
    assert len(found) == 120
    assert contiguous(seat.sequences())
    for (before, after), (early, late) in zip(
        zip(found[::2], found[2::2], strict=False), itertools.pairwise(moments), strict=True
    ):
        passed = (after.timestamp - before.timestamp) & 0xFFFFFFFF
        assert passed == pytest.approx((late - early) * 90_000, abs=3)
    pictures = [numbers(packet.payload) for packet in found[::2]]
    first, level = pictures[0]
    assert pictures == [((first + place) & 0x7FFF, (level + place) & 0xFF) for place in range(60)]
    assert [numbers(packet.payload) for packet in found[1::2]] == pictures


def test_large_and_small_change_over_at_a_keyframe_without_a_pause() -> None:
    seat = Seat()
    large, small = Camera(seat.clock), Camera(seat.clock)
    seat.show(large.source, small.source)
    large.frame(key=True)
    small.frame()
    seat.viewer.senders[1].choice.small = True
    seat.viewer.senders[1].tick()
    assert len(small.asked) == 1
    large.frame()
    small.frame()
    assert len(seat.got()) == 2, "large until there is a small keyframe"
    small.frame(key=True)
    large.frame()
    small.frame()
    assert len(seat.got()) == 4
    assert contiguous(seat.sequences())


def test_the_picture_that_flows_is_shown_when_the_other_does_not() -> None:
    seat = Seat()
    large, small = Camera(seat.clock), Camera(seat.clock)
    seat.show(large.source, small.source)
    large.frame(key=True)
    for _ in range(6):
        small.frame()
        seat.clock.advance(0.5)
    small.frame(key=True)
    assert len(seat.got()) == 2
    seat.show(None, small.source)
    small.frame()
    assert len(seat.got()) == 3


def test_a_keyframe_that_comes_in_disorder_is_whole() -> None:
    seat = Seat()
    camera = Camera(seat.clock)
    camera.frame()
    seat.show(camera.source)
    first, second, third, fourth = camera.packets(4, key=True)
    for packet in (third, second, first, fourth):
        camera.put(packet)
    found = seat.got()
    assert len(found) == 4
    assert contiguous(sorted(seat.sequences()))


def test_what_comes_late_from_a_source_that_was_left_is_dropped() -> None:
    seat = Seat()
    one, other = Camera(seat.clock), Camera(seat.clock)
    seat.show(one.source)
    one.frame(key=True)
    late, newest = one.packets(2)
    one.put(newest)
    seat.show(other.source)
    other.frame(key=True)
    seat.show(one.source)
    one.frame(key=True)
    one.put(late)
    assert len(seat.got()) == 4
    assert len(set(seat.sequences())) == 4


def test_a_source_that_begins_anew_is_shown_from_its_next_keyframe() -> None:
    seat = Seat()
    camera = Camera(seat.clock, picture=30)
    seat.show(camera.source)
    camera.frame(2, key=True)
    seat.clock.advance(0.5)
    again = Camera(seat.clock, sequence=9_000, timestamp=123_456_789, picture=700)
    (packet,) = again.packets()
    camera.source.put(*packet, seat.clock.now, anew=True)
    assert len(seat.got()) == 2
    assert len(camera.asked) == 1
    (packet,) = again.packets(key=True)
    camera.source.put(*packet, seat.clock.now)
    first, _, last = seat.got()
    assert contiguous(seat.sequences())
    assert (last.timestamp - first.timestamp) & 0xFFFFFFFF == pytest.approx(45_000, abs=5)
    assert numbers(last.payload)[0] == 31


@st.composite
def scenes(draw: st.DrawFn) -> list[tuple[str, int]]:
    return draw(
        st.lists(
            st.tuples(
                st.sampled_from(["frame", "frame", "frame", "key", "late", "lose", "pad", "show", "hide", "anew"]),
                st.integers(0, 2),
            ),
            min_size=5,
            max_size=80,
        )
    )


@given(scenes(), st.integers(0, 0xFFFF), st.booleans())
def test_no_hole_and_no_repeat_is_ours(scene: list[tuple[str, int]], first: int, lossless: bool) -> None:
    """Whatever happens, each number goes out once; and when nothing was lost or late, without a hole."""
    seat = Seat()
    cameras = [Camera(seat.clock, sequence=(first + 30_000 * place) & 0xFFFF) for place in range(3)]
    late: list[tuple[Camera, tuple[int, int, int, bytes]]] = []
    for what, place in scene:
        camera = cameras[place]
        if what in ("frame", "key"):
            camera.frame(1 + place, key=what == "key")
        elif what in ("late", "lose") and not lossless:
            kept, *others = camera.packets(2)
            if what == "late":
                late.append((camera, kept))
            for packet in others:
                camera.put(packet)
        elif what == "pad":
            camera.source.put(camera.sequence & 0xFFFF, 0, 0, b"", seat.clock.now)
            camera.sequence += 1
        elif what == "show":
            seat.show(camera.source)
        elif what == "hide":
            seat.show(None)
        elif what == "anew":
            camera.sequence = (camera.sequence + 20_000) & 0xFFFF
            (packet,) = camera.packets(key=True)
            camera.source.put(*packet, seat.clock.now, anew=True)
        if late and place == 0:
            behind, packet = late.pop(0)
            behind.put(packet)
        seat.clock.advance(0.02)
    sequences = seat.sequences()
    assert len(set(sequences)) == len(sequences)
    if lossless:
        assert contiguous(sequences)
        found = [(numbers(packet.payload)[0], packet.timestamp) for packet in seat.got()]
        for (early, before), (later, after) in itertools.pairwise(found):
            assert (later - early) & 0x7FFF < 0x4000, "picture ids never go back"
            assert (after - before) & 0xFFFFFFFF < 0x80000000, "nor does time"


# -- what the viewer asks for


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


@pytest.mark.parametrize(
    ("packet", "times"),
    [
        (rtcp.generic_nack(1, 9, [1]), 1_000),
        (rtcp.generic_nack(1, 101, list(range(256))), 16),
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
