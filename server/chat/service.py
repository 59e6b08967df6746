"""Conversations: loads, asks the rules, writes with the entries that tell of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Protocol

import msgspec

from server.chat import rules
from server.chat.erasure import Erasure
from server.chat.follower import ConversationFollower
from server.chat.mentions import MentionRepo
from server.chat.model import ChangeConversation, CreateDirect, CreateGroup, MemberRole, OwnPosition, Room
from server.chat.repo import ConversationRepo
from server.chat.rules import Change
from server.chat.threads import ThreadRepo
from server.chat.words import Message
from server.clock import Clock
from server.errors import Code, VouchError
from server.ids import new_id
from server.people.inbox import ConversationNews
from server.realtime.hub import Hub
from server.realtime.outbox import Outbox
from server.store import Duplicate, Store, Tx

_ATTEMPTS = 5


#: The names of further channels in which a person has written.
Channels = Callable[[Tx, str], Awaitable[list[str]]]


class Friendships(Protocol):
    """What conversations need to know of people."""

    async def are_friends(self, person: str, others: Collection[str]) -> set[str]: ...

    async def hold_friendship(self, tx: Tx, a: str, b: str) -> None: ...


class ConversationService:
    """Every method takes the person who acts first and raises VouchError."""

    def __init__(self, store: Store, outbox: Outbox, hub: Hub, people: Friendships, clock: Clock) -> None:
        self._store = store
        self._outbox = outbox
        self._hub = hub
        self._people = people
        self._clock = clock
        self.repo = ConversationRepo(store)
        self.threads = ThreadRepo(store)
        self.mentions = MentionRepo(store)
        self._elsewhere: list[Channels] = []
        self._on_rights: list[Callable[[str], None]] = []
        self.erasure = Erasure(self.repo, hub, outbox, clock)

    async def start(self) -> None:
        await self.repo.ensure_indexes()
        await self.threads.ensure_indexes()
        await self.mentions.ensure_indexes()
        self.erasure.rounds.start()

    async def stop(self) -> None:
        await self.erasure.rounds.stop()

    def follower(self) -> ConversationFollower:
        """What is to follow the logs of conversations."""
        return ConversationFollower(self.threads, self.mentions, self.fall)

    # ── Making ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def create(self, person: str, wanted: CreateDirect | CreateGroup) -> tuple[str, bool]:
        """The conversation's id, and whether it is new."""
        if isinstance(wanted, CreateDirect):
            return await self._create_direct(person, wanted.person)
        friends = await self._people.are_friends(person, wanted.members)
        key = f"{person}:{wanted.key}"
        if (known := await self.repo.by_key(key)) is not None:
            return known, False
        change = rules.create_group(
            new_id("c"),
            person,
            wanted.title,
            wanted.members,
            friends,
            self._clock.now(),
            share=wanted.share_history,
        )
        if await self._insert(change, key=key):
            return change.room.id, True
        return await self._existing(await self.repo.by_key(key)), False

    async def _create_direct(self, person: str, other: str) -> tuple[str, bool]:
        pair = rules.pair(person, other)
        if (known := await self.repo.by_pair(pair)) is not None:
            return known, False
        if not await self._people.are_friends(person, [other]):
            raise VouchError(Code.BLOCKED)
        change = rules.create_direct(new_id("c"), person, other, self._clock.now())
        if await self._insert(change, pair=pair):
            return change.room.id, True
        return await self._existing(await self.repo.by_pair(pair)), False

    async def _insert(self, change: Change, *, pair: str | None = None, key: str | None = None) -> bool:
        async def body(tx: Tx) -> None:
            if pair is not None:  # a block at the same moment must find the room, or be found by it
                await self._people.hold_friendship(tx, *change.room.members)
            await self.repo.create(tx, change.room, pair=pair, key=key)
            await self._tell(tx, change)

        try:
            await self._store.transact(body)
        except Duplicate:
            return False
        await self._outbox.settled(change.room.ch)
        return True

    async def _existing(self, id: str | None) -> str:
        if id is None:
            raise VouchError(Code.TRY_LATER)
        return id

    # ── Changing ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def change(self, person: str, id: str, wanted: ChangeConversation) -> None:
        await self._change(id, lambda room: rules.change(room, person, wanted.title, wanted.everybody_by))

    async def add(self, person: str, id: str, persons: Sequence[str]) -> None:
        friends = await self._people.are_friends(person, persons)
        head = (await self._hub.gates.log_head(f"conv:{id}")).seq  # a gate may lag: nobody sees what was said before
        silences = await self.repo.silences(id, persons)
        now = self._clock.now()
        await self._change(id, lambda room: rules.add(room, person, persons, friends, now, head, silences))

    async def remove(self, person: str, id: str, other: str) -> None:
        await self._change(id, lambda room: rules.remove(room, person, other))

    async def hand_over(self, person: str, id: str, other: str) -> None:
        await self._change(id, lambda room: rules.hand_over(room, person, other))

    async def change_role(self, person: str, id: str, other: str, role: MemberRole) -> None:
        await self._change(id, lambda room: rules.change_role(room, person, other, role))

    async def silence(self, person: str, id: str, other: str, until: int | None) -> None:
        """`until` is in milliseconds; None lifts it."""
        now = self._clock.now()
        await self._change(id, lambda room: rules.silence(room, person, other, until, now))

    async def pin(self, person: str, id: str, seq: int) -> None:
        """Puts a message that the person may see on top."""
        membership = await self.repo.membership(id, person)
        entry = await self._hub.pages.entry(f"conv:{id}", seq) if membership and seq >= membership.first else None
        if entry is None or entry.kind != "message":
            raise VouchError(Code.NOT_FOUND)
        if entry.gone:
            raise VouchError(Code.CONFLICT, "This message was deleted.")
        author, now = entry.by, self._clock.now()
        await self._change(id, lambda room: rules.pin(room, person, seq, author, now))
        entry = await self._hub.pages.entry(f"conv:{id}", seq)
        if entry is None or entry.gone:  # deleted meanwhile, and nobody found it on top
            await self.fall(id, seq, person)

    async def unpin(self, person: str, id: str, seq: int) -> None:
        await self._change(id, lambda room: rules.unpin(room, person, seq))

    async def fall(self, id: str, seq: int, by: str) -> None:
        """A message was deleted by somebody: it is not on top any more."""
        if await self.repo.is_pinned(id, seq):
            await self._change(id, lambda room: rules.fall(room, seq, by), settle=False)

    async def _change(self, id: str, rule: Callable[[Room], Change | None], *, settle: bool = True) -> None:
        """`settle`: wait until what tells of it is in the log."""
        for attempt in range(_ATTEMPTS):
            try:
                await self._store.transact(lambda tx: self._apply(tx, id, rule))
                if settle:
                    await self._outbox.settled(f"conv:{id}")
                return
            except VouchError as fault:
                if fault.code is not Code.STALE or attempt == _ATTEMPTS - 1:
                    raise
                await asyncio.sleep(0.01 * 2**attempt)

    async def _apply(self, tx: Tx, id: str, rule: Callable[[Room], Change | None]) -> None:
        room = await self.repo.room(id, tx)
        if room is None:
            raise VouchError(Code.NOT_FOUND)
        change = rule(room)
        if change is not None:
            await self.repo.save(tx, room, change.room)
            await self._tell(tx, change)

    async def _tell(self, tx: Tx, change: Change) -> None:
        room = change.room
        tx.on_commit(lambda: self._hub.recheck(room.ch))
        if change.gone or room.closed:
            for hook in self._on_rights:
                tx.on_commit(lambda hook=hook: hook(room.id))  # type: ignore[misc]
        for index, body in enumerate(change.entries):
            await self._outbox.put(
                tx,
                id=f"{room.ch}:{room.version}:{index}",
                ch=room.ch,
                order=room.version * 100 + index,
                kind=rules.KIND_OF[type(body)],
                body=msgspec.to_builtins(body),
            )
        added = ("conversation_added", change.added, ConversationNews(room.id, change.by))
        gone = ("conversation_removed", change.gone, ConversationNews(room.id))
        for kind, persons, news in (added, gone):
            for person in persons:
                await self._outbox.put(
                    tx,
                    id=f"{room.ch}:{room.version}:{person}",
                    ch=f"inbox:{person}",
                    order=room.version,
                    kind=kind,
                    body=msgspec.to_builtins(news),
                )

    # ── What other domains tell us (registered with people at wiring) ───────────────────────────────────────────────

    async def on_block(self, tx: Tx, a: str, b: str) -> None:
        """One blocks the other: their direct conversation closes, both ways (R-01)."""
        await self._change_pair(tx, a, b, rules.close)

    async def on_unblock(self, tx: Tx, a: str, b: str) -> None:
        """Neither blocks the other any more."""
        await self._change_pair(tx, a, b, rules.reopen)

    async def _change_pair(self, tx: Tx, a: str, b: str, rule: Callable[[Room], Change | None]) -> None:
        if (id := await self.repo.by_pair(rules.pair(a, b), tx)) is not None:
            await self._apply(tx, id, rule)

    def on_rights(self, hook: Callable[[str], None]) -> None:
        """`hook(conversation)` runs after somebody has lost their place in it, or it was closed."""
        self._on_rights.append(hook)

    def erase_also(self, channels: Channels) -> None:
        """Words of deleted accounts are erased in these channels, too."""
        self._elsewhere.append(channels)

    async def on_delete(self, tx: Tx, person: str) -> None:
        """An account is deleted: out of all groups, direct conversations close, words are erased afterwards."""
        rooms = list({*await self.repo.rooms_of(person, tx), *await self.repo.rooms_left_by(person, tx)})
        for id in rooms:
            await self._apply(tx, id, lambda room: rules.account_deleted(room, person))
        for channels in self._elsewhere:
            rooms += await channels(tx, person)
        if rooms:
            await self.repo.add_erasure(tx, person, rooms, self._clock.now())
            tx.on_commit(self.erasure.rounds.hurry)

    async def say(self, tx: Tx, person: str, other: str, text: str, *, id: str, pledge: str) -> bool:
        """Puts words of a person into their conversation with somebody, once for an `id`; it is made where there is
        none. False where the two do not speak: a block, or friends no more. Raises Duplicate when both have begun to
        speak at this moment."""
        pair = rules.pair(person, other)
        known = await self.repo.by_pair(pair, tx)
        room = await self.repo.room(known, tx) if known is not None else None
        if room is None:
            try:
                await self._people.hold_friendship(tx, person, other)
            except VouchError:
                return False
            change = rules.create_direct(new_id("c"), person, other, self._clock.now())
            await self.repo.create(tx, change.room, pair=pair, key=None)
            await self._tell(tx, change)
            room = change.room
        if room.closed:
            return False
        words = msgspec.to_builtins(Message(text, pledge=pledge))
        await self._outbox.put(
            tx, id=id, ch=room.ch, order=room.version * 100 + 99, kind="message", body=words, by=person
        )
        return True

    async def room(self, id: str) -> Room | None:
        """A conversation with its members, for domains that follow what is said."""
        return await self.repo.room(id)

    async def rooms_of_many(self, persons: Collection[str]) -> dict[str, list[tuple[str, int]]]:
        """By person the conversations, each with the first entry that they may see."""
        return await self.repo.rooms_of_many(persons)

    async def title(self, id: str) -> str:
        """What a conversation is called; empty for a direct one."""
        room = await self.repo.room(id)
        return room.title if room else ""

    async def met(self, person: str, others: Collection[str]) -> set[str]:
        """Which of the others share a conversation with this person."""
        return await self.repo.met(person, others)

    # ── Positions ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def own_position(self, person: str, id: str) -> OwnPosition:
        mark = (await self._hub.positions.of(person, [f"conv:{id}"])).get(f"conv:{id}")
        return OwnPosition(mark.read, mark.read_n, mark.delivered) if mark else OwnPosition(0, 0, 0)
