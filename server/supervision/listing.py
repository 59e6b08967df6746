"""Lists of pledges: one's own, with what waits for oneself first, and those that look for supervisors (R-02)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from server.clock import from_ms, to_ms
from server.errors import Code, VouchError
from server.money.model import MOST, Currency
from server.supervision.listing_repo import ListsRepo
from server.supervision.model import FINAL, Pledge, PledgeState
from server.supervision.neighbours import Neighbours
from server.supervision.rules import permits
from server.supervision.rules.stakes import is_asked
from server.supervision.terms import StakeKind
from server.supervision.viewing import PledgeViews
from server.supervision.views import PledgeCard, PledgeList

#: Nothing looks for supervisors longer: a draft says at most 90 days.
LONGEST = timedelta(days=91)
#: A list is read in windows that grow while there is little in them.
WINDOW, LITTLE = timedelta(days=2), 20
#: so many are looked through for one page
EXAMINED = 500
#: friends whose pledges are listed
FRIENDS_MOST = 500


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the list of open pledges is asked; amounts in minor units of `currency`."""

    q: Annotated[str, Meta(max_length=80)] = ""
    kind: StakeKind | None = None
    currency: Currency | None = None
    least: Annotated[int, Meta(ge=0, le=MOST)] | None = None
    most: Annotated[int, Meta(ge=0, le=MOST)] | None = None


class Listing:
    def __init__(self, near: Neighbours, repo: ListsRepo, views: PledgeViews) -> None:
        self._near = near
        self._repo = repo
        self._views = views

    async def mine(
        self, me: str, role: str | None, state: PledgeState | None, before: str | None, limit: int
    ) -> PledgeList:
        """Everything that has not ended comes on the first page, what waits for oneself first; then the past, the
        newest first. Raises `bad_request` for a `before` that this did not answer."""
        rows = [row for row in await self._repo.rows_of(me) if state is None or row.state is state]
        past = sorted((_place(row.at, row.id) for row in rows if row.state in FINAL), reverse=True)
        cards: list[PledgeCard] = []
        if before is None:
            live = await self._repo.many([row.id for row in rows if row.state not in FINAL])
            live += [one for one in await self._of_wards(me, live) if state is None or one.state is state]
            cards = [card for card in await self._views.cards(live, me) if role in (None, card.role)]
            cards.sort(key=_urgency)
        else:
            past = [place for place in past if place < _parse(before)]
        while past and len(cards) < limit:
            batch, past = past[:limit], past[limit:]
            found = await self._views.cards(await self._repo.many([place.id for place in batch]), me)
            fitting = [card for card in found if role in (None, card.role)]
            room = limit - len(cards)
            cards += fitting[:room]
            if len(fitting) > room:
                kept = next(at for at, place in enumerate(batch) if place.id == cards[-1].id)
                past = batch[kept + 1 :] + past
                return PledgeList(cards, str(batch[kept]))
            if past and len(cards) >= limit:
                return PledgeList(cards, str(batch[-1]))
        return PledgeList(cards, str(_ABOVE) if past else None)

    async def open(self, me: str, wanted: Wanted, before: str | None, limit: int) -> PledgeList:
        """Those that look for supervisors and may be seen: everybody's, friends', of one's groups; the newest first.
        A page may be short though more follow."""
        last = _parse(before) if before is not None else _Place(to_ms(self._near.clock.now()), "~")
        oldest = self._near.clock.now() - LONGEST
        keys, found, window, examined = await self._keys(me), list[Pledge](), WINDOW, 0
        until = from_ms(last.at)
        while until > oldest and len(found) < limit and examined < EXAMINED:
            since = until - window
            rows = [one for one in await self._repo.listed(keys, since, until) if _place_of(one) < last]
            for pledge in await self._unblocked(me, rows):
                last = _place_of(pledge)
                if _fits(pledge, wanted) and pledge.owner != me:
                    found.append(pledge)
                    if len(found) == limit:
                        break
            examined += len(rows)
            window = window * 2 if len(rows) < LITTLE else window
            until = since
        whole = until <= oldest and len(found) < limit
        if not whole and len(found) < limit:
            last = _Place(to_ms(until), "~")
        return PledgeList(await self._views.cards(found, me), None if whole else str(last))

    async def _keys(self, me: str) -> list[str]:
        friends = await self._near.people.friends_of(me)
        rooms = await self._near.conversations.rooms_of_many([me])
        groups = [id for id, _ in rooms.get(me, [])]
        return ["public", *(f"friends:{one}" for one in friends[:FRIENDS_MOST]), *(f"group:{id}" for id in groups)]

    async def _unblocked(self, me: str, pledges: Sequence[Pledge]) -> list[Pledge]:
        blocked = await self._near.people.blocked_with(me, {pledge.owner for pledge in pledges})
        return [pledge for pledge in pledges if pledge.owner not in blocked]

    async def _of_wards(self, me: str, known: Sequence[Pledge]) -> list[Pledge]:
        """What wards promise with money that is still to be paid: one is their payee."""
        ids = {pledge.id for pledge in known}
        found: list[Pledge] = []
        for ward in await self._near.guardians.wards_of(me):
            if await self._near.guardians.payee_of(ward) != me:
                continue
            rows = await self._repo.rows_of(ward)
            waiting = [row.id for row in rows if row.state not in FINAL and row.id not in ids]
            found += [one for one in await self._repo.many(waiting) if one.owner == ward and is_asked(one)]
        return [one for one in found if permits.role_of(one, me, guards=True) == "payer"]


class _Place(NamedTuple):
    """Where a list goes on: behind this one."""

    at: int
    id: str

    def __str__(self) -> str:
        return f"{self.at}.{self.id}"


#: before everything that has ended
_ABOVE = _Place(10**15, "~")


def _place(at: datetime, id: str) -> _Place:
    return _Place(to_ms(at), id)


def _place_of(pledge: Pledge) -> _Place:
    return _place(pledge.published_at or pledge.created_at, pledge.id)


def _parse(before: str) -> _Place:
    at, _, id = before.partition(".")
    if not at.isascii() or not at.isdecimal() or len(at) > 16 or not id:
        raise VouchError(Code.BAD_REQUEST, "Take `next` from the page before.", field="before")
    return _Place(min(int(at), _ABOVE.at), id)


def _urgency(card: PledgeCard) -> tuple[bool, int, str]:
    """What waits for oneself first, then by what comes next."""
    return card.waits_for_me == "", card.next if card.next is not None else _ABOVE.at, card.id


def _fits(pledge: Pledge, wanted: Wanted) -> bool:
    stake, text = pledge.terms.stake, wanted.q.strip().casefold()
    amount = stake.amount
    return (
        (wanted.kind is None or stake.kind is wanted.kind)
        and (wanted.currency is None or stake.currency is wanted.currency)
        and (wanted.least is None or amount >= wanted.least)
        and (wanted.most is None or amount <= wanted.most)
        and (not text or text in pledge.terms.title.casefold() or text in pledge.terms.why.casefold())
    )
