"""What clients send about pledges, and what they get. Times are milliseconds, as everywhere on the wire."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from server.media.model import Media
from server.money.model import Amount, Currency
from server.payments.model import OrderId
from server.people.model import Millis, PersonCard, PersonId
from server.proofs.model import ProofView
from server.supervision.model import (
    CaseKind,
    CheckState,
    CohortId,
    EvidenceKind,
    Flag,
    Outcome,
    PledgeId,
    PledgeState,
    SeatState,
    SeatVia,
    Side,
    StakeState,
    TaskState,
    Verdict,
)
from server.supervision.terms import OWNERS_MOST, SUPERVISORS_MOST, WORDS_LONGEST, StakeKind, Terms

Words = Annotated[str, Meta(max_length=WORDS_LONGEST)]
Reasons = Annotated[str, Meta(min_length=20, max_length=WORDS_LONGEST)]
MediaIds = Annotated[list[Annotated[str, Meta(max_length=40)]], Meta(max_length=10)]
Key = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{16,64}$", max_length=64, description="made once by the client")]
Name = Annotated[str, Meta(max_length=40)]


# ── Drafting ────────────────────────────────────────────────────────────────────────────────────────────────────────


class NewPledge(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A draft. `id` makes it once. As `owner` one names the `supervisors` to invite (none: a listed pledge waits for
    applications); as `supervisor` one names the `owner`, and is the first to supervise. `days` (1 to 90): nobody found
    until then, it expires, and all goes back to who paid."""

    id: Key
    side: Side
    terms: Terms
    owner: PersonId | None = None
    supervisors: Annotated[list[PersonId], Meta(max_length=SUPERVISORS_MOST)] = []
    days: Annotated[int, Meta(ge=1, le=90)] = 14


