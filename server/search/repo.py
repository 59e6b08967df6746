"""Where the index is kept: `search_shelves`, one document per conversation with its newest messages row by row and the
list of its blocks, and `search_blocks`, the packed terms of older messages (`postings`).

A shelf is changed by compare and set of its version; what changes in the blocks is written in the same transaction, so
that a word that goes is gone from everything at once, whoever else writes. Costs on the embedded engine, measured: a
`$in` of 60 ids 12 ms, of 500 ids 230 ms; 50 updates one by one 180 ms, in one transaction 30 ms.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from server.search.model import Block, Row
from server.search.needles import Lookup
from server.search.postings import ALL_SHARDS, TIMES, Shard, Times
from server.store import BulkFault, Document, Store, Tx, UpdateOne

#: Changes when texts are cut or kept in another way: everything is then indexed again (see `indexer`).
VERSION = 1
_DUPLICATE = 11000
#: Ids of one query.
_IDS = 60


class Stale(Exception):
    """Somebody else has changed a shelf meanwhile."""


class Shelf:
    """The index of one conversation. `lines` are the newest messages, in order, as they are kept.

    `version` counts changes (0: it is not there yet), `upto` is the last number that was looked at, `at` the time of
    the newest row, `erased` are people who have deleted their account: their words never come in again. `outdated`:
    it was made by another version of the index, and is empty for this one; `outdated_blocks` are to be deleted.
    """

    __slots__ = ("at", "blocks", "ch", "erased", "lines", "outdated", "outdated_blocks", "upto", "version")

    def __init__(self, ch: str) -> None:
        self.ch = ch
        self.version = 0
        self.upto = 0
        self.at = 0
        self.lines: list[str] = []
        self.blocks: list[Block] = []
        self.erased: list[str] = []
        self.outdated = False
        self.outdated_blocks: list[int] = []


def line(row: Row) -> str:
    """`number seconds`, then its terms, each on a line of its own."""
    return "\n".join((f"{row.seq} {row.at}", *sorted(row.terms), ""))


def number(line: str) -> int:
    return int(line[: line.index(" ")])


def row(line: str) -> Row:
    head, *terms = line[:-1].split("\n")
    seq, at = head.split(" ")
    return Row(int(seq), int(at), frozenset(terms))


def seconds(line: str) -> int:
    return int(line[line.index(" ") + 1 : line.index("\n")])


def holds(line: str, lookups: Iterable[Lookup]) -> bool:
    return all(lookup.mark in line for lookup in lookups)


class BlockChange(msgspec.Struct, frozen=True):
    """Documents of a block that change, by shard; empty ones are deleted."""

    first: int
    shards: Mapping[str, Shard]
    times: Times | None


class Change(msgspec.Struct, frozen=True):
    """A shelf after something happened. `added`: the lines that are new at its end, where nothing else has changed."""

    shelf: Shelf
    added: list[str] | None
    blocks: list[BlockChange]


class IndexReader(Protocol):
    """What answering queries needs of the index."""

    async def shelves(self, channels: Sequence[str]) -> dict[str, Shelf]: ...

    async def shards(self, wanted: Sequence[tuple[str, int, str]]) -> dict[tuple[str, int, str], Shard]: ...

    async def times(self, wanted: Sequence[tuple[str, int]]) -> dict[tuple[str, int], Times]: ...


class IndexRepo:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._shelves = store.collection("search_shelves")
        self._blocks = store.collection("search_blocks")

    # ── Reading ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def shelf(self, ch: str) -> Shelf:
        """The conversation's shelf; an empty one where there is none."""
        return (await self.shelves([ch])).get(ch) or Shelf(ch)

    async def shelves(self, channels: Sequence[str]) -> dict[str, Shelf]:
        rows = await self._by_ids(self._shelves, channels)
        return {row["_id"]: _shelf(row) for row in rows}

    async def shards(self, wanted: Sequence[tuple[str, int, str]]) -> dict[tuple[str, int, str], Shard]:
        """By (channel, first number of the block, shard); those that are not there hold nothing."""
        keys = {_key(*one): one for one in wanted}
        rows = await self._by_ids(self._blocks, list(keys))
        return {keys[row["_id"]]: Shard(row["terms"], row["ends"], row["posts"]) for row in rows}

    async def times(self, wanted: Sequence[tuple[str, int]]) -> dict[tuple[str, int], Times]:
        """By (channel, first number of the block)."""
        keys = {_key(*one, TIMES): one for one in wanted}
        rows = await self._by_ids(self._blocks, list(keys))
        return {keys[row["_id"]]: Times(row["ends"], row["posts"]) for row in rows}

    async def _by_ids(self, collection: Any, ids: Sequence[str]) -> list[Document]:
        parts = (list(ids[start : start + _IDS]) for start in range(0, len(ids), _IDS))
        read = [collection.find({"_id": {"$in": part}}).to_list(None) for part in parts]
        return [row for rows in await asyncio.gather(*read) for row in rows]

    # ── Writing ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def save(self, changes: Sequence[Change]) -> None:
        """All of them or, when somebody else has changed one of the shelves, none: then it raises Stale."""

        async def body(tx: Tx) -> None:
            new = [change.shelf for change in changes if not change.shelf.version]
            if new:
                await self._shelves.insert_many([_document(shelf) for shelf in new], session=tx.session)
            updates = [_update(change) for change in changes if change.shelf.version]
            if updates:
                result = await self._shelves.bulk_write(updates, ordered=False, session=tx.session)
                if result.matched_count != len(updates):
                    raise Stale
            gone, made = list[str](), list[Document]()
            for change in changes:
                ch = change.shelf.ch
                gone += [_key(ch, first, shard) for first, shard in _outdated(change.shelf)]
                for block in change.blocks:
                    for document in _documents(ch, block):
                        gone.append(document["_id"])
                        if document["posts"]:
                            made.append(document)
            for start in range(0, len(gone), _IDS):
                await self._blocks.delete_many({"_id": {"$in": gone[start : start + _IDS]}}, session=tx.session)
            if made:
                await self._blocks.insert_many(made, session=tx.session)

        try:
            await self._store.transact(body)
        except BulkFault as fault:
            if any(error["code"] != _DUPLICATE for error in fault.details["writeErrors"]):
                raise
            raise Stale from None
        for change in changes:
            shelf = change.shelf
            shelf.version += 1
            shelf.outdated, shelf.outdated_blocks = False, []


