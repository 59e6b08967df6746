"""What entries of a log mean for the index. Pure.

Entries are read in order into `Changes`: messages to put under their terms, messages whose terms change (edits), and
those that go (deletions, people who have deleted their account).
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from server.chat.words import Edit, Message
from server.realtime.protocol import Entry
from server.search.terms import terms_of_message


def message_of(entry: Entry) -> Message | None:
    """What an entry says; None where nothing is left of it, or it says nothing."""
    if entry.gone or entry.kind != "message":
        return None
    try:
        return msgspec.convert(entry.body, Message)
    except msgspec.ValidationError:  # of another version of the product: one message must not stop all after it
        return None


def edited(target: Entry, edit: Entry) -> Message | None:
    """What a message says after an edit: other words, and the media that it had."""
    message = message_of(target)
    if message is None or edit.gone:
        return None
    said = msgspec.convert(edit.body, Edit)
    return msgspec.structs.replace(message, text=said.text, mentions=said.mentions, everybody=said.everybody)


class Put(msgspec.Struct, frozen=True):
    """A message's terms. `at` are seconds; None: it is there already and keeps its place in time."""

    by: str
    at: int | None
    terms: frozenset[str]


class Changes:
    def __init__(self, erased: Collection[str] = ()) -> None:
        self.put: dict[int, Put] = {}
        self.drop: set[int] = set()
        #: people whose words go, and those whose words must never come in
        self.erase: set[str] = set()
        self._erased = set(erased)

    def read(self, entry: Entry, target: Entry | None) -> None:
        """The next entry. `target` is the message that an edit is about, as the log holds it now."""
        match entry.kind:
            case "message":
                message = message_of(entry)
                if message is not None and entry.by not in self._erased:
                    self._put(entry.seq, entry.by, entry.at // 1000, message)
            case "edit":
                # The target is looked at now: what was deleted meanwhile is not indexed once more by a late edit.
                message = edited(target, entry) if target is not None else None
                if target is not None and message is not None and target.by not in self._erased:
                    known = self.put.get(target.seq)
                    self._put(target.seq, target.by, known.at if known else None, message)
            case "delete":
                if entry.ref is not None:
                    self.put.pop(entry.ref, None)
                    self.drop.add(entry.ref)
            case "erased":
                person = str(entry.body["person"])
                self.erase.add(person)
                self._erased.add(person)
                self.put = {seq: put for seq, put in self.put.items() if put.by != person}

    def _put(self, seq: int, by: str, at: int | None, message: Message) -> None:
        self.put[seq] = Put(by, at, frozenset(terms_of_message(by, message)))
