"""The words of calls, as they are kept: one document per call, changed by compare-and-set on `version`.

A call belongs to a conversation. Each of its people has one seat; a seat that is taken belongs to the sign-in that took
it, and so do the media that flow through it. Times are aware UTC.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

CallId = Annotated[str, Meta(pattern=r"^cl_[0-9a-z]{20}$", max_length=23)]
ConnectionId = Annotated[str, Meta(pattern=r"^cx_[0-9a-z]{20}$", max_length=23)]
RecordingId = Annotated[str, Meta(pattern=r"^cr_[0-9a-z]{20}$", max_length=23)]
AskId = Annotated[str, Meta(pattern=r"^pq_[0-9a-z]{20}$", max_length=23)]

#: A phone rings for so long.
RING = timedelta(seconds=45)
#: Nobody in the call has a socket any more: it ends.
EMPTY = timedelta(seconds=30)
#: Somebody's sockets are gone for so long: away, and later out of the call.
AWAY_AFTER = timedelta(seconds=10)
AWAY_MOST = timedelta(seconds=60)
#: Who has closed the page comes back within this time (it was a reload), or has left.
CLOSING_MOST = timedelta(seconds=15)
#: One person alone in a call of several, and no phone rings: forgotten.
ALONE = timedelta(minutes=5)
LONGEST = timedelta(hours=12)
#: Whoever is asked for a picture of them says so within this time; after a no they are left alone for as long.
ASK = timedelta(seconds=60)
ASKS_MOST = 50
SEATS_MOST = 50
#: People whom one watches at once, and m-lines of a watching connection.
WATCHING_MOST = 50
SLOTS_MOST = 40


class CallState(StrEnum):
    RINGING = "ringing"
    RUNNING = "running"
    ENDED = "ended"


class Ending(StrEnum):
    """Why a call is over."""

    DONE = "done"
    MISSED = "missed"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    FAILED = "failed"


class SeatState(StrEnum):
    """`joined` and `away` (no socket of the sign-in is there) are in the call; the others are not, or not yet."""

    RINGING = "ringing"
    JOINED = "joined"
    AWAY = "away"
    DECLINED = "declined"
    BUSY = "busy"
    MISSED = "missed"
    LEFT = "left"
    REMOVED = "removed"


#: they are in the call
INSIDE = frozenset({SeatState.JOINED, SeatState.AWAY})


class Seat(msgspec.Struct, frozen=True, kw_only=True):
    """One person's place. `since`: in this state; `session`: the sign-in that has it; `joined`: it ever was taken.

    `voice`, `camera`, `screen`: what they say that they show; `watching`: whom they say that they look at; `viewing`:
    whose pictures flow to them, whatever they say; `agrees`: to be recorded; `closing`: away because the page was
    closed, and not because a line is cut.
    """

    person: str
    state: SeatState
    since: datetime
    session: str = ""
    joined: bool = False
    voice: bool = False
    camera: bool = False
    screen: bool = False
    watching: tuple[str, ...] = ()
    viewing: tuple[str, ...] = ()
    agrees: bool = False
    closing: bool = False

    @property
    def inside(self) -> bool:
        return self.state in INSIDE

    @property
    def gone_at(self) -> datetime:
        """When somebody who is away has left the call."""
        return self.since + (CLOSING_MOST if self.closing else AWAY_MOST)

    @property
    def looks_at(self) -> tuple[str, ...]:
        """Who is told that this person watches them. Of those who are not in the call nothing flows yet: it does by
        itself when they come back."""
        return tuple(dict.fromkeys((*self.watching, *self.viewing)))


class RecordingState(StrEnum):
    OFF = "off"
    ASKED = "asked"
    ON = "on"


class Recording(msgspec.Struct, frozen=True):
    """`by` asked for it at `since`; while it is on, `id` names it and `since` is its beginning."""

    state: RecordingState = RecordingState.OFF
    by: str = ""
    since: datetime | None = None
    id: str = ""


class AskState(StrEnum):
    """`asked` waits for an answer; after a no it is `refused`, after a yes, with the picture, `taken`."""

    ASKED = "asked"
    REFUSED = "refused"
    TAKEN = "taken"


class PictureAsk(msgspec.Struct, frozen=True, kw_only=True):
    """`by` would like a picture of `person`, whom no pledge makes them look after. `key` is the asker's client's;
    `proof` names what was taken. It is forgotten at `until`."""

    id: str
    key: str
    by: str
    person: str
    at: datetime
    until: datetime
    state: AskState = AskState.ASKED
    proof: str = ""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """`epoch` counts how often the media were set up; `place` is the node where they are.

    `direct`: between two people, and over when one of them goes. `answered`: somebody besides the starter has joined,
    at this time. `due`: when time changes something next. `quiet`: since when nobody inside has a socket; `alone`:
    since when only one is in it.
    """

    id: str
    conversation: str
    by: str
    at: datetime
    video: bool
    key: str
    direct: bool = False
    pledge: str = ""
    state: CallState = CallState.RINGING
    ending: Ending | None = None
    ended: datetime | None = None
    answered: datetime | None = None
    version: int = 0
    epoch: int = 1
    place: str = ""
    seats: tuple[Seat, ...] = ()
    recording: Recording = Recording()
    asks: tuple[PictureAsk, ...] = ()
    quiet: datetime | None = None
    alone: datetime | None = None
    due: datetime | None = None

    @property
    def ch(self) -> str:
        return f"call:{self.id}"

    @property
    def over(self) -> bool:
        return self.state is CallState.ENDED

    @property
    def inside(self) -> tuple[Seat, ...]:
        """The seats of those who are in the call."""
        return tuple(seat for seat in self.seats if seat.inside)

    def seat(self, person: str) -> Seat | None:
        return next((seat for seat in self.seats if seat.person == person), None)


class KeptFile(msgspec.Struct, frozen=True):
    """What one person published, in one file."""

    person: str
    name: str
    bytes: int


class KeptRecording(msgspec.Struct, frozen=True, kw_only=True):
    """A recording of a call. `node` has its files; while it is being made, `ended` is None and `files` is empty."""

    id: str
    call: str
    by: str
    people: tuple[str, ...]
    node: str
    began: datetime
    ended: datetime | None = None
    ending: str = ""
    files: tuple[KeptFile, ...] = ()
