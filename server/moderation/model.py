"""The words of moderation: what a report is, what staff may do about it, and what of it travels."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from server.chat.model import ConversationId
from server.media.model import Media
from server.people.model import Millis, PersonCard, PersonId
from server.realtime.protocol import Seq

NOTE_LONGEST = 1_000
#: messages before the reported one that are kept with it
CONTEXT = 5
LONGEST_SUSPENSION = 24 * 365  # hours

ReportId = Annotated[str, Meta(pattern=r"^rp_[0-9a-z]{20}$", max_length=23)]
Note = Annotated[str, Meta(max_length=NOTE_LONGEST)]
Version = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Hours = Annotated[int, Meta(ge=1, le=LONGEST_SUSPENSION)]


class Reason(StrEnum):
    """Why somebody reports. `other` needs a note."""

    SPAM = "spam"
    INSULT = "insult"
    HATE = "hate"
    THREAT = "threat"
    SEXUAL = "sexual"
    PRIVACY = "privacy"
    FRAUD = "fraud"
    SELF_HARM = "self_harm"
    OTHER = "other"


class ReportState(StrEnum):
    OPEN = "open"
    #: a member of staff works on it
    CLAIMED = "claimed"
    DECIDED = "decided"


class Measure(StrEnum):
    """What staff do about a report; nothing at all dismisses it."""

    REMOVE = "remove"
    WARN = "warn"
    SUSPEND = "suspend"


# ── What travels over HTTP ──────────────────────────────────────────────────────────────────────────────────────────


class MakeReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Either a message (`conversation` and `seq`) or a person whom one has met."""

    reason: Reason
    note: Note = ""
    conversation: ConversationId | None = None
    seq: Seq | None = None
    person: PersonId | None = None


class OwnReport(msgspec.Struct, frozen=True):
    """A report as the one who made it sees it: `done` is what followed, once it is decided. `again`: one had reported
    this before, and it is the same report."""

    id: str
    state: ReportState
    at: Millis
    done: list[Measure]
    again: bool


class Evidence(msgspec.Struct, frozen=True, omit_defaults=True):
    """A message as it stood when it was reported. `edited`: it had said something else before."""

    seq: Seq
    at: Millis
    by: str
    text: str = ""
    media: list[Media] = []
    edited: bool = False


class ReportLine(msgspec.Struct, frozen=True):
    """A report in the queue. `excerpt` is the beginning of the reported message, empty for a person."""

    id: str
    number: int
    state: ReportState
    reason: Reason
    at: Millis
    reporter: str
    person: str
    conversation: str | None
    seq: Seq | None
    excerpt: str
    claimed_by: str | None
    decided_at: Millis | None
    done: list[Measure]


class Reports(msgspec.Struct, frozen=True):
    """`people` are the cards of all who are named; `next` continues the page; `open` reports wait in all."""

    reports: list[ReportLine]
    people: list[PersonCard]
    next: int | None
    open: int


class ReportView(msgspec.Struct, frozen=True):
    """All that staff need to decide. `evidence` ends with the reported message; `earlier` are other reports about the
    same person. `suspended_until` is the person's present state, `may_decide` whether the one who asks may."""

    report: ReportLine
    title: str
    note: str
    evidence: list[Evidence]
    earlier: list[ReportLine]
    people: list[PersonCard]
    claimed_at: Millis | None
    decided_by: str | None
    decision_note: str
    until: Millis | None
    suspended_until: Millis | None
    may_decide: bool
    version: int


class Claim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`version` is that of the report as one has seen it."""

    version: Version


class Decision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No measures dismiss the report. `hours` says for how long to suspend; `note` is for staff only."""

    version: Version
    measures: Annotated[list[Measure], Meta(max_length=3)]
    hours: Hours | None = None
    note: Note = ""


# ── What is kept ────────────────────────────────────────────────────────────────────────────────────────────────────


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """`person` is who is reported; `conversation` and `seq` name the message, None where the person is meant.

    `number` counts all reports; `version` the changes of this one.
    """

    id: str
    number: int = 0
    reporter: str
    person: str
    conversation: str | None = None
    seq: int | None = None
    title: str = ""
    reason: Reason
    note: str = ""
    evidence: tuple[Evidence, ...] = ()
    at: datetime
    state: ReportState = ReportState.OPEN
    claimed_by: str | None = None
    claimed_at: datetime | None = None
    decided_by: str | None = None
    decided_at: datetime | None = None
    decision_note: str = ""
    done: tuple[Measure, ...] = ()
    until: datetime | None = None
    version: int = 1

    @property
    def key(self) -> str:
        """The same for the same reporter and target."""
        target = self.person if self.conversation is None else f"{self.conversation}:{self.seq}"
        return f"{self.reporter}|{target}"
