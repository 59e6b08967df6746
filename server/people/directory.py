"""Who sees whom: cards for those who may have them, and finding people without being able to list them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from server.errors import Code, VouchError
from server.limits import Limits
from server.people import pairs, rules
from server.people.model import Language, Pair, PairState, Person, PersonCard, PersonView, Relation
from server.people.repo import PairsRepo, PeopleRepo

#: Answers which of these ids a person meets elsewhere (in a conversation, say).
Circle = Callable[[str, set[str]], Awaitable[set[str]]]


def card(person: Person) -> PersonCard:
    return PersonCard(person.id, person.handle, person.name, avatar_path(person), person.introduction)


def avatar_path(person: Person) -> str | None:
    """The address of the current picture. Its version is random: whoever knows it was shown the card."""
    return f"/api/v1/people/{person.id}/avatar/{person.avatar}" if person.avatar else None


def view(person: Person, relation: Relation) -> PersonView:
    shown = card(person)
    return PersonView(shown.id, shown.handle, shown.name, shown.avatar, shown.introduction, relation)


class Directory:
    """Reads only. Other domains add their circles: people who meet there may see each other's cards."""

    def __init__(self, people: PeopleRepo, pairs_repo: PairsRepo, limits: Limits) -> None:
        self._people = people
        self._pairs = pairs_repo
        self._limits = limits
        self._circles: list[Circle] = []

    def add_circle(self, circle: Circle) -> None:
        self._circles.append(circle)

    async def cards(self, ids: Iterable[str]) -> dict[str, PersonCard]:
        """Cards of all of these who exist, for callers who have made sure that they may be shown."""
        return {person.id: card(person) for person in await self._people.many(set(ids))}

    async def cards_for(self, me: str, ids: Iterable[str]) -> list[PersonCard]:
        """The cards that `me` may see, in the order asked for; the others are left out."""
        asked = list(dict.fromkeys(ids))
        seen = await self._visible(me, set(asked))
        found = await self.cards(seen)
        return [found[person] for person in asked if person in found]

    async def person(self, me: str, other: str) -> PersonView:
        """Raises `not_found` for strangers as for those who do not exist."""
        relation = await self.relation(me, other)
        if relation is Relation.NONE and not await self._visible(me, {other}):
            raise VouchError(Code.NOT_FOUND)
        return await self.shown(other, relation)

    async def shown(self, person: str, relation: Relation) -> PersonView:
        found = await self._people.get(person)
        if found is None:
            raise VouchError(Code.NOT_FOUND)
        return view(found, relation)

    async def find(self, me: str, ip: str, *, handle: str | None = None, phone: str | None = None) -> PersonView:
        """By exact handle or phone number; whoever blocks `me` is not found. Limited per person and per address."""
        if (handle is None) == (phone is None):
            raise VouchError(Code.BAD_REQUEST, "Give either a handle or a phone number.", field="handle")
        wanted = rules.handle(handle.strip().removeprefix("@")) if handle is not None else rules.phone(phone or "")
        await self._limits.hit("find_person", me)
        await self._limits.hit("find_person_ip", ip)
        found = await (self._people.by_handle(wanted) if handle is not None else self._people.by_phone(wanted))
        if found is None:
            raise VouchError(Code.NOT_FOUND)
        if found.id == me:
            return view(found, Relation.SELF)
        pair = await self._pairs.get(pairs.new_pair(me, found.id))
        if found.id in pair.blocked_by:
            raise VouchError(Code.NOT_FOUND)
        return view(found, pairs.relation(pair, me))

    async def avatar(self, person: str, version: str) -> bytes:
        data = await self._people.avatar(person, version)
        if data is None:
            raise VouchError(Code.NOT_FOUND)
        return data

    async def relation(self, me: str, other: str) -> Relation:
        if me == other:
            return Relation.SELF
        return pairs.relation(await self._pairs.get(pairs.new_pair(me, other)), me)

    async def are_friends(self, me: str, others: Iterable[str]) -> set[str]:
        """Those of `others` who are friends of `me`."""
        found = await self._pairs.between(me, set(others))
        return {other for other, pair in found.items() if pair.state is PairState.FRIENDS}

    async def blocked_between(self, a: str, b: str) -> bool:
        """Whether either of the two blocks the other."""
        return a != b and bool((await self._pairs.get(pairs.new_pair(a, b))).blocked_by)

    async def blocked_with(self, me: str, others: Iterable[str]) -> set[str]:
        """Those of `others` who block `me`, or whom `me` blocks."""
        found = await self._pairs.between(me, set(others))
        return {other for other, pair in found.items() if pair.blocked_by}

    async def languages(self, ids: Iterable[str]) -> dict[str, Language]:
        return {person.id: person.language for person in await self._people.many(set(ids))}

    async def _visible(self, me: str, ids: set[str]) -> set[str]:
        found: dict[str, Pair] = await self._pairs.between(me, ids)
        near = {other for other, pair in found.items() if pairs.relation(pair, me) is not Relation.NONE}
        near |= ids & {me}
        far = ids - near
        if far:
            near |= ids & set().union(*await asyncio.gather(*(circle(me, far) for circle in self._circles)))
        return near
