"""The words of administration: accounts as admins see them, what was done, how the server is and was."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from server.moderation.model import Hours, Reason
from server.people.model import Language, Millis, PersonCard, SessionView
from server.principals import Grant

# ── Accounts ────────────────────────────────────────────────────────────────────────────────────────────────────────


class SystemRole(StrEnum):
    """What admins give in the whole system."""

    ADMIN = "admin"
    STAFF = "staff"
    FINANCE = "finance"


class UserLine(msgspec.Struct, frozen=True):
    """An account in a list."""

    person: PersonCard
    created_at: Millis
    suspended_until: Millis | None
    grants: list[Grant]


class Users(msgspec.Struct, frozen=True):
    """`next` continues the list of the newest; a search has none, but says with `more` that it found too many."""

    users: list[UserLine]
    next: Millis | None
    more: bool


class User(msgspec.Struct, frozen=True):
    """All that admins see of one account. `seen_at` is the last use of any sign-in that still holds; `media_bytes` what
    the person's uploads take; `deleted_at`: the account is gone, its id stays."""

    person: PersonCard
    language: Language
    created_at: Millis
    deleted_at: Millis | None
    seen_at: Millis | None
    suspended_until: Millis | None
    grants: list[Grant]
    sessions: list[SessionView]
    media_bytes: int


class Suspend(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    hours: Hours
    reason: Reason


# ── What was done ───────────────────────────────────────────────────────────────────────────────────────────────────


class Act(msgspec.Struct, frozen=True):
    """One row of the audit trail. `by` and `target` are ids of people, or of what was acted on."""

    number: int
    at: Millis
    by: str
    action: str
    target: str
    facts: dict[str, str | int | bool]


class Audit(msgspec.Struct, frozen=True):
    """The newest first; `people` are the cards of those who are named. A page may be short though `next` is set."""

    acts: list[Act]
    people: list[PersonCard]
    next: int | None


# ── How the server is ───────────────────────────────────────────────────────────────────────────────────────────────


class Holding(msgspec.Struct, frozen=True):
    """What a collection holds; `more`: there are more documents than were counted. `bytes` without indexes; null where
    the engine does not tell."""

    name: str
    documents: int
    more: bool
    bytes: int | None
    index_bytes: int | None


class Storage(msgspec.Struct, frozen=True):
    """`counted_at`: when the holdings were counted; null while that is done for the first time. `disk_bytes` is what
    the embedded database takes on this node's disk, `free_bytes` what is left there."""

    engine: str
    counted_at: Millis | None
    holdings: list[Holding]
    disk_bytes: int | None
    free_bytes: int | None


class Queue(msgspec.Struct, frozen=True):
    """Something that waits. `seconds` is for how long the first of it does; `here`: counted on this node only."""

    name: str
    waiting: int
    seconds: float | None = None
    here: bool = False


class Push(msgspec.Struct, frozen=True):
    """How pushing goes, on this node since it has started."""

    on: bool
    contact: str
    subscriptions: int
    failing: int
    sent: int
    failed: int
    last_sent_at: Millis | None


class Queues(msgspec.Struct, frozen=True):
    queues: list[Queue]
    push: Push | None


class Node(msgspec.Struct, frozen=True):
    """A node that lives. `own`: it is the one that answers."""

    id: str
    own: bool
    version: str
    python: str
    client: str
    started_at: Millis | None
    packages: dict[str, str]


class NodeVersions(msgspec.Struct, frozen=True):
    nodes: list[Node]
    database: str


class Verdict(StrEnum):
    OK = "ok"
    #: it works, but not for long, not well, or not for everybody
    WARNING = "warning"
    #: it does not work, or must not be left so
    PROBLEM = "problem"


class Finding(msgspec.Struct, frozen=True):
    """`name` is stable; `says` and `remedy` are English sentences, which clients may know better words for."""

    name: str
    verdict: Verdict
    says: str
    remedy: str


class Configuration(msgspec.Struct, frozen=True):
    """Problems first."""

    findings: list[Finding]


# ── How it was ──────────────────────────────────────────────────────────────────────────────────────────────────────


class Moment(msgspec.Struct, frozen=True):
    """All nodes together, over `step` from `at` on. `entries` were made durable per minute; `p50` and `p99` are
    milliseconds until they were; `lag` is how late the event loops were (ms, p99). Null: nothing was measured."""

    at: Millis
    entries: float
    connections: int
    p50: float | None
    p99: float | None
    lag: float | None


class Charts(msgspec.Struct, frozen=True):
    """`step` is in milliseconds. Minutes during which no node ran are left out."""

    step: int
    moments: list[Moment]
