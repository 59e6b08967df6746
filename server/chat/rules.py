"""What may happen in a conversation. Pure: each rule takes the room and who acts, and returns what changes.

A `Change` is the room after it, the entries that tell of it, and who is told in their inbox. Rules raise VouchError.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

import msgspec
from msgspec.structs import replace

from server.chat.model import (
    MEMBERS_MOST,
    TITLE_LONGEST,
    Closed,
    ConversationKind,
    Created,
    Delete,
    Edit,
    Erased,
    HandedOver,
    Joined,
    Left,
    MemberRole,
    Membership,
    Message,
    Reaction,
    Removed,
    Renamed,
    Reopened,
    Room,
)
from server.errors import Code, VouchError
from server.people.rules import words
from server.realtime.channels import Draft
from server.realtime.protocol import Entry

LogBody = Created | Joined | Left | Removed | Renamed | HandedOver | Closed | Reopened | Erased

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
    Closed: "closed",
    Reopened: "reopened",
    Erased: "erased",
}


class Change(msgspec.Struct, frozen=True):
    """`room` is the state afterwards; `added` and `gone` are told in their inboxes."""

    room: Room
    entries: tuple[LogBody, ...]
    added: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


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
    return Change(room, (Created("", ConversationKind.DIRECT),), added=(a, b))


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
    return Change(room, entries, added=(creator, *wanted))


def rename(room: Room, actor: str, name: str) -> Change | None:
    """None when it has this name already."""
    _owner_of_group(room, actor)
    clean = title(name)
    if clean == room.title:
        return None
    return Change(_next(room, title=clean), (Renamed(clean, actor),))


def add(
    room: Room, actor: str, persons: Sequence[str], friends: Collection[str], at: datetime, head: int
) -> Change | None:
    """Any member adds their own friends. `head` is the newest entry: without shared history they see what follows."""
    _in_group(room, actor)
    wanted = [p for p in dict.fromkeys(persons) if p not in room.members]
    if not wanted:
        return None
    _only_friends(wanted, friends)
    if len(room.members) + len(wanted) > MEMBERS_MOST:
        raise VouchError(Code.LIMIT_REACHED)
    first = 1 if room.share_history else head + 1
    new = {p: Membership(person=p, role=MemberRole.MEMBER, joined_at=at, first=first) for p in wanted}
    return Change(_next(room, members=room.members | new), (Joined(wanted, actor),), added=tuple(wanted))


def remove(room: Room, actor: str, person: str) -> Change:
    """The owner removes anybody else; anybody removes themselves, the owner only after handing over or as the last."""
    _in_group(room, actor)
    if person not in room.members:
        raise VouchError(Code.NOT_FOUND)
    if actor != person:
        _owner_of_group(room, actor)
    elif room.owner() == actor and len(room.members) > 1:
        raise VouchError(Code.CONFLICT, "Hand the group over to somebody before you leave it.")
    entry: LogBody = Left(person) if actor == person else Removed(person, actor)
    return Change(_next(room, members=_without(room, person)), (entry,), gone=(person,))


def hand_over(room: Room, actor: str, person: str) -> Change:
    _owner_of_group(room, actor)
    if person not in room.members:
        raise VouchError(Code.NOT_FOUND)
    if person == actor:
        raise VouchError(Code.ALREADY)
    return Change(_next(room, members=_owned_by(room.members, person)), (HandedOver(person, actor),))


def close(room: Room) -> Change | None:
    return None if room.closed else Change(_next(room, closed=True), (Closed(),))


def reopen(room: Room) -> Change | None:
    return Change(_next(room, closed=False), (Reopened(),)) if room.closed else None


def account_deleted(room: Room, person: str) -> Change:
    """A direct conversation closes; a group goes on, under its longest member where the owner goes. Where the person
    had left before, only their words are still there."""
    if person not in room.members:
        return Change(_next(room), (Erased(person),))
    if room.kind is ConversationKind.DIRECT:
        entries: tuple[LogBody, ...] = (Erased(person),) if room.closed else (Erased(person), Closed())
        return Change(_next(room, closed=True), entries)
    members = _without(room, person)
    entries = (Erased(person), Left(person))
    if room.owner() == person and members:
        heir = min(members.values(), key=lambda m: (m.joined_at, m.person)).person
        members = _owned_by(members, heir)
        entries += (HandedOver(heir, person),)
    return Change(_next(room, members=members), entries, gone=(person,))


def admit(owner: str | None, actor: str, draft: Draft, target: Entry | None) -> None:
    """Raises unless this entry may be appended by this member. `target` is the entry that `draft.ref` names; `owner`
    is the group's (asked for deletions only)."""
    if draft.kind in ("message", "edit") and not draft.body["text"].strip():
        raise VouchError(Code.BAD_REQUEST, "There is nothing to read in this.", field="body.text")
    if draft.kind == "message":
        return
    if target is None or target.kind != "message":
        raise VouchError(Code.BAD_REQUEST, "`ref` must be the number of a message.", field="ref")
    if draft.kind == "delete":
        if target.by != actor and owner != actor:
            raise VouchError(Code.FORBIDDEN)
        return
    if target.gone:
        raise VouchError(Code.CONFLICT, "This message was deleted.", field="ref")
    if draft.kind == "edit" and target.by != actor:
        raise VouchError(Code.FORBIDDEN)


def _in_group(room: Room, actor: str) -> None:
    if actor not in room.members:
        raise VouchError(Code.NOT_FOUND)
    if room.kind is not ConversationKind.GROUP:
        raise VouchError(Code.CONFLICT, "Only a group has members who come and go.")


def _owner_of_group(room: Room, actor: str) -> None:
    _in_group(room, actor)
    if room.owner() != actor:
        raise VouchError(Code.FORBIDDEN)


def _only_friends(wanted: Collection[str], friends: Collection[str]) -> None:
    if not set(wanted) <= set(friends):
        raise VouchError(Code.BLOCKED, "Only friends can be added.", field="members")


def _without(room: Room, person: str) -> dict[str, Membership]:
    return {p: m for p, m in room.members.items() if p != person}


def _owned_by(members: dict[str, Membership], owner: str) -> dict[str, Membership]:
    return {p: replace(m, role=MemberRole.OWNER if p == owner else MemberRole.MEMBER) for p, m in members.items()}


def _next(room: Room, **changes: object) -> Room:
    return replace(room, version=room.version + 1, **changes)
