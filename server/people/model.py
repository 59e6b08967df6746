"""The words of the domain: what a person is, how people relate, how they sign in.

The structs of the first part travel over HTTP as they stand; those of the second are how the services see what the
database keeps.
"""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from server.principals import Grant

Millis = Annotated[int, Meta(ge=0, le=2**53 - 1, description="milliseconds since 1970-01-01T00:00Z")]
PersonId = Annotated[str, Meta(pattern=r"^p_[0-9a-z]{20}$", max_length=22)]
SessionId = Annotated[str, Meta(pattern=r"^s_[0-9a-z]{20}$", max_length=22)]


class Language(StrEnum):
    CHINESE = "zh-CN"
    ENGLISH = "en"


class Relation(StrEnum):
    """How the person who asks stands to another. `blocked`: the one who asks blocks the other."""

    SELF = "self"
    NONE = "none"
    FRIEND = "friend"
    INCOMING = "incoming"
    OUTGOING = "outgoing"
    BLOCKED = "blocked"


class SessionKind(StrEnum):
    BROWSER = "browser"
    TOKEN = "token"  # noqa: S105


# ── What travels ────────────────────────────────────────────────────────────────────────────────────────────────────


class PersonCard(msgspec.Struct, frozen=True):
    """What others see of a person. Deleted people keep their id and have an empty `name` and `handle`.

    `avatar` is the path of a picture that never changes: a new picture has a new path.
    """

    id: str
    handle: str
    name: str
    avatar: str | None
    introduction: str


class PersonView(PersonCard, frozen=True):
    """A person as the one who asks sees them."""

    relation: Relation


class Me(PersonCard, frozen=True):
    """A person as they see themselves. `phone` is E.164; `minor` is told from `birth_date` in `time_zone`, today."""

    language: Language
    time_zone: str
    birth_date: str | None
    minor: bool
    phone: str | None
    grants: tuple[Grant, ...]
    created_at: Millis


class SessionView(msgspec.Struct, frozen=True):
    """A sign-in: a browser, or a program's token. `name` is "Chrome on Linux" or what the token was called."""

    id: str
    kind: SessionKind
    name: str
    created_at: Millis
    seen_at: Millis
    ip: str
    current: bool


class Friend(msgspec.Struct, frozen=True):
    person: PersonCard
    since: Millis


class FriendRequest(msgspec.Struct, frozen=True):
    person: PersonCard
    note: str
    at: Millis


class Friends(msgspec.Struct, frozen=True):
    """Everybody a person is connected with, newest first; `blocked` are those whom the person blocks."""

    friends: list[Friend]
    incoming: list[FriendRequest]
    outgoing: list[FriendRequest]
    blocked: list[PersonCard]


# ── What is kept ────────────────────────────────────────────────────────────────────────────────────────────────────


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """An account. `phone` is in clear here and encrypted at rest; `avatar` names the current picture's version.

    `suspended_until`: nobody signs in to it before. It stays set when that time has come.
    """

    id: str
    handle: str
    name: str
    introduction: str = ""
    language: Language = Language.ENGLISH
    time_zone: str = "UTC"
    birth_date: date | None = None
    phone: str | None = None
    avatar: str | None = None
    password: str = ""
    created_at: datetime
    deleted_at: datetime | None = None
    suspended_until: datetime | None = None
    version: int = 1

    def suspended(self, now: datetime) -> bool:
        return self.suspended_until is not None and self.suspended_until > now


class Age(msgspec.Struct, frozen=True):
    """Whether somebody is a minor now, and since or from when they are of age; without a birth date nobody is a minor,
    and `of_age_at` is None."""

    minor: bool
    birth_date: date | None
    of_age_on: date | None
    of_age_at: datetime | None


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An account as those who administer it may see it: without password, phone, birth date and introduction."""

    id: str
    handle: str
    name: str
    language: Language
    created_at: datetime
    deleted_at: datetime | None
    suspended_until: datetime | None


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A sign-in. Only the SHA-256 of its token is kept; it ends by itself at `expires`, which slides with use."""

    id: str
    person: str
    kind: SessionKind
    name: str
    ip: str
    created_at: datetime
    seen_at: datetime
    expires: datetime


class PairState(StrEnum):
    """`declined` is kept silent: the asker still sees an open request, the other side sees nothing."""

    NONE = "none"
    REQUESTED = "requested"
    DECLINED = "declined"
    FRIENDS = "friends"


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Two people and how they stand: one document for both, so that every change is one compare-and-set.

    `a` < `b`. `asker` asked first (REQUESTED, DECLINED); `at` is when they asked, or when the state began;
    `blocked_by` are those of the two who block the other (then the state is NONE). `version` counts changes; 0 is a
    pair that was never stored.
    """

    a: str
    b: str
    state: PairState = PairState.NONE
    asker: str | None = None
    note: str = ""
    at: datetime | None = None
    blocked_by: frozenset[str] = frozenset()
    version: int = 0

    @property
    def id(self) -> str:
        return f"{self.a}|{self.b}"

    def other(self, person: str) -> str:
        return self.b if person == self.a else self.a
