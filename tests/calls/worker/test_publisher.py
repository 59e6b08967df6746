"""The receiving end: which track a packet is of, what is asked for again, what is reported."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.calls.wire import Track
from server.calls.worker import rtcp, sdp
from server.calls.worker.feedback import Publisher
from server.calls.worker.packets import extension, read
from server.calls.worker.sender import Viewer, Wanted
from server.calls.worker.sync import ntp
from tests.calls.worker.forwarding import H264, OPUS, VP8, Clock, Peer, got, line, rtp, vp8

TRACKS = {"0": Track.VOICE, "1": Track.CAMERA, "2": Track.SMALL}


class Stage:
    """Somebody publishes a voice, a camera and its small picture; what comes out is kept."""

    def __init__(self, *, named: bool = True) -> None:
        self.clock = Clock()
        known = {"ssrcs": (11, 12), "rtx_of": {12: 11}} if named else {}
        self.peer = Peer(line(0, OPUS), line(1, VP8, **known), line(2, VP8))
        self.publisher = Publisher(self.peer, TRACKS, self.clock)
        self.taken: dict[Track, list[tuple[int, bytes]]] = {track: [] for track in TRACKS.values()}
        for track, source in self.publisher.sources.items():
            taken = self.taken[track]
            source.taps.add(lambda sequence, ts, marker, payload, taken=taken: taken.append((sequence, payload)))  # type: ignore[misc]

    def rtp(
        self, ssrc: int, payload_type: int, sequence: int, payload: bytes = b"xyz", mid: str = "", wide: int = -1
    ) -> None:
        extensions = {4: mid.encode()} if mid else {}
        if wide >= 0:
            extensions[3] = struct.pack("!H", wide)
        self.peer.on_rtp(
            rtp(ssrc, payload_type, sequence, sequence * 3_000, payload, extensions=extensions), self.clock.now
        )

    def asked(self) -> list[int]:
        """Numbers that were asked for, since the last time."""
        found = [rtcp.nacks(part) for part in self.peer.parts(rtcp.RTPFB) if part.count == rtcp.NACK]
        self.peer.rtcp.clear()
        return [number for entry in found if entry is not None for number in entry[1]]


def payloads(taken: list[tuple[int, bytes]]) -> list[bytes]:
    return [payload for _, payload in taken]


def test_ssrcs_are_those_of_the_offer_or_named_by_the_packet() -> None:
    stage = Stage()
    stage.rtp(11, 96, 1, b"camera")
    stage.rtp(21, 96, 1, b"small", mid="2")
    stage.rtp(21, 96, 2, b"small again")
    stage.rtp(31, 111, 1, b"voice")  # nobody else has this payload type
    stage.rtp(41, 96, 1, b"two could have sent this")
    stage.rtp(51, 96, 1, b"no such line", mid="9")
    stage.rtp(21, 55, 3, b"no such payload")
    assert payloads(stage.taken[Track.CAMERA]) == [b"camera"]
    assert payloads(stage.taken[Track.SMALL]) == [b"small", b"small again"]
    assert payloads(stage.taken[Track.VOICE]) == [b"voice"]


def test_another_ssrc_takes_the_place_of_the_first_for_good() -> None:
    stage = Stage()
    for turn in range(200):
        stage.rtp(1_000 + turn, 96, turn, b"a", mid="1")
        stage.rtp(1_000, 96, turn + 1, b"the first once more", mid="1")
    taken = stage.taken[Track.CAMERA]
    assert payloads(taken)[:3] == [b"a", b"the first once more", b"a"]
    assert b"the first once more" not in payloads(taken)[2:]
    assert len(taken) < 20, "nobody begins anew for ever"
    numbers = [number for number, _ in taken]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


@pytest.mark.parametrize("named", [True, False])
def test_a_hole_is_asked_for_and_filled_by_a_retransmission(named: bool) -> None:
    stage = Stage(named=named)
    stage.rtp(11, 96, 65_534, b"a", mid="1")
    stage.rtp(11, 96, 1, b"d", mid="1")
    assert stage.asked() == [65_535, 0]
    stage.rtp(12, 97, 500, struct.pack("!H", 65_535) + b"b", mid="1")
    stage.rtp(12, 97, 501, struct.pack("!H", 65_535) + b"b", mid="1")  # once more
    stage.clock.advance(0.1)
    assert set(stage.asked()) == {0}
    stage.rtp(12, 97, 502, struct.pack("!H", 0) + b"c", mid="1")
    stage.clock.advance(1)
    assert stage.asked() == []
    assert [payload for _, payload in sorted(stage.taken[Track.CAMERA])] == [b"a", b"b", b"c", b"d"]


def test_what_does_not_come_is_given_up() -> None:
    stage = Stage()
    stage.rtp(11, 96, 1)
    stage.rtp(11, 96, 3)
    stage.clock.advance(5)
    assert 2 <= len(stage.asked()) <= 9
    stage.clock.advance(5)
    assert stage.asked() == []


@given(st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=60))
def test_absurd_holes_are_not_asked_for(sequences: list[int]) -> None:
    stage = Stage()
    for sequence in sequences:
        stage.rtp(11, 96, sequence)
        assert len(stage.asked()) <= 200
    stage.clock.advance(0.06)
    assert len(stage.asked()) <= 200


def test_retransmissions_are_no_way_to_begin_anew() -> None:
    stage = Stage()
    stage.rtp(11, 96, 1_000)
    for original in (1_001, 1_002, 30_000, 30_001, 60_000, 60_001):
        stage.rtp(12, 97, original, struct.pack("!H", original) + b"x")
    stage.rtp(12, 97, 7, b"\x03")
    assert len(stage.taken[Track.CAMERA]) == 1
    assert stage.publisher.sources[Track.CAMERA].ring.restarts == 0


def test_voices_are_not_asked_for_again() -> None:
    stage = Stage()
    stage.rtp(31, 111, 1)
    stage.rtp(31, 111, 4)
    stage.clock.advance(0.5)
    assert stage.asked() == []


def test_how_loud_a_voice_is_reaches_who_hears_it() -> None:
    """Browsers show by it who speaks (RFC 6464); ids are each connection's own."""
    clock = Clock()
    peer = Peer(line(0, OPUS, extensions={sdp.MID: 4, sdp.AUDIO_LEVEL: 10}))
    publisher = Publisher(peer, {"0": Track.VOICE}, clock)
    told = line(0, OPUS, extensions={sdp.MID: 4, sdp.ABS_SEND_TIME: 2, sdp.AUDIO_LEVEL: 7})
    seats = Peer(told), Peer(line(0, OPUS))
    for seat in seats:
        Viewer(seat, clock).view({0: Wanted(publisher.sources[Track.VOICE])})
    for turn, level in enumerate((b"\x85", b"\x7f", b"")):
        said = {4: b"0", 10: level} if level else {4: b"0"}
        peer.on_rtp(rtp(31, 111, turn, 960 * turn, b"voice", extensions=said), clock.now)
    found = []
    for seat in seats:
        headers = [read(packet) for packet in seat.rtp]
        found.append([extension(packet, h[5], h[6], 7) for packet, h in zip(seat.rtp, headers, strict=True) if h])
        assert [got(packet).payload for packet in seat.rtp] == [b"voice"] * 3
    assert found == [[b"\x85", b"\x7f", None], [None] * 3]


