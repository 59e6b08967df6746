"""The sending end: one unbroken stream for the browser, whatever is shown in it, and nothing to be had by asking."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.calls.worker.sender import Viewer, Wanted
from server.calls.worker.source import Source
from tests.calls.worker.forwarding import (
    H264,
    Camera,
    Peer,
    Seat,
    contiguous,
    got,
    line,
    numbers,
)


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
