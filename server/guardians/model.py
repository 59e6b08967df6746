"""The words of guardians: who looks after the money of a minor."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from server.people.model import Millis, PersonCard, PersonId

Reason = Annotated[str, Meta(min_length=1, max_length=1000, description="at most 500 characters")]
DayText = Annotated[str, Meta(max_length=10, description="YYYY-MM-DD")]


# ── What travels ────────────────────────────────────────────────────────────────────────────────────────────────────


class LinkView(StrEnum):
    """How a guardian and a ward stand, seen by one of them: `incoming` waits for one's own answer."""

    ACTIVE = "active"
    INCOMING = "incoming"
    OUTGOING = "outgoing"


class GuardianView(msgspec.Struct, frozen=True):
    """`payee`: the one of the guardians who pays and is paid for the ward."""

    person: PersonCard
    state: LinkView
    payee: bool
    since: Millis


class WardView(msgspec.Struct, frozen=True):
    """`of_age_on` is when the guardian's part ends; it and `guardians`, everybody who is guardian of the ward, are told
    to guardians only, not to those who wait to be."""

    person: PersonCard
    state: LinkView
    since: Millis
    payee: PersonCard | None
    of_age_on: str | None
    guardians: list[GuardianView]


class Family(msgspec.Struct, frozen=True):
    """One's guardians and wards. `minor`: guardians do it for oneself, until `of_age_on`."""

    minor: bool
    of_age_on: str | None
    guardians: list[GuardianView]
    wards: list[WardView]


class AskGuardian(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    person: PersonId


class ChoosePayee(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    guardian: PersonId


class Custody(msgspec.Struct, frozen=True):
    """A person as staff see them who decide about custody."""

    person: PersonCard
    minor: bool
    birth_date: str | None
    of_age_on: str | None
    guardians: list[GuardianView]


class ChangeCustody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`guardian` (a handle) looks after the money from now on; the one before is guardian no more."""

    guardian: Annotated[str, Meta(max_length=64)]
    reason: Reason


class EndCustody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    reason: Reason


class CorrectBirthDate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    birth_date: DayText
    reason: Reason


# ── What is kept ────────────────────────────────────────────────────────────────────────────────────────────────────


class LinkState(StrEnum):
    REQUESTED = "requested"
    ACTIVE = "active"


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """`at` is when it was asked for, or became active. `asker` is the ward or the guardian."""

    guardian: str
    state: LinkState
    asker: str
    at: datetime


class Ward(msgspec.Struct, frozen=True, kw_only=True):
    """A minor and the guardians: one document, so that every change is one compare-and-set and there is never more than
    one payee. `due` is when the ward comes of age; `version` counts changes, 0 was never stored."""

    id: str
    links: tuple[Link, ...] = ()
    payee: str | None = None
    due: datetime | None = None
    version: int = 0

    @property
    def guardians(self) -> tuple[str, ...]:
        """Those who are guardian, for longest first."""
        active = [link for link in self.links if link.state is LinkState.ACTIVE]
        return tuple(link.guardian for link in sorted(active, key=lambda link: (link.at, link.guardian)))

    def link(self, guardian: str) -> Link | None:
        return next((link for link in self.links if link.guardian == guardian), None)
