"""Key rings: one purpose's keys, of which one writes and all read, so that a key can be changed while nodes run.

A ring is a text file. A single word is a key that was never changed. Otherwise each line is a key:

    current 1 2026-11-22T04:25:00Z 9f2c…
    old     0 2026-11-22T04:25:00Z 77ab…

`next` is known to the nodes but does not write yet, `current` writes, `old` only reads. The number never changes and is
never given twice; the time is when the key came into its state.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum

import msgspec


class State(StrEnum):
    NEXT = "next"
    CURRENT = "current"
    OLD = "old"


class RingKey(msgspec.Struct, frozen=True):
    """`text` is the key as the file holds it, `secret` as it is used; `since` is None for one never changed."""

    number: int
    state: State
    since: datetime | None
    text: str
    secret: bytes

    def __repr__(self) -> str:
        return f"RingKey({self.number}, {self.state})"


class Ring(msgspec.Struct, frozen=True):
    """Exactly one current key, at most one next one; `keys` begins with the current one."""

    keys: tuple[RingKey, ...]

    @property
    def current(self) -> RingKey:
        return self.keys[0]

    @property
    def next(self) -> RingKey | None:
        return next((key for key in self.keys if key.state is State.NEXT), None)

    @property
    def old(self) -> tuple[RingKey, ...]:
        return tuple(key for key in self.keys if key.state is State.OLD)

    @property
    def secrets(self) -> tuple[bytes, ...]:
        """What can be read with; the first one writes."""
        return tuple(key.secret for key in self.keys)

    def announced(self, text: str, decode: Callable[[str], bytes], at: datetime) -> Ring:
        """With a fresh key that does not write yet."""
        if self.next is not None:
            raise ValueError("there is a next key already")
        number = max(key.number for key in self.keys) + 1
        return _ring([*self.keys, RingKey(number, State.NEXT, at, text, decode(text))])

    def promoted(self, at: datetime) -> Ring:
        """The next key writes from now on, the current one becomes old."""
        if self.next is None:
            raise ValueError("there is no next key")
        following = {State.NEXT: State.CURRENT, State.CURRENT: State.OLD}
        return _ring(
            [
                msgspec.structs.replace(key, state=following[key.state], since=at) if key.state in following else key
                for key in self.keys
            ]
        )

    def pruned(self) -> Ring:
        """Without the old keys."""
        return _ring([key for key in self.keys if key.state is not State.OLD])

    def text(self) -> str:
        """What the file holds."""
        if len(self.keys) == 1 and self.current.number == 0:
            return self.current.text
        return "".join(f"{key.state} {key.number} {_stamp(key.since)} {key.text}\n" for key in self.keys)


def parse(text: str, decode: Callable[[str], bytes]) -> Ring:
    """Raises ValueError for what is no ring."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    if len(lines) == 1 and len(lines[0]) == 1:
        (word,) = lines[0]
        return Ring((RingKey(0, State.CURRENT, None, word, decode(word)),))
    keys: list[RingKey] = []
    for words in lines:
        if len(words) != 4:
            raise ValueError("a line of a key ring has four words")
        state, number, since, word = words
        keys.append(RingKey(int(number), State(state), _moment(since), word, decode(word)))
    return _ring(keys)


def _ring(keys: list[RingKey]) -> Ring:
    order = {State.CURRENT: 0, State.NEXT: 1, State.OLD: 2}
    states = [key.state for key in keys]
    if states.count(State.CURRENT) != 1 or states.count(State.NEXT) > 1:
        raise ValueError("a key ring has one current key, and at most one next")
    if len({key.number for key in keys}) != len(keys):
        raise ValueError("two keys of a ring have the same number")
    return Ring(tuple(sorted(keys, key=lambda key: (order[key.state], -key.number))))


def _stamp(at: datetime | None) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else "-"


def _moment(text: str) -> datetime | None:
    return None if text == "-" else datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