class NewCohort(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One supervisor, several owners on the same terms (R-05, R-07)."""

    id: Key
    terms: Terms
    owners: Annotated[list[PersonId], Meta(min_length=1, max_length=OWNERS_MOST)]
    days: Annotated[int, Meta(ge=1, le=90)] = 14


class OccurrenceView(msgspec.Struct, frozen=True):
    """When a task can be done, is due, and until when it still counts. `shifted`: the clock on the wall is turned that
    day, and the time that was asked for does not exist or exists twice."""

    n: int
    title: str
    opens: Millis
    due: Millis
    late: Millis
    shifted: bool = False


class Share(msgspec.Struct, frozen=True):
    """A part of the stake in one outcome. `person` is null for the staff department, and where the supervisors are not
    known yet: then `many` share it alike."""

    side: Annotated[str, Meta(description="owner, supervisor, payer or department")]
    person: PersonCard | None
    payee: PersonCard | None
    amount: int
    many: int = 1


class Split(msgspec.Struct, frozen=True):
    """Both outcomes in money: what was agreed before anybody paid. The parts of each sum to `amount`."""

    amount: int
    currency: Currency
    payer: PersonCard | None
    if_kept: list[Share]
    if_failed: list[Share]
    frozen: bool


class Preview(msgspec.Struct, frozen=True):
    """What a draft amounts to: its occurrences (`count` in all, the first 50 here) and both outcomes in money."""

    count: int
    occurrences: list[OccurrenceView]
    split: Split | None
    ends: Millis


# ── Lists ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class PledgeCard(msgspec.Struct, frozen=True, kw_only=True):
    """A pledge in a list. `next` is when something is due next, `waits_for_me` whether oneself is to act now; `role` is
    what one is in it: `owner`, `supervisor`, `payer`, `invited`, `applied`, `staff`, or empty."""

    id: PledgeId
    title: str
    owner: PersonCard
    supervisors: list[PersonCard]
    state: PledgeState
    outcome: Outcome | None
    kind: StakeKind
    stake: Amount | None
    points: int
    done: int
    missed: int
    count: int
    next: Millis | None
    ends: Millis
    role: str
    waits_for_me: str
    seats_open: int
    applicants: int
    version: int


class PledgeList(msgspec.Struct, frozen=True):
    pledges: list[PledgeCard]
    next: str | None


# ── One pledge ──────────────────────────────────────────────────────────────────────────────────────────────────────


class SeatView(msgspec.Struct, frozen=True, kw_only=True):
    person: PersonCard
    state: SeatState
    via: SeatVia
    at: Millis
    until: Millis | None
    words: str


class VoteView(msgspec.Struct, frozen=True, kw_only=True):
    person: PersonCard
    verdict: Verdict
    at: Millis
    done_at: Millis | None
    counts: bool | None
    words: str
    evidence: list[str]
    in_person: bool


class CheckView(msgspec.Struct, frozen=True, kw_only=True):
    """`by` is null for one that the server made at a random moment."""

    id: str
    by: PersonCard | None
    at: Millis
    until: Millis
    state: CheckState
    answered: Millis | None
    words: str
    evidence: list[str]


class TallyView(msgspec.Struct, frozen=True):
    """How an open vote stands: only for those who have voted."""

    done: int
    not_done: int
    abstained: int
    of: int


class TaskView(msgspec.Struct, frozen=True, kw_only=True):
    """`votes` are there when the vote has closed, and one's own before; `tally` for who has voted. `voted` of `voters`
    have stamped. `can` names what oneself may do now: `report`, `stamp`, `admit`, `ask_check`, `answer_check`,
    `meet`."""

    n: int
    title: str
    opens: Millis
    due: Millis
    late: Millis
    judged_by: Millis
    state: TaskState
    early: bool
    reported: Millis | None
    decided: Millis | None
    decided_by: str
    voted: int
    voters: int
    votes: list[VoteView]
    tally: TallyView | None
    checks: list[CheckView]
    can: list[str]


class CaseView(msgspec.Struct, frozen=True, kw_only=True):
    """`reviewer` is shown by role only, as staff: null to those whom it concerns until it is ruled."""

    id: str
    kind: CaseKind
    opened_by: PersonCard | None
    opened: Millis
    cause: str
    words: str
    tasks: list[int]
    evidence_until: Millis
    decide_until: Millis
    reviewer: PersonCard | None
    ruling: Outcome | None
    reasons: str
    decided: Millis | None
    mine: bool


class StakeView(msgspec.Struct, frozen=True, kw_only=True):
    """Where the stake is now and where it goes next. `payment` is the check-out that is open for oneself."""

    kind: StakeKind
    state: StakeState
    split: Split | None
    parts: list[Share]
    payment: OrderId | None
    words: str
    to: PersonCard | None
    points: int
    done: Millis | None


class SuspicionView(msgspec.Struct, frozen=True):
    person: PersonCard
    flag: Flag


class PassedView(msgspec.Struct, frozen=True):
    state: PledgeState
    at: Millis


class PledgeView(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that this person may see of a pledge. `can` names what oneself may do with the whole: `edit`,
    `publish`, `delete`, `consent`, `apply`, `withdraw`, `answer` (an invitation), `invite`, `decide` (on applicants),
    `fund`, `leave`, `admit`, `cancel`, `agree`, `dispute`, `appeal`, `add_evidence`, `chore_done`, `take`, `rule`,
    `write` (in the thread). `thread`: one may read `pledge:<id>`."""

    id: PledgeId
    version: int
    side: Side
    drafted_by: PersonCard
    owner: PersonCard
    terms: Terms
    state: PledgeState
    outcome: Outcome | None
    consented: bool
    consent_until: Millis | None
    role: str
    seats: list[SeatView]
    tasks: list[TaskView]
    stake: StakeView
    cases: list[CaseView]
    suspicions: list[SuspicionView]
    cohort: CohortId | None
    agreed: list[PersonId]
    giving_up: list[PersonId]
    history: list[PassedView]
    created: Millis
    published: Millis | None
    expires: Millis | None
    until: Millis | None
    next: Millis | None
    next_is: str
    can: list[str]
    thread: bool
    link: str


class CohortView(msgspec.Struct, frozen=True):
    id: CohortId
    title: str
    supervisor: PersonCard
    pledges: list[PledgeCard]


# ── What people do ──────────────────────────────────────────────────────────────────────────────────────────────────


class Application(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    words: Words = ""


class Invitation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    people: Annotated[list[PersonId], Meta(min_length=1, max_length=SUPERVISORS_MOST)]
    hours: Annotated[int, Meta(ge=1, le=720)] = 72


class Fund(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Pays the stake: from the wallet (`provider` null), or through a provider's check-out page. `id` makes it once."""

    id: Key
    provider: Name | None = None


class Funding(msgspec.Struct, frozen=True):
    """`url` is the check-out page to go to; null where the wallet has paid."""

    pledge: PledgeView
    payment: OrderId | None
    url: str | None


class Report(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The owner says that a task is done. `media` were uploaded for the pledge."""

    words: Words = ""
    media: MediaIds = []


class Stamp(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A supervisor's check-in stamp (R-11). `done_at`: when it was done; by itself when the owner has said so, else
    now."""

    verdict: Verdict
    done_at: Millis | None = None
    words: Words = ""
    media: MediaIds = []


class Admit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The owner admits that a task (0: the whole) was not kept: no vote is needed."""

    task: Annotated[int, Meta(ge=0, le=200)] = 0
    words: Words = ""


class CheckAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    done: bool
    words: Words = ""
    media: MediaIds = []


class MeetingView(msgspec.Struct, frozen=True):
    """What the owner's phone shows for a supervisor to scan, for 90 seconds. When it was scanned, the supervisor's
    phone shows `number` and the owner's asks which of `choices` it is: both phones are there (R-17)."""

    id: str
    pledge: PledgeId
    task: int
    until: Millis
    state: Annotated[str, Meta(description="shown, scanned, attested or over")]
    url: str | None
    svg: str | None
    choices: list[int]
    number: int | None
    other: PersonCard | None


class ConfirmMeeting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    number: Annotated[int, Meta(ge=0, le=99)]


class Objection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Opens a dispute, or an appeal."""

    words: Reasons


class AddEvidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    task: Annotated[int, Meta(ge=0, le=200)] = 0
    words: Words = ""
    media: MediaIds = []


class EvidenceView(msgspec.Struct, frozen=True, kw_only=True):
    """`n` is its number in the pledge's chain, which holds verdicts too. What a stamp came with is not told before the
    vote has closed. `proofs` are the live pictures among `media`, and places. Of accounts that were deleted `by` is
    null, and `media` and places are gone."""

    id: str
    n: int
    by: PersonCard | None
    at: Millis
    kind: EvidenceKind
    task: int
    words: str
    media: list[Media]
    proofs: list[ProofView]
    hash: str


class EvidenceList(msgspec.Struct, frozen=True):
    """`whole`: the chain of hashes holds, nothing was changed, removed or reordered."""

    evidence: list[EvidenceView]
    whole: bool
