"""The words of supervision: a pledge with its terms, seats, tasks and stake, as they are kept.

A pledge belongs to one owner and is watched by 1 to 20 supervisors; who is what belongs to the pledge, not to the user.
Everything that changes together is one document, changed by compare-and-set on `version`. What must never change is
kept beside it: evidence, and the thread. Times are aware UTC; what people wrote on the wall's clock says so.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from server.media.model import Media
from server.supervision.terms import MONEY, Terms

PledgeId = Annotated[str, Meta(pattern=r"^g_[0-9a-z]{20}$", max_length=22)]
CohortId = Annotated[str, Meta(pattern=r"^k_[0-9a-z]{20}$", max_length=22)]

# ── States ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class PledgeState(StrEnum):
    """S0's states. `awaiting_owner` is besides: a supervisor has drafted it and the owner has not consented yet. `kept`
    and `failed` are passed on the way into the challenge window."""

    DRAFT = "draft"
    AWAITING_OWNER = "awaiting_owner"
    AWAITING_SUPERVISOR = "awaiting_supervisor"
    AWAITING_FUNDS = "awaiting_funds"
    ACTIVE = "active"
    UNDER_REVIEW = "under_review"
    KEPT = "kept"
    FAILED = "failed"
    CHALLENGE_WINDOW = "challenge_window"
    DISPUTED = "disputed"
    SETTLED = "settled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


#: it has not begun
WAITING = frozenset({PledgeState.AWAITING_OWNER, PledgeState.AWAITING_SUPERVISOR, PledgeState.AWAITING_FUNDS})
#: nothing happens any more
FINAL = frozenset({PledgeState.SETTLED, PledgeState.CANCELLED, PledgeState.EXPIRED})


class Outcome(StrEnum):
    """`void`: nobody could say; who paid has all of it back."""

    KEPT = "kept"
    FAILED = "failed"
    VOID = "void"


class Side(StrEnum):
    OWNER = "owner"
    SUPERVISOR = "supervisor"


# ── Seats ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class SeatState(StrEnum):
    """`applied` waits for the owner, `invited` for the person; `seated` supervises; the others are ended."""

    APPLIED = "applied"
    INVITED = "invited"
    SEATED = "seated"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    LEFT = "left"


class SeatVia(StrEnum):
    """How somebody came to it: R-03, R-04, R-05, R-06; `founder` drafted it as its supervisor."""

    APPLIED = "applied"
    DESIGNATED = "designated"
    GROUP = "group"
    STAFF = "staff"
    FOUNDER = "founder"


class Seat(msgspec.Struct, frozen=True, kw_only=True):
    """A supervisor's place, open or taken; one per person. `by` is who acted last, `words` what came with it."""

    person: str
    state: SeatState
    via: SeatVia
    by: str
    at: datetime
    expires_at: datetime | None = None
    words: str = ""


class Flag(StrEnum):
    """Why the two sides may be one: staff looks at the outcome before money moves."""

    SAME_BROWSER = "same_browser"
    FAMILY = "family"


class Suspicion(msgspec.Struct, frozen=True):
    person: str
    flag: Flag


# ── Tasks ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class Verdict(StrEnum):
    """What a supervisor says of a task."""

    DONE = "done"
    NOT_DONE = "not_done"
    ABSTAIN = "abstain"


class Vote(msgspec.Struct, frozen=True, kw_only=True):
    """A check-in stamp (R-11). `done_at` is when the task was done, by which it is in time or not; `counts` is what
    follows from both: kept or not, None for an abstention. `evidence` names rows of the evidence log, `media` is what
    the thread tells of it when the vote has closed."""

    person: str
    verdict: Verdict
    at: datetime
    done_at: datetime | None = None
    counts: bool | None = None
    words: str = ""
    evidence: tuple[str, ...] = ()
    media: tuple[Media, ...] = ()
    in_person: bool = False


class CheckState(StrEnum):
    """`missed`: the owner had all the time and did not answer. `expired`: it could not be answered any more, because
    the task was judged meanwhile or the server was not there. "Not yet" is no failure."""

    ASKED = "asked"
    DONE = "done"
    NOT_YET = "not_yet"
    MISSED = "missed"
    EXPIRED = "expired"


