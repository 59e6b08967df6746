"""A published track: keyframes are asked for once for everybody and never forgotten; its numbering goes on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.calls.worker.source import KEYFRAME_SECONDS, Source
from server.calls.worker.sync import Offset, Timeline, ntp
from tests.calls.worker.forwarding import Camera, Clock

MINUTE = 60 << 32


def test_a_keyframe_is_asked_for_at_once_and_then_by_one_later_request() -> None:
    clock = Clock()
    camera = Camera(clock)
    source = camera.source
    for _ in range(5):
        source.request_keyframe()
    assert camera.asked == [1_000.0]
    clock.advance(0.1)
    source.request_keyframe()
    clock.advance(10)
    assert camera.asked == pytest.approx([1_000.0, 1_000.0 + KEYFRAME_SECONDS])


def test_a_keyframe_that_began_since_serves_who_asked_in_the_meantime() -> None:
    clock = Clock()
    camera = Camera(clock)
    camera.source.request_keyframe()
    clock.advance(0.1)
    camera.source.request_keyframe()
    clock.advance(0.1)
    camera.frame(key=True)
    clock.advance(10)
    assert len(camera.asked) == 1


def test_who_asks_after_a_keyframe_began_is_not_served_by_it() -> None:
    """Two come within a third of a second, and the keyframe that serves the first one begins between them."""
    clock = Clock()
    camera = Camera(clock)
    for wait in (0.0, 0.1):
        clock.advance(wait)
        camera.source.request_keyframe()
    clock.advance(0.05)
    camera.frame(key=True)
    clock.advance(0.05)
    camera.source.request_keyframe()
    clock.advance(1)
    assert camera.asked == pytest.approx([1_000.0, 1_000.0 + KEYFRAME_SECONDS])


@given(st.lists(st.tuples(st.floats(0, 1) | st.sampled_from([0.0, 0.05, 0.1]), st.booleans()), max_size=40))
def test_no_request_is_forgotten_and_none_comes_too_soon(events: list[tuple[float, bool]]) -> None:
    clock = Clock()
    camera = Camera(clock)
    wanted: float | None = None
    keys: list[float] = []
    for wait, key in events:
        clock.advance(wait)
        if key:
            camera.frame(key=True)
            keys.append(clock.now)
        else:
            camera.source.request_keyframe()
            wanted = clock.now
    clock.advance(KEYFRAME_SECONDS)
    gaps = [later - earlier for earlier, later in zip(camera.asked, camera.asked[1:], strict=False)]
    assert all(gap >= KEYFRAME_SECONDS - 1e-6 for gap in gaps)
    if wanted is not None:
        assert any(asked >= wanted for asked in camera.asked) or any(at >= wanted for at in keys)
    assert clock.timers == 0


def test_a_source_that_is_closed_asks_nobody() -> None:
    clock = Clock()
    camera = Camera(clock)
    camera.source.request_keyframe()
    camera.source.request_keyframe()
    camera.source.close()
    camera.source.request_keyframe()
    clock.advance(10)
    assert len(camera.asked) == 1


def test_sound_has_no_keyframes() -> None:
    asked: list[bool] = []
    Source("audio", "OPUS", lambda: asked.append(True), loop=Clock(), rate=48_000).request_keyframe()
    assert asked == []


def test_taps_get_each_packet_once_without_holes() -> None:
    clock = Clock()
    source = Source("audio", "OPUS", lambda: None, loop=clock, rate=48_000)
    taken: list[tuple[int, bytes]] = []
    source.taps.add(lambda sequence, timestamp, marker, payload: taken.append((sequence, payload)))
    assert source.put(7, 0, 0, b"a", clock.now)
    assert source.put(8, 0, 0, b"", clock.now), "padding"
    assert source.put(9, 960, 0, b"b", clock.now)
    assert not source.put(9, 960, 0, b"b", clock.now)
    first = taken[0][0]
    assert taken == [(first, b"a"), (first + 1, b"b")]


def test_a_tap_may_end_itself() -> None:
    clock = Clock()
    camera = Camera(clock)
    taken: list[int] = []

    def once(sequence: int, timestamp: int, marker: bool, payload: bytes) -> None:
        taken.append(sequence)
        camera.source.taps.discard(once)

    camera.source.taps.add(once)
    camera.frame(3, key=True)
    assert len(taken) == 1


def test_another_ssrc_goes_on_where_the_last_one_was() -> None:
    clock = Clock()
    source = Source("audio", "OPUS", lambda: None, loop=clock, rate=48_000)
    taken: list[tuple[int, int]] = []
    source.taps.add(lambda sequence, timestamp, marker, payload: taken.append((sequence, timestamp)))
    source.put(60_000, 5_000, 0, b"a", clock.now)
    clock.advance(0.5)
    source.put(3, 4_000_000_000, 0, b"b", clock.now, anew=True)
    source.put(4, 4_000_000_960, 0, b"c", clock.now)
    (first, start), second, third = taken
    assert second == (first + 1, start + 24_000)
    assert third == (first + 2, start + 24_960)


def test_how_much_flows() -> None:
    clock = Clock()
    source = Source("audio", "OPUS", lambda: None, loop=clock, rate=48_000)
    for turn in range(4):
        source.put(turn, 0, 0, bytes(1_000), clock.now)
        clock.advance(1)
        source.measure(clock.now)
    assert source.bitrate == pytest.approx(8_000)
    assert source.heard == clock.now - 1


# -- time


@given(
    st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFFFFFF), st.integers(0, 2**63), st.floats(0, 0.2), st.floats(0, 0.2)
)
def test_voice_and_picture_stay_together(voice: int, picture: int, theirs: int, early: float, late: float) -> None:
    """What a person's two tracks say of one moment is said to viewers of one moment, whatever their clock shows."""
    offset = Offset()
    sound, camera = Timeline(48_000, offset), Timeline(90_000, offset)
    sound.arrived(voice, 50.0)
    camera.arrived(picture, 50.0)
    # Reports of the same moment, one of which took longer on its way.
    assert sound.report(theirs, voice, 50.0 + early)
    assert camera.report(theirs, picture, 50.0 + early + late)
    heard = sound.moment((voice + 96_000) & 0xFFFFFFFF)
    seen = camera.moment((picture + 180_000) & 0xFFFFFFFF)
    assert heard is not None
    assert heard == pytest.approx(seen, abs=1e-4)
    assert heard == pytest.approx(52.0 + early, abs=1e-3)
    said = sound.timestamp(52.0 + early)
    assert said is not None
    assert (said - voice) & 0xFFFFFFFF in range(96_000 - 2, 96_000 + 3)


