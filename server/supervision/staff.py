"""Staff mode (R-06): who of staff is on duty for what, who gets what waits, and the desk's queue."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial

import msgspec

from server.clock import Clock
from server.errors import Code, VouchError
from server.people.inbox import PledgeNews
from server.realtime.rounds import Rounds
from server.store import Store, Tx
from server.supervision.changes import Also, Changes
from server.supervision.desk_repo import DeskRepo
from server.supervision.desk_views import Duty, DutyView, Templates
from server.supervision.impartiality import Impartiality
from server.supervision.model import Case, Pledge
from server.supervision.neighbours import Outbox, Trail
from server.supervision.rules import impartial, staffing
from server.supervision.rules.change import Change, What
from server.supervision.templates import BY_ID, TEMPLATES

#: seconds after which what could not be assigned is looked at again
EVERY = 60.0


class Staff:
    def __init__(
        self,
        *,
        store: Store,
        outbox: Outbox,
        changes: Changes,
        impartiality: Impartiality,
        trail: Trail,
        clock: Clock,
    ) -> None:
        self.repo = DeskRepo(store)
        self._store = store
        self._outbox = outbox
        self._changes = changes
        self._impartiality = impartiality
        self._trail = trail
        self._clock = clock
        self.rounds = Rounds("pledges for staff", self.work_off, every=EVERY)
        changes.on_change(self._on_change)

    async def start(self) -> None:
        await self.repo.ensure_indexes()
        self.rounds.start()

    async def stop(self) -> None:
        await self.rounds.stop()

    @staticmethod
    def templates() -> Templates:
        return Templates(list(TEMPLATES))

    # ── Duty ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def duty(self, actor: str) -> DutyView:
        templates = await self.repo.duty(actor)
        return DutyView(templates, len(await self.repo.supervised_by(actor)))

    async def set_duty(self, actor: str, wanted: Duty) -> DutyView:
        """From now on one gets what fits; what one supervises already stays. Raises `bad_request`, `forbidden`."""
        templates = list(dict.fromkeys(wanted.templates))
        if any(template not in BY_ID for template in templates):
            raise VouchError(Code.BAD_REQUEST, "There is no such template.", field="templates")

        async def body(tx: Tx) -> None:
            await self._impartiality.still_staff(tx, actor)
            await self.repo.set_duty(tx, actor, templates, self._clock.now())
            await self._trail.write(tx, actor, "duty.changed", actor, {"templates": " ".join(templates)})
            tx.on_commit(self.rounds.hurry)

        await self._store.transact(body)
        return await self.duty(actor)

    # ── Seats ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def seat(self, actor: str, id: str) -> Pledge:
        """Takes a pledge out of the queue to supervise it. Raises `not_found`, `conflict`, `forbidden`."""
        pledge = await self._changes.get(id)
        if not staffing.waits(pledge):
            raise VouchError(Code.CONFLICT if staffing.supervising(pledge) else Code.NOT_FOUND)
        await self._impartiality.check(actor, pledge)
        noted = self._noted(actor, "pledge.seated", id, actor)
        return await self._changes.apply(id, lambda pledge, now: staffing.seat(pledge, actor, actor, now), noted)

    async def release(self, actor: str, id: str) -> Pledge:
        """Gives one's seat back; somebody else of staff goes on. Raises `not_found`."""

        def rule(pledge: Pledge, now: datetime) -> Change:
            if actor not in staffing.supervising(pledge):
                raise VouchError(Code.NOT_FOUND)
            return staffing.release(pledge, actor, now)

        return await self._changes.apply(id, rule, self._noted(actor, "pledge.released", id, actor))

    async def work_off(self) -> None:
        await self.relieve()
        await self.assign_waiting()

    async def relieve(self) -> int:
        """Frees the seats of those who have lost the role, for others; answers how many."""
        freed = 0
        for person in await self.repo.dismissed():
            if await self._is_staff(person):
                await self._store.transact(partial(self.repo.keep, person=person))
                continue
            for pledge in await self.repo.supervised_by(person):
                await self._changes.apply(pledge.id, partial(_freed, person), self._told(pledge.id, person))
                freed += 1
            await self._store.transact(partial(self.repo.forget, person=person))
        return freed

    async def assign_waiting(self) -> int:
        """Gives what waits to those on duty for it; answers how many. What nobody may take waits on."""
        assigned = 0
        for pledge in await self.repo.queue():
            if staffing.waits(pledge) and await self._assign(pledge):
                assigned += 1
        return assigned

    async def _assign(self, pledge: Pledge) -> bool:
        """To who has the fewest, of those who are impartial and hold the role."""
        chosen = await self._candidate(pledge)
        if chosen is None:
            return False

        def rule(pledge: Pledge, now: datetime) -> Change:
            return staffing.seat(pledge, chosen, "system", now) if staffing.waits(pledge) else Change(pledge)

        try:
            await self._changes.apply(pledge.id, rule, self._noted("system", "pledge.assigned", pledge.id, chosen))
        except VouchError:  # it has changed, or they have lost the role: there will be another round
            return False
        return True

    async def _candidate(self, pledge: Pledge) -> str | None:
        on_duty = await self.repo.on_duty(pledge.terms.template or "")
        load = await self.repo.load(on_duty)
        for person in sorted(on_duty, key=lambda person: (load[person], person)):
            try:
                await self._impartiality.check(person, pledge)
            except VouchError:
                continue
            if await self._is_staff(person):
                return person
        return None

    async def _is_staff(self, person: str) -> bool:
        try:
            await self._store.transact(partial(self._impartiality.still_staff, person=person))
        except VouchError:
            return False
        return True

    def _told(self, id: str, person: str) -> Also:
        async def note(tx: Tx, change: Change) -> Change:
            await self._trail.write(tx, "system", "pledge.released", id, {"person": person})
            return change

        return note

    def _noted(self, by: str, action: str, id: str, person: str) -> Also:
        async def note(tx: Tx, change: Change) -> Change:
            await self._impartiality.still_staff(tx, person)
            await self._trail.write(tx, by, action, id, {"person": person})
            return change

        return note

    # ── What others do that concerns the desk ───────────────────────────────────────────────────────────────────────

    async def _on_change(self, tx: Tx, before: Pledge | None, after: Pledge) -> None:
        """Seats what begins to wait, and tells staff of each case that was opened."""
        if staffing.waits(after) and (before is None or not staffing.waits(before)):
            tx.on_commit(self.rounds.hurry)
        known = {case.id for case in before.cases} if before is not None else set()
        opened = [case for case in after.cases if case.id not in known and case.ruling is None]
        if opened:
            await self._tell(tx, after, opened)

    async def _tell(self, tx: Tx, pledge: Pledge, opened: Sequence[Case]) -> None:
        body = msgspec.to_builtins(PledgeNews(pledge.id, What.CASE_WAITING.value))
        for person in sorted(await self._impartiality.staff() - impartial.parties(pledge)):
            await self._outbox.put(
                tx,
                id=f"pledge:{pledge.id}:{opened[0].id}:waiting:{person}",
                ch=f"inbox:{person}",
                order=pledge.version,
                kind="pledge_news",
                body=body,
            )

    async def on_delete(self, tx: Tx, person: str) -> None:
        await self.repo.forget(tx, person)

    async def on_take(self, tx: Tx, person: str) -> None:
        """A role was taken back; whether it was this one is seen when it is worked off."""
        if await self.repo.supervised_by(person) or await self.repo.duty(person):
            await self.repo.dismiss(tx, person)
            tx.on_commit(self.rounds.hurry)


def _freed(person: str, pledge: Pledge, now: datetime) -> Change:
    return staffing.release(pledge, person, now) if person in staffing.supervising(pledge) else Change(pledge)
