"""The words of notifications: what people choose, what their browsers subscribe to, what is kept of either."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from server.realtime.protocol import Millis, Seq

SubscriptionId = Annotated[str, Meta(pattern=r"^w_[0-9a-z]{20}$", max_length=22)]
#: Wall-clock time of a day, 00:00 to 23:59.
TimeOfDay = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$(?!\n)", description="HH:MM")]
Weekday = Annotated[int, Meta(ge=0, le=6, description="0 is Monday")]
#: Subscriptions of one person: more than they have browsers signed in is a fault.
SUBSCRIPTIONS_MOST = 20


class Level(StrEnum):
    """What of a conversation somebody is told of."""

    ALL = "all"
    MENTIONS = "mentions"
    NONE = "none"


class Receipts(StrEnum):
    """Whether others see how far somebody has read: always, not during quiet hours, never."""

    SHOWN = "shown"
    NOT_WHEN_QUIET = "not_when_quiet"
    HIDDEN = "hidden"


# ── What travels ────────────────────────────────────────────────────────────────────────────────────────────────────


class Notify(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody wants to hear of a conversation; from `until` on it is everything again (null: it stays)."""

    level: Level = Level.ALL
    until: Millis | None = None


class QuietHours(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """Every day of `days` from `from` to `to`, by the clocks of `zone`. Where `to` is not after `from` they end on the
    next day; `days` are those on which they begin."""

    on: bool = False
    from_: TimeOfDay = "22:00"
    to: TimeOfDay = "07:00"
    zone: Annotated[str, Meta(max_length=64, description="the name of an IANA time zone")] = "UTC"
    days: Annotated[list[Weekday], Meta(max_length=7)] = msgspec.field(default_factory=lambda: list(range(7)))


class NotificationSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A person's choices, on all devices. `previews`: pushes say who wrote what, and not only that somebody did."""

    quiet: QuietHours = QuietHours()
    previews: bool = True
    receipts: Receipts = Receipts.SHOWN


class PushKey(msgspec.Struct, frozen=True):
    """The server's public key (RFC 8292) in base64url, for `pushManager.subscribe`; null: this server sends none."""

    key: str | None


class AddSubscription(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `pushManager.subscribe` has given to the browser: an address and two keys in base64url (RFC 8291)."""

    endpoint: Annotated[str, Meta(min_length=12, max_length=1_024)]
    p256dh: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{87}=?$(?!\n)")]
    auth: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{22}(==)?$(?!\n)")]


class SubscriptionView(msgspec.Struct, frozen=True):
    """One browser that gets pushes. `service` is the host of its push service; `fault` says in short what the last try
    met (null: it went well, or there was none yet), `failing_since` since when."""

    id: str
    service: str
    name: str
    current: bool
    created_at: Millis
    last_at: Millis | None
    fault: str | None
    failing_since: Millis | None


class SubscriptionList(msgspec.Struct, frozen=True):
    """The current browser's first, then the newest."""

    subscriptions: list[SubscriptionView]


# ── What is kept ────────────────────────────────────────────────────────────────────────────────────────────────────


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """A browser that gets pushes. It ends with the sign-in (`session`) that it was made in."""

    id: str
    person: str
    session: str
    name: str
    endpoint: str
    p256dh: bytes
    auth: bytes
    created_at: datetime
    last_at: datetime | None = None
    fault: str | None = None
    failing_since: datetime | None = None


class Due(msgspec.Struct, frozen=True):
    """A conversation in which something waits to be pushed: entries above `done` up to `seen`."""

    ch: str
    done: Seq
    seen: Seq
