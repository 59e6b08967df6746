"""What a verdict may rest on (R-16): where a browser says that somebody was is a signal, never the sole ground. Pure.

Locations can be made up on every device. Nothing here, nor anywhere else, turns one into a verdict; and a supervisor
before whom nothing but locations lies says in words, or shows, what else they know.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from server.errors import Code, VouchError
from server.supervision.model import Evidence, EvidenceKind, Verdict

_DECISIONS = frozenset({EvidenceKind.VERDICT, EvidenceKind.RULING})


def decides(kinds: Iterable[EvidenceKind]) -> bool:
    """Whether evidence of these kinds can be the ground of a verdict: any but locations alone."""
    return any(kind is not EvidenceKind.LOCATION for kind in kinds)


def location_alone(rows: Iterable[Evidence], owner: str, task: int) -> bool:
    """Whether all that the owner has brought forward for a task is where they were."""
    kinds = [row.kind for row in rows if row.by == owner and row.task == task and row.kind not in _DECISIONS]
    return bool(kinds) and not decides(kinds)


def check(verdict: Verdict, words: str, media: Sequence[str], *, alone: bool) -> None:
    """Raises `location_alone` for a verdict with nothing else to rest on."""
    if alone and verdict is not Verdict.ABSTAIN and not words.strip() and not media:
        raise VouchError(Code.LOCATION_ALONE, field="words")
