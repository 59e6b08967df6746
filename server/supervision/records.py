"""Records: facts about somebody's pledges, counted as they are settled, and shown to others with consent only."""

from __future__ import annotations

from server.clock import Clock, to_ms
from server.store import Store, Tx
from server.supervision.changes import Changes
from server.supervision.desk_repo import RecordsRepo
from server.supervision.desk_views import Record
from server.supervision.model import Pledge, PledgeState
from server.supervision.neighbours import Guardians, People
from server.supervision.rules import facts

HIDDEN = Record(
    shown=False,
    on_time=0,
    late=0,
    missed=0,
    kept=0,
    failed=0,
    stamped=0,
    overruled=0,
    points=0,
    since=None,
)


class Records:
    def __init__(self, *, store: Store, changes: Changes, people: People, guardians: Guardians, clock: Clock) -> None:
        self._repo = RecordsRepo(store)
        self._people = people
        self._guardians = guardians
        self._clock = clock
        changes.on_change(self._on_change)

    async def of(self, me: str, person: str) -> Record:
        """One's own in any case; somebody else's when they have agreed, and a minor's only as family or friend.
        Without consent it is empty, as if there was nothing."""
        row = await self._repo.get(person)
        shown = bool(row.get("shown", False))
        if person != me and not (shown and await self._may_see(me, person)):
            return HIDDEN
        since = row.get("since")
        counts = {name: int(row.get(name, 0)) for name in facts.Facts.__struct_fields__}
        return Record(shown=shown, **counts, since=to_ms(since) if since else None)

    async def show(self, me: str, shown: bool) -> Record:
        """Says whether others see it, from now on."""
        await self._repo.show(me, shown)
        return await self.of(me, me)

    async def _may_see(self, me: str, person: str) -> bool:
        if await self._people.blocked_between(me, person):
            return False
        age = await self._people.age(person)
        if age is None or not age.minor:
            return age is not None
        return bool(await self._people.are_friends(me, {person}) or await self._guardians.met(me, {person}))

    async def _on_change(self, tx: Tx, before: Pledge | None, after: Pledge) -> None:
        """Counts a pledge once, in the transaction that settles it."""
        if after.state is not PledgeState.SETTLED or (before is not None and before.state is PledgeState.SETTLED):
            return
        for person, found in sorted(facts.of(after).items()):
            await self._repo.add(tx, person, found, self._clock.now())

    async def on_delete(self, tx: Tx, person: str) -> None:
        await self._repo.forget(tx, person)
