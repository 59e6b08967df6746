"""Who is here: per channel, the persons with an open subscription on any node.

Each node keeps its own counts, tells changes over the bus, and lists its people in a Redis hash per channel, so that a
node that joins later starts with a snapshot. People of a node whose lease lapses are gone. The lists are compared with
what is so every few seconds, because the bus may lose and Redis be emptied. Without Redis presence shrinks to this
node's own people; nothing else suffers.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import structlog

from server.realtime.absentees import Absentees
from server.realtime.protocol import PRESENCE_NAMED, Presence
from server.redis_url import FAULTS, Client

#: Seconds in which changes of a channel are gathered into one frame.
GATHER = 0.2
_EXPIRE = 24 * 3600
#: Seconds for reading a list, and without reading any after one could not be read.
_LOAD_WITHIN = 1.0
_LOAD_PAUSE = 2.0

log = structlog.get_logger(__name__)


class PresenceBoard:
    """`tell` sends a change to this node's subscribers, `publish` to the other nodes."""

    def __init__(
        self,
        client: Client | None,
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
        self._absentees = Absentees()
        self._away_until = 0.0

    def count(self, ch: str) -> int:
        """How many persons are here."""
        elsewhere = self._elsewhere.get(ch)
        return len(self.online(ch)) if elsewhere and any(elsewhere.values()) else len(self._here.get(ch, ()))

    def snapshot(self, ch: str) -> Presence:
        """What a new subscriber is told."""
        count = self.count(ch)
        return Presence(ch, count=count) if count > PRESENCE_NAMED else Presence(ch, online=self.online(ch))

    def shown(self, change: Presence) -> Presence:
        """What those who are here are told of a change that has happened: names as long as there are few, else how
        many there are. All names to everybody, each time that somebody comes, would be the square of their number."""
        count = self.count(change.ch)
        if count > PRESENCE_NAMED:
            return Presence(change.ch, count=count)
        before = count - len(change.joined) + len(change.left)
        return self.snapshot(change.ch) if before > PRESENCE_NAMED else change

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
        """Reads who is there through other nodes; returns what of it is news here."""
        if ch in self._loading or time.monotonic() < self._away_until:
            return None
        news = await self._read([ch])
        return news[0] if news else None

    async def tend(self, channels: Sequence[str]) -> list[Presence]:
        """Compares these channels' lists with what is so; returns what is news here.

        The bus may have lost what another node told, and Redis what this one has listed.
        """
        listed: dict[str, set[str]] = {}
        news = await self._read([ch for ch in channels if ch not in self._loading], listed)
        if self._flushing is None:  # else the list is being changed, and the next time is soon enough
            here = {ch: set(self._here.get(ch, ())) for ch in listed}
            wrong = [
                Presence(ch, joined=sorted(here[ch] - people), left=sorted(people - here[ch]))
                for ch, people in listed.items()
                if here[ch] != people
            ]
            await self._list(wrong)
            for change in wrong:
                self._publish(change)
        return news

    async def _read(self, channels: Sequence[str], own: dict[str, set[str]] | None = None) -> list[Presence]:
        """`own` is filled with whom the lists name as here through this node.

        Other nodes list their people first and tell the bus then, so that whoever has joined the bus before it reads
        misses nobody.
        """
        if self._redis is None or not channels:
            return []
        heard: dict[str, list[tuple[str, Presence]]] = {ch: [] for ch in channels}
        self._loading.update(heard)
        try:
            async with asyncio.timeout(_LOAD_WITHIN), self._redis.pipeline(transaction=False) as pipe:
                for ch in channels:
                    pipe.hkeys(f"presence:{ch}")
                lists = await pipe.execute()
        # AttributeError: redis-py's connection has no writer when a time-out of another channel's reading has closed it
        # while it was being opened.
        except (*FAULTS, AttributeError):
            # Whoever opens many channels meanwhile waits once. The bus will notice, and have all of them loaded again.
            self._away_until = time.monotonic() + _LOAD_PAUSE
            return []
        finally:
            for ch in channels:
                del self._loading[ch]
        news = []
        for ch, fields in zip(channels, lists, strict=True):
            listed = _by_node(fields)
            if own is not None:
                own[ch] = listed.get(self._node, set())
            if change := self._adopt(ch, listed, heard[ch]):
                news.append(change)
            dead = self._absentees.dead(listed, self._live() | {self._node}, time.monotonic())
            await self._strike(ch, [f"{node}|{person}" for node in dead for person in listed[node]])
        return news

    def _adopt(self, ch: str, listed: dict[str, set[str]], heard: list[tuple[str, Presence]]) -> Presence | None:
        before, live = set(self.online(ch)), self._live()
        self._elsewhere[ch] = {node: people for node, people in listed.items() if node in live}
        for node, change in heard:
            self._apply(node, change)
        return _difference(ch, before, set(self.online(ch)))

    async def _strike(self, ch: str, fields: list[str]) -> None:
        """Takes off the list who was there through nodes that were killed."""
        if self._redis is None or not fields:
            return
        try:
            await self._redis.hdel(f"presence:{ch}", *fields)
        except FAULTS as fault:
            log.debug("presence not tidied", fault=type(fault).__name__)

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
        except FAULTS as fault:
            log.debug("presence not listed", fault=type(fault).__name__)
            for change in changes:
                if change.left:
                    self._owed.setdefault(change.ch, set()).update(change.left)


def _by_node(fields: Iterable[bytes | str]) -> dict[str, set[str]]:
    """Node → persons, of a list whose fields are `node|person`."""
    listed: dict[str, set[str]] = {}
    for field in fields:
        node, _, person = (field if isinstance(field, str) else field.decode()).partition("|")
        listed.setdefault(node, set()).add(person)
    return listed


def _difference(ch: str, before: set[str], after: set[str]) -> Presence | None:
    joined, left = sorted(after - before), sorted(before - after)
    return Presence(ch, joined=joined, left=left) if joined or left else None
