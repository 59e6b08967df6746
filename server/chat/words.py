"""What stands in a conversation's log: the body of every kind of entry, and of its signals."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from server.chat.model import ConversationKind, EverybodyBy, MemberRole
from server.media.model import MOST_PER_MESSAGE, Media
from server.people.model import PersonId
from server.realtime.protocol import Millis, Seq

TEXT_LONGEST = 16_000
MENTIONS_MOST = 50

Text = Annotated[str, Meta(min_length=1, max_length=TEXT_LONGEST)]
Mentions = Annotated[list[PersonId], Meta(max_length=MENTIONS_MOST)]


class Forwarded(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose words these were, and when they were said. Told by who forwards, so it is shown as that."""

    by: PersonId
    at: Millis


class Message(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Words, media or both. `text` is Markdown of a small subset; clients never read it as HTML.

    The entry's `ref` names the message that this one answers, and `thread` then the one with which the thread began.
    `mentions` are members who are called by name, `everybody` calls all; both only where `text` shows it. `pledge`:
    these words were at stake, and the server has sent them because that pledge failed; clients never set it.
    """

    text: Annotated[str, Meta(max_length=TEXT_LONGEST)] = ""
    media: Annotated[list[Media], Meta(max_length=MOST_PER_MESSAGE)] = []
    thread: Seq | None = None
    mentions: Mentions = []
    everybody: bool = False
    forwarded: Forwarded | None = None
    pledge: Annotated[str, Meta(max_length=22)] | None = None


class Edit(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Replaces the text of one's own message (`ref`) and whom it mentions; its media, thread and origin stay."""

    text: Annotated[str, Meta(max_length=TEXT_LONGEST)]
    mentions: Mentions = []
    everybody: bool = False


class Delete(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Erases the words of a message (`ref`); its number stays."""


class Reaction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Puts an emoji on a message (`ref`), or takes one's own away."""

    emoji: Annotated[str, Meta(min_length=1, max_length=16)]
    on: bool


class Created(msgspec.Struct, frozen=True):
    title: str
    kind: ConversationKind


class Joined(msgspec.Struct, frozen=True):
    persons: list[str]
    by: str


class Left(msgspec.Struct, frozen=True):
    person: str


class Removed(msgspec.Struct, frozen=True):
    person: str
    by: str


class Renamed(msgspec.Struct, frozen=True):
    title: str
    by: str


class HandedOver(msgspec.Struct, frozen=True):
    person: str
    by: str


class RoleChanged(msgspec.Struct, frozen=True):
    person: str
    role: MemberRole
    by: str


class Silenced(msgspec.Struct, frozen=True):
    """This member writes nothing before `until`; None: they may write again."""

    person: str
    until: Millis | None
    by: str


class Pinned(msgspec.Struct, frozen=True):
    """A message was put on top, or taken off."""

    seq: Seq
    on: bool
    by: str


class RulesChanged(msgspec.Struct, frozen=True):
    """Who may call everybody (`everybody_by`) is different now."""

    everybody_by: EverybodyBy
    by: str


class Closed(msgspec.Struct, frozen=True):
    """Nothing can be written any more."""


class Reopened(msgspec.Struct, frozen=True):
    """It can be written to again."""


class Called(msgspec.Struct, frozen=True):
    """A call in this conversation: `state` is `started`, and once more when it is over `done`, `missed`, `declined`,
    `cancelled` or `failed`. `seconds`: how long two or more were in it; `missed`: whose phones rang in vain."""

    call: str
    by: str
    video: bool
    state: str
    seconds: int = 0
    missed: list[str] = []


class Erased(msgspec.Struct, frozen=True):
    """This person has deleted their account: clients drop the words of all their messages."""

    person: str


class Typing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A signal: repeated every 3 s while typing, shown for 5 s."""

    on: bool
