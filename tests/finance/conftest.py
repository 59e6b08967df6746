"""A server with a provider in memory, somebody with money, and people who look after it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from typing import Any, NamedTuple

import pytest

from server.clock import SystemClock
from server.errors import VouchError
from server.finance.model import Propose
from server.keys import Keys
from server.money.model import Currency
from server.payments import providers
from server.payments.model import Order, OrderState, RemoteState
from server.principals import Grant, Role
from server.services import Services
from server.settings import Settings
from tests.chat.conftest import World
from tests.conftest import Run
from tests.payments.strict import StrictProvider

PROVIDER = "strict"


class Desk(NamedTuple):
    """Lin has topped up 1,000 yuan. Fay, Gus and Hal have the finance role, Sam is staff, Ann admin, Eve nobody."""

    services: Services
    provider: StrictProvider
    lin: str
    fay: str
    gus: str
    hal: str
    sam: str
    ann: str
    eve: str
    charge: Order

    @property
    def finance(self) -> Any:
        return self.services.finance

    async def top_up(self, person: str, amount: int, key: str) -> Order:
        return await charged(self.services, self.provider, person, amount, key)

    async def pay_out(self, person: str, amount: int, key: str, *, approval: bool = True) -> Order:
        destination = {"holder": "Lin", "number": "6217000010001234567", "ending": "4567"}
        order: Order = await self.services.payments.begin_pay_out(
            key=key,
            person=person,
            provider=PROVIDER,
            amount=amount,
            currency=Currency.CNY,
            destination=destination,
            by=person,
            approval=approval,
        )
        return order

    def settle(self, order: Order, state: RemoteState, **more: Any) -> None:
        """At the provider."""
        thing = self.provider.of(order.id, order.kind)
        assert thing is not None
        self.provider.settle(thing, state, **more)

    async def done(self, order: Order) -> Order:
        done = await self.services.payments.look(await self.services.payments.order(order.id))
        assert done.state is OrderState.DONE, done
        return done

    async def available(self, person: str) -> int:
        balances = await self.services.money.balances(person)
        return sum(each.available for each in balances if each.currency is Currency.CNY)

    async def inbox(self, person: str, kind: str) -> list[dict[str, Any]]:
        await self.services.outbox.drained()
        page = await self.services.hub.pages.page(f"inbox:{person}", 1, None, None, 200)
        return [entry.body for entry in page.entries if entry.kind == kind]

    async def acts(self, target: str) -> list[tuple[str, str]]:
        audit = await self.services.administration.audit({"target": target}, None, 50)
        return [(act.action, act.by) for act in audit.acts]


async def charged(services: Services, provider: StrictProvider, person: str, amount: int, key: str) -> Order:
    """A top-up that its payer has confirmed."""
    order = await services.payments.begin_charge(
        key=key,
        person=person,
        provider=PROVIDER,
        amount=amount,
        currency=Currency.CNY,
        purpose="top_up",
        by=person,
        return_url="https://vouch.example/wallet/{order}",
        language="en",
    )
    thing = provider.of(order.id, order.kind)
    assert thing is not None
    provider.settle(thing, RemoteState.DONE)
    done = await services.payments.look(order)
    assert done.state is OrderState.DONE, done
    return done


def ident(number: int) -> str:
    return f"id{number:020}"


def move(desk: Desk, number: int, amount: int, source: str, target: str, reason: str = "Booked twice") -> Propose:
    return Propose(ident(number), source, target, amount, Currency.CNY, reason)


async def outcomes(*works: Awaitable[Any]) -> list[Any]:
    """What became of each: a code where it was refused."""
    done = await asyncio.gather(*works, return_exceptions=True)
    for each in done:
        if isinstance(each, BaseException) and not isinstance(each, VouchError):
            raise each
    return [each.code if isinstance(each, VouchError) else each for each in done]


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> StrictProvider:
    strict = StrictProvider(PROVIDER, SystemClock())
    monkeypatch.setattr(providers, "build", lambda *_: {PROVIDER: strict})
    return strict


@pytest.fixture
def services(provider: StrictProvider, settings: Settings, keys: Keys, run: Run[Any]) -> Iterator[Services]:
    """All services, with the provider in memory."""
    made = Services(settings, keys, SystemClock(), mongodb_uri=settings.mongodb_uri, redis_url=settings.redis_url)
    run(made.start())
    yield made
    run(made.stop())


@pytest.fixture
def desk(services: Services, provider: StrictProvider, run: Run[Any]) -> Desk:
    async def make() -> Desk:
        people = await World(services).people("lin", "fay", "gus", "hal", "sam", "ann", "eve")
        lin, fay, gus, hal, sam, ann, eve = people
        for person in (fay, gus, hal):
            await services.people.grant(person, Grant(Role.FINANCE), "system")
        await services.people.grant(sam, Grant(Role.STAFF), "system")
        await services.people.grant(ann, Grant(Role.ADMIN), "system")
        return Desk(
            services,
            provider,
            lin,
            fay,
            gus,
            hal,
            sam,
            ann,
            eve,
            await charged(services, provider, lin, 1_000_00, "first"),
        )

    made: Desk = run(make())
    return made
