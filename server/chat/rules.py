"""What may happen in a conversation. Pure: each rule takes the room and who acts, and returns what changes.

A `Change` is the room after it, the entries that tell of it, and who is told in their inbox. Rules raise VouchError.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import msgspec
from msgspec.structs import replace

from server.chat.model import (
    MEMBERS_MOST,
    PINS_MOST,
    SILENCE_LONGEST,
    TITLE_LONGEST,
    ConversationKind,
    EverybodyBy,
    KeptPin,
    MemberRole,
    Membership,
    Room,
)
from server.chat.words import (
    Closed,
    Created,
    Delete,
    Edit,
    Erased,
    HandedOver,
    Joined,
    Left,
    Message,
    Pinned,
    Reaction,
    Removed,
    Renamed,
    Reopened,
    RoleChanged,
    RulesChanged,
    Silenced,
)
from server.clock import from_ms, to_ms
from server.errors import Code, VouchError
from server.people.rules import words

LogBody = (
    Created
    | Joined
    | Left
    | Removed
    | Renamed
    | HandedOver
    | RoleChanged
    | Silenced
    | Pinned
    | RulesChanged
    | Closed
    | Reopened
    | Erased
)

KIND_OF: dict[type, str] = {
    Message: "message",
    Edit: "edit",
    Delete: "delete",
    Reaction: "reaction",
    Created: "created",
    Joined: "joined",
    Left: "left",
    Removed: "removed",
    Renamed: "renamed",
    HandedOver: "handed_over",
    RoleChanged: "role_changed",
    Silenced: "silenced",
    Pinned: "pinned",
    RulesChanged: "rules_changed",
    Closed: "closed",
    Reopened: "reopened",
    Erased: "erased",
}


class Change(msgspec.Struct, frozen=True):
    """`room` is the state afterwards; `added` (by `by`) and `gone` are told in their inboxes."""

    room: Room
    entries: tuple[LogBody, ...]
    added: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    by: str = ""


def title(text: str) -> str:
    """The title as it is kept: one line, no blanks around it, nothing invisible that could disguise it."""
    clean = words(" ".join(text.split()), TITLE_LONGEST, field="title")
    if not clean:
        raise VouchError(Code.BAD_REQUEST, "A group needs a name.", field="title")
    return clean


def pair(a: str, b: str) -> str:
    """What a direct conversation is known by: the same for both orders."""
    if a == b:
        raise VouchError(Code.BAD_REQUEST, "A conversation needs somebody else.", field="person")
    return "|".join(sorted((a, b)))


def create_direct(id: str, a: str, b: str, at: datetime) -> Change:
    members = {p: Membership(person=p, role=MemberRole.MEMBER, joined_at=at) for p in (a, b)}
    room = Room(id=id, kind=ConversationKind.DIRECT, created_at=at, version=1, members=members)
    return Change(room, (Created("", ConversationKind.DIRECT),), added=(a, b), by=a)


def create_group(
    id: str, creator: str, name: str, others: Collection[str], friends: Collection[str], at: datetime, *, share: bool
) -> Change:
    """`friends` are those of `others` who are the creator's friends: all must be."""
    wanted = [p for p in dict.fromkeys(others) if p != creator]
    _only_friends(wanted, friends)
    if len(wanted) + 1 > MEMBERS_MOST:
        raise VouchError(Code.LIMIT_REACHED)
    members = {creator: Membership(person=creator, role=MemberRole.OWNER, joined_at=at)}
    members |= {p: Membership(person=p, role=MemberRole.MEMBER, joined_at=at) for p in wanted}
    room = Room(
        id=id,
        kind=ConversationKind.GROUP,
        title=title(name),
        share_history=share,
        created_at=at,
        version=1,
        members=members,
    )
    entries: tuple[LogBody, ...] = (Created(room.title, ConversationKind.GROUP),)
    if wanted:
        entries += (Joined(wanted, creator),)
    return Change(room, entries, added=(creator, *wanted), by=creator)


