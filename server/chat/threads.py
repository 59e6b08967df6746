"""Threads: which answers belong to the message with which a thread began. Kept by the follower of conversations.

Collection `threads`: the answers `{s: number, b: by whom, a: when (milliseconds)}` of one root whose numbers lie in one
span, so that no document grows without end however long people talk. Written with `$addToSet` and `$pull` only: doing
it twice, or on two nodes, does it once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from server.store import Document, Index, Store, UpdateOne

#: Numbers of one document.
_SPAN = 2_048


class Answer(msgspec.Struct, frozen=True, order=True):
    """One answer: its number, who wrote it, when (milliseconds)."""

    seq: int
    by: str
    at: int


class ThreadRepo:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._rows = store.collection("threads")

    async def ensure_indexes(self) -> None:
        await self._store.ensure_indexes(
            "threads", [Index([("conv", 1), ("root", 1)]), Index([("conv", 1), ("span", 1)])]
        )

    async def add(self, conv: str, answers: Iterable[tuple[int, Answer]]) -> None:
        """Takes answers in, each with the number of its root."""
        news: dict[tuple[int, int], list[Document]] = defaultdict(list)
        for root, answer in answers:
            news[root, answer.seq // _SPAN].append({"s": answer.seq, "b": answer.by, "a": answer.at})
        await self._write(
            [
                UpdateOne(
                    {"_id": _id(conv, root, span)},
                    {
                        "$setOnInsert": {"conv": conv, "root": root, "span": span},
                        "$addToSet": {"answers": {"$each": rows}},
                    },
                    upsert=True,
                )
                for (root, span), rows in news.items()
            ]
        )

    async def remove(self, conv: str, seq: int) -> None:
        """Takes an answer out of whatever thread it is in: of one span there are few."""
        query = {"conv": conv, "span": seq // _SPAN, "answers.s": seq}
        await self._rows.update_many(query, {"$pull": {"answers": {"s": seq}}})

    async def remove_person(self, conv: str, person: str) -> None:
        """Takes out all that somebody has written."""
        await self._rows.update_many({"conv": conv, "answers.b": person}, {"$pull": {"answers": {"b": person}}})

    async def of(self, conv: str, root: int) -> list[Answer]:
        """A thread's answers, in order."""
        return (await self.between(conv, root, root)).get(root, [])

    async def between(self, conv: str, first: int, last: int) -> dict[int, list[Answer]]:
        """The threads that began with the messages `first … last`: root → answers in order."""
        found: dict[int, list[Answer]] = defaultdict(list)
        query = {"conv": conv, "root": {"$gte": first, "$lte": last}}
        for row in await self._rows.find(query).to_list(None):
            found[row["root"]] += [Answer(one["s"], one["b"], one["a"]) for one in row.get("answers", ())]
        return {root: sorted(answers) for root, answers in found.items()}

    async def _write(self, writes: Sequence[UpdateOne]) -> None:
        if writes:
            await self._rows.bulk_write(writes, ordered=False)


def _id(conv: str, root: int, span: int) -> str:
    return f"{conv}|{root}|{span}"
