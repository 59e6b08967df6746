"""A conversation as its entries alone tell it."""

from __future__ import annotations

from typing import Any

import msgspec

from server.chat import rules
from server.chat.channel import conversation_kind
from server.chat.model import ConversationKind, EverybodyBy, MemberRole, Room
from server.chat.rules import Change
from server.clock import to_ms
from server.realtime.channels import NobodyPolicy, checked_body
from server.realtime.protocol import Entry

KIND = conversation_kind(NobodyPolicy())
OWNER, MEMBER = MemberRole.OWNER.value, MemberRole.MEMBER.value


class Replay:
    """What a client makes of the entries alone, without ever asking the server: "snapshot + entries = new snapshot"."""

    def __init__(self) -> None:
        self.kind = self.title = ""
        #: person → role
        self.members: dict[str, str] = {}
        #: person → until when (milliseconds); those who may write are not in it
        self.silenced: dict[str, int] = {}
        self.pins: list[int] = []
        self.everybody_by = EverybodyBy.MEMBERS.value
        self.closed = False
        self.seq = 0

    @property
    def owner(self) -> str | None:
        return next((person for person, role in self.members.items() if role == OWNER), None)

    def change(self, change: Change) -> None:
        """Reads what the rules say, before it is in any log."""
        for entry in change.entries:
            self.read(rules.KIND_OF[type(entry)], msgspec.to_builtins(entry))

    def log(self, entries: list[Entry]) -> None:
        """Reads a log, or the part that came since."""
        for entry in entries:
            assert entry.seq == self.seq + 1
            self.read(entry.kind, entry.body, gone=entry.gone)

    def must_equal(self, room: Room) -> None:
        assert (self.kind, self.title, self.closed) == (room.kind, room.title, room.closed)
        assert (self.pins, self.everybody_by) == ([pin.seq for pin in room.pins], room.everybody_by)
        if room.kind is ConversationKind.GROUP:
            assert self.members == {person: member.role for person, member in room.members.items()}
            kept = {person: member.silenced_until for person, member in room.members.items()}
            assert self.silenced == {person: to_ms(until) for person, until in kept.items() if until is not None}

    def read(self, kind: str, body: dict[str, Any], *, gone: bool = False) -> None:
        self.seq += 1
        known = KIND.entry(kind)
        assert known is not None
        if not gone:
            checked_body(known.body, msgspec.json.encode(body))
        match kind:
            case "created":
                self.title, self.kind = body["title"], body["kind"]
            case "joined":
                if self.owner is None:  # whoever brings the first ones in owns the group
                    self.members[body["by"]] = OWNER
                assert not self.members.keys() & set(body["persons"])
                self.members |= dict.fromkeys(body["persons"], MEMBER)
            case "left" | "removed":
                del self.members[body["person"]]
                self.silenced.pop(body["person"], None)
            case "handed_over":
                assert body["person"] in self.members
                if self.owner is not None:
                    self.members[self.owner] = MEMBER
                self.members[body["person"]] = OWNER
                self.silenced.pop(body["person"], None)
            case "role_changed":
                assert body["person"] in self.members
                self.members[body["person"]] = body["role"]
            case "silenced":
                assert body["person"] in self.members
                self.silenced.pop(body["person"], None)
                if body["until"] is not None:
                    self.silenced[body["person"]] = body["until"]
            case "pinned" if body["on"]:
                assert body["seq"] not in self.pins
                self.pins.append(body["seq"])
            case "pinned":
                self.pins.remove(body["seq"])
            case "rules_changed":
                assert body["everybody_by"] != self.everybody_by
                self.everybody_by = body["everybody_by"]
            case "renamed":
                self.title = body["title"]
            case "closed":
                self.closed = True
            case "reopened":
                self.closed = False
            case "erased" | "message" | "edit" | "delete" | "reaction":
                pass
            case _:
                raise AssertionError(f"a client does not know {kind}")
