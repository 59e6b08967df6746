"""Promises on the real database: people with money, a provider in memory, and a clock that is turned by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
import pytest

from server.keys import Keys
from server.money.model import Account, AccountKind, Currency, Draft, Leg, TransferKind, available
from server.payments import providers
from server.people.accounts import NewAccount
from server.realtime.protocol import Entry
from server.services import Services
from server.settings import Settings
from server.store import Tx
from server.supervision.model import Pledge, PledgeState, Side, Stake, StakeState
from server.supervision.repo import pledge_of
from server.supervision.rules import timing
from server.supervision.rules.change import Change, turned
from tests.chat.conftest import PASSWORD
from tests.conftest import Run
from tests.payments.strict import StrictProvider
from tests.supervision.examples import AT
from tests.supervision.examples import pledge as example

PROVIDER = "strict"
OUTSIDE = Account(AccountKind.EXTERNAL, "test")
ZONE = "Africa/Tunis"


class StageClock:
    """Stands still until it is moved on."""

    def __init__(self) -> None:
        self.at = AT

    def now(self) -> datetime:
        return self.at


class Stage:
    """What a test needs at hand. People are named by their ids, pledges too."""

    def __init__(self, services: Services, clock: StageClock, provider: StrictProvider) -> None:
        self.services = services
        self.supervision = services.supervision
        self.clock = clock
        self.provider = provider

    # ── People and their money ──────────────────────────────────────────────────────────────────────────────────────

    async def person(self, handle: str, *, years: int | None = None) -> str:
        """Of age, unless they are so many `years` old."""
        born = None if years is None else date(AT.year - years, 10, 1).isoformat()
        account = NewAccount(handle=handle, password=PASSWORD, name=handle.title(), time_zone=ZONE, birth_date=born)
        return await self.services.people.accounts.create(account)

    async def people(self, *handles: str) -> list[str]:
        return [await self.person(handle) for handle in handles]

    async def friends(self, *handles: str) -> list[str]:
        """The first is a friend of all others."""
        first, *rest = await self.people(*handles)
        await self.befriend(first, *rest)
        return [first, *rest]

    async def befriend(self, one: str, *others: str) -> None:
        for other in others:
            await self.services.people.friends.request(one, other, "")
            await self.services.people.friends.accept(other, one)

    async def guard(self, ward: str, guardian: str) -> None:
        """They must be friends."""
        await self.services.guardians.ask(guardian, ward=ward, guardian=guardian)
        await self.services.guardians.confirm(ward, ward=ward, guardian=guardian)

    async def fund(self, person: str, amount: int, currency: Currency = Currency.CNY) -> None:
        """Gives somebody money from outside."""
        self._funded = getattr(self, "_funded", 0) + 1
        draft = Draft(
            key=f"fund:{self._funded}",
            kind=TransferKind.ADJUSTMENT,
            currency=currency,
            legs=(Leg(OUTSIDE, -amount), Leg(available(person), amount)),
        )

        async def body(tx: Tx) -> None:
            await self.services.money.post(tx, draft)

        await self.services.money.transact([available(person)], body)

    async def has(self, person: str, currency: Currency = Currency.CNY) -> tuple[int, int]:
        """What somebody has available, and what is held."""
        for one in await self.services.money.balances(person):
            if one.currency is currency:
                return one.available, one.held
        return 0, 0

    async def ledger_holds(self) -> bool:
        """Everything computed again from the journal: no difference anywhere."""
        return (await self.services.ledger.run()).whole

    # ── Pledges ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def put(self, owner: str, *seated: str, unpaid: bool = False, **more: Any) -> Pledge:
        """A pledge made by hand (see `examples.pledge`), kept as it is. A stake of money that is held is so in the
        ledger, too: its payer is given that much before."""
        made = example(more.pop("stake", example().terms.stake), *seated, **more)
        drafter = seated[0] if made.side is Side.SUPERVISOR else owner
        stake = Stake() if unpaid else msgspec.structs.replace(made.stake, payer=made.stake.payer and drafter)
        made = turned(made, owner=owner, drafted_by=drafter, stake=stake)
        if made.money and stake.payer and stake.state is StakeState.HELD:
            await self.fund(stake.payer, made.terms.stake.amount, made.terms.stake.currency or Currency.CNY)
        return await self.supervision.changes.begin(Change(turned(made, id=self._fresh())))

    async def load(self, id: str) -> Pledge:
        return await self.supervision.changes.get(id)

    async def state(self, id: str) -> PledgeState:
        return (await self.load(id)).state

    async def pass_by(self, **time: float) -> None:
        """Time goes by, from one moment in which something is due to the next; all of it is done."""
        end = self.clock.at + timedelta(**time)
        while (next := await self._next_due()) is not None and next[1] <= end:
            self.clock.at = max(self.clock.at, next[1])
            await self._tick(next[0])
        self.clock.at = end

    async def _next_due(self) -> tuple[str, datetime] | None:
        rows = await self.services.store.collection("pledges").find({}).to_list(None)
        due = [(pledge.due, pledge.id) for pledge in map(pledge_of, rows) if pledge.due is not None]
        return min(due)[::-1] if due else None

    async def _tick(self, id: str) -> None:
        before = await self.load(id)
        after = await self.supervision.changes.apply(id, lambda pledge, now: timing.tick(pledge, now, lambda _: 0))
        assert after.due is None or before.due is None or after.due > before.due, "time has changed nothing"

    def _fresh(self) -> str:
        self._made = getattr(self, "_made", 0) + 1
        return f"g_{self._made:020}"

    # ── What is told ────────────────────────────────────────────────────────────────────────────────────────────────

    async def thread(self, id: str) -> list[Entry]:
        """The whole timeline of a pledge, as the database holds it."""
        return await self._entries(f"pledge:{id}")

    async def inbox(self, person: str, kind: str = "pledge_news") -> list[dict[str, Any]]:
        """The bodies of the entries of one kind, the oldest first."""
        return [entry.body for entry in await self._entries(f"inbox:{person}") if entry.kind == kind]

    async def whats(self, person: str, id: str) -> list[str]:
        """What somebody was told of one pledge, in order."""
        return [str(body["what"]) for body in await self.inbox(person) if body["pledge"] == id]

    async def _entries(self, ch: str) -> list[Entry]:
        await self.services.outbox.drained()
        return (await self.services.hub.pages.page(ch, 1, None, None, 200)).entries


@pytest.fixture
def clock() -> StageClock:
    return StageClock()


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch, clock: StageClock) -> StrictProvider:
    strict = StrictProvider(PROVIDER, clock)
    monkeypatch.setattr(providers, "build", lambda *_: {PROVIDER: strict})
    return strict


@pytest.fixture
def services(
    settings: Settings, keys: Keys, clock: StageClock, provider: StrictProvider, run: Run[Any]
) -> Iterator[Services]:
    made = Services(settings, keys, clock, mongodb_uri=settings.mongodb_uri, redis_url=settings.redis_url)
    run(made.start())
    run(made.supervision.timers.stop())  # time goes by when a test says so
    yield made
    run(made.stop())


@pytest.fixture
def stage(services: Services, clock: StageClock, provider: StrictProvider) -> Stage:
    return Stage(services, clock, provider)