def change(room: Room, actor: str, name: str | None, everybody_by: EverybodyBy | None) -> Change | None:
    """The owner names the group anew, or says who may call everybody. None when it is so already."""
    _owner_of_group(room, actor)
    entries: tuple[LogBody, ...] = ()
    if name is not None and (clean := title(name)) != room.title:
        room = replace(room, title=clean)
        entries += (Renamed(clean, actor),)
    if everybody_by is not None and everybody_by is not room.everybody_by:
        room = replace(room, everybody_by=everybody_by)
        entries += (RulesChanged(everybody_by, actor),)
    return Change(_next(room), entries) if entries else None


def add(
    room: Room,
    actor: str,
    persons: Sequence[str],
    friends: Collection[str],
    at: datetime,
    head: int,
    silences: Mapping[str, datetime] | None = None,
) -> Change | None:
    """Any member adds their own friends. `head` is the newest entry: without shared history they see what follows.
    `silences`: until when people were silenced who have left; leaving does not end it."""
    _in_group(room, actor)
    wanted = [p for p in dict.fromkeys(persons) if p not in room.members]
    if not wanted:
        return None
    _only_friends(wanted, friends)
    if len(room.members) + len(wanted) > MEMBERS_MOST:
        raise VouchError(Code.LIMIT_REACHED)
    first = 1 if room.share_history else head + 1
    silent = {p: until for p, until in (silences or {}).items() if p in wanted and until > at}
    new = {
        p: Membership(person=p, role=MemberRole.MEMBER, joined_at=at, first=first, silenced_until=silent.get(p))
        for p in wanted
    }
    entries: tuple[LogBody, ...] = (Joined(wanted, actor),)
    entries += tuple(Silenced(p, to_ms(until), "system") for p, until in silent.items())
    return Change(_next(room, members=room.members | new), entries, added=tuple(wanted))


def remove(room: Room, actor: str, person: str) -> Change:
    """Owner and administrators remove whoever ranks below them; anybody removes themselves, the owner only after
    handing over or as the last."""
    _in_group(room, actor)
    if person not in room.members:
        raise VouchError(Code.NOT_FOUND)
    if actor != person:
        _above(room, actor, person)
    elif room.owner() == actor and len(room.members) > 1:
        raise VouchError(Code.CONFLICT, "Hand the group over to somebody before you leave it.")
    entry: LogBody = Left(person) if actor == person else Removed(person, actor)
    return Change(_next(room, members=_without(room, person)), (entry,), gone=(person,))


def hand_over(room: Room, actor: str, person: str) -> Change:
    """The owner becomes a plain member; whoever gets the group is not silenced any more: nobody could end it."""
    _owner_of_group(room, actor)
    if person not in room.members:
        raise VouchError(Code.NOT_FOUND)
    if person == actor:
        raise VouchError(Code.ALREADY)
    return Change(_next(room, members=_owned_by(room.members, person)), (HandedOver(person, actor),))


def change_role(room: Room, actor: str, person: str, role: MemberRole) -> Change | None:
    """The owner names administrators, and plain members again. None when it is so already."""
    _owner_of_group(room, actor)
    if (member := room.members.get(person)) is None:
        raise VouchError(Code.NOT_FOUND)
    if MemberRole.OWNER in (role, member.role):
        raise VouchError(Code.CONFLICT, "A group always has one owner: hand it over.")
    if member.role is role:
        return None
    members = room.members | {person: replace(member, role=role)}
    return Change(_next(room, members=members), (RoleChanged(person, role, actor),))


def silence(room: Room, actor: str, person: str, until: int | None, now: datetime) -> Change | None:
    """Until then (milliseconds) the member writes nothing; None lifts it. Only for those who rank below the actor."""
    _in_group(room, actor)
    if (member := room.members.get(person)) is None:
        raise VouchError(Code.NOT_FOUND)
    _above(room, actor, person)
    if until is not None and not to_ms(now) < until <= to_ms(now + SILENCE_LONGEST):
        raise VouchError(Code.BAD_REQUEST, "This must lie ahead, a year at most.", field="until")
    end = None if until is None else from_ms(until)
    if member.silenced_until == end:
        return None
    members = room.members | {person: replace(member, silenced_until=end)}
    return Change(_next(room, members=members), (Silenced(person, until, actor),))


