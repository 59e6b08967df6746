"""Many single reads at about the same time, answered by one query: thousands of clients that come back at once cost the
database some queries, not some thousands."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

#: Keys of one query.
AT_ONCE = 500


class Gathered(Generic[K, V]):
    """`read(keys)` is the query; it leaves out what does not exist.

    While one query is under way those who ask wait for the next one together, so every answer comes from a query that
    began after it was asked for. A fault is told to all whom it concerns.
    """

    def __init__(self, read: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]]) -> None:
        self._read = read
        self._asked: dict[K, asyncio.Future[V | None]] = {}
        self._task: asyncio.Task[None] | None = None

    async def get(self, key: K) -> V | None:
        """The value, or None when there is none. Raises what `read` raises."""
        if (answer := self._asked.get(key)) is None:
            answer = self._asked[key] = asyncio.get_running_loop().create_future()
            # Whoever waits may be gone by then: nobody misses the exception.
            answer.add_done_callback(lambda done: done.cancelled() or done.exception())
            if self._task is None:
                self._task = asyncio.create_task(self._answer(), name="gathered reads")
        return await asyncio.shield(answer)

    async def _answer(self) -> None:
        try:
            while self._asked:
                keys = list(self._asked)[:AT_ONCE]
                answers = {key: self._asked.pop(key) for key in keys}
                try:
                    found = await self._read(keys)
                except Exception as fault:
                    for answer in answers.values():
                        answer.set_exception(fault)
                else:
                    for key, answer in answers.items():
                        answer.set_result(found.get(key))
        finally:
            self._task = None
