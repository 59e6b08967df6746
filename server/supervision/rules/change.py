"""What a rule answers: the pledge as it is then, and what is told of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from server.media.model import Media
from server.supervision.model import Passed, Pledge, PledgeState, Task

#: A number from 0 up to, not including, the one that is given.
Draw = Callable[[int], int]


class What(StrEnum):
    """Why somebody's inbox speaks of a pledge: it counts, and it is pushed."""

    INVITED = "invited"
    CONSENT_ASKED = "consent_asked"
    APPLIED = "applied"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"
    UNANSWERED = "unanswered"
    ASSIGNED = "assigned"
    LEFT = "left"
    FUNDS_WANTED = "funds_wanted"
    FUNDED = "funded"
    PAID_LATE = "paid_late"  # the money came when nobody waited for it any more: it is in the payer's wallet
    BEGUN = "begun"
    DUE_SOON = "due_soon"
    REPORTED = "reported"
    STAMP_WANTED = "stamp_wanted"
    STAMPED = "stamped"
    CHECK_ASKED = "check_asked"
    CHECK_ANSWERED = "check_answered"
    CHECK_MISSED = "check_missed"
    REVIEW = "review"
    OUTCOME = "outcome"
    DISPUTED = "disputed"
    EVIDENCE = "evidence"
    RULED = "ruled"
    SETTLED = "settled"
    CANCEL_ASKED = "cancel_asked"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    CASE_WAITING = "case_waiting"
    CHORE_DUE = "chore_due"
    CHORE_DONE = "chore_done"


class Line(msgspec.Struct, frozen=True):
    """An entry of the pledge's thread: one of the kinds of `words.py`, its body, and who has caused it."""

    kind: str
    body: dict[str, Any]
    by: str = "system"


class News(msgspec.Struct, frozen=True):
    """For one person's inbox. `by` is who acted (nobody is told of what they did themselves)."""

    person: str
    what: What
    by: str = "system"
    task: int = 0


class Attached(msgspec.Struct, frozen=True):
    """What somebody says and shows with what they do: `evidence` names rows of the log, `media` is for the thread."""

    words: str = ""
    evidence: tuple[str, ...] = ()
    media: tuple[Media, ...] = ()


class Tally(msgspec.Struct, frozen=True):
    """How a vote that is still open stands: for those only who have voted (R-12)."""

    person: str
    task: int
    done: int
    not_done: int
    abstained: int
    of: int


class Change(msgspec.Struct, frozen=True):
    pledge: Pledge
    lines: tuple[Line, ...] = ()
    news: tuple[News, ...] = ()
    tallies: tuple[Tally, ...] = ()

    def then(self, after: Change) -> Change:
        """What a further rule made of `self.pledge`, with all that is told in order."""
        return Change(after.pledge, self.lines + after.lines, self.news + after.news, self.tallies + after.tallies)

    def told(self, *lines: Line, news: Iterable[News] = ()) -> Change:
        return msgspec.structs.replace(self, lines=self.lines + lines, news=self.news + tuple(news))


def turned(pledge: Pledge, **fields: Any) -> Pledge:
    """The pledge with other fields; `version` is raised when it is kept, not here."""
    return msgspec.structs.replace(pledge, **fields)


def come_into(pledge: Pledge, state: PledgeState, at: datetime, **fields: Any) -> Pledge:
    """The pledge in another state."""
    return turned(pledge, state=state, history=(*pledge.history, Passed(state, at)), **fields)


def with_task(pledge: Pledge, task: Task) -> Pledge:
    """The pledge with this one of its tasks as it is now."""
    return turned(pledge, tasks=tuple(task if one.n == task.n else one for one in pledge.tasks))


def concerned(pledge: Pledge, *but: str) -> list[str]:
    """The owner, the supervisors, and whose money it is; each once."""
    people = [pledge.owner, *pledge.seated, *([pledge.stake.payer] if pledge.stake.payer else [])]
    return [person for person in dict.fromkeys(people) if person not in but]


def tell(people: Iterable[str], what: What, by: str = "system", task: int = 0) -> tuple[News, ...]:
    """The same news for several people, but not for who acted."""
    return tuple(News(person, what, by, task) for person in people if person != by)
