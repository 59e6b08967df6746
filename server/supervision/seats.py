"""Who supervises whom: applications, invitations, the owner's consent, leaving (R-03 to R-07)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from server.errors import Code, VouchError
from server.store import Tx
from server.supervision.changes import Changes, Rule, Stale
from server.supervision.model import Pledge, PledgeState, Suspicion
from server.supervision.neighbours import Neighbours
from server.supervision.repo import PledgesRepo
from server.supervision.rules import seats
from server.supervision.rules.change import Change
from server.supervision.sight import Sights
from server.supervision.suspicions import Suspicions


class Seats:
    """Every method answers the pledge as it is then, and raises `not_found` to whom it does not concern."""

    def __init__(
        self,
        near: Neighbours,
        repo: PledgesRepo,
        changes: Changes,
        sights: Sights,
        suspicions: Suspicions,
        hurry: Callable[[], None],
    ) -> None:
        self._people = near.people
        self._limits = near.limits
        self._clock = near.clock
        self._repo = repo
        self._changes = changes
        self._sights = sights
        self._hurry = hurry
        self._suspicions = suspicions

    # ── Supervisors ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def apply(self, me: str, id: str, words: str, link: str = "") -> Pledge:
        """Raises `conflict`, `already`, `limit_reached`, `too_often`."""
        pledge = await self._changes.get(id)
        await self._sights.of(pledge, me, link)
        if await self._people.blocked_between(me, pledge.owner):
            raise VouchError(Code.NOT_FOUND)
        await self._limits.hit("pledge_application", me)
        return await self._changes.apply(id, lambda pledge, now: seats.apply(pledge, me, words.strip(), now))

    async def withdraw(self, me: str, id: str) -> Pledge:
        return await self._changes.apply(id, lambda pledge, now: seats.withdraw(pledge, me, now))

    async def answer(self, me: str, id: str, accept: bool) -> Pledge:
        """Raises `conflict` when the invitation has lapsed."""
        found = await self._found(id, [me]) if accept else ()
        return await self._changes.apply(id, lambda pledge, now: seats.answer(pledge, me, accept, now, found))

    async def leave(self, me: str, id: str) -> Pledge:
        """Raises `conflict` when there is nothing to supervise any more."""
        return await self._changes.apply(id, lambda pledge, now: seats.leave(pledge, me, now))

    # ── Owners ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def decide(self, me: str, id: str, person: str, accept: bool) -> Pledge:
        """Raises `forbidden`, `conflict`, `limit_reached` when all seats are taken."""
        found = await self._found(id, [person]) if accept else ()
        return await self._changes.apply(id, lambda pledge, now: seats.decide(pledge, me, person, accept, now, found))

    async def invite(self, me: str, id: str, people: Sequence[str], hours: int) -> Pledge:
        """Asks people whom one knows. Raises `bad_request` for others, `forbidden`, `conflict`, `limit_reached`,
        `too_often`."""

        def rule(pledge: Pledge, now: datetime) -> Change:
            return seats.invite(pledge, me, people, hours, now)

        rule(await self._changes.get(id), self._clock.now())  # whom it does not concern learns nothing of others
        await self._limits.hit("pledge_invitation", me)
        if not set(people) <= await self._people.known_to(me, people):
            raise VouchError(Code.BAD_REQUEST, "You have not met this person here.", field="people")
        return await self._changes.apply(id, rule)

    async def consent(self, me: str, id: str) -> Pledge:
        """Raises `conflict` when it is over."""
        pledge = await self._changes.get(id)
        found = await self._found(id, pledge.seated)
        return await self._changes.apply(id, lambda pledge, now: seats.consent(pledge, me, now, found))

    async def refuse(self, me: str, id: str) -> Pledge:
        return await self._changes.apply(id, lambda pledge, now: seats.refuse(pledge, me, now))

    async def _found(self, id: str, people: Sequence[str]) -> Sequence[Suspicion]:
        return await self._suspicions.about(await self._changes.get(id), people)

    # ── What others do that concerns seats ──────────────────────────────────────────────────────────────────────────

    async def on_block(self, tx: Tx, who: str, whom: str) -> None:
        """Ends what waits between the two; who supervises stays until they leave."""
        for pledge in await self._repo.waiting_of(who, tx):
            if whom in (pledge.owner, pledge.drafted_by) or pledge.seat(whom) is not None:
                await self._apply(tx, pledge, lambda pledge, now: seats.parted(pledge, who, whom, now))

    async def on_delete(self, tx: Tx, person: str) -> None:
        """Leaves seats, and gives up what cannot go on without this person."""
        for pledge in await self._repo.unfinished_of(person, tx):
            if pledge.state is PledgeState.DRAFT and pledge.drafted_by == person:
                await self._repo.delete(tx, pledge.id, pledge.version)
            else:
                await self._apply(tx, pledge, lambda pledge, now: seats.gone(pledge, person, now))

    async def _apply(self, tx: Tx, pledge: Pledge, rule: Rule) -> None:
        """Nothing of it moves money: what is given up waits for its turn, which is now."""
        try:
            await self._changes.apply_in(tx, pledge.id, rule)
        except Stale:
            raise VouchError(Code.STALE) from None
        tx.on_commit(self._hurry)
