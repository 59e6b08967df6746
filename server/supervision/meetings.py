"""Supervision in person, attested by two phones (R-17): see `rules/meeting.py` for how."""

from __future__ import annotations

import hashlib
import io
import secrets

import segno

from server.clock import Clock, to_ms
from server.errors import Code, VouchError
from server.ids import new_id
from server.store import Store, Tx
from server.supervision.changes import Changes, draw
from server.supervision.evidence import EvidenceLog
from server.supervision.judging import attached_of
from server.supervision.meeting_repo import MeetingsRepo
from server.supervision.model import EvidenceKind
from server.supervision.neighbours import Limits, People
from server.supervision.rules import meeting as rules
from server.supervision.rules.change import Change
from server.supervision.rules.meeting import Meeting, MeetingState
from server.supervision.views import MeetingView


class Meetings:
    def __init__(
        self, *, store: Store, changes: Changes, log: EvidenceLog, people: People, limits: Limits, clock: Clock
    ) -> None:
        self.repo = MeetingsRepo(store)
        self._store = store
        self._changes = changes
        self._log = log
        self._people = people
        self._limits = limits
        self._clock = clock

    async def begin(self, me: str, id: str, n: int, origin: str) -> MeetingView:
        """The owner's phone shows a code; `origin` is where supervisors' phones find this server.

        Raises `not_found`, `forbidden`, `closed`, `conflict`, `too_often`."""
        now = self._clock.now()
        rules.check_begin(await self._changes.get(id), me, n, now)
        await self._limits.hit("meet", me)
        code = secrets.token_urlsafe(16)
        meeting = Meeting(id=new_id("h"), pledge=id, task=n, owner=me, code=_digest(code), until=now + rules.LIVES)

        async def body(tx: Tx) -> None:
            await self.repo.begin(tx, meeting)

        await self._store.transact(body)
        return await self._view(meeting, me, f"{origin}/m/{code}")

    async def scan(self, me: str, code: str) -> MeetingView:
        """A supervisor's phone has read the code. Raises `not_found`, `forbidden` to the owner, `already`, `closed`,
        `conflict`, `too_often`."""
        await self._limits.hit("meet", me)
        before = await self.repo.of_code(_digest(code))
        if before is None:
            raise VouchError(Code.NOT_FOUND)
        pledge = await self._changes.get(before.pledge)
        after = rules.scan(before, pledge, me, self._clock.now(), draw)
        if after is not before:
            await self._store.transact(lambda tx: self._keep(tx, after))
        return await self._view(after, me)

    async def get(self, me: str, id: str) -> MeetingView:
        """For the two of it. Raises `not_found`."""
        meeting = await self.repo.get(id)
        if meeting is None or me not in (meeting.owner, meeting.supervisor):
            raise VouchError(Code.NOT_FOUND)
        return await self._view(meeting, me)

    async def confirm(self, me: str, id: str, number: int) -> MeetingView:
        """The owner picks the number; the right one stamps the task, with evidence of the meeting.

        Raises `not_found`, `closed`, `conflict` before it was scanned, and what a stamp raises."""
        before = await self.repo.get(id)
        if before is None:
            raise VouchError(Code.NOT_FOUND)
        after = rules.confirm(before, me, number, self._clock.now())
        if after is before:
            return await self._view(after, me)
        if after.state is MeetingState.ATTESTED and after.supervisor is not None:
            await self._attest(after, after.supervisor)
        else:
            await self._store.transact(lambda tx: self._keep(tx, after))
        return await self._view(after, me)

    async def _attest(self, meeting: Meeting, supervisor: str) -> None:
        exhibit = await self._log.prepare(
            supervisor,
            meeting.pledge,
            task=meeting.task,
            kind=EvidenceKind.MEETING,
            facts={"meeting": meeting.id, "owner": meeting.owner, "supervisor": supervisor},
        )
        attached, keep = attached_of(exhibit), self._log.keeping(exhibit)

        async def also(tx: Tx, change: Change) -> Change:
            await self._keep(tx, meeting)
            return await keep(tx, change)

        await self._changes.apply(
            meeting.pledge,
            lambda pledge, now: rules.attest(pledge, supervisor, meeting.task, now, attached),
            also,
        )

    async def _keep(self, tx: Tx, meeting: Meeting) -> None:
        if not await self.repo.replace(tx, meeting):
            raise VouchError(Code.CONFLICT, "Somebody else was faster.")

    async def _view(self, meeting: Meeting, me: str, url: str | None = None) -> MeetingView:
        """The number is for the supervisor's phone only, what it may be for the owner's."""
        owner, state = me == meeting.owner, rules.state_of(meeting, self._clock.now())
        other = meeting.supervisor if owner else meeting.owner
        cards = await self._people.cards({other} if other else ())
        scanned = state is MeetingState.SCANNED
        return MeetingView(
            id=meeting.id,
            pledge=meeting.pledge,
            task=meeting.task,
            until=to_ms(meeting.until),
            state=state.value,
            url=url,
            svg=_picture(url) if url else None,
            choices=list(meeting.choices) if scanned and owner else [],
            number=meeting.number if scanned and not owner else None,
            other=cards.get(other) if other else None,
        )


def _digest(code: str) -> str:
    """Whoever reads the database cannot show a code that is still good."""
    return hashlib.sha256(code.encode()).hexdigest()


def _picture(url: str) -> str:
    """The address as a QR code (SVG)."""
    out = io.BytesIO()
    segno.make(url, error="m").save(out, kind="svg", xmldecl=False, border=2, dark="#1F2A37", light="#FFFFFF")
    return out.getvalue().decode()