class SpotCheck(msgspec.Struct, frozen=True, kw_only=True):
    """`by` is a supervisor, or `system` at a random moment."""

    id: str
    by: str
    at: datetime
    until: datetime
    state: CheckState = CheckState.ASKED
    answered_at: datetime | None = None
    words: str = ""
    evidence: tuple[str, ...] = ()


class TaskState(StrEnum):
    """`open`: to be done and judged. `review`: supervisors could not say, staff will. `void`: it does not count."""

    OPEN = "open"
    REVIEW = "review"
    KEPT = "kept"
    MISSED = "missed"
    VOID = "void"


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One occurrence of a task: can be done from `opens_at`, is due at `due_at`, counts until `late_until` (grace), can
    be stamped until `judge_until`. `reported_at` is when the owner said that it is done. `planned` are random moments
    of checks that nobody is told of, once they are `drawn`. `reminded`: the owner was told that it is due soon;
    `wanted`: supervisors that they may judge. `decided_by` is `vote`, `admitted` or `staff`. `early`: done before it
    was due."""

    n: int
    title: str
    opens_at: datetime
    due_at: datetime
    late_until: datetime
    judge_until: datetime
    state: TaskState = TaskState.OPEN
    reported_at: datetime | None = None
    reported_evidence: tuple[str, ...] = ()
    votes: tuple[Vote, ...] = ()
    checks: tuple[SpotCheck, ...] = ()
    planned: tuple[datetime, ...] = ()
    drawn: bool = False
    reminded: bool = False
    wanted: bool = False
    early: bool = False
    decided_at: datetime | None = None
    decided_by: str = ""


# ── Stake ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class StakeState(StrEnum):
    """`created` → `authorised` (the payer is at the provider's page) → `held` → `released` (all to the other side, or
    the words or chore came due), `refunded` (all back) or `split`; `voided`: never funded. A stake that is no money is
    `held` from the beginning of the pledge."""

    CREATED = "created"
    AUTHORISED = "authorised"
    HELD = "held"
    RELEASED = "released"
    REFUNDED = "refunded"
    SPLIT = "split"
    VOIDED = "voided"


class Part(msgspec.Struct, frozen=True):
    """Where a part of the stake went. `person` is for whom, `payee` who received it (a minor's guardian); both are
    empty for the department."""

    account: str
    person: str
    payee: str
    amount: int


class Stake(msgspec.Struct, frozen=True, kw_only=True):
    """`payer` is whose money is held (a guardian, where a minor promises), or who is asked for it; `order` is the
    check-out that pays it, `key` what its payment was asked under, `hold` and `transfer` are the ledger's rows. `parts`
    is how it was settled. `done_at`: a chore was done, or words were sent."""

    state: StakeState = StakeState.CREATED
    payer: str | None = None
    order: str | None = None
    key: str = ""
    hold: str | None = None
    transfer: str | None = None
    parts: tuple[Part, ...] = ()
    held_at: datetime | None = None
    done_at: datetime | None = None


# ── Cases ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class CaseKind(StrEnum):
    """`review`: supervisors could not decide (a tie, abstentions, nobody answered, a flag). `dispute`: somebody objects
    to the outcome. `appeal`: to the ruling on that, once, decided by another reviewer."""

    REVIEW = "review"
    DISPUTE = "dispute"
    APPEAL = "appeal"


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """What a reviewer decides, with written reasons. `tasks` are those in question (all, when empty). Both sides add
    evidence until `evidence_until`; undecided at `decide_until` it is `void`: who paid has all back."""

    id: str
    kind: CaseKind
    opened_by: str
    opened_at: datetime
    evidence_until: datetime
    decide_until: datetime
    cause: str = ""
    words: str = ""
    tasks: tuple[int, ...] = ()
    reviewer: str | None = None
    taken_at: datetime | None = None
    ruling: Outcome | None = None
    reasons: str = ""
    decided_at: datetime | None = None


# ── Evidence ────────────────────────────────────────────────────────────────────────────────────────────────────────


class EvidenceKind(StrEnum):
    """`words` and `media` come from people; `photo` shows a live photo at least (R-14), `location` says where
    somebody was (R-16), a signal only. `meeting` is attested by two phones (R-17). `verdict` and `ruling` repeat what
    supervisors and reviewers have decided, so that it cannot be changed unseen."""

    WORDS = "words"
    MEDIA = "media"
    PHOTO = "photo"
    LOCATION = "location"
    MEETING = "meeting"
    VERDICT = "verdict"
    RULING = "ruling"


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """Never changed, never deleted. `n` counts from 1 in its pledge. `digests` are SHA-256 over the contents of
    `media`. `hash` is SHA-256 over the canonical row, in which `before` is the hash of the row before: a changed,
    removed or reordered row is found. `seal` is made of `hash` with a key that is not in the database, so that nobody
    who can only write there makes a chain anew."""

    id: str
    pledge: str
    n: int
    by: str
    at: datetime
    kind: EvidenceKind
    task: int = 0
    words: str = ""
    media: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    facts: dict[str, str] = msgspec.field(default_factory=dict)
    before: str = ""
    hash: str = ""
    seal: str = ""


class EvidenceEnd(msgspec.Struct, frozen=True):
    """Where a pledge's evidence ends: the number and the hash of its last row."""

    n: int = 0
    hash: str = ""


# ── The pledge ──────────────────────────────────────────────────────────────────────────────────────────────────────


class Passed(msgspec.Struct, frozen=True):
    """A state that it came into."""

    state: PledgeState
    at: datetime


class Pledge(msgspec.Struct, frozen=True, kw_only=True):
    """`drafted_by` is the owner, or the supervisor who wrote it for them; `consented` whether the owner has agreed (at
    once, to one's own). Nobody found by `expires_at`: it expires, and all goes back. `days` is how long a draft, once
    published, waits for that. Who has `link` may see it, like those who find it in a list.

    `until` is when the challenge window ends. `agreed` have accepted the outcome, `giving_up` want it cancelled. `due`
    is when time changes something next: the timers' index; a node that works on it moves it on for so long.
    `abandoned`: it cannot go on without somebody who is gone, and is cancelled when its turn comes.
    """

    id: str
    owner: str
    drafted_by: str
    side: Side
    terms: Terms
    state: PledgeState = PledgeState.DRAFT
    outcome: Outcome | None = None
    consented: bool = False
    consent_until: datetime | None = None
    days: int = 14
    link: str = ""
    seats: tuple[Seat, ...] = ()
    tasks: tuple[Task, ...] = ()
    stake: Stake = Stake()
    cases: tuple[Case, ...] = ()
    suspicions: tuple[Suspicion, ...] = ()
    cohort: str | None = None
    agreed: tuple[str, ...] = ()
    giving_up: tuple[str, ...] = ()
    created_at: datetime
    published_at: datetime | None = None
    expires_at: datetime | None = None
    until: datetime | None = None
    history: tuple[Passed, ...] = ()
    abandoned: bool = False
    due: datetime | None = None
    evidence: EvidenceEnd = EvidenceEnd()
    version: int = 1

    @property
    def seated(self) -> tuple[str, ...]:
        """Those who supervise now, in the order in which they came."""
        return tuple(seat.person for seat in self.seats if seat.state is SeatState.SEATED)

    def seat(self, person: str) -> Seat | None:
        return next((seat for seat in self.seats if seat.person == person), None)

    def task(self, n: int) -> Task | None:
        return self.tasks[n - 1] if 0 < n <= len(self.tasks) else None

    @property
    def case(self) -> Case | None:
        """The one that waits for a ruling."""
        return next((case for case in self.cases if case.ruling is None), None)

    @property
    def money(self) -> bool:
        return self.terms.stake.kind in MONEY


class Cohort(msgspec.Struct, frozen=True, kw_only=True):
    """Several owners under one supervisor (R-05, R-07): each has a pledge of their own, on the same terms."""

    id: str
    supervisor: str
    title: str
    pledges: tuple[str, ...]
    at: datetime
