"""What people do with tasks (R-11 to R-13): reports, stamps, spot checks, admitting, accepting the outcome.

Every method answers the pledge as it is then, and raises `not_found` to whom it does not concern, `forbidden` to the
others whose part it is not. Words and pictures become evidence in the same transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from server.clock import Clock, from_ms
from server.supervision.changes import Changes
from server.supervision.evidence import EvidenceLog, Exhibit
from server.supervision.model import Pledge
from server.supervision.rules import checks, grounds, seats, tasks
from server.supervision.rules.change import Attached, Change
from server.supervision.suspicions import Suspicions
from server.supervision.views import Admit, CheckAnswer, Report, Stamp

Act = Callable[[Pledge, datetime, Attached], Change]


class Judging:
    def __init__(self, changes: Changes, log: EvidenceLog, suspicions: Suspicions, clock: Clock) -> None:
        self._changes = changes
        self._log = log
        self._suspicions = suspicions
        self._clock = clock

    # ── The owner ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def report(self, me: str, id: str, n: int, body: Report) -> Pledge:
        """Raises `already`, `closed`, `conflict` before the task can be done, `bad_request` for `media`."""

        def act(pledge: Pledge, now: datetime, attached: Attached) -> Change:
            return tasks.report(pledge, me, n, now, attached)

        return await self._act(me, id, n, act, body.words, body.media)

    async def answer(self, me: str, id: str, n: int, check: str, body: CheckAnswer) -> Pledge:
        """Raises `already`, `closed` when the time to answer is over, `bad_request` for `media`."""

        def act(pledge: Pledge, now: datetime, attached: Attached) -> Change:
            return checks.answer(pledge, me, n, check, body.done, now, attached)

        return await self._act(me, id, n, act, body.words, body.media)

    async def admit(self, me: str, id: str, body: Admit) -> Pledge:
        """Raises `closed` when it is decided."""

        def act(pledge: Pledge, now: datetime, attached: Attached) -> Change:
            return tasks.admit(pledge, me, body.task, now, attached)

        return await self._act(me, id, body.task, act, body.words)

    # ── Supervisors ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def stamp(self, me: str, id: str, n: int, body: Stamp) -> Pledge:
        """Raises `already`, `closed`, `conflict` when it is too early for this verdict, `bad_request`, `location_alone`
        where there is nothing else to go by."""
        done_at = None if body.done_at is None else from_ms(body.done_at)

        found = await self._suspicions.about(await self._changes.get(id), [me])

        def act(pledge: Pledge, now: datetime, attached: Attached) -> Change:
            change = tasks.stamp(pledge, me, n, body.verdict, now, done_at=done_at, attached=attached)
            return change.then(Change(seats.suspect(change.pledge, found)))

        pledge = await self._changes.get(id)
        act(pledge, self._clock.now(), Attached())
        rows = await self._log.repo.of(id)
        grounds.check(body.verdict, body.words, body.media, alone=grounds.location_alone(rows, pledge.owner, n))
        return await self._act(me, id, n, act, body.words, body.media)

    async def ask(self, me: str, id: str, n: int) -> Pledge:
        """Raises `already`, `closed`, `conflict` in quiet hours, `limit_reached` for the day."""
        return await self._changes.apply(id, lambda pledge, now: checks.ask(pledge, me, n, now))

    # ── Both ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def agree(self, me: str, id: str) -> Pledge:
        """Raises `closed` outside the challenge window."""
        return await self._changes.apply(id, lambda pledge, now: tasks.agree(pledge, me, now))

    async def _act(self, me: str, id: str, n: int, act: Act, words: str, media: Sequence[str] = ()) -> Pledge:
        """What would be refused anyway is refused before its pictures are looked at: done twice, it is `already`."""
        act(await self._changes.get(id), self._clock.now(), Attached())
        exhibit = await self._log.prepare(me, id, task=n, words=words, media=media)
        attached = attached_of(exhibit)
        return await self._changes.apply(id, lambda pledge, now: act(pledge, now, attached), self._log.keeping(exhibit))


def attached_of(exhibit: Exhibit) -> Attached:
    return Attached(exhibit.words, exhibit.ids, exhibit.media)
