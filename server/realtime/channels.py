"""Channels: their names, who may do what on them, and which entries they hold.

A channel is named `kind:id`. Each kind is registered once with a policy and its entry kinds; unknown kinds are denied.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import msgspec

from server.errors import Code, VouchError
from server.principals import Principal
from server.realtime.protocol import MAX_BODY, Entry


class Access(msgspec.Struct, frozen=True):
    """What a principal may do on a channel; `first` is the lowest entry that it may see.

    `silenced_until` (milliseconds) says why it may not write where only that is in the way. It ends by itself: access
    is not remembered beyond it. `unseen`: nobody learns how far this principal has read.
    """

    read: bool = False
    write: bool = False
    signal: bool = False
    first: int = 1
    silenced_until: int = 0
    unseen: bool = False
    #: hears the signals here, though it may send none: those of channels on which only the server speaks
    listens: bool = False

    @property
    def hears(self) -> bool:
        """Whether signals of others reach it."""
        return self.signal or self.listens


DENIED = Access()


class Effects(msgspec.Struct, frozen=True):
    """What an entry changes beside being read: applied by every node as the entry passes its gate.

    `drop`: persons whose subscriptions end. `recheck`: everybody's access is asked for again before it is used.
    `end_sessions`: sign-ins whose sockets close. `erase`: senders whose words go from every ring.
    """

    drop: tuple[str, ...] = ()
    erase: tuple[str, ...] = ()
    recheck: bool = False
    end_sessions: tuple[str, ...] = ()


NO_EFFECTS = Effects()


class Draft(msgspec.Struct, frozen=True):
    """An entry before it has a number. `id` is unique per sender (`by`); `body` is built from plain JSON types."""

    ch: str
    by: str
    id: str
    kind: str
    body: dict[str, Any]
    ref: int | None = None


class ChannelPolicy(Protocol):
    """Answers for one kind of channel. Called with the part of the name after the colon."""

    async def access(self, principal: Principal, channel_id: str) -> Access: ...

    async def admit(self, principal: Principal, channel_id: str, draft: Draft, target: Entry | None) -> None:
        """Raises VouchError when this principal may not append this draft, though it may write to the channel.

        `target` is the entry that `draft.ref` names (None without a ref).
        """

    def effects(self, entry: Entry) -> Effects: ...


class EntryKind(msgspec.Struct, frozen=True):
    """One kind of entry.

    `body` is the type of its body. `by_clients`: clients may append it. `countable`: it counts as unread.
    `modifies`: it needs `ref`. `replaces`: its body takes the place of the body that it refers to (an edit). `scrubs`:
    it erases the body of the entry that it refers to, and those that replaced it. `topic`: the field of the body by
    which modifiers of one entry by one sender are told apart (a reaction's emoji); of each the last one counts.
    `actor`: the field of the body that names who acted; in that person's own channel the entry counts for nothing.
    """

    name: str
    body: type[msgspec.Struct]
    by_clients: bool = False
    countable: bool = False
    modifies: bool = False
    replaces: bool = False
    scrubs: bool = False
    topic: str = ""
    actor: str = ""

    def counts(self, draft: Draft) -> bool:
        """Whether this entry counts as unread."""
        if not self.countable or not self.actor:
            return self.countable
        return draft.body.get(self.actor) != split(draft.ch)[1]


class ChannelKind(msgspec.Struct, frozen=True):
    """One kind of channel. `signals` maps the names of its signals to their bodies; `presence`: who is here is shown.

    `replays` is False for channels that resume by a snapshot and never by old entries (a doorplate's). `personal`: the
    channel of this kind with a principal's own id is followed for each of their connections, so that the end of a
    sign-in is heard even by a client that has not subscribed to it.
    """

    name: str
    policy: ChannelPolicy
    entries: tuple[EntryKind, ...]
    signals: dict[str, type[msgspec.Struct]] = {}
    presence: bool = False
    positions: bool = False
    replays: bool = True
    personal: bool = False
    #: the entries by name, made here: each message asks several times
    _by_name: dict[str, EntryKind] = {}

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "_by_name", {kind.name: kind for kind in self.entries})

    def entry(self, name: str) -> EntryKind | None:
        return self._by_name.get(name)


def bare(entry: Entry) -> Entry:
    """An entry without its words."""
    return msgspec.structs.replace(entry, body={}, gone=True)


def split(ch: str) -> tuple[str, str]:
    """`conv:c_1` → (`conv`, `c_1`)."""
    kind, _, channel_id = ch.partition(":")
    return kind, channel_id


class ChannelKinds:
    """The registry. Built once, when the services are wired."""

    def __init__(self, kinds: Iterable[ChannelKind] = ()) -> None:
        self._kinds: dict[str, ChannelKind] = {}
        for kind in kinds:
            self.register(kind)

    def register(self, kind: ChannelKind) -> None:
        if kind.name in self._kinds:
            raise ValueError(f"channel kind {kind.name!r} is registered twice")
        self._kinds[kind.name] = kind

    def __iter__(self) -> Iterator[ChannelKind]:
        return iter(self._kinds.values())

    def personal(self, principal: Principal) -> list[str]:
        """The names of a principal's own channels."""
        return [f"{kind.name}:{principal.id}" for kind in self._kinds.values() if kind.personal]

    def of(self, ch: str) -> ChannelKind | None:
        return self._kinds.get(split(ch)[0])

    async def access(self, principal: Principal, ch: str) -> Access:
        kind = self.of(ch)
        return DENIED if kind is None else await kind.policy.access(principal, split(ch)[1])

    def effects(self, ch: str, entry: Entry) -> Effects:
        kind = self.of(ch)
        return NO_EFFECTS if kind is None else kind.policy.effects(entry)

    def replaces(self, ch: str, name: str) -> bool:
        """Whether an entry of this kind takes the place of the one that it refers to."""
        kind = self.of(ch)
        entry = kind.entry(name) if kind else None
        return entry is not None and entry.replaces

    def modifies(self, ch: str, name: str) -> bool:
        """Whether an entry of this kind is about another one."""
        kind = self.of(ch)
        entry = kind.entry(name) if kind else None
        return entry is not None and entry.modifies

    def said(self, ch: str, entry: Entry) -> bool:
        """Whether an entry holds what its sender has said, and not what the server tells of them."""
        kind = self.of(ch)
        known = kind.entry(entry.kind) if kind else None
        return known is None or known.by_clients

    def withheld(self, ch: str, entry: Entry, first: int) -> bool:
        """Whether somebody who sees a channel from `first` on may not have this entry's words: those that it puts in
        the place of others are of the time before."""
        return entry.ref is not None and entry.ref < first and not entry.gone and self.replaces(ch, entry.kind)

    def as_seen(self, ch: str, entry: Entry, first: int) -> Entry:
        """The entry as somebody gets it who sees the channel from `first` on: numbers have no holes, so that words
        which are withheld look like words that are gone."""
        return bare(entry) if self.withheld(ch, entry, first) else entry

    def client_entry(self, ch: str, name: str) -> EntryKind:
        """The kind of an entry that a client wants to append; raises `bad_request` unless clients may."""
        kind = self.of(ch)
        entry = kind.entry(name) if kind else None
        if entry is None or not entry.by_clients:
            raise VouchError(Code.BAD_REQUEST, "Clients cannot append this kind of entry here.", field="kind")
        return entry


def checked_body(struct: type[msgspec.Struct], body: bytes | msgspec.Raw) -> dict[str, Any]:
    """A body as plain JSON types, after its type has been checked.

    Raises `too_large` beyond MAX_BODY bytes, `bad_request` with the field when it does not have the type's form.
    """
    if len(bytes(body)) > MAX_BODY:
        raise VouchError(Code.TOO_LARGE, field="body")
    try:
        decoded: dict[str, Any] = msgspec.to_builtins(msgspec.json.decode(body, type=struct))
    except msgspec.ValidationError as fault:
        raise VouchError(Code.BAD_REQUEST, f"body: {fault}", field="body") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise VouchError(Code.MALFORMED, field="body") from None
    return decoded


class NobodyPolicy:
    """Denies everything: for describing a kind of channel without the services behind it."""

    async def access(self, principal: Principal, channel_id: str) -> Access:
        return DENIED

    async def admit(self, principal: Principal, channel_id: str, draft: Draft, target: Entry | None) -> None:
        raise VouchError(Code.FORBIDDEN)

    def effects(self, entry: Entry) -> Effects:
        return NO_EFFECTS
