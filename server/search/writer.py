"""Applies changes to a conversation's index: rows on its shelf, and blocks into which the shelf is packed when full."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from server.search import repo
from server.search.changes import Changes
from server.search.model import Block, Row
from server.search.needles import Lookup
from server.search.postings import ALL_SHARDS, EMPTY, FACETS, NO_TIMES, SPAN, Shard, by_shard, changed, times
from server.search.repo import BlockChange, Change, IndexRepo, Shelf
from server.search.terms import by

#: A shelf is packed when it has so many rows, or characters.
SHELF_ROWS = 256
SHELF_CHARACTERS = 96 * 1024
#: A block takes in no more when it has so many messages, or notes of terms.
BLOCK_MESSAGES = 4_096
BLOCK_POSTINGS = 400_000
#: Seconds of work after which others have their turn.
_SLICE = 0.002


class Slices:
    """Work on the loop in small slices: `await slices.breathe()` between two pieces of it."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    async def breathe(self) -> None:
        if time.perf_counter() - self._began > _SLICE:
            await asyncio.sleep(0)
            self._began = time.perf_counter()


class _BlockWork:
    """What is to change in one block."""

    def __init__(self) -> None:
        self.drop: set[int] = set()
        self.rows: list[Row] = []
        #: rows that take the place of others, and keep their time
        self.replace: list[Row] = []


async def apply(index: IndexRepo, shelf: Shelf, changes: Changes, upto: int, slices: Slices) -> Change:
    """Changes `shelf` in place; nothing is written yet."""
    work: dict[int, _BlockWork] = {}
    plain = not changes.drop and not changes.erase
    dropped = set(changes.drop)
    for person in sorted(changes.erase - set(shelf.erased)):
        shelf.erased.append(person)
        for first, seqs in (await _written_by(index, shelf, person)).items():
            work.setdefault(first, _BlockWork()).drop |= seqs
        mark = Lookup(by(person)).mark
        dropped |= {repo.number(line) for line in shelf.lines if mark in line}
    for seq in dropped:
        _drop(shelf, work, seq)
    added: list[str] = []
    for seq, put in sorted(changes.put.items()):
        if put.at is not None and (not shelf.lines or seq > repo.number(shelf.lines[-1])):
            shelf.at = max(shelf.at, put.at)
            line = repo.line(Row(seq, shelf.at, put.terms))
            shelf.lines.append(line)
            added.append(line)
        else:
            plain = False
            _replace(shelf, work, seq, put.terms)
        await slices.breathe()
    shelf.upto = upto
    if len(shelf.lines) >= SHELF_ROWS or sum(map(len, shelf.lines)) >= SHELF_CHARACTERS:
        plain = False
        _pack(shelf, work)
    blocks = [await _block(index, shelf, first, one, slices) for first, one in work.items()]
    return Change(shelf, added if plain else None, blocks)


async def _written_by(index: IndexRepo, shelf: Shelf, person: str) -> dict[int, set[int]]:
    """The packed messages of a person, by the first number of their block."""
    shards = await index.shards([(shelf.ch, block.first, FACETS) for block in shelf.blocks])
    lookup = Lookup(by(person))
    return {first: found for (_, first, _), shard in shards.items() if (found := _numbers(shard, first, lookup))}


def _numbers(shard: Shard, first: int, lookup: Lookup) -> set[int]:
    return {first + distance for distance in shard.find(lookup)}


def _place(shelf: Shelf, seq: int) -> int | None:
    """Where the row of this number stands on the shelf."""
    place = bisect_left(shelf.lines, seq, key=repo.number)
    return place if place < len(shelf.lines) and repo.number(shelf.lines[place]) == seq else None


def _block_of(shelf: Shelf, seq: int) -> Block | None:
    return next((block for block in shelf.blocks if block.first <= seq <= block.last), None)


def _drop(shelf: Shelf, work: dict[int, _BlockWork], seq: int) -> None:
    if (place := _place(shelf, seq)) is not None:
        del shelf.lines[place]
    elif (block := _block_of(shelf, seq)) is not None:
        work.setdefault(block.first, _BlockWork()).drop.add(seq)


def _replace(shelf: Shelf, work: dict[int, _BlockWork], seq: int, terms: frozenset[str]) -> None:
    if (place := _place(shelf, seq)) is not None:
        shelf.lines[place] = repo.line(Row(seq, repo.seconds(shelf.lines[place]), terms))
    elif (block := _block_of(shelf, seq)) is not None:
        one = work.setdefault(block.first, _BlockWork())
        one.replace.append(Row(seq, 0, terms))


def _pack(shelf: Shelf, work: dict[int, _BlockWork]) -> None:
    """All rows of the shelf go into the last block, and into new ones when it is full."""
    for row in map(repo.row, shelf.lines):
        block = shelf.blocks[-1] if shelf.blocks else None
        if (
            block is None
            or block.count >= BLOCK_MESSAGES
            or block.postings >= BLOCK_POSTINGS
            or row.seq - block.first > SPAN
        ):
            shelf.blocks.append(Block(row.seq, row.seq, row.at, row.at, 1, len(row.terms)))
        else:
            shelf.blocks[-1] = msgspec.structs.replace(
                block, last=row.seq, until=row.at, count=block.count + 1, postings=block.postings + len(row.terms)
            )
        work.setdefault(shelf.blocks[-1].first, _BlockWork()).rows.append(row)
    shelf.lines = []


async def _block(index: IndexRepo, shelf: Shelf, first: int, work: _BlockWork, slices: Slices) -> BlockChange:
    """The documents of a block that change."""
    ch, made_anew = shelf.ch, shelf.outdated  # what another version has left under this name is deleted with the change
    times_before = {} if made_anew else await index.times([(ch, first)])
    at = times_before.get((ch, first), NO_TIMES).open()
    # What was never put in, or has gone since, is not put in by an edit.
    replace = [row for row in work.replace if row.seq - first in at and row.seq not in work.drop]
    add = by_shard(first, _apart([*replace, *work.rows]))
    drop = {seq - first for seq in work.drop} | {row.seq - first for row in replace}
    await slices.breathe()
    names: Sequence[str] = ALL_SHARDS if drop else list(add)
    shards = {} if made_anew else await index.shards([(ch, first, name) for name in names])
    after: dict[str, Shard] = {}
    for name in names:
        before = shards.get((ch, first, name), EMPTY)
        shard = changed(before, drop, add.get(name, {}))
        if shard != before:
            after[name] = shard
        await slices.breathe()
    for seq in work.drop:
        at.pop(seq - first, None)
    at.update((row.seq - first, row.at) for row in work.rows)
    return BlockChange(first, after, times(at))


def _apart(rows: Iterable[Row]) -> Sequence[Row]:
    """In the order of their numbers; of several rows of a message only the last counts."""
    last: Mapping[int, Row] = {row.seq: row for row in rows}
    return [last[seq] for seq in sorted(last)]
