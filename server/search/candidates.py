"""What the index offers for a query, the newest first: candidates, whose texts have not been looked at.

Shelves are searched at once; blocks from the one that reaches furthest into the present, some at a time, and only until
nothing newer can come. Most queries therefore read one block per conversation, however long it is.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from heapq import heappop, heappush, heapreplace

import msgspec

from server.search import repo
from server.search.model import Block, Cursor
from server.search.needles import Lookup
from server.search.repo import IndexReader, Shelf
from server.search.writer import Slices

#: Documents of the index that are read before it is seen whether that was enough.
_AT_ONCE = 240


class Window(msgspec.Struct, frozen=True):
    """Where it is looked: `firsts` are channels with the lowest number one may see, `since` and `until` seconds
    (the latter excluded); only what comes after `before` in the order of hits."""

    firsts: Mapping[str, int]
    since: int
    until: int
    before: Cursor | None

    def holds(self, cursor: Cursor) -> bool:
        return (
            self.since <= cursor.at < self.until
            and cursor.seq >= self.firsts[cursor.ch]
            and (self.before is None or cursor < self.before)
        )

    def meets(self, ch: str, block: Block) -> bool:
        """Whether something in the block can be inside."""
        return (
            block.last >= self.firsts[ch]
            and block.until >= self.since
            and block.since < self.until
            and (self.before is None or block.since <= self.before.at)
        )


async def candidates(index: IndexReader, window: Window, lookups: Sequence[Lookup]) -> AsyncGenerator[Cursor, None]:
    """Messages under all of the terms, the newest first."""
    slices = Slices()
    shelves = await index.shelves(list(window.firsts))
    # A heap with the newest of each shelf and block that was looked into at its top.
    streams: list[_Stream] = []
    waiting: list[tuple[int, str, Block]] = []
    for ch, shelf in shelves.items():
        _begin(streams, _on_shelf(shelf, window, lookups))
        waiting += [(block.until, ch, block) for block in shelf.blocks if window.meets(ch, block)]
        await slices.breathe()
    waiting.sort(key=lambda one: one[0])
    some = max(1, _AT_ONCE // len(lookups))
    while streams or waiting:
        while waiting and (not streams or waiting[-1][0] >= streams[0].cursor.at):
            chosen = [waiting.pop() for _ in range(min(some, len(waiting)))]
            async for found in _in_blocks(index, [(ch, block) for _, ch, block in chosen], window, lookups, slices):
                _begin(streams, found)
        if streams:
            yield streams[0].cursor
            if streams[0].move():
                heapreplace(streams, streams[0])
            else:
                heappop(streams)
            await slices.breathe()


class _Stream:
    """Hits of one shelf or block, the newest first; `cursor` is the next one."""

    __slots__ = ("_rest", "cursor")

    def __init__(self, first: Cursor, rest: Iterator[Cursor]) -> None:
        self.cursor = first
        self._rest = rest

    def move(self) -> bool:
        following = next(self._rest, None)
        if following is not None:
            self.cursor = following
        return following is not None

    def __lt__(self, other: _Stream) -> bool:
        return other.cursor < self.cursor


def _begin(streams: list[_Stream], found: Iterator[Cursor]) -> None:
    first = next(found, None)
    if first is not None:
        heappush(streams, _Stream(first, found))


def _on_shelf(shelf: Shelf, window: Window, lookups: Sequence[Lookup]) -> Iterator[Cursor]:
    for line in reversed(shelf.lines):
        if repo.holds(line, lookups):
            cursor = Cursor(repo.seconds(line), shelf.ch, repo.number(line))
            if window.holds(cursor):
                yield cursor


async def _in_blocks(
    index: IndexReader,
    blocks: Sequence[tuple[str, Block]],
    window: Window,
    lookups: Sequence[Lookup],
    slices: Slices,
) -> AsyncIterator[Iterator[Cursor]]:
    """The hits of each block that has some."""
    names = dict.fromkeys(lookup.shard for lookup in lookups)
    shards = await index.shards([(ch, block.first, name) for ch, block in blocks for name in names])
    matching: dict[tuple[str, int], set[int]] = {}
    for ch, block in blocks:
        common: set[int] | None = None
        for lookup in lookups:
            shard = shards.get((ch, block.first, lookup.shard))
            own = shard.find(lookup) if shard is not None else set()
            common = own if common is None else common & own
            if not common:
                break
        if common:
            matching[ch, block.first] = common
        await slices.breathe()
    for (ch, first), times in (await index.times(list(matching))).items():
        yield _in_block(ch, first, times.at(sorted(matching[ch, first], reverse=True)), window)
        await slices.breathe()


def _in_block(ch: str, first: int, found: Iterable[tuple[int, int]], window: Window) -> Iterator[Cursor]:
    for distance, at in found:
        cursor = Cursor(at, ch, first + distance)
        if window.holds(cursor):
            yield cursor
