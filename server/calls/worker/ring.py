"""The last packets of a track under one numbering without holes or repeats of our making.

A publisher's numbers have holes where padding was sent for probing; these are closed. Late packets find the place that
was left for them. When the publisher's numbering starts anew, ours goes on.
"""

from __future__ import annotations

from collections import deque

from server.calls.worker.packets import Shape, nearest

#: Packets that are kept: some 4 s of a large picture. A power of two.
SIZE = 1024
_MASK = SIZE - 1
#: How far ahead a packet may be of the newest one; further ahead, or older than the ring, the numbering is another one.
_MOST_AHEAD = SIZE
#: Numbers below that of the first packet, for what comes late before it.
_ROOM = 64

#: Our number (it does not start again at 0), timestamp, marker, payload, the shape of a VP8 payload, and how loud sound
#: is (RFC 6464, as on the wire; -1 for unknown).
Entry = tuple[int, int, int, bytes, Shape | None, int]


class Ring:
    """`place` says under which number a packet goes on, `put` keeps it."""

    __slots__ = ("_closed", "_closed_count", "_entries", "_expected", "_first", "highest", "restarts", "top")

    def __init__(self) -> None:
        self._entries: list[Entry | None] = [None] * SIZE
        self._closed: deque[int] = deque()  # theirs, of the last ones, in order
        self._closed_count = 0  # ever; ours = theirs - this (of those before)
        self._expected = -1  # what would prove another numbering
        self._first = 0  # no number below this belongs to the numbering that is
        #: The publisher's newest number, without turns; -1 before the first packet.
        self.top = -1
        #: Our newest number; -1 before the first packet.
        self.highest = -1
        self.restarts = 0

    def place(self, sequence: int, *, padding: bool) -> int | None:
        """Our number of a packet with the publisher's `sequence` (16 bits); None when it goes nowhere.

        It goes nowhere when it is a repeat, too old, padding whose place could be closed, or the first of what may be
        another numbering (two in a row prove it: RFC 3550, A.1). `restarts` counts those.
        """
        top = self.top
        if top < 0:
            self._start(sequence, _ROOM)
            if padding:
                self._close(self.top)
                return None
            return _ROOM
        theirs = nearest(sequence, top)
        ahead = theirs - top
        if ahead > _MOST_AHEAD or ahead < -SIZE:
            return self._other_numbering(sequence, padding=padding)
        if ahead > 0:
            self.top = theirs
            ours = theirs - self._closed_count
            if not padding:
                return ours
            self._close(theirs)
            return None
        closed = self._closed
        after = 0
        if closed and closed[-1] >= theirs:
            for number in reversed(closed):
                if number < theirs:
                    break
                if number == theirs:
                    return None
                after += 1
        ours = theirs - self._closed_count + after
        if ours < self._first or ours <= self.highest - SIZE:
            return None
        kept = self._entries[ours & _MASK]
        if kept is not None and kept[0] == ours:
            return None
        if padding and ours > self.highest:
            self._close(theirs)
            return None
        return ours

    def put(self, entry: Entry) -> None:
        number = entry[0]
        if number > self.highest:
            self.highest = number
        self._entries[number & _MASK] = entry

    def get(self, number: int) -> Entry | None:
        if number < 0:
            return None
        entry = self._entries[number & _MASK]
        return entry if entry is not None and entry[0] == number else None

    def forget(self) -> None:
        """Lets all packets go: who watched may remember the ring for long."""
        self._entries = [None] * SIZE
        self._closed.clear()

    def _close(self, theirs: int) -> None:
        closed = self._closed
        place = len(closed)
        while place and closed[place - 1] > theirs:
            place -= 1
        closed.insert(place, theirs)
        self._closed_count += 1
        while closed[0] < self.top - 2 * SIZE:
            closed.popleft()

    def _other_numbering(self, sequence: int, *, padding: bool) -> int | None:
        if self._expected != sequence:
            self._expected = (sequence + 1) & 0xFFFF
            return None
        return self.begin(sequence, padding=padding)

    def begin(self, sequence: int, *, padding: bool) -> int | None:
        """Another numbering begins with this packet; ours goes on behind the newest."""
        self.restarts += 1
        self._first = first = self.highest + 1
        self._start(sequence, first)
        if padding:
            self._close(self.top)
            return None
        return first

    def _start(self, sequence: int, ours: int) -> None:
        self._expected = -1
        self._closed.clear()
        self.top = sequence + 0x10000  # one turn up: what is earlier is not below 0
        self._closed_count = self.top - ours
