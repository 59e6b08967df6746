"""Drafts: made once, edited, shown with both outcomes, published; and pledges that people call off (R-02)."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Sequence
from functools import partial

import msgspec

from server.chat.model import ConversationKind
from server.clock import to_ms
from server.errors import Code, VouchError
from server.money.rules import id_of
from server.people.inbox import PledgeChanged
from server.store import Duplicate, Tx
from server.supervision.changes import Changes
from server.supervision.listing_repo import ListsRepo
from server.supervision.model import FINAL, Pledge, PledgeState, SeatState, Side
from server.supervision.neighbours import Neighbours
from server.supervision.repo import PledgesRepo
from server.supervision.rules import drafting, schedule
from server.supervision.rules import terms as rules
from server.supervision.rules.change import Change, turned
from server.supervision.stake_view import StakeViews
from server.supervision.terms import StakeKind, Terms
from server.supervision.views import NewPledge, OccurrenceView, Preview

#: how many that one person has drafted may go on at the same time
OPEN_MOST = 200
#: how many occurrences a preview lists
SHOWN = 50


class Drafting:
    def __init__(
        self,
        near: Neighbours,
        repo: PledgesRepo,
        lists: ListsRepo,
        changes: Changes,
        stakes: StakeViews,
        templates: Collection[str],
    ) -> None:
        self._near = near
        self._repo = repo
        self._lists = lists
        self._changes = changes
        self._stakes = stakes
        self._templates = templates

    async def create(self, me: str, wanted: NewPledge) -> tuple[Pledge, bool]:
        """A draft, and whether it is new: made once per `wanted.id`. Raises `bad_request`,
        `guardian_needed` (a minor offers no reward), `limit_reached`, `too_often`."""
        id = id_of("g", f"{me}:{wanted.id}")
        if known := await self._repo.get(id):
            return known, False
        await self._near.limits.hit("draft_pledge", me)
        minor = await self.check(me, wanted)
        await self.check_room(me)
        link = secrets.token_urlsafe(16)
        made = drafting.draft(id, me, wanted, self._near.clock.now(), link=link, minor=minor)
        try:
            return await self._changes.begin(Change(made)), True
        except Duplicate:
            return await self._changes.get(id), False

    async def edit(self, me: str, id: str, wanted: NewPledge) -> Pledge:
        """Raises `not_found`, `conflict` once it is published, and what `create` does."""
        drafting.check_mine(await self._changes.get(id), me)
        minor = await self.check(me, wanted)
        return await self._changes.apply(id, lambda pledge, now: drafting.edit(pledge, me, wanted, now, minor=minor))

    async def preview(self, me: str, wanted: NewPledge) -> Preview:
        """What it would amount to, without keeping anything; the owner may still be missing. Raises `bad_request`."""
        minor = await self.check(me, wanted, whole=False)
        rules.check(wanted.terms, wanted.side, minor=minor)
        found = schedule.expand(wanted.terms)
        own = wanted.side is Side.OWNER
        seated = [*wanted.supervisors] if own else [me, *wanted.supervisors]
        owner = me if own else wanted.owner or ""
        payer = me if own or wanted.terms.stake.kind is StakeKind.REWARD else owner
        return Preview(
            count=len(found),
            occurrences=[
                OccurrenceView(
                    n=one.task.n,
                    title=one.task.title,
                    opens=to_ms(one.task.opens_at),
                    due=to_ms(one.task.due_at),
                    late=to_ms(one.task.late_until),
                    shifted=one.shifted,
                )
                for one in found[:SHOWN]
            ],
            split=await self._stakes.split_of(wanted.terms, owner, seated, payer),
            ends=to_ms(max(one.task.due_at for one in found)),
        )

    async def publish(self, me: str, id: str) -> Pledge:
        """Raises `not_found`, and `bad_request` where the first task is due in the past, or where somebody who is named
        has gone or blocked meanwhile."""
        pledge = await self._changes.get(id)
        if pledge.drafted_by != me:
            raise VouchError(Code.NOT_FOUND)
        minor = await self.check(me, wanted_of(pledge)) if pledge.state is PledgeState.DRAFT else False
        return await self._changes.apply(id, lambda pledge, now: drafting.publish(pledge, me, now, minor=minor))

    async def remove(self, me: str, id: str) -> Pledge:
        """Takes a draft away, cancels what has not begun, or asks the others to end what has. Raises `not_found`,
        `forbidden`, `conflict`."""
        pledge = await self._changes.get(id)
        if pledge.state is not PledgeState.DRAFT:
            return await self._changes.apply(id, lambda pledge, now: drafting.cancel(pledge, me, now))
        drafting.check_mine(pledge, me)
        await self._near.store.transact(partial(self._delete, pledge=pledge))
        return turned(pledge, state=PledgeState.CANCELLED)

    async def _delete(self, tx: Tx, pledge: Pledge) -> None:
        if not await self._repo.delete(tx, pledge.id, pledge.version):
            raise VouchError(Code.STALE)
        await self._near.outbox.put(
            tx,
            id=f"pledge:{pledge.id}:gone",
            ch=f"inbox:{pledge.drafted_by}",
            order=pledge.version + 1,
            kind="pledge_changed",
            body=msgspec.to_builtins(PledgeChanged(pledge.id)),
        )

    # ── Who and what may be named ───────────────────────────────────────────────────────────────────────────────────

    async def check_room(self, me: str, more: int = 1) -> None:
        """Raises `limit_reached` when somebody has to do with too much to begin so many more."""
        open = [row for row in await self._lists.rows_of(me) if row.by == me and row.state not in FINAL]
        if len(open) + more > OPEN_MOST:
            raise VouchError(Code.LIMIT_REACHED, "So many pledges at the same time are enough.")

    async def check(self, me: str, wanted: NewPledge, *, whole: bool = True) -> bool:
        """Whether the owner is a minor. Without `whole` the owner may be missing."""
        if whole or wanted.owner is not None:
            owner = drafting.owner_of(me, wanted)
        else:
            owner = me if wanted.side is Side.OWNER else ""
        await self._check_known(me, [owner] if owner else [], "owner")
        await self._check_known(me, wanted.supervisors, "supervisors")
        await self._check_words(me, owner, wanted.terms)
        if wanted.terms.stake.kind is StakeKind.REWARD and await self._is_minor(me):
            raise VouchError(Code.GUARDIAN_NEEDED, "Who offers a reward must be of age.")
        return bool(owner) and await self._is_minor(owner)

    async def _check_known(self, me: str, people: Sequence[str], field: str) -> None:
        """Whoever is named must be known to oneself: strangers are found by the lists, or get the link."""
        others = {person for person in people if person != me}
        if others - await self._near.people.known_to(me, others):
            raise VouchError(Code.BAD_REQUEST, "You have not met this person here.", field=field)

    async def _check_words(self, me: str, owner: str, terms: Terms) -> None:
        if terms.group is not None:
            room = await self._near.conversations.room(terms.group)
            if room is None or room.kind is not ConversationKind.GROUP or me not in room.members:
                raise VouchError(Code.BAD_REQUEST, "This is not a group of yours.", field="terms.group")
        to = terms.stake.to
        if to is not None and (owner != me and to != me):
            raise VouchError(Code.BAD_REQUEST, "For somebody else, only oneself.", field="terms.stake.to")
        if to is not None and owner == me and not await self._near.people.are_friends(me, [to]):
            raise VouchError(Code.BAD_REQUEST, "Choose one of your friends.", field="terms.stake.to")
        if terms.template is not None and terms.template not in self._templates:
            raise VouchError(Code.BAD_REQUEST, "Staff does not know this template.", field="terms.template")

    async def _is_minor(self, person: str) -> bool:
        age = await self._near.people.age(person)
        return age is not None and age.minor


def wanted_of(pledge: Pledge) -> NewPledge:
    """A draft as it was asked for."""
    return NewPledge(
        id="-" * 16,
        side=pledge.side,
        terms=pledge.terms,
        owner=None if pledge.side is Side.OWNER else pledge.owner,
        supervisors=list(_invited(pledge)),
        days=pledge.days,
    )


def _invited(pledge: Pledge) -> Iterable[str]:
    return (seat.person for seat in pledge.seats if seat.state is SeatState.INVITED)
