"""What staff sees of pledges, and what everybody may know of somebody's past ones."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from server.people.model import Millis
from server.supervision.model import Outcome
from server.supervision.views import CaseView, Name, PledgeCard, Reasons


class Template(msgspec.Struct, frozen=True):
    """What staff knows how to supervise (R-06), with a proposal for the terms' words in each language."""

    id: str
    title: dict[str, str]
    details: dict[str, str]
    evidence: dict[str, str]


class Templates(msgspec.Struct, frozen=True):
    templates: list[Template]


class Duty(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The templates that one supervises as staff; empty: none at present."""

    templates: Annotated[list[Name], Meta(max_length=50)]


class DutyView(msgspec.Struct, frozen=True):
    templates: list[str]
    open: int


class DeskCase(msgspec.Struct, frozen=True):
    """A case in the reviewers' queue. `why_not` says why oneself may not decide it: `party`, `judged`, `family`,
    `friend`, `ruled` (the ruling that is appealed), or empty."""

    pledge: PledgeCard
    case: CaseView
    why_not: str


class DeskSeat(msgspec.Struct, frozen=True):
    """A pledge that waits for staff to supervise it."""

    pledge: PledgeCard
    template: str
    why_not: str


class Desk(msgspec.Struct, frozen=True):
    cases: list[DeskCase]
    seats: list[DeskSeat]
    mine: list[PledgeCard]


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    ruling: Outcome
    reasons: Reasons


# ── Records ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Facts about somebody's pledges (`shown`: they have agreed that others see them): tasks kept in time, late within
    the grace, missed; pledges kept and failed; stamps given, and how many of them others overruled; points."""

    shown: bool
    on_time: int
    late: int
    missed: int
    kept: int
    failed: int
    stamped: int
    overruled: int
    points: int
    since: Millis | None


class ShowRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    shown: bool
