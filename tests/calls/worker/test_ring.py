"""The numbering of a track: no holes and no repeats of our making, whatever order packets come in."""

from __future__ import annotations

import itertools

from hypothesis import example, given
from hypothesis import strategies as st

from server.calls.worker.ring import SIZE, Ring


class Told:
    """Puts packets in and keeps what became of each."""

    def __init__(self) -> None:
        self.ring = Ring()
        self.numbers: dict[int, int] = {}  # theirs, without turns → ours
        self.closed: set[int] = set()

    def put(self, theirs: int, *, padding: bool = False) -> int | None:
        number = self.ring.place(theirs & 0xFFFF, padding=padding)
        if number is not None:
            self.ring.put((number, 0, 0, b"" if padding else b"x", None, -1))
            assert theirs not in self.numbers
            self.numbers[theirs] = number
        elif padding and theirs not in self.numbers:
            self.closed.add(theirs)
        return number


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[int, list[tuple[int, bool]]]:
    """A stream as a bad line delivers it: late, twice, not at all; some of it padding."""
    count = draw(st.integers(1, 60))
    first = draw(st.sampled_from([0, 1, 0x7FFF, 0xFFFF, 0xFFE0]) | st.integers(0, 0xFFFF))
    padding = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    events: list[tuple[int, int]] = []
    for place in range(count):
        for delay in draw(st.lists(st.integers(0, 12), min_size=0, max_size=2)):
            events.append((place + delay, place))  # noqa: PERF401
    events.sort(key=lambda event: event[0])
    return first, [(place, padding[place]) for _, place in events]


@given(arrivals())
@example((0xFFFF, [(0, True), (0, True), (1, False)]))
@example((5, [(0, False), (3, False), (2, True), (1, True), (4, False)]))
def test_no_hole_and_no_repeat_is_ours(stream: tuple[int, list[tuple[int, bool]]]) -> None:
    first, events = stream
    told = Told()
    for place, padding in events:
        told.put(first + place, padding=padding)
    numbers = told.numbers
    assert len(set(numbers.values())) == len(numbers)
    # Everything with something in it was passed on, once.
    assert {first + place for place, padding in events if not padding} <= set(numbers)
    ordered = sorted(numbers)
    for before, after in itertools.pairwise(ordered):
        apart = sum(number not in told.closed for number in range(before + 1, after + 1))
        assert numbers[after] - numbers[before] == apart
    assert told.ring.restarts == 0


@given(st.integers(0, 0xFFFF), st.lists(st.booleans(), min_size=1, max_size=300))
def test_padding_leaves_no_hole(first: int, padding: list[bool]) -> None:
    told = Told()
    for place, empty in enumerate(padding):
        told.put(first + place, padding=empty)
    found = [told.numbers[number] for number in sorted(told.numbers)]
    assert found == list(range(found[0], found[0] + len(found))) if found else all(padding)


def test_more_than_a_turn() -> None:
    told = Told()
    for theirs in range(70_000):
        told.put(theirs, padding=theirs % 3 == 0)
    found = list(told.numbers.values())
    assert found == list(range(found[0], found[0] + len(found)))


def test_late_padding_fills_the_place_that_was_kept_for_it() -> None:
    told = Told()
    first = told.put(10)
    third = told.put(12)
    assert first is not None
    assert third == first + 2
    assert told.put(11, padding=True) == first + 1


def test_what_is_kept_can_be_had_and_what_is_too_old_cannot() -> None:
    told = Told()
    numbers = [told.put(theirs) for theirs in range(SIZE + 10)]
    assert numbers[0] is not None
    assert told.ring.get(numbers[0]) is None
    assert told.ring.get(-1) is None
    last = numbers[-1]
    assert last is not None
    kept = told.ring.get(last)
    assert kept is not None
    assert kept[0] == last
    assert told.ring.place(3, padding=False) is None, "its place is somebody else's now"


def test_another_numbering_is_believed_when_two_agree() -> None:
    told = Told()
    last = told.put(100)
    assert last is not None
    ring = told.ring
    assert ring.place(40_000, padding=False) is None
    assert ring.place(50_000, padding=False) is None
    assert ring.restarts == 0
    assert ring.place(50_001, padding=False) == last + 1
    assert ring.restarts == 1
    ring.put((last + 1, 0, 0, b"x", None, -1))
    assert ring.place(50_002, padding=False) == last + 2
    assert ring.place(49_999, padding=False) is None, "what is before it has no place"


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.booleans()), max_size=300))
def test_any_numbers_at_all_make_no_repeat_and_keep_bounds(stream: list[tuple[int, bool]]) -> None:
    ring = Ring()
    seen = set()
    for sequence, padding in stream:
        number = ring.place(sequence, padding=padding)
        if number is not None:
            assert number not in seen
            assert number > ring.highest - SIZE
            seen.add(number)
            ring.put((number, 0, 0, b"x", None, -1))
