"""The words of what is promised: written before, shown with both outcomes in money, frozen when it is published."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from server.money.model import MOST, Currency

#: bounds of what may be promised
TASKS_MOST = 20
OCCURRENCES_MOST = 200
SUPERVISORS_MOST = 20
OWNERS_MOST = 50
TITLE_LONGEST = 80
WORDS_LONGEST = 2_000


class StakeKind(StrEnum):
    """What moves with the outcome (R-08, R-09, R-10). `deposit`: the owner's money, to the supervisors. `staff`: the
    owner's money, to the staff department, judged by staff. `reward`: a supervisor's money, to the owner. `message`:
    words that go to a chosen person when it fails. `chore`: something that the owner then does for a chosen person.
    `points`: a number that is gained or lost. `none`: nothing but one's word."""

    DEPOSIT = "deposit"
    STAFF = "staff"
    REWARD = "reward"
    MESSAGE = "message"
    CHORE = "chore"
    POINTS = "points"
    NONE = "none"


MONEY = frozenset({StakeKind.DEPOSIT, StakeKind.STAFF, StakeKind.REWARD})


class StakeTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Of money: `amount` in minor units, and how much of it moves to the other side (the supervisors, the department,
    or with a reward the owner) in each outcome; the rest is whose it was. `moves_if_kept` is 0 in staff mode,
    `moves_if_failed` is 0 with a reward. `words` and `to` belong to messages and chores, `points` to points."""

    kind: StakeKind
    amount: Annotated[int, Meta(ge=0, le=MOST)] = 0
    currency: Currency | None = None
    moves_if_kept: Annotated[int, Meta(ge=0, le=MOST)] = 0
    moves_if_failed: Annotated[int, Meta(ge=0, le=MOST)] = 0
    words: Annotated[str, Meta(max_length=WORDS_LONGEST)] = ""
    to: Annotated[str, Meta(max_length=40)] | None = None
    points: Annotated[int, Meta(ge=0, le=1_000_000)] = 0


class TaskTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`due` is a wall-clock time in the pledge's zone (`2026-11-25T21:00`), the first one where it is repeated.
    `repeat` is an RFC 5545 RRULE without DTSTART that ends (`FREQ=DAILY;COUNT=5`), empty for once. From `opens` minutes
    before it is due it can be done and checked."""

    title: Annotated[str, Meta(min_length=1, max_length=TITLE_LONGEST)]
    due: Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}$", max_length=16)]
    repeat: Annotated[str, Meta(max_length=200)] = ""
    opens: Annotated[int, Meta(ge=15, le=44_640)] = 720
    details: Annotated[str, Meta(max_length=WORDS_LONGEST)] = ""


class RuleKind(StrEnum):
    """How several supervisors decide (R-12)."""

    MAJORITY = "majority"
    ALL = "all"
    ANY = "any"
    K_OF_N = "k_of_n"


class VerdictRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`k` belongs to `k_of_n`."""

    kind: RuleKind = RuleKind.MAJORITY
    k: Annotated[int, Meta(ge=0, le=SUPERVISORS_MOST)] = 0


class CheckTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Spot checks (R-13): so many by the server at random moments of each task's window, so many a day on demand. The
    owner has `answer` minutes. Between `quiet_from` and `quiet_to` (wall clock, `22:00`) nobody is asked; equal times
    mean no quiet hours."""

    random: Annotated[int, Meta(ge=0, le=3)] = 0
    on_demand: Annotated[int, Meta(ge=0, le=10)] = 3
    answer: Annotated[int, Meta(ge=5, le=240)] = 30
    quiet_from: Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$", max_length=5)] = "22:00"
    quiet_to: Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$", max_length=5)] = "07:00"


class Visibility(StrEnum):
    """Who finds it in a list: nobody but those who are named (or have the link), the owner's friends, the members of a
    group chat, everybody. A minor's pledge is never public (R-02)."""

    NAMED = "named"
    FRIENDS = "friends"
    GROUP = "group"
    PUBLIC = "public"


class Terms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the two sides agree upon. `needed` of the tasks must be kept (0: all of them). What is done up to `grace`
    minutes late still counts (R-11). Supervisors have `judge` hours after that to stamp it, and when the outcome is
    known there are `challenge` hours to object. It begins with `least` supervisors and takes at most `most`. `group` is
    the conversation of visibility `group`; `template` is what staff knows how to supervise (staff mode)."""

    title: Annotated[str, Meta(min_length=1, max_length=TITLE_LONGEST)]
    zone: Annotated[str, Meta(min_length=1, max_length=64)]
    tasks: Annotated[tuple[TaskTerms, ...], Meta(min_length=1, max_length=TASKS_MOST)]
    stake: StakeTerms
    why: Annotated[str, Meta(max_length=WORDS_LONGEST)] = ""
    needed: Annotated[int, Meta(ge=0, le=OCCURRENCES_MOST)] = 0
    grace: Annotated[int, Meta(ge=0, le=10_080)] = 0
    judge: Annotated[int, Meta(ge=1, le=336)] = 48
    challenge: Annotated[int, Meta(ge=1, le=336)] = 24
    rule: VerdictRule = VerdictRule()
    least: Annotated[int, Meta(ge=1, le=SUPERVISORS_MOST)] = 1
    most: Annotated[int, Meta(ge=1, le=SUPERVISORS_MOST)] = 1
    checks: CheckTerms = CheckTerms()
    visibility: Visibility = Visibility.NAMED
    group: Annotated[str, Meta(max_length=40)] | None = None
    template: Annotated[str, Meta(max_length=40)] | None = None
