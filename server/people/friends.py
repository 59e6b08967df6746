"""Friends, requests and blocks (R-01): each change is one transaction with the news of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from server.clock import Clock, to_ms
from server.errors import Code, VouchError
from server.limits import Limits
from server.people import pairs, rules
from server.people.directory import Directory
from server.people.inbox import FriendNews
from server.people.model import Friend, FriendRequest, Friends, Pair, PersonCard, PersonView, Relation
from server.people.news import Newsroom
from server.people.repo import PairsRepo, PeopleRepo
from server.store import Duplicate, Store, Tx

MOST_OPEN_REQUESTS = 100
#: Called in the transaction of a block or unblock, with who did it and to whom.
PairHook = Callable[[Tx, str, str], Awaitable[None]]
Rule = Callable[[Pair], pairs.Change]


class FriendsService:
    def __init__(
        self,
        store: Store,
        people: PeopleRepo,
        repo: PairsRepo,
        directory: Directory,
        news: Newsroom,
        limits: Limits,
        clock: Clock,
    ) -> None:
        self._store = store
        self._people = people
        self._repo = repo
        self._directory = directory
        self._news = news
        self._limits = limits
        self._clock = clock
        self.block_hooks: list[PairHook] = []
        self.unblock_hooks: list[PairHook] = []

    async def all_of(self, me: str) -> Friends:
        """Everybody `me` is connected with, newest first."""
        found = [(pair, pairs.relation(pair, me)) for pair in await self._repo.of(me)]
        near = [(pair, relation) for pair, relation in found if relation is not Relation.NONE]
        near.sort(key=lambda item: item[0].at or self._clock.now(), reverse=True)
        cards = await self._directory.cards(pair.other(me) for pair, _ in near)

        def of(wanted: Relation) -> list[tuple[PersonCard, Pair]]:
            return [(cards[p.other(me)], p) for p, relation in near if relation is wanted and p.other(me) in cards]

        return Friends(
            friends=[Friend(person, _since(pair)) for person, pair in of(Relation.FRIEND)],
            incoming=[FriendRequest(person, pair.note, _since(pair)) for person, pair in of(Relation.INCOMING)],
            outgoing=[FriendRequest(person, pair.note, _since(pair)) for person, pair in of(Relation.OUTGOING)],
            blocked=[person for person, _ in of(Relation.BLOCKED)],
        )

    async def ids_of(self, me: str) -> list[str]:
        """All friends, in no order."""
        found = await self._repo.of(me)
        return [pair.other(me) for pair in found if pairs.relation(pair, me) is Relation.FRIEND]

    async def request(self, me: str, other: str, note: str) -> PersonView:
        """Asks; becomes friends at once when the other had asked. Raises `blocked`, `already`, `limit_reached`."""
        note = rules.words(note, rules.NOTE_LONGEST, field="note")
        pairs.new_pair(me, other)
        await self._must_exist(other)
        await self._limits.hit("friend_request", me)
        if await self._repo.open_requests(me, MOST_OPEN_REQUESTS) >= MOST_OPEN_REQUESTS:
            raise VouchError(Code.LIMIT_REACHED, f"At most {MOST_OPEN_REQUESTS} requests may wait for an answer.")
        at = self._clock.now()
        return await self._answer(me, other, await self._change(me, other, lambda p: pairs.request(p, me, note, at)))

    async def accept(self, me: str, other: str) -> PersonView:
        at = self._clock.now()
        return await self._answer(me, other, await self._change(me, other, lambda pair: pairs.accept(pair, me, at)))

    async def decline(self, me: str, other: str) -> None:
        await self._change(me, other, lambda pair: pairs.decline(pair, me))

    async def withdraw(self, me: str, other: str) -> None:
        at = self._clock.now()
        await self._change(me, other, lambda pair: pairs.withdraw(pair, me, at))

    async def remove(self, me: str, other: str) -> None:
        at = self._clock.now()
        await self._change(me, other, lambda pair: pairs.remove(pair, me, at))

    async def block(self, me: str, other: str) -> PersonView:
        """Ends friendship and requests both ways; the hooks close what the two have together, in the same step."""
        pairs.new_pair(me, other)
        await self._must_exist(other)
        at = self._clock.now()
        pair = await self._change(me, other, lambda pair: pairs.block(pair, me, at), self.block_hooks)
        return await self._answer(me, other, pair)

    async def unblock(self, me: str, other: str) -> PersonView:
        pairs.new_pair(me, other)
        await self._must_exist(other)
        pair = await self._change(me, other, lambda pair: pairs.unblock(pair, me), self.unblock_hooks)
        return await self._answer(me, other, pair)

    async def hold(self, tx: Tx, a: str, b: str) -> None:
        """Raises `blocked` unless the two are friends; conflicts with every change between them under way."""
        if not await self._repo.hold_friends(tx, pairs.new_pair(a, b)):
            raise VouchError(Code.BLOCKED)

    async def forget(self, tx: Tx, person: str) -> None:
        """Ends everything between this person and everybody, in the transaction that deletes the account."""
        at = self._clock.now()
        for pair in await self._repo.of(person, tx):
            change = pairs.forget(pair, at)
            if change.pair is not pair:
                await self._store_change(tx, person, change)

    async def _answer(self, me: str, other: str, pair: Pair) -> PersonView:
        return await self._directory.shown(other, pairs.relation(pair, me))

    async def _must_exist(self, person: str) -> None:
        found = await self._people.get(person)
        if found is None or found.deleted_at is not None:
            raise VouchError(Code.NOT_FOUND)

    async def _change(self, me: str, other: str, rule: Rule, hooks: list[PairHook] | None = None) -> Pair:
        blank = pairs.new_pair(me, other)

        async def body(tx: Tx) -> Pair:
            before = await self._repo.get(blank, tx)
            change = rule(before)
            if change.pair is not before:
                await self._store_change(tx, me, change)
                # Of two who block each other the first to unblock opens nothing yet.
                still = hooks is self.unblock_hooks and change.pair.blocked_by
                for hook in () if still else hooks or ():
                    await hook(tx, me, other)
            return change.pair

        try:
            return await self._store.transact(body)
        except Duplicate:  # both took the first step at once: now there is a pair to look at
            return await self._store.transact(body)

    async def _store_change(self, tx: Tx, by: str, change: pairs.Change) -> None:
        pair = change.pair
        if not await self._repo.put(tx, pair):
            raise VouchError(Code.STALE)
        for person, news in change.news:
            body = FriendNews(person=pair.other(person), by=by)
            await self._news.tell(tx, person, f"friend:{pair.id}:{pair.version}", pair.version, news, body)


def _since(pair: Pair) -> int:
    assert pair.at is not None  # a pair with a relation has changed at least once
    return to_ms(pair.at)
