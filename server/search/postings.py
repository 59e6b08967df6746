"""Postings: the packed form of a block's terms. Pure.

A block holds some thousand messages of one conversation. Its terms lie in *shards*, documents of a few kilobytes: the
terms as one text with line feeds around them, so that a term, or all with a certain beginning, are found by one search
in it, and the messages of each term as 16-bit distances from the block's first number. Numbers are little-endian.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping

import msgspec

from server.search.model import Row
from server.search.needles import Lookup
from server.search.terms import SHARDS, shard_of

#: The shard of who wrote and of kinds, and the one of times; all others are words.
FACETS, TIMES = "f", "t"
ALL_SHARDS = (*map(str, range(SHARDS)), FACETS)
#: The largest distance.
SPAN = 65_535


def packed(numbers: array[int]) -> bytes:
    return _little(numbers).tobytes()


def unpacked(code: str, data: bytes) -> array[int]:
    numbers = array(code, data)
    return _little(numbers)


def _little(numbers: array[int]) -> array[int]:
    if sys.byteorder == "big":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers


class Shard(msgspec.Struct, frozen=True):
    """`terms` is `\\n` + terms joined by `\\n` + `\\n`; the messages of term k are `posts[ends[k-1]:ends[k]]`."""

    terms: str
    ends: bytes
    posts: bytes

    def find(self, lookup: Lookup) -> set[int]:
        """The messages of a term, or of all that begin so."""
        found: set[int] = set()
        at = self.terms.find(lookup.mark)
        if at < 0:
            return found
        ends, number, counted = unpacked("I", self.ends), 0, 0
        while at >= 0:
            number += self.terms.count("\n", counted, at)
            counted = at
            begin = ends[number - 1] if number else 0
            found.update(unpacked("H", self.posts[2 * begin : 2 * ends[number]]))
            at = self.terms.find(lookup.mark, at + 1) if lookup.beginning else -1
        return found

    def open(self) -> dict[str, array[int]]:
        opened: dict[str, array[int]] = {}
        posts, begin = unpacked("H", self.posts), 0
        if self.terms:
            for term, end in zip(self.terms[1:-1].split("\n"), unpacked("I", self.ends), strict=True):
                opened[term] = posts[begin:end]
                begin = end
        return opened


EMPTY = Shard("", b"", b"")


def close(opened: Mapping[str, array[int]]) -> Shard:
    """The packed form; terms that no message has are left out."""
    posts, ends, terms = array("H"), array("I"), list[str]()
    for term, numbers in opened.items():
        if numbers:
            terms.append(term)
            posts.extend(numbers)
            ends.append(len(posts))
    return Shard("\n" + "\n".join(terms) + "\n" if terms else "", packed(ends), packed(posts))


def by_shard(first: int, rows: Iterable[Row]) -> dict[str, dict[str, array[int]]]:
    """The postings of these rows in a block that begins at `first`, by shard."""
    shards: dict[str, dict[str, array[int]]] = {}
    for row in rows:
        distance = row.seq - first
        for term in row.terms:
            shards.setdefault(shard_of(term), {}).setdefault(term, array("H")).append(distance)
    return shards


def changed(shard: Shard, drop: Collection[int], add: Mapping[str, array[int]]) -> Shard:
    """The shard without some messages, and with others. Doing it twice changes nothing."""
    opened = shard.open()
    if drop:
        gone = frozenset(drop)
        for term, numbers in opened.items():
            if not gone.isdisjoint(numbers):
                opened[term] = array("H", [number for number in numbers if number not in gone])
    for term, numbers in add.items():
        before = opened.get(term)
        if before and before[-1] >= numbers[0]:
            numbers = array("H", sorted({*before, *numbers}))
        elif before:
            numbers = before + numbers
        opened[term] = numbers
    return close(opened)


class Times(msgspec.Struct, frozen=True):
    """When each message of a block was said: its distances in order, and seconds beside them."""

    distances: bytes
    seconds: bytes

    def open(self) -> dict[int, int]:
        return dict(zip(unpacked("H", self.distances), unpacked("I", self.seconds), strict=True))

    def at(self, wanted: Iterable[int]) -> Iterable[tuple[int, int]]:
        """(distance, seconds) of those of the messages that are there."""
        distances, seconds = unpacked("H", self.distances), unpacked("I", self.seconds)
        for distance in wanted:
            place = bisect_left(distances, distance)
            if place < len(distances) and distances[place] == distance:
                yield distance, seconds[place]


NO_TIMES = Times(b"", b"")


def times(opened: Mapping[int, int]) -> Times:
    ordered = sorted(opened.items())
    return Times(packed(array("H", (d for d, _ in ordered))), packed(array("I", (s for _, s in ordered))))
