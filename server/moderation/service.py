"""Reports: made by people who saw something, worked on and decided by staff, in one transaction with what follows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol

import msgspec

from server.clock import Clock, to_ms
from server.errors import Code, VouchError
from server.ids import new_id
from server.limits import Limits
from server.moderation import rules
from server.moderation.model import (
    Claim,
    Decision,
    MakeReport,
    Measure,
    OwnReport,
    Report,
    ReportLine,
    Reports,
    ReportState,
    ReportView,
)
from server.moderation.repo import ReportsRepo
from server.people.inbox import ModerationNews, ReportNews
from server.people.model import PersonCard, PersonView
from server.principals import Grant, Principal, Role
from server.realtime.hub import Hub
from server.realtime.outbox import Outbox
from server.store import Duplicate, Store, Tx

#: entries read to find the messages before a reported one
_READ = 40


class People(Protocol):
    """What moderation needs to know of people, and to do to them."""

    async def cards(self, ids: Iterable[str]) -> dict[str, PersonCard]: ...

    async def grants_of(self, person: str) -> tuple[Grant, ...]: ...

    async def holders(self, *roles: Role) -> set[str]: ...


class Acquaintances(Protocol):
    async def person(self, me: str, other: str) -> PersonView:
        """Raises `not_found` for somebody whom `me` has never met."""


class Suspending(Protocol):
    async def suspend(self, tx: Tx, person: str, until: datetime) -> None: ...

    async def lift(self, tx: Tx, person: str) -> bool: ...

    async def until(self, person: str) -> datetime | None: ...


class Trail(Protocol):
    async def write(
        self, tx: Tx, by: str, action: str, target: str, facts: Mapping[str, str | int | bool | None]
    ) -> None: ...


class Titles(Protocol):
    async def title(self, conversation: str) -> str: ...


class Moderation:
    """`report` is for everybody, the rest for staff: who may call is declared at the operations."""

    def __init__(
        self,
        *,
        store: Store,
        outbox: Outbox,
        hub: Hub,
        people: People,
        acquaintances: Acquaintances,
        suspensions: Suspending,
        titles: Titles,
        trail: Trail,
        limits: Limits,
        clock: Clock,
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._hub = hub
        self._people = people
        self._acquaintances = acquaintances
        self._suspensions = suspensions
        self._titles = titles
        self._trail = trail
        self._limits = limits
        self._clock = clock
        self._repo = ReportsRepo(store)

    async def start(self) -> None:
        """Makes the indexes."""
        await self._repo.ensure_indexes()
        await self._repo.ensure_counter()

    # ── Reporting ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def report(self, principal: Principal, request: MakeReport) -> OwnReport:
        """The report, which may be an earlier one: the same person reports the same thing once.

        Raises `not_found` for what one cannot see, `bad_request`, `conflict`, `too_often`.
        """
        request = rules.wanted(request)
        draft = await self._draft(principal, request)
        if (known := await self._repo.by_key(draft.key)) is not None:
            return _own(known, again=True)
        await self._limits.hit("report", principal.id)
        staff = await self._people.holders(Role.STAFF, Role.ADMIN) - {draft.person, draft.reporter}

        async def body(tx: Tx) -> None:
            number = await self._repo.insert(tx, draft)
            for person in sorted(staff):
                await self._tell(tx, person, draft, number, "report_made", ReportNews(draft.id, []))

        try:
            await self._store.transact(body)
        except Duplicate:
            known = await self._repo.by_key(draft.key)
            if known is None:
                raise VouchError(Code.TRY_LATER) from None
            return _own(known, again=True)
        return _own(draft, again=False)

    async def _draft(self, principal: Principal, request: MakeReport) -> Report:
        me, now = principal.id, self._clock.now()
        common: dict[str, Any] = {"id": new_id("rp"), "reporter": me, "reason": request.reason, "note": request.note}
        if request.person is not None:
            if request.person == me:
                raise VouchError(Code.BAD_REQUEST, "Nobody can do this with themselves.", field="person")
            await self._acquaintances.person(me, request.person)
            return Report(**common, person=request.person, at=now)
        conversation, seq = str(request.conversation), int(request.seq or 0)
        ch = f"conv:{conversation}"
        access = await self._hub.access(principal, ch)
        if not access.read or seq < access.first:
            raise VouchError(Code.NOT_FOUND)
        page = await self._hub.pages.page(ch, access.first, seq + 1, None, _READ)
        evidence = rules.evidence(me, seq, page.entries, page.modifiers)
        return Report(
            **common,
            person=evidence[-1].by,
            conversation=conversation,
            seq=seq,
            title=await self._titles.title(conversation),
            evidence=evidence,
            at=now,
        )

    # ── The queue ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def queue(self, actor: str, state: ReportState, before: int | None, limit: int) -> Reports:
        """What waits, the oldest first, or what was decided, the newest first. Reports about oneself are left out."""
        waiting = [report for report in await self._repo.waiting() if rules.visible(report, actor)]
        if state is ReportState.DECIDED:
            decided, following = await self._repo.decided(before, limit)
            shown = [report for report in decided if rules.visible(report, actor)]
        else:
            fitting = [r for r in waiting if state is ReportState.OPEN or r.claimed_by == actor]
            rest = [report for report in fitting if report.number > (before or 0)]
            shown, following = rest[:limit], None
            if len(rest) > limit:
                following = shown[-1].number
        people = await self._people.cards({id for report in shown for id in _named(report)})
        return Reports([_line(report) for report in shown], list(people.values()), following, len(waiting))

    async def one(self, actor: str, id: str) -> ReportView:
        """Raises `not_found`, also for a report about oneself."""
        return await self._view(actor, await self._visible(actor, id))

    async def claim(self, actor: str, id: str, wanted: Claim) -> ReportView:
        now = self._clock.now()
        return await self._change(actor, id, "report.claimed", lambda r: rules.claim(r, actor, wanted.version, now))

    async def release(self, actor: str, id: str, wanted: Claim) -> ReportView:
        return await self._change(actor, id, "report.released", lambda r: rules.release(r, actor, wanted.version))

    async def decide(self, actor: str, id: str, decision: Decision) -> ReportView:
        """Carries out the measures and tells reporter and reported, in one transaction.

        Returns when a removed message is gone. Raises `forbidden`, `already`, `stale`, `conflict`, `bad_request`.
        """
        now = self._clock.now()
        report = rules.decide(await self._visible(actor, id), actor, decision, now)
        if Measure.SUSPEND in report.done:
            actors, persons = await asyncio.gather(*(self._people.grants_of(p) for p in (actor, report.person)))
            rules.may_suspend(actor, actors, report.person, persons)

        async def body(tx: Tx) -> None:
            if not await self._repo.replace(tx, report):
                raise VouchError(Code.STALE)
            await self._carry_out(tx, report)
            facts = {"done": ",".join(report.done), "reason": report.reason.value, "person": report.person}
            until = to_ms(report.until) if report.until else None
            await self._trail.write(tx, actor, "report.decided", report.id, {**facts, "until": until})

        await self._store.transact(body)
        if Measure.REMOVE in report.done:
            await self._outbox.settled(f"conv:{report.conversation}")
        return await self._view(actor, report)

    async def lift(self, actor: str, person: str) -> None:
        """Ends a suspension before its time. Raises `not_found`, `forbidden`, `already` where there is none."""
        actors, persons = await asyncio.gather(*(self._people.grants_of(p) for p in (actor, person)))
        rules.may_suspend(actor, actors, person, persons)

        async def body(tx: Tx) -> None:
            if not await self._suspensions.lift(tx, person):
                raise VouchError(Code.ALREADY)
            now = to_ms(self._clock.now())
            await self._trail.write(tx, actor, "person.lifted", person, {})
            news = ModerationNews("lift", "")
            await self._put(tx, person, f"lift:{person}:{now}", now, "moderated", news)

        await self._store.transact(body)

    async def suspended_until(self, person: str) -> datetime | None:
        return await self._suspensions.until(person)

    async def _carry_out(self, tx: Tx, report: Report) -> None:
        order = to_ms(report.decided_at or self._clock.now())
        for measure in report.done:
            if measure is Measure.SUSPEND and report.until is not None:
                await self._suspensions.suspend(tx, report.person, report.until)
            if measure is Measure.REMOVE:
                ch = f"conv:{report.conversation}"
                await self._outbox.put(tx, id=report.id, ch=ch, order=order, kind="delete", body={}, ref=report.seq)
            news = ModerationNews(
                done=measure.value,
                reason=report.reason.value,
                conversation=report.conversation,
                seq=report.seq,
                until=to_ms(report.until) if measure is Measure.SUSPEND and report.until else None,
            )
            event = f"{report.id}:{measure}:{report.person}"
            await self._put(tx, report.person, event, order, "moderated", news)
        done = [measure.value for measure in report.done]
        await self._tell(tx, report.reporter, report, order, "report_decided", ReportNews(report.id, done))

    # ── Loading, changing, showing ──────────────────────────────────────────────────────────────────────────────────

    async def _visible(self, actor: str, id: str) -> Report:
        report = await self._repo.get(id)
        if report is None or not rules.visible(report, actor):
            raise VouchError(Code.NOT_FOUND)
        return report

    async def _change(self, actor: str, id: str, action: str, rule: Callable[[Report], Report]) -> ReportView:
        before = await self._visible(actor, id)
        after = rule(before)

        async def body(tx: Tx) -> None:
            if not await self._repo.replace(tx, after):
                raise VouchError(Code.STALE)
            await self._trail.write(tx, actor, action, id, {})

        if after is not before:
            await self._store.transact(body)
        return await self._view(actor, after)

    async def _view(self, actor: str, report: Report) -> ReportView:
        earlier, until = await asyncio.gather(self._repo.about(report.person), self._suspensions.until(report.person))
        others = [other for other in earlier if other.id != report.id]
        named = {*_named(report), *(id for other in others for id in _named(other))}
        people = await self._people.cards({*named, *(message.by for message in report.evidence)})
        return ReportView(
            report=_line(report),
            title=report.title,
            note=report.note,
            evidence=list(report.evidence),
            earlier=[_line(other) for other in others],
            people=list(people.values()),
            claimed_at=to_ms(report.claimed_at) if report.claimed_at else None,
            decided_by=report.decided_by,
            decision_note=report.decision_note,
            until=to_ms(report.until) if report.until else None,
            suspended_until=to_ms(until) if until else None,
            may_decide=rules.may_decide(report, actor),
            version=report.version,
        )

    async def _tell(self, tx: Tx, person: str, report: Report, order: int, kind: str, body: msgspec.Struct) -> None:
        await self._put(tx, person, f"{kind}:{report.id}:{person}", order, kind, body)

    async def _put(self, tx: Tx, person: str, id: str, order: int, kind: str, body: msgspec.Struct) -> None:
        ch = f"inbox:{person}"
        await self._outbox.put(tx, id=id, ch=ch, order=order, kind=kind, body=msgspec.to_builtins(body))


def _named(report: Report) -> set[str]:
    return {report.reporter, report.person, report.claimed_by or "", report.decided_by or ""} - {""}


def _own(report: Report, *, again: bool) -> OwnReport:
    return OwnReport(report.id, report.state, to_ms(report.at), list(report.done), again)


def _line(report: Report) -> ReportLine:
    return ReportLine(
        id=report.id,
        number=report.number,
        state=report.state,
        reason=report.reason,
        at=to_ms(report.at),
        reporter=report.reporter,
        person=report.person,
        conversation=report.conversation,
        seq=report.seq,
        excerpt=rules.excerpt(report),
        claimed_by=report.claimed_by,
        decided_at=to_ms(report.decided_at) if report.decided_at else None,
        done=list(report.done),
    )
