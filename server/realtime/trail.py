"""The trail: how a node tells the others through the log itself what it has appended, in case the bus does not.

Each lane of a node's appender has a channel of its own, `trail:<node>:<lane>`. While other nodes live, the last row of
every batch is an entry of that channel that names the channels of the batch and how far they have come. It is written
by the same insert as the batch, so it costs no commit of its own, and it is numbered without holes, so the others read
on from the number they know: no clock is compared, and nobody looks through entries they have already.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from server.store import Document

#: What is older is deleted; a node that was away for longer compares all of its gates instead.
KEPT = timedelta(minutes=10)


def trail_channel(node: str, lane: int) -> str:
    return f"trail:{node}:{lane}"


class Trail:
    """One lane's trail. `last` is the number of the newest row that is known to be durable."""

    def __init__(self, node: str, lane: int) -> None:
        self.ch = trail_channel(node, lane)
        self.last = 0

    @property
    def next_id(self) -> str:
        return f"{self.ch}:{self.last + 1}"

    def row(self, at: datetime, wrote: Iterable[tuple[str, int]]) -> Document:
        """The next row: (channel, number) of what the batch holds, in order."""
        heads = dict(wrote)
        return {
            "_id": self.next_id,
            "ch": self.ch,
            "seq": self.last + 1,
            "wrote": [[ch, seq] for ch, seq in heads.items()],
            "expires": at + KEPT,
        }

    def written(self) -> None:
        """The next row is durable."""
        self.last += 1
