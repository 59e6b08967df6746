"""Blocks: whatever was packed is found again, and what was taken out is gone without a trace."""

from __future__ import annotations

from array import array

from hypothesis import given
from hypothesis import strategies as st

from server.search.model import Row
from server.search.needles import Lookup
from server.search.postings import EMPTY, NO_TIMES, SPAN, Shard, by_shard, changed, close, times
from server.search.terms import shard_of

TERMS = st.text("abcx图书馆", min_size=1, max_size=4)
DISTANCES = st.sets(st.integers(0, SPAN), min_size=1, max_size=20)
POSTINGS = st.dictionaries(TERMS, DISTANCES, max_size=20)


def opened(postings: dict[str, set[int]]) -> dict[str, array[int]]:
    return {term: array("H", sorted(numbers)) for term, numbers in postings.items()}


@given(POSTINGS)
def test_packing_round_trip(postings: dict[str, set[int]]) -> None:
    shard = close(opened(postings))
    assert shard.open() == opened(postings)
    for term, numbers in postings.items():
        assert shard.find(Lookup(term)) == numbers
        beginning = term[:1]
        assert shard.find(Lookup(beginning, beginning=True)) == set().union(
            *(found for other, found in postings.items() if other.startswith(beginning))
        )
    assert shard.find(Lookup("nowhere")) == set()
    assert EMPTY.find(Lookup("nowhere", beginning=True)) == set()


@given(POSTINGS, st.sets(st.integers(0, SPAN), max_size=20), POSTINGS)
def test_changing(before: dict[str, set[int]], drop: set[int], add: dict[str, set[int]]) -> None:
    drop |= set(list(next(iter(before.values()), set()))[:1])  # mostly something that is there
    expected = {term: numbers - drop for term, numbers in before.items()}
    for term, numbers in add.items():
        expected[term] = expected.get(term, set()) | numbers
    expected = {term: numbers for term, numbers in expected.items() if numbers}
    once = changed(close(opened(before)), drop, opened(add))
    assert {term: set(numbers) for term, numbers in once.open().items()} == expected
    assert all(list(numbers) == sorted(set(numbers)) for numbers in once.open().values())
    assert changed(once, drop - set().union(*add.values()), opened(add)) == once, "twice is once"


@given(st.text("abc", min_size=1, max_size=9))
def test_the_last_message_of_a_term_takes_the_term_along(term: str) -> None:
    shard = close({term: array("H", [7])})
    assert changed(shard, {7}, {}) == EMPTY == Shard("", b"", b"")


@given(st.dictionaries(st.integers(0, SPAN), st.integers(0, 2**32 - 1), max_size=50), st.sets(st.integers(0, SPAN)))
def test_times(known: dict[int, int], asked: set[int]) -> None:
    kept = times(known)
    assert kept.open() == known
    wanted = asked | set(list(known)[:3])
    assert dict(kept.at(wanted)) == {distance: known[distance] for distance in wanted if distance in known}
    assert NO_TIMES.open() == {}


def test_rows_are_noted_by_shard() -> None:
    shards = by_shard(100, [Row(100, 1, frozenset({"read", "@p_1"})), Row(103, 2, frozenset({"read", "图书"}))])
    assert shards[shard_of("read")]["read"] == array("H", [0, 3])
    assert shards["f"] == {"@p_1": array("H", [0])}
    assert shards[shard_of("图书")]["图书"] == array("H", [3])
