"""How several supervisors decide (R-12). Pure.

Only votes of those who supervise now count, and an abstention is no vote for either side. What a vote cannot decide is
nobody's loss: staff looks at it.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from server.supervision.model import Task, TaskState
from server.supervision.terms import RuleKind, VerdictRule


class Count(msgspec.Struct, frozen=True):
    """Done in time, not done (or done too late), abstained; of so many who supervise."""

    done: int
    not_done: int
    abstained: int
    of: int

    @property
    def complete(self) -> bool:
        return self.done + self.not_done + self.abstained == self.of


def count(task: Task, seated: Collection[str]) -> Count:
    said = [vote.counts for vote in task.votes if vote.person in seated]
    return Count(said.count(True), said.count(False), said.count(None), len(seated))


def needed(rule: VerdictRule, of: int) -> int:
    """How many must say that it was done."""
    match rule.kind:
        case RuleKind.MAJORITY:
            return of // 2 + 1
        case RuleKind.ALL:
            return of
        case RuleKind.ANY:
            return 1
        case RuleKind.K_OF_N:
            return rule.k


def decided(counted: Count, rule: VerdictRule) -> TaskState | None:
    """`kept` or `missed` as soon as no further vote can change it; None while it is open, for a tie, and where fewer
    supervise than must agree."""
    least = needed(rule, counted.of)
    if not 1 <= least <= counted.of:
        return None
    if counted.done >= least:
        return TaskState.KEPT
    against = least if rule.kind is RuleKind.MAJORITY else counted.of - least + 1
    return TaskState.MISSED if counted.not_done >= against else None


def why_open(counted: Count, rule: VerdictRule) -> str:
    """Why a vote that is over has decided nothing: `left`, `silent`, `abstained`, `tie`."""
    if needed(rule, counted.of) > counted.of:
        return "left"
    if counted.done == counted.not_done == 0:
        return "abstained" if counted.abstained else "silent"
    return "tie"
