"""A conversation as its entries alone tell it."""

from __future__ import annotations

from typing import Any

import msgspec

from server.chat import rules
from server.chat.channel import conversation_kind
from server.chat.model import ConversationKind, Room
from server.chat.rules import Change
from server.realtime.channels import NobodyPolicy, checked_body
from server.realtime.protocol import Entry

KIND = conversation_kind(NobodyPolicy())


class Replay:
    """What a client makes of the entries alone, without ever asking the server: "snapshot + entries = new snapshot"."""

    def __init__(self) -> None:
        self.kind = self.title = ""
        self.members: set[str] = set()
        self.owner: str | None = None
        self.closed = False
        self.seq = 0

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
        if room.kind is ConversationKind.GROUP:
            assert (self.members, self.owner) == (set(room.members), room.owner())

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
                    self.owner = body["by"]
                    self.members.add(body["by"])
                assert not self.members & set(body["persons"])
                self.members |= set(body["persons"])
            case "left" | "removed":
                self.members.remove(body["person"])
                if self.owner == body["person"]:
                    self.owner = None
            case "handed_over":
                assert body["person"] in self.members
                self.owner = body["person"]
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
