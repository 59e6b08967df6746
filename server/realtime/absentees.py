"""Nodes that are listed somewhere but have not been seen alive for so long that they must be dead.

A node that was killed takes nothing off the lists that it keeps in Redis. Whoever meets its name there cannot know at
once: the node may be so young that its lease has not been read yet, or stopped for a moment.
"""

from __future__ import annotations

from collections.abc import Iterable

#: Seconds between the first and the last meeting with the name of a node that does not live.
PATIENCE = 30.0
#: A name that was not met for so long begins anew.
_FORGET = 3600.0


class Absentees:
    """Pure: time is an argument, in seconds of any clock that only rises."""

    def __init__(self) -> None:
        self._missed: dict[str, float] = {}

    def dead(self, listed: Iterable[str], live: set[str], now: float) -> set[str]:
        """Those of the listed nodes whose entries can go."""
        for node in [node for node, since in self._missed.items() if node in live or now - since > _FORGET]:
            del self._missed[node]
        return {node for node in set(listed) - live if now - self._missed.setdefault(node, now) > PATIENCE}