def test_nobody_publishes_without_bound() -> None:
    """Each viewer would get it, too. A burst passes, and a browser's three pictures always do."""
    stage = Stage()
    taken = stage.taken[Track.CAMERA]
    for turn in range(40_000):
        stage.rtp(11, 96, turn, bytes(1_000))
        stage.clock.advance(0.0001)  # 80 Mbit/s
    assert 8_000 < len(taken) < 11_000
    assert stage.publisher.dropped + len(taken) == 40_000
    stage.clock.advance(30)
    taken.clear()
    for turn in range(4_000):
        stage.rtp(11, 96, 40_000 + turn, bytes(1_000))
        stage.clock.advance(0.001)
    assert len(taken) >= 4_000 - 1, "but for the first of another numbering"


@pytest.mark.parametrize("lost", [0, 4])
def test_who_cannot_be_told_when_packets_came_is_told_how_much_to_send(lost: int) -> None:
    """REMB, for publishers without transport-wide feedback: up while nothing is lost, down with loss."""
    clock = Clock()
    codec = msgspec.structs.replace(VP8, feedback=frozenset({"nack", "goog-remb"}))
    peer = Peer(line(0, OPUS), line(1, codec, ssrcs=(11,)))
    publisher = Publisher(peer, TRACKS, clock)
    for turn in range(6_000):
        if not lost or turn % lost:
            peer.on_rtp(rtp(11, 96, turn, turn * 3_000, bytes(1_000)), clock.now)
        clock.advance(0.005)
    found = [estimate for part in peer.parts(rtcp.PSFB) if (estimate := rtcp.remb(part)) is not None]
    assert 25 <= len(found) <= 32
    if lost:
        assert found[-1] < 1_400_000
        assert found == sorted(found, reverse=True)
        assert found[-1] >= 150_000
    else:
        assert found == sorted(found)
        assert 3_000_000 < found[-1] <= 4_000_000
    publisher.close()


