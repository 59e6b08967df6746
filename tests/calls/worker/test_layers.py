"""Large or small: down at once, up one at a time and ever more seldom."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.calls.worker.layers import LARGE_AT_FIRST, Choice, Layers

LARGE, SMALL = 1_500_000.0, 100_000.0


def cameras(count: int, *, small: bool = False) -> list[Choice]:
    return [Choice(small, LARGE, SMALL) for _ in range(count)]


def sent(choices: list[Choice]) -> float:
    return sum(choice.small_rate if choice.small else choice.large_rate for choice in choices)


def test_a_good_line_keeps_everything_large() -> None:
    layers, choices = Layers(), cameras(4)
    for second in range(60):
        layers.decide(second, choices, sent(choices), 1.2 * sent(choices), 0.0)
    assert not any(choice.small for choice in choices)


def test_loss_halves_at_once_and_again_a_second_later() -> None:
    layers, choices = Layers(), cameras(4)
    layers.decide(10, choices, sent(choices), None, 0.11)
    assert [choice.small for choice in choices] == [False, False, True, True]
    layers.decide(10.5, choices, sent(choices), None, 0.11)
    assert sum(choice.small for choice in choices) == 2, "what the first step did is not known yet"
    layers.decide(11, choices, sent(choices), None, 0.11)
    layers.decide(12, choices, sent(choices), None, 0.11)
    assert all(choice.small for choice in choices)


def test_an_estimate_says_how_many_must_be_small() -> None:
    layers, choices = Layers(), cameras(4)
    layers.decide(10, choices, sent(choices), 6_000_000, 0.0)
    layers.decide(11, choices, sent(choices), 3_500_000, 0.0)
    assert not any(choice.small for choice in choices), "for one look"
    layers.decide(13, choices, sent(choices), 3_500_000, 0.0)
    assert [choice.small for choice in choices] == [False, False, True, True]


def test_a_clear_estimate_is_believed_at_once() -> None:
    layers, choices = Layers(), cameras(4)
    layers.decide(10, choices, sent(choices), 6_000_000, 0.0)
    layers.decide(10.5, choices, sent(choices), 2_000_000, 0.0)
    assert [choice.small for choice in choices] == [False, True, True, True]


def test_an_estimate_that_grows_is_given_time() -> None:
    layers, choices = Layers(), cameras(2)
    for second, estimate in enumerate((1_600_000, 1_800_000, 2_000_000)):
        layers.decide(second, choices, sent(choices), estimate, 0.0)
    assert not any(choice.small for choice in choices)
    for second in (3, 4):
        layers.decide(second, choices, sent(choices), 2_010_000, 0.0)
    assert [choice.small for choice in choices] == [False, True]


def test_up_one_at_a_time_the_first_first() -> None:
    layers, choices = Layers(), cameras(3, small=True)
    layers.decide(100, choices, sent(choices), None, 0.0)
    assert [choice.small for choice in choices] == [False, True, True]
    layers.decide(107.9, choices, sent(choices), None, 0.0)
    assert [choice.small for choice in choices] == [False, True, True]
    layers.decide(108, choices, sent(choices), None, 0.0)
    assert [choice.small for choice in choices] == [False, False, True]


def test_what_failed_is_tried_ever_more_seldom() -> None:
    """A line that carries one small picture: the steps up get rarer."""
    layers, choices = Layers(), cameras(1)
    ups = []
    for half in range(2 * 300):
        now = half / 2
        was = choices[0].small
        layers.decide(now, choices, sent(choices), None, 0.0 if was else 0.3)
        if was and not choices[0].small:
            ups.append(now)
    waits = [later - earlier for earlier, later in itertools.pairwise(ups)]
    assert waits == sorted(waits)
    assert waits[0] >= 8
    assert waits[-1] >= 64
    assert len(ups) <= 8


def test_an_estimate_that_falls_by_a_sixth_for_a_moment_changes_nothing() -> None:
    """As browsers say it on the best of lines when they were late: 0.85 of what came, for as long as they like."""
    layers, choices = Layers(), cameras(1)
    for start in (10, 30):
        layers.decide(start, choices, sent(choices), 2_300_000, 0.0)
        for second in range(1, 12):
            layers.decide(start + second, choices, sent(choices), 1_240_000, 0.05)
    assert not choices[0].small


@pytest.mark.parametrize(
    ("estimates", "seconds"),
    [
        pytest.param([1_000_000] * 20, 2, id="rests"),
        pytest.param([1_000_000, 1_020_000, 1_040_000, 990_000], 3, id="falls again"),
        pytest.param([1_000_000, 500_000], 1, id="falls to little"),
    ],
)
def test_an_estimate_that_lasts_or_falls_again_is_true(estimates: list[float], seconds: int) -> None:
    layers, choices = Layers(), cameras(1)
    layers.decide(9, choices, sent(choices), 2_300_000, 0.0)
    for second, estimate in enumerate(estimates[: seconds + 1]):
        assert not choices[0].small
        layers.decide(10 + second, choices, sent(choices), estimate, 0.0)
    assert choices[0].small


def test_in_a_try_the_first_fall_counts() -> None:
    layers, choices = Layers(), cameras(1, small=True)
    layers.decide(100, choices, sent(choices), 1_000_000, 0.0)
    assert not choices[0].small
    layers.decide(103, choices, sent(choices), 1_100_000, 0.0)
    layers.decide(104, choices, sent(choices), 1_050_000, 0.0)
    assert choices[0].small


@pytest.mark.parametrize(("packets", "small"), [(50, False), (150, False), (1_000, True), (5_000, True)])
def test_of_few_packets_more_must_be_lost(packets: int, small: bool) -> None:
    layers, choices = Layers(), cameras(1)
    layers.decide(10, choices, sent(choices), None, 0.13, packets)
    assert choices[0].small is small


def test_more_than_a_little_loss_is_no_time_to_try() -> None:
    layers, choices = Layers(), cameras(1, small=True)
    for second in range(60):
        layers.decide(second, choices, sent(choices), None, 0.06)
    assert choices[0].small
    layers.decide(60, choices, sent(choices), None, 0.05)
    assert not choices[0].small, "so much is mended by sending again"


def test_new_cameras_begin_small_where_there_are_many_or_the_line_was_thin() -> None:
    layers = Layers()
    assert not layers.first(0, 100)
    assert layers.first(LARGE_AT_FIRST, 100)
    layers.decide(100, cameras(1), LARGE, None, 0.5)
    assert layers.first(0, 101)
    assert not layers.first(0, 109)


@given(
    st.integers(0, 6),
    st.lists(
        st.tuples(st.floats(0, 5), st.none() | st.floats(0, 1e9), st.floats(0, 1), st.integers(0, 9_000)), max_size=60
    ),
)
def test_nothing_goes_up_on_a_bad_line_nor_down_on_a_good_one(
    count: int, looks: list[tuple[float, float | None, float, int]]
) -> None:
    layers, choices = Layers(), cameras(count)
    now = 0.0
    for wait, estimate, loss, packets in looks:
        now += wait
        before = [choice.small for choice in choices]
        carried = sent(choices)
        layers.decide(now, choices, carried, estimate, loss, packets)
        after = [choice.small for choice in choices]
        ups = sum(was and not small for was, small in zip(before, after, strict=True))
        downs = sum(small and not was for was, small in zip(before, after, strict=True))
        assert ups <= 1
        assert not (ups and downs)
        if loss > 0.1:
            assert not ups
        elif estimate is None or estimate >= carried:
            assert not downs
