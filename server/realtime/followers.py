"""Followers: what is done after an entry is durable, without anybody waiting for it.

The search index, notifications, summaries of threads: each is a `Follower` that reads the channels of some kinds in
order, at least once, some milliseconds behind the log. How far each has come is kept per channel, so that a crash
forgets nothing. The node that made an entry durable offers it; whoever opens a gate compares the channel's head with
the marks, and at the start (and when a node has gone) all saved heads are compared: what nobody offered is found, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import msgspec

from server.realtime.channels import split
from server.realtime.entries import EntryLog
from server.realtime.follower_run import Follower, FollowerRun
from server.realtime.protocol import Entry
from server.store import Store, StoreError


class Lag(msgspec.Struct, frozen=True):
    """How far a follower is behind on this node: channels that wait, and seconds since the first of them began to."""

    channels: int
    seconds: float


class Followers:
    """All followers of this node. `add` them before `start`. `alone` tells whether there is no other node."""

    def __init__(self, store: Store, log: EntryLog, alone: Callable[[], bool] = lambda: False) -> None:
        self._marks = store.collection("followed")
        self._log = log
        self._alone = alone
        self._runs: list[FollowerRun] = []
        self._by_kind: dict[str, list[FollowerRun]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def add(self, follower: Follower) -> None:
        """Raises ValueError for a name that is taken."""
        if any(run.follower.name == follower.name for run in self._runs):
            raise ValueError(f"follower {follower.name!r} is there twice")
        run = FollowerRun(follower, self._log, self._marks, self._alone)
        self._runs.append(run)
        for kind in follower.kinds:
            self._by_kind.setdefault(kind, []).append(run)

    def start(self) -> None:
        self._tasks = [asyncio.create_task(run.run(), name=f"follower {run.follower.name}") for run in self._runs]
        self.catch_up()

    async def stop(self, within: float = 1.0) -> None:
        """What is left is done after the next start. Waits `within` seconds at most: one may hang with the database."""
        for task in self._tasks:
            task.cancel()
        with suppress(TimeoutError, StoreError):
            async with asyncio.timeout(within):
                await asyncio.gather(*self._tasks, return_exceptions=True)
                for run in self._runs:
                    await run.save()

    def offer(self, ch: str, entry: Entry) -> None:
        """This node has made an entry durable."""
        for run in self._by_kind.get(split(ch)[0], ()):
            run.offer(ch, entry)

    def look(self, ch: str, head: int) -> None:
        """Somebody has read a channel's head: followers that are behind it catch up."""
        if head:
            for run in self._by_kind.get(split(ch)[0], ()):
                run.look(ch, head)

    def catch_up(self) -> None:
        """Compares all saved heads with the marks, in the background."""
        for run in self._runs:
            run.compare()

    def lag(self) -> dict[str, Lag]:
        """By the followers' names."""
        return {run.follower.name: Lag(*run.lag()) for run in self._runs}

    async def settled(self) -> None:
        """Waits until everything that is known of has been followed."""
        for run in self._runs:
            await run.idle.wait()
