"""What time does to a pledge: what is due by now, and when something is due next.

Each noun that time changes answers two questions here: `moments` (when), and `tick` (what happens to what is due).
"""

from __future__ import annotations

from datetime import datetime

from server.supervision.model import FINAL, Pledge, PledgeState
from server.supervision.rules import cases, checks, lifecycle, seats, tasks
from server.supervision.rules.change import Change, Draw


def tick(pledge: Pledge, now: datetime, draw: Draw) -> Change:
    """Everything that is due by now, in order; the same again changes nothing."""
    change = lifecycle.progress(seats.tick(pledge, now), now)
    change = change.then(tasks.tick(change.pledge, now))
    change = change.then(checks.tick(change.pledge, now, draw))
    return change.then(cases.tick(change.pledge, now))


def next_due(pledge: Pledge) -> datetime | None:
    """When time changes something next; None when it does not any more."""
    if pledge.state in FINAL or pledge.state is PledgeState.DRAFT:
        return None
    found = [*seats.moments(pledge), *lifecycle.moments(pledge), *tasks.moments(pledge)]
    return min([*found, *checks.moments(pledge), *cases.moments(pledge)], default=None)