def test_a_report_far_from_what_flows_is_not_believed() -> None:
    timeline = Timeline(48_000, Offset())
    assert not timeline.report(MINUTE, 0, 1.0), "nothing flows"
    timeline.arrived(1_000, 1.0)
    before = timeline.moment(1_000)
    assert not timeline.report(MINUTE, 1_000 + 11 * 48_000, 1.0)
    assert not timeline.report(MINUTE, 1_000 - 11 * 48_000 & 0xFFFFFFFF, 1.0)
    assert timeline.moment(1_000) == before
    assert timeline.report(MINUTE, 1_000 + 48_000, 1.0)


def test_a_clock_that_is_set_anew_does_not_carry_its_reports_away() -> None:
    timeline = Timeline(48_000, Offset())
    timeline.arrived(0, 100.0)
    assert timeline.report(MINUTE, 0, 100.0)
    assert timeline.report(0, 48_000, 101.0)
    assert timeline.moment(48_000) == pytest.approx(101.0)


def test_without_reports_timestamps_may_turn() -> None:
    timeline = Timeline(90_000, Offset())
    for hours in range(60):
        now = 3_601.0 * hours
        timeline.arrived(round(now * 90_000) & 0xFFFFFFFF, now)
        assert timeline.moment(round(now * 90_000) & 0xFFFFFFFF) == pytest.approx(now, abs=0.01)


def test_the_clock_goes_with_the_loop() -> None:
    assert (ntp(12.5) - ntp(10.0)) / 2**32 == pytest.approx(2.5, abs=1e-5)
