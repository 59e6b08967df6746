"""What a settled pledge says of its people: counts, no marks. What staff has overruled says nothing of the owner."""

from __future__ import annotations

from datetime import datetime

import msgspec

from server.supervision.model import CaseKind, Outcome, Pledge, Task, TaskState
from server.supervision.rules.outcome import of_tasks

_POINTS = {Outcome.KEPT: 1, Outcome.FAILED: -1}


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """So many more of each, for one person. Points can be lost."""

    on_time: int = 0
    late: int = 0
    missed: int = 0
    kept: int = 0
    failed: int = 0
    stamped: int = 0
    overruled: int = 0
    points: int = 0

    @property
    def any(self) -> bool:
        return any(msgspec.structs.astuple(self))


def of(pledge: Pledge) -> dict[str, Facts]:
    """For everybody of whom a settled pledge says something."""
    found = {pledge.owner: _owner(pledge)}
    for person in {vote.person for task in pledge.tasks for vote in task.votes}:
        found[person] = _supervisor(pledge, person)
    return {person: facts for person, facts in found.items() if facts.any}


def done_at(task: Task) -> datetime | None:
    """When a task that was kept was done: as most of those who count said, else as the owner did."""
    times = sorted(vote.done_at for vote in task.votes if vote.counts and vote.done_at is not None)
    return times[(len(times) - 1) // 2] if times else task.reported_at


def _owner(pledge: Pledge) -> Facts:
    void = _overruled(pledge)
    kept = [task for task in pledge.tasks if task.state is TaskState.KEPT and task.state is not void]
    late = sum((at := done_at(task)) is not None and at > task.due_at for task in kept)
    missed = sum(task.state is TaskState.MISSED and task.state is not void for task in pledge.tasks)
    return Facts(
        on_time=len(kept) - late,
        late=late,
        missed=missed,
        kept=int(pledge.outcome is Outcome.KEPT),
        failed=int(pledge.outcome is Outcome.FAILED),
        points=_POINTS.get(pledge.outcome, 0) * pledge.terms.stake.points if pledge.outcome else 0,
    )


def _supervisor(pledge: Pledge, person: str) -> Facts:
    void = _overruled(pledge)
    stamped = overruled = 0
    for task in pledge.tasks:
        counted = [vote.counts for vote in task.votes if vote.person == person and vote.counts is not None]
        stamped += len(counted)
        for counts in counted:
            said = TaskState.KEPT if counts else TaskState.MISSED
            found = task.state if task.state in (TaskState.KEPT, TaskState.MISSED) else said
            overruled += said is not found or said is void
    return Facts(stamped=stamped, overruled=overruled)


def _overruled(pledge: Pledge) -> TaskState | None:
    """What was said of tasks and did not stand when staff ruled on the whole."""
    ruled = any(case.kind is not CaseKind.REVIEW and case.ruling and case.reasons for case in pledge.cases)
    if not ruled or pledge.outcome is None or of_tasks(pledge) is pledge.outcome:
        return None
    return {Outcome.KEPT: TaskState.MISSED, Outcome.FAILED: TaskState.KEPT}.get(pledge.outcome)
