"""What stands in a pledge's thread: the body of every kind of entry. People's words are those of conversations."""

from __future__ import annotations

import msgspec

from server.media.model import Media
from server.money.model import Currency
from server.realtime.protocol import Millis
from server.supervision.model import (
    CaseKind,
    CheckState,
    EvidenceKind,
    Outcome,
    Part,
    PledgeState,
    SeatState,
    SeatVia,
    StakeState,
    TaskState,
    Verdict,
)


class Stated(msgspec.Struct, frozen=True, omit_defaults=True):
    """The pledge came into a state. `until`: the challenge window ends then."""

    state: PledgeState
    outcome: Outcome | None = None
    until: Millis | None = None


class SeatChanged(msgspec.Struct, frozen=True, omit_defaults=True):
    """Somebody supervises, or does not any more; with `owner` the owner has (not) consented."""

    person: str
    state: SeatState
    via: SeatVia | None = None
    owner: bool = False


class Reported(msgspec.Struct, frozen=True, omit_defaults=True):
    """The owner says that a task is done."""

    task: int
    words: str = ""
    evidence: list[str] = []
    media: list[Media] = []


class Stamped(msgspec.Struct, frozen=True, omit_defaults=True):
    """A supervisor's stamp, told when the vote on the task has closed (R-12)."""

    task: int
    person: str
    verdict: Verdict
    at: Millis
    counts: bool | None = None
    done_at: Millis | None = None
    words: str = ""
    evidence: list[str] = []
    media: list[Media] = []
    in_person: bool = False


class Judged(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a task (0: the owner admits the whole). `by` is `vote`, `admitted` or `staff`; the numbers are the
    votes."""

    task: int
    state: TaskState
    by: str
    early: bool = False
    done: int = 0
    not_done: int = 0
    abstained: int = 0


class Checked(msgspec.Struct, frozen=True, omit_defaults=True):
    """A spot check was asked, answered, missed, or could not be answered (R-13)."""

    task: int
    check: str
    state: CheckState
    until: Millis
    words: str = ""
    evidence: list[str] = []
    media: list[Media] = []


class MoneyMoved(msgspec.Struct, frozen=True, omit_defaults=True):
    """The stake came into a state: `held` when it was paid, the others when it was settled or given back."""

    state: StakeState
    amount: int = 0
    currency: Currency | None = None
    parts: list[Part] = []


class CaseTold(msgspec.Struct, frozen=True, omit_defaults=True):
    """A case was opened, taken by a reviewer, or ruled upon with written reasons."""

    case: str
    kind: CaseKind
    done: str  # opened, taken, ruled, lapsed
    words: str = ""
    cause: str = ""
    tasks: list[int] = []
    ruling: Outcome | None = None
    reasons: str = ""


class EvidenceAdded(msgspec.Struct, frozen=True, omit_defaults=True):
    """A row of the evidence log, for a task or (0) for the whole."""

    evidence: str
    kind: EvidenceKind
    task: int = 0
    words: str = ""
    media: list[Media] = []
