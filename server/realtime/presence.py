"""Who is here: per channel, the persons with an open subscription on any node.

Each node keeps its own counts, tells changes over the bus, and lists its people in a Redis hash per channel, so that a
node that joins later starts with a snapshot. People of a node whose lease lapses are gone. Without Redis presence
shrinks to this node's own people; nothing else suffers.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import redis.asyncio as redis
import structlog
from redis.exceptions import RedisError

from server.realtime.protocol import Presence

#: Seconds in which changes of a channel are gathered into one frame.
GATHER = 0.2
_EXPIRE = 24 * 3600

log = structlog.get_logger(__name__)


class PresenceBoard:
    """`tell` sends a change to this node's subscribers, `publish` to the other nodes."""

    def __init__(
        self,
        client: redis.Redis | None,
        node: str,
        live: Callable[[], set[str]],
        tell: Callable[[Presence], None],
        publish: Callable[[Presence], None],
    ) -> None:
        self._redis = client
        self._node = node
        self._live = live
        self._tell = tell
        self._publish = publish
        self._here: dict[str, Counter[str]] = {}
        self._elsewhere: dict[str, dict[str, set[str]]] = {}
        #: what is heard while a channel's list is being read: it may be newer than the list
        self._loading: dict[str, list[tuple[str, Presence]]] = {}
        self._changed: dict[str, dict[str, bool]] = {}
        #: who left while Redis did not answer, and so is listed still
        self._owed: dict[str, set[str]] = {}
        self._flushing: asyncio.Task[None] | None = None

    def online(self, ch: str) -> list[str]:
        everybody = set(self._here.get(ch, ()))
        for people in self._elsewhere.get(ch, {}).values():
            everybody |= people
        return sorted(everybody)

    def enter(self, ch: str, person: str) -> None:
        counts = self._here.setdefault(ch, Counter())
        counts[person] += 1
        if counts[person] == 1:
            self._note(ch, person, True)

    def leave(self, ch: str, person: str) -> None:
        counts = self._here.get(ch)
        if counts is None or person not in counts:
            return
        counts[person] -= 1
        if counts[person] <= 0:
            del counts[person]
            self._note(ch, person, False)
        if not counts:
            del self._here[ch]

    async def load(self, ch: str) -> Presence | None:
        """Reads who is there through other nodes; returns what of it is news here.

        Other nodes list their people first and tell the bus then, so that whoever has joined the bus before it reads
        misses nobody.
        """
        if self._redis is None or ch in self._loading:
            return None
        heard = self._loading[ch] = []
        try:
            fields = await self._redis.hkeys(f"presence:{ch}")
        except (RedisError, OSError):
            return None
        finally:
            del self._loading[ch]
        before = set(self.online(ch))
        live, elsewhere = self._live(), dict[str, set[str]]()
        for field in fields:
            node, _, person = (field if isinstance(field, str) else field.decode()).partition("|")
            if node in live:
                elsewhere.setdefault(node, set()).add(person)
        self._elsewhere[ch] = elsewhere
        for node, change in heard:
            self._apply(node, change)
        return _difference(ch, before, set(self.online(ch)))

    def forget(self, ch: str) -> None:
        """The channel has no gate on this node any more."""
        self._elsewhere.pop(ch, None)

    def heard(self, node: str, change: Presence) -> Presence | None:
        """Another node's change; returns what of it is news to the subscribers here."""
        before = set(self.online(change.ch))
        self._apply(node, change)
        if (loading := self._loading.get(change.ch)) is not None:
            loading.append((node, change))
        return _difference(change.ch, before, set(self.online(change.ch)))

    def _apply(self, node: str, change: Presence) -> None:
        there = self._elsewhere.setdefault(change.ch, {}).setdefault(node, set())
        there |= set(change.joined)
        there -= set(change.left)

    def node_gone(self, node: str) -> None:
        for ch, elsewhere in self._elsewhere.items():
            if node in elsewhere:
                before = set(self.online(ch))
                del elsewhere[node]
                if news := _difference(ch, before, set(self.online(ch))):
                    self._tell(news)

    async def restate(self) -> None:
        """Lists all of this node's people again, and tells the other nodes: Redis may have been emptied, or away."""
        owed, self._owed = self._owed, {}
        gone = {ch: sorted(people - set(self._here.get(ch, ()))) for ch, people in owed.items()}
        whole = [Presence(ch, joined=list(counts), left=gone.pop(ch, [])) for ch, counts in self._here.items()]
        whole += [Presence(ch, left=people) for ch, people in gone.items() if people]
        await self._list(whole)
        for change in whole:
            self._publish(change)

    async def stop(self) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
            await asyncio.gather(self._flushing, return_exceptions=True)
        await self._list([Presence(ch, left=list(counts)) for ch, counts in self._here.items()])

    def _note(self, ch: str, person: str, here: bool) -> None:
        changes = self._changed.setdefault(ch, {})
        if changes.get(person) is (not here):
            del changes[person]  # came and went within the same moment
        else:
            changes[person] = here
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush(), name="presence")

    async def _flush(self) -> None:
        """One at a time, so that the list never keeps the older of two changes."""
        while True:
            await asyncio.sleep(GATHER)
            changed, self._changed = self._changed, {}
            news = []
            for ch, changes in changed.items():
                joined = [person for person, here in changes.items() if here]
                left = [person for person, here in changes.items() if not here]
                if not joined and not left:
                    continue
                news.append(Presence(ch, joined=joined, left=left))
                still = set(self.online(ch))  # whoever left here may be there through another node
                self._tell(Presence(ch, joined=joined, left=[person for person in left if person not in still]))
            await self._list(news)
            for change in news:
                self._publish(change)
            if not self._changed:
                self._flushing = None
                return

    async def _list(self, changes: list[Presence]) -> None:
        if self._redis is None or not changes:
            return
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                for change in changes:
                    key = f"presence:{change.ch}"
                    if change.joined:
                        pipe.hset(key, mapping={f"{self._node}|{person}": "1" for person in change.joined})
                        pipe.expire(key, _EXPIRE)
                    if change.left:
                        pipe.hdel(key, *(f"{self._node}|{person}" for person in change.left))
                await pipe.execute()
        except (RedisError, OSError) as fault:
            log.debug("presence not listed", fault=type(fault).__name__)
            for change in changes:
                if change.left:
                    self._owed.setdefault(change.ch, set()).update(change.left)


def _difference(ch: str, before: set[str], after: set[str]) -> Presence | None:
    joined, left = sorted(after - before), sorted(before - after)
    return Presence(ch, joined=joined, left=left) if joined or left else None