def pin(room: Room, actor: str, seq: int, author: str, at: datetime) -> Change | None:
    """Puts a message, which the caller has looked up, on top. In direct conversations both may, in groups owner and
    administrators. None when it is there already."""
    _keeps_pins(room, actor)
    if any(pin.seq == seq for pin in room.pins):
        return None
    if len(room.pins) >= PINS_MOST:
        raise VouchError(Code.LIMIT_REACHED, f"At most {PINS_MOST} messages are pinned. Take one off first.")
    pins = (*room.pins, KeptPin(seq=seq, by=actor, at=at, author=author))
    return Change(_next(room, pins=pins), (Pinned(seq, True, actor),))


def unpin(room: Room, actor: str, seq: int) -> Change | None:
    """None when it is not on top."""
    _keeps_pins(room, actor)
    return fall(room, seq, actor)


def fall(room: Room, seq: int, by: str) -> Change | None:
    """The message was deleted by somebody: what has no words any more is not on top either."""
    pins = tuple(pin for pin in room.pins if pin.seq != seq)
    return Change(_next(room, pins=pins), (Pinned(seq, False, by),)) if len(pins) < len(room.pins) else None


def close(room: Room) -> Change | None:
    return None if room.closed else Change(_next(room, closed=True), (Closed(),))


def reopen(room: Room) -> Change | None:
    return Change(_next(room, closed=False), (Reopened(),)) if room.closed else None


def account_deleted(room: Room, person: str) -> Change:
    """A direct conversation closes; a group goes on, under its longest administrator (or else member) where the owner
    goes. Where the person had left before, only their words are still there. None of them stay on top."""
    entries: tuple[LogBody, ...] = (Erased(person),)
    entries += tuple(Pinned(pin.seq, False, person) for pin in room.pins if pin.author == person)
    room = replace(room, pins=tuple(pin for pin in room.pins if pin.author != person))
    if person not in room.members:
        return Change(_next(room), entries)
    if room.kind is ConversationKind.DIRECT:
        return Change(_next(room, closed=True), entries if room.closed else (*entries, Closed()))
    members = _without(room, person)
    entries += (Left(person),)
    if room.owner() == person and members:
        heir = min(members.values(), key=lambda m: (-m.role.rank, m.joined_at, m.person)).person
        members = _owned_by(members, heir)
        entries += (HandedOver(heir, person),)
    return Change(_next(room, members=members), entries, gone=(person,))


def _in_group(room: Room, actor: str) -> None:
    if actor not in room.members:
        raise VouchError(Code.NOT_FOUND)
    if room.kind is not ConversationKind.GROUP:
        raise VouchError(Code.CONFLICT, "Only a group has members who come and go.")


def _owner_of_group(room: Room, actor: str) -> None:
    _in_group(room, actor)
    if room.owner() != actor:
        raise VouchError(Code.FORBIDDEN)


def _above(room: Room, actor: str, person: str) -> None:
    """Nobody acts on themselves, on somebody of their own rank or of a higher one."""
    if room.members[actor].role.rank <= room.members[person].role.rank:
        raise VouchError(Code.FORBIDDEN)


def _keeps_pins(room: Room, actor: str) -> None:
    if actor not in room.members:
        raise VouchError(Code.NOT_FOUND)
    if room.kind is ConversationKind.GROUP and room.members[actor].role is MemberRole.MEMBER:
        raise VouchError(Code.FORBIDDEN)
    if room.closed:
        raise VouchError(Code.CLOSED)


def _only_friends(wanted: Collection[str], friends: Collection[str]) -> None:
    if not set(wanted) <= set(friends):
        raise VouchError(Code.BLOCKED, "Only friends can be added.", field="members")


def _without(room: Room, person: str) -> dict[str, Membership]:
    return {p: m for p, m in room.members.items() if p != person}


def _owned_by(members: dict[str, Membership], owner: str) -> dict[str, Membership]:
    def now(member: Membership) -> Membership:
        if member.person == owner:
            return replace(member, role=MemberRole.OWNER, silenced_until=None)
        return replace(member, role=MemberRole.MEMBER) if member.role is MemberRole.OWNER else member

    return {person: now(member) for person, member in members.items()}


def _next(room: Room, **changes: object) -> Room:
    return replace(room, version=room.version + 1, **changes)
