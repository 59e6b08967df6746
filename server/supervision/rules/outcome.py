"""What became of a pledge, by what became of its tasks."""

from __future__ import annotations

from server.supervision.model import Outcome, Pledge, TaskState

#: `decided_by` of a task that staff did not decide in time
LAPSED = "lapsed"


def of_tasks(pledge: Pledge) -> Outcome | None:
    """The outcome as soon as nothing can change it any more, None until then.

    `needed` of the tasks that count must be kept; one that is void does not count, and when none counts the pledge is
    void. So a pledge may be kept before its last task is due, and fail before. Where the outcome hangs on a task that
    staff left undecided it is void: nobody forfeits anything by silence.
    """
    if all(task.state is TaskState.VOID for task in pledge.tasks):
        return Outcome.VOID
    lapsed = sum(task.state is TaskState.VOID and task.decided_by == LAPSED for task in pledge.tasks)
    best, worst = _counted(pledge, kept=lapsed), _counted(pledge, missed=lapsed)
    if best is worst:
        return best
    return None if best is None or worst is None else Outcome.VOID


def _counted(pledge: Pledge, kept: int = 0, missed: int = 0) -> Outcome | None:
    """The outcome if so many of the undecided tasks had been kept, or missed."""
    states = [task.state for task in pledge.tasks if task.state is not TaskState.VOID]
    count = len(states) + kept + missed
    needed = min(pledge.terms.needed or len(pledge.tasks), count)
    if states.count(TaskState.KEPT) + kept >= needed:
        return Outcome.KEPT
    return Outcome.FAILED if states.count(TaskState.MISSED) + missed > count - needed else None


def at_rest(pledge: Pledge) -> bool:
    """Nothing is left to be done or stamped by the two sides."""
    return all(task.state is not TaskState.OPEN for task in pledge.tasks)
