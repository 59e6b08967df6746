"""Thin and lossy lines over minutes of simulated time: the small picture, no see-saw, and nobody else notices."""

from __future__ import annotations

import itertools

import pytest

from server.calls.worker.sender import Wanted
from tests.calls.worker.bottleneck import Browser, Filmed, Thin
from tests.calls.worker.forwarding import Clock

LARGE, SMALL = 1_200_000.0, 100_000.0
WIDE = 20_000_000.0


class Scene:
    """One camera with two pictures, watched over a line in question and over a good one."""

    def __init__(self, rate: float, loss: float = 0.0) -> None:
        self.clock = Clock()
        self.start = self.clock.now
        self.large, self.small = Filmed(self.clock, LARGE, 30), Filmed(self.clock, SMALL, 12)
        self.thin = Browser(self.clock, Thin(self.clock, rate, loss))
        self.wide = Browser(self.clock, Thin(self.clock, WIDE))
        for browser in (self.thin, self.wide):
            browser.watch(self.large.source, self.small.source)

    def ups(self, since: float = 0.0) -> list[float]:
        return [at - self.start for at, small in self.thin.changes if not small and at - self.start > max(since, 0.2)]

    def seconds_large(self, since: float) -> float:
        changes = [*self.thin.changes, (self.clock.now, True)]
        return sum(
            max(0.0, later - max(at, self.start + since))
            for (at, small), (later, _) in itertools.pairwise(changes)
            if not small
        )

    def nobody_else_noticed(self) -> None:
        wide, seconds = self.wide, self.clock.now - self.start
        assert [small for _, small in wide.changes] == [False]
        self.large.over = self.small.over = True
        self.clock.advance(0.1)  # what is on its way
        begun = wide.viewer.senders[1].packets
        assert begun >= self.large.sent - 2 * 5, "from the first keyframe on"
        assert wide.got == begun
        assert wide.again == wide.line.dropped == 0
        assert wide.fps(self.start + 1, self.start + seconds) == pytest.approx(30, abs=0.5)
        assert wide.longest_freeze(self.start + 1, self.start + seconds) < 0.1


@pytest.mark.parametrize("rate", [150_000, 400_000, 1_000_000])
def test_a_thin_line_settles_on_the_small_picture(rate: float) -> None:
    scene = Scene(rate)
    scene.clock.advance(240)
    assert scene.thin.small()
    assert scene.seconds_large(6) < 8, "of four minutes"
    ups = scene.ups()
    assert 1 <= len(ups) <= 5, "it is tried, ever more seldom"
    waits = [later - earlier for earlier, later in itertools.pairwise(ups)]
    assert waits[0] >= 8
    assert waits[-1] >= 60
    for since, until in itertools.pairwise([6.0, *ups, 240.0]):
        if until - since > 20:
            assert scene.thin.fps(scene.start + since + 5, scene.start + until - 1) > 11
    assert len(scene.large.asked) <= 2 + 2 * len(ups), "keyframes that others pay for"
    assert len(scene.small.asked) <= 15
    scene.nobody_else_noticed()


def test_a_line_that_becomes_wide_again_gets_the_large_picture_for_good() -> None:
    scene = Scene(5_000_000)
    scene.clock.advance(60)
    assert not scene.ups()
    assert not scene.thin.small()
    scene.thin.line.rate = 300_000
    scene.clock.advance(3)
    assert scene.thin.small()
    scene.clock.advance(57)
    scene.thin.line.rate = 5_000_000
    scene.clock.advance(70)
    assert len(scene.ups(120)) == 1
    scene.clock.advance(110)
    assert len(scene.ups(120)) == 1, "and stays"
    assert not scene.thin.small()
    assert scene.thin.fps(scene.clock.now - 60, scene.clock.now) == pytest.approx(30, abs=0.5)
    scene.nobody_else_noticed()


def test_loss_that_repetitions_repair_is_no_thin_line() -> None:
    scene = Scene(5_000_000, loss=0.05)
    scene.clock.advance(120)
    thin = scene.thin
    assert [small for _, small in thin.changes] == [False]
    for since in range(1, 110, 10):
        assert thin.fps(scene.start + since, scene.start + since + 10) > 28
    assert thin.longest_freeze(scene.start + 1, scene.clock.now) < 0.5
    assert 0.03 * thin.got < thin.again < 0.08 * thin.got
    assert len(scene.large.asked) <= 3
    scene.nobody_else_noticed()


@pytest.mark.parametrize("loss", [0.0, 0.05])
@pytest.mark.parametrize("seconds", [0.2, 0.3, 0.4])
def test_a_line_that_is_slow_for_a_moment_is_no_thin_line(seconds: float, loss: float) -> None:
    """As radio is, and a machine that is busy: the estimate falls, and nothing is wrong."""
    scene = Scene(WIDE, loss)
    fell = 0
    for _ in range(12):
        scene.clock.advance(20)
        scene.thin.line.rate = 0.5 * LARGE
        scene.clock.advance(seconds)
        scene.thin.line.rate = WIDE
        scene.clock.advance(0.3)
        fell += scene.thin.estimate < 0.9 * LARGE
    assert fell >= 9, "most of the times"
    assert [small for _, small in scene.thin.changes] == [False]


def test_a_very_bad_line_gets_no_storm_of_repetitions() -> None:
    scene = Scene(5_000_000, loss=0.4)
    scene.clock.advance(60)
    assert scene.thin.small()
    sender = scene.thin.viewer.senders[1]
    assert sender.repeats < 0.6 * sender.packets + 64
    scene.nobody_else_noticed()


def test_somebody_new_begins_small_on_a_thin_line() -> None:
    scene = Scene(400_000)
    scene.clock.advance(30)
    assert scene.thin.small()
    other = Filmed(scene.clock, LARGE, 30), Filmed(scene.clock, SMALL, 12)
    scene.thin.viewer.view({1: Wanted(other[0].source, other[1].source)})
    assert scene.thin.small()
    scene.clock.advance(1)
    assert scene.thin.viewer.senders[1].live is other[1].source