def _key(ch: str, first: int, shard: str) -> str:
    return f"{ch}|{first}|{shard}"


def _outdated(shelf: Shelf) -> Iterator[tuple[int, str]]:
    for first in shelf.outdated_blocks:
        for shard in (*ALL_SHARDS, TIMES):
            yield first, shard


def _documents(ch: str, block: BlockChange) -> Iterator[Document]:
    for name, shard in block.shards.items():
        yield {
            "_id": _key(ch, block.first, name),
            "terms": shard.terms,
            "ends": shard.ends,
            "posts": shard.posts,
        }
    if block.times is not None:
        yield {
            "_id": _key(ch, block.first, TIMES),
            "terms": "",
            "ends": block.times.distances,
            "posts": block.times.seconds,
        }


def _shelf(row: Document) -> Shelf:
    shelf = Shelf(row["_id"])
    shelf.version = row["version"]
    if row["index"] != VERSION:
        shelf.outdated = True
        shelf.outdated_blocks = [block[0] for block in row["blocks"]]
        return shelf
    shelf.upto = row["upto"]
    shelf.at = row["at"]
    shelf.lines = row["lines"]
    shelf.blocks = [Block(*block) for block in row["blocks"]]
    shelf.erased = row["erased"]
    return shelf


def _changing(shelf: Shelf) -> Document:
    return {
        "index": VERSION,
        "version": shelf.version + 1,
        "upto": shelf.upto,
        "at": shelf.at,
        "blocks": [list(msgspec.structs.astuple(block)) for block in shelf.blocks],
        "erased": shelf.erased,
    }


def _document(shelf: Shelf) -> Document:
    return {"_id": shelf.ch, **_changing(shelf), "lines": shelf.lines}


def _update(change: Change) -> UpdateOne:
    shelf = change.shelf
    match: Document = {"_id": shelf.ch, "version": shelf.version}
    if change.added is None or shelf.outdated:
        return UpdateOne(match, {"$set": {**_changing(shelf), "lines": shelf.lines}})
    moved = {"version": shelf.version + 1, "upto": shelf.upto, "at": shelf.at}
    if not change.added:
        return UpdateOne(match, {"$set": moved})
    return UpdateOne(match, {"$set": moved, "$push": {"lines": {"$each": change.added}}})
