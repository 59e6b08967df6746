"""What ./scripts/test calls a success."""

from __future__ import annotations

import pytest

from scripts import suites


@pytest.mark.parametrize(
    ("statuses", "good"),
    [((0,), True), ((0, 5), True), ((5, 0), True), ((5, 5), False), ((5,), False), ((1, 0), False), ((0, 2), False)],
)
def test_a_success_is_all_tests_and_at_least_one(statuses: tuple[int, ...], good: bool) -> None:
    assert suites.passed(*statuses) is good


@pytest.mark.parametrize(("together", "alone", "good"), [(0, 0, True), (1, 0, False), (0, 1, False), (5, 0, True)])
def test_both_halves_run_and_count(monkeypatch: pytest.MonkeyPatch, together: int, alone: int, good: bool) -> None:
    runs: list[tuple[str, ...]] = []

    def pytest_(*options: str) -> int:
        runs.append(options)
        return alone if options[options.index("-m") + 1] == "alone" else together

    monkeypatch.setattr(suites, "pytest", pytest_)
    assert suites.everything("-k", "calls") is good
    first, second = runs
    assert "not alone" in first
    assert "--cov-append" in second
    assert all(options[-2:] == ("-k", "calls") for options in runs)
