"""How a pledge changes: load, ask a rule, go on to where that leads, and keep all of it together with what tells of it.

Every change goes this way, of people and of time. In one transaction are written the pledge (compare-and-set), what
its stake does to the ledger, the entries of its thread and its people's inboxes. Dying anywhere leaves all of it, or
nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import Any, Protocol, TypeVar

import msgspec

from server.clock import Clock
from server.errors import Code, VouchError
from server.money.model import Account
from server.people.inbox import PledgeChanged, PledgeNews, PledgeTally
from server.people.news import Newsroom
from server.store import Tx
from server.supervision.model import Pledge, PledgeState, Stake
from server.supervision.repo import PledgesRepo
from server.supervision.rules import lifecycle, timing
from server.supervision.rules.change import Change, Line, turned

T = TypeVar("T")

#: what a person or the time does to a pledge. Raises VouchError when it may not be
Rule = Callable[[Pledge, datetime], Change]
#: something else that belongs to the change, in its transaction; may add to what is told
Also = Callable[[Tx, Change], Awaitable[Change]]
#: hears of every change, in its transaction: the pledge before (None: it is new) and after
Hook = Callable[[Tx, Pledge | None, Pledge], Awaitable[None]]

_TRIES = 8
#: more than one change can tell: each of 200 tasks with 20 stamps
_LINES_MOST = 10_000


class Outbox(Protocol):
    async def put(
        self, tx: Tx, *, id: str, ch: str, order: int, kind: str, body: dict[str, Any], by: str = "system"
    ) -> None: ...

    async def settled(self, ch: str) -> None: ...


class Money(Protocol):
    async def transact(self, accounts: Iterable[Account], body: Callable[[Tx], Awaitable[T]]) -> T: ...


class Stakes(Protocol):
    """What the stake does when its pledge comes into another state."""

    async def accounts(self, before: Pledge, after: Pledge) -> list[Account]:
        """Whose money may move with this change."""

    async def follow(self, tx: Tx, before: Pledge | None, after: Pledge) -> tuple[Stake, tuple[Line, ...]]:
        """Holds, settles or gives back what the states ask for; answers the stake as it is then."""


class Record(Protocol):
    """Keeps what was decided where it cannot be changed unseen."""

    async def follow(self, tx: Tx, before: Pledge | None, after: Pledge) -> Pledge:
        """Answers the pledge with the new end of its evidence."""


class Changes:
    def __init__(
        self, repo: PledgesRepo, outbox: Outbox, money: Money, stakes: Stakes, record: Record, clock: Clock
    ) -> None:
        self._repo = repo
        self._outbox = outbox
        self._news = Newsroom(outbox)
        self._money = money
        self._stakes = stakes
        self._record = record
        self._clock = clock
        self._hooks: list[Hook] = []

    def on_change(self, hook: Hook) -> None:
        self._hooks.append(hook)

    async def get(self, id: str) -> Pledge:
        """Raises `not_found`. Who may see it is asked elsewhere."""
        pledge = await self._repo.get(id)
        if pledge is None:
            raise VouchError(Code.NOT_FOUND)
        return pledge

    async def begin(self, change: Change, also: Also | None = None) -> Pledge:
        """Keeps a new pledge."""
        now = self._clock.now()
        change = lifecycle.progress(change, now)

        async def body(tx: Tx) -> Pledge:
            final = await also(tx, change) if also else change
            return await self._write(tx, None, final)

        return await self._run([], body, change.pledge.id)

    async def begin_in(self, tx: Tx, change: Change) -> Pledge:
        """Keeps a new pledge inside somebody else's transaction."""
        return await self._write(tx, None, lifecycle.progress(change, self._clock.now()))

    async def apply(self, id: str, rule: Rule, also: Also | None = None) -> Pledge:
        """Changes a pledge by a rule; a rule that changes nothing writes nothing. Raises `not_found`, what the rule
        raises, and `try_later` when others were faster too many times."""
        for _ in range(_TRIES):
            before = await self.get(id)
            now = self._clock.now()
            change = lifecycle.progress(rule(before, now), now)
            if change == Change(before):
                return before
            accounts = await self._stakes.accounts(before, change.pledge)

            async def body(tx: Tx, before: Pledge = before, change: Change = change) -> Pledge:
                final = await also(tx, change) if also else change
                return await self._write(tx, before, final)

            try:
                return await self._run(accounts, body, id)
            except Stale:
                continue
        raise VouchError(Code.TRY_LATER)

    async def apply_in(self, tx: Tx, id: str, rule: Rule) -> Pledge:
        """The same inside somebody else's transaction, who has taken the turns of the accounts. Raises Stale."""
        before = await self._repo.get(id, tx)
        if before is None:
            raise VouchError(Code.NOT_FOUND)
        now = self._clock.now()
        change = lifecycle.progress(rule(before, now), now)
        return before if change == Change(before) else await self._write(tx, before, change)

    async def _run(self, accounts: list[Account], body: Callable[[Tx], Awaitable[Pledge]], id: str) -> Pledge:
        saved = await self._money.transact(accounts, body)
        await self._outbox.settled(f"pledge:{id}")
        return saved

    async def _write(self, tx: Tx, before: Pledge | None, change: Change) -> Pledge:
        change = msgspec.structs.replace(change, pledge=await self._record.follow(tx, before, change.pledge))
        stake, moved = await self._stakes.follow(tx, before, change.pledge)
        version = 1 if before is None else before.version + 1
        after = turned(change.pledge, stake=stake, version=version)
        after = turned(after, due=timing.next_due(after))
        if before is None:
            await self._repo.insert(tx, after)
        elif not await self._repo.replace(tx, after):
            raise Stale
        await self._tell(tx, msgspec.structs.replace(change, pledge=after, lines=change.lines + moved))
        for hook in self._hooks:
            await hook(tx, before, after)
        return after

    async def _tell(self, tx: Tx, change: Change) -> None:
        """Drafts are nobody else's business. Ids and order follow from the version: told twice, it arrives once."""
        pledge = change.pledge
        event = f"pledge:{pledge.id}:{pledge.version}"
        for number, line in enumerate(change.lines):
            await self._outbox.put(
                tx,
                id=f"{event}:{number}",
                ch=f"pledge:{pledge.id}",
                order=pledge.version * _LINES_MOST + number,
                kind=line.kind,
                body=line.body,
                by=line.by,
            )
        told = set()
        for number, news in enumerate(change.news):
            told.add(news.person)
            body = PledgeNews(pledge.id, news.what.value, news.by, news.task)
            await self._news.tell(tx, news.person, f"{event}:news{number}", pledge.version, "pledge_news", body)
        for tally in change.tallies:
            counted = PledgeTally(pledge.id, tally.task, tally.done, tally.not_done, tally.abstained, tally.of)
            await self._news.tell(tx, tally.person, f"{event}:tally", pledge.version, "pledge_tally", counted)
        changed = PledgeChanged(pledge.id)
        for person in lists(pledge) - told:
            await self._news.tell(tx, person, f"{event}:changed", pledge.version, "pledge_changed", changed)


class Stale(Exception):
    """Somebody else has changed the pledge meanwhile."""


def lists(pledge: Pledge) -> set[str]:
    """In whose lists the pledge stands. A draft stands in that of who writes it."""
    if pledge.state is PledgeState.DRAFT:
        return {pledge.drafted_by}
    people = {pledge.owner, pledge.drafted_by, *(seat.person for seat in pledge.seats)}
    if pledge.stake.payer:
        people.add(pledge.stake.payer)
    return people


def draw(bound: int) -> int:
    """What rules draw by: nobody can foresee when a spot check comes (R-13)."""
    return secrets.randbelow(bound)