def test_who_is_told_when_packets_came_is_told_nothing_else() -> None:
    stage = Stage()
    for number in range(400):
        stage.rtp(11, 96, number, wide=number)
        stage.clock.advance(0.01)
    assert not any(rtcp.remb(part) is not None for part in stage.peer.parts(rtcp.PSFB))


def test_keyframes_are_asked_for_where_the_picture_comes_from() -> None:
    stage = Stage()
    camera, small = stage.publisher.sources[Track.CAMERA], stage.publisher.sources[Track.SMALL]
    small.request_keyframe()
    assert stage.peer.parts(rtcp.PSFB) == [], "nobody knows whom to ask"
    camera.request_keyframe()
    stage.rtp(21, 96, 1, mid="2")
    stage.clock.advance(1)
    small.request_keyframe()
    asked = [ssrc for part in stage.peer.parts(rtcp.PSFB) for ssrc in rtcp.keyframes_wanted(part)]
    assert asked == [11, 21]


def test_the_line_is_told_about_every_50_ms() -> None:
    stage = Stage()
    for number in range(40):
        stage.rtp(11, 96, number, wide=(65_530 + number) & 0xFFFF)
        stage.clock.advance(0.01)
    stage.clock.advance(0.01)
    told = [part for part in stage.peer.parts(rtcp.RTPFB) if part.count == rtcp.TRANSPORT_CC]
    assert len(told) == 8
    counted = [struct.unpack_from("!H", part.body, 10)[0] for part in told]
    assert sum(counted) == 40
    assert all(part.body[:4] == struct.pack("!I", stage.peer.ssrc) for part in told)


def test_nobody_wakes_up_to_look_while_packets_come_nor_when_none_do() -> None:
    stage = Stage()
    woken: list[float] = []
    call_later = stage.clock.call_later

    def counted(delay: float, callback: Callable[[], object], /) -> asyncio.TimerHandle:
        def wake() -> None:
            woken.append(stage.clock.now)
            callback()

        return call_later(delay, wake)

    stage.clock.call_later = counted  # type: ignore[method-assign]
    for number in range(500):
        stage.rtp(11, 96, number, wide=number)
        stage.clock.advance(0.01)
    assert woken == []
    stage.clock.advance(0.06)  # what came last is told of
    told = [part for part in stage.peer.parts(rtcp.RTPFB) if part.count == rtcp.TRANSPORT_CC]
    assert sum(struct.unpack_from("!H", part.body, 10)[0] for part in told) == 500
    stage.clock.advance(10)
    assert len(woken) <= 13, "one for what came last, one to see that nothing comes, and one for each report"
    assert len(stage.peer.parts(rtcp.RR)) in (14, 15)
    woken.clear()
    stage.rtp(11, 96, 500, wide=500)  # and it goes on
    stage.clock.advance(0.06)
    assert stage.peer.parts(rtcp.RTPFB)[-1].count == rtcp.TRANSPORT_CC
    assert len(woken) == 1


