"""Reconciliation: what a provider lists is compared with our orders, daily by itself and when somebody asks.

A run is written down first and worked off in the background; a node that dies leaves it to another one. Differences
stay until somebody of the desk has mended or explained each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import datetime, timedelta

import msgspec
import structlog

from server.clock import from_ms, to_ms
from server.errors import Code, VouchError
from server.finance import rules
from server.finance.model import (
    Reconcile,
    ReconciliationLine,
    Reconciliations,
    ReconciliationView,
    Run,
    RunState,
    Settle,
)
from server.finance.neighbours import Desk, Payments
from server.finance.repo import RunsRepo
from server.ids import new_id
from server.realtime.rounds import put_down
from server.store import Duplicate, Store, Tx

#: the day before is compared from this hour (UTC) on: providers' lists are late
DAILY_AT = timedelta(hours=2)
_DAY = timedelta(days=1)

log = structlog.get_logger(__name__)


class ReconciliationService:
    def __init__(
        self, store: Store, desk: Desk, repo: RunsRepo, payments: Payments, providers: Collection[str]
    ) -> None:
        self._store = store
        self._desk = desk
        self._repo = repo
        self._payments = payments
        self._providers = sorted(providers)
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def stop(self) -> None:
        """What is not finished is taken up by whoever sweeps next."""
        await put_down(self._tasks.values())

    # ── Beginning ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def begin(self, actor: str, wanted: Reconcile) -> ReconciliationLine:
        """Begins a run. Raises `bad_request`, `conflict` while one of the provider is under way."""
        since, until = from_ms(wanted.from_), from_ms(wanted.to)
        rules.wanted_run(wanted.provider, since, until, self._desk.now(), self._providers)
        if any(run.provider == wanted.provider and run.state is RunState.RUNNING for run in await self._repo.waiting()):
            raise VouchError(Code.CONFLICT, "This provider is being compared at the moment.")
        id = new_id("rc")
        run = await self._insert(self._run(id, id, wanted.provider, since, until, actor))
        self._work(run)
        return _line(run)

    async def daily(self) -> None:
        """Begins what is to be compared every day, once on all nodes. For whoever sweeps."""
        now = self._desk.now()
        today = now.replace(hour=0, minute=0, second=0, microsecond=0)
        if now - today < DAILY_AT:
            return
        for provider in self._providers:
            key = f"daily:{provider}:{today:%Y-%m-%d}"
            if await self._repo.by_key(key) is not None:
                continue
            try:
                run = await self._insert(self._run(new_id("rc"), key, provider, today - _DAY, today, "system"))
            except Duplicate:
                continue
            self._work(run)

    async def resume(self) -> None:
        """Takes over runs whose node has died. For whoever sweeps."""
        now = self._desk.now()
        for run in await self._repo.waiting():
            if run.state is RunState.RUNNING and run.lease < now and run.id not in self._tasks:
                mine = msgspec.structs.replace(run, lease=now + rules.LEASE, version=run.version + 1)
                if await self._repo.replace(mine):
                    self._work(mine)

    async def finished(self, id: str) -> None:
        """Waits for a run of this process. For tests, the demo and orderly stops."""
        if (task := self._tasks.get(id)) is not None:
            await task

    def _run(self, id: str, key: str, provider: str, since: datetime, until: datetime, by: str) -> Run:
        now = self._desk.now()
        return Run(id=id, key=key, provider=provider, since=since, until=until, by=by, at=now, lease=now + rules.LEASE)

    async def _insert(self, run: Run) -> Run:
        async def body(tx: Tx) -> Run:
            made = await self._repo.insert(tx, run)
            if run.by != "system":
                await self._desk.still(tx, run.by)
                await self._desk.note(tx, run.by, "reconciliation.begun", run.id, provider=run.provider)
            return made

        return await self._store.transact(body)

    def _work(self, run: Run) -> None:
        task = asyncio.create_task(self._compare(run), name=f"reconciliation {run.id}")
        self._tasks[run.id] = task
        task.add_done_callback(lambda _: self._tasks.pop(run.id, None))

    async def _compare(self, run: Run) -> None:
        try:
            async with asyncio.timeout(rules.LEASE.total_seconds() / 2):
                found = await self._payments.reconcile(run.provider, run.since, run.until)
            after = rules.finished(run, found, self._desk.now())
        except (VouchError, TimeoutError) as fault:
            code = fault.code.value if isinstance(fault, VouchError) else "timeout"
            after = rules.failed(run, code, self._desk.now())
        except Exception:
            log.exception("a reconciliation failed", provider=run.provider)
            after = rules.failed(run, Code.INTERNAL.value, self._desk.now())
        await self._repo.replace(after)
        if after.differences:
            log.warning("differences with a provider", provider=run.provider, count=len(after.differences))

    # ── Settling ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def settle(self, actor: str, id: str, index: int, wanted: Settle) -> ReconciliationView:
        """Mends a difference, or keeps why nothing is to be done. Raises `not_found`, `already`, `stale`, `conflict`,
        `bad_request`, and what mending raises (`unavailable`)."""
        run = await self._existing(id)
        settled = rules.settle(run, index, actor, wanted)
        difference, state = settled.differences[index].difference, settled.differences[index].state
        if wanted.mend:
            await self._payments.mend(difference, actor)

        async def body(tx: Tx) -> None:
            await self._desk.still(tx, actor)
            if not await self._repo.replace(settled, tx):
                raise VouchError(Code.STALE)
            facts = {"kind": difference.kind.value, "order": difference.order, "state": state.value}
            await self._desk.note(tx, actor, "difference.settled", id, **facts)

        await self._store.transact(body)
        return await self._view(settled)

    # ── Showing ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def page(self, before: int | None, limit: int) -> Reconciliations:
        """The newest first."""
        runs, following = await self._repo.page({}, before, limit)
        people = await self._desk.cards(run.by for run in runs)
        return Reconciliations([_line(run) for run in runs], people, self._providers, following)

    async def one(self, id: str) -> ReconciliationView:
        """Raises `not_found`."""
        return await self._view(await self._existing(id))

    async def waiting(self) -> int:
        """How many differences wait in all."""
        return sum(rules.open_differences(run) for run in await self._repo.waiting())

    async def _view(self, run: Run) -> ReconciliationView:
        concerned = [id for line in run.differences for id in (line.by, line.difference.person)]
        people = await self._desk.cards([run.by, *concerned])
        return ReconciliationView(_line(run), list(run.sums), list(run.differences), people, run.version)

    async def _existing(self, id: str) -> Run:
        run = await self._repo.get(id)
        if run is None:
            raise VouchError(Code.NOT_FOUND)
        return run


def _line(run: Run) -> ReconciliationLine:
    return ReconciliationLine(
        id=run.id,
        number=run.number,
        provider=run.provider,
        from_=to_ms(run.since),
        to=to_ms(run.until),
        state=run.state,
        by=run.by,
        at=to_ms(run.at),
        finished_at=to_ms(run.finished_at) if run.finished_at else None,
        compared=run.compared,
        caught_up=run.caught_up,
        differences=len(run.differences),
        open=rules.open_differences(run),
        fault=run.fault,
    )