def test_receiver_reports_say_what_was_lost() -> None:
    stage = Stage()
    for sequence in range(65_500, 65_700):
        if sequence % 4:
            stage.rtp(11, 96, sequence & 0xFFFF)
        stage.clock.advance(0.004)
    stage.peer.rtcp.clear()
    stage.clock.advance(0.5)
    (part,) = stage.peer.parts(rtcp.RR)
    (report,) = rtcp.reports(part)
    assert report.ssrc == 11
    assert report.lost == 49
    assert report.fraction == pytest.approx(64, abs=1)
    assert report.highest == 65_699
    (names,) = stage.peer.parts(rtcp.SDES)
    assert stage.peer.cname.encode() in names.body
    assert stage.publisher.sources[Track.CAMERA].bitrate > 0


def test_sender_reports_are_for_sync_and_answered() -> None:
    stage = Stage()
    stage.rtp(31, 111, 1)
    stage.rtp(11, 96, 1)
    camera = stage.publisher.sources[Track.CAMERA]
    theirs = ntp(stage.clock.now - 30)  # their clock is wrong
    for ssrc, timestamp in ((31, 3_000), (11, 3_000 + 9_000)):
        stage.peer.on_rtcp(rtcp.sender_report(rtcp.SenderInfo(ssrc, theirs, timestamp, 1, 1)))
    voice = stage.publisher.sources[Track.VOICE]
    assert voice.timeline.moment(3_000) == pytest.approx(stage.clock.now)
    assert camera.timeline.moment(12_000) == pytest.approx(stage.clock.now)
    stage.clock.advance(1.01)
    reports = {report.ssrc: report for part in stage.peer.parts(rtcp.RR) for report in rtcp.reports(part)}
    assert reports[11].last_sr == theirs >> 16 & 0xFFFFFFFF
    assert reports[11].delay == pytest.approx(65_536, rel=0.01)


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_rubbish_harms_nobody(packets: list[bytes]) -> None:
    stage = Stage()
    for packet in packets:
        stage.peer.on_rtp(packet, stage.clock.now)
        stage.peer.on_rtp(b"\x90" + packet, stage.clock.now)
        stage.peer.on_rtcp(packet)
        stage.peer.on_rtcp(b"\x80\xc8" + packet)
    stage.rtp(11, 96, 1, b"camera", mid="1")
    assert b"camera" in payloads(stage.taken[Track.CAMERA])


@given(st.lists(st.tuples(st.integers(1, 40), st.sampled_from([96, 97, 111]), st.integers(0, 65_535)), max_size=80))
def test_strangers_numbers_stay_bounded(packets: list[tuple[int, int, int]]) -> None:
    stage = Stage()
    for ssrc, payload_type, sequence in packets:
        stage.rtp(ssrc, payload_type, sequence, mid="1")
        stage.clock.advance(0.01)
    for taken in stage.taken.values():
        numbers = [number for number, _ in taken]
        assert len(set(numbers)) == len(numbers)


def test_lines_that_mean_nothing_are_dropped() -> None:
    clock = Clock()
    peer = Peer(line(0, OPUS), line(1, H264))
    publisher = Publisher(peer, {"0": Track.VOICE}, clock)
    peer.on_rtp(rtp(5, 102, 1, 1, b"x", extensions={4: b"1"}), clock.now)
    assert set(publisher.sources) == {Track.VOICE}
    assert publisher.sources[Track.VOICE].codec == "OPUS"


def test_after_the_end_nothing_is_said() -> None:
    stage = Stage()
    stage.rtp(11, 96, 1, vp8(1, key=True), wide=1)
    stage.publisher.close()
    stage.publisher.close()
    stage.peer.rtcp.clear()
    stage.rtp(11, 96, 5, wide=2)
    stage.publisher.sources[Track.CAMERA].request_keyframe()
    stage.clock.advance(5)
    assert stage.peer.rtcp == []
    assert stage.clock.timers == 0
