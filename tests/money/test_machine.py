"""A ledger in which anything is done in any order, on the real database, beside a model of some lines."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, multiple, rule, run_state_machine_as_test

from server.clock import SystemClock
from server.errors import Code, VouchError
from server.money.model import STAFF_DEPARTMENT, Currency, Draft, Hold, Share, Transfer, available
from server.money.rules import split
from server.money.verification import Verification
from server.store import Store
from tests.conftest import Run
from tests.money.bank import SANDBOX, Bank, moving

PEOPLE = st.integers(0, 3)
AMOUNTS = st.integers(1, 120)
CURRENCIES = st.sampled_from([Currency.CNY, Currency.JPY])
Again = Callable[[], Coroutine[Any, Any, object]]


class Ledger(RuleBasedStateMachine):
    """What people have is told by the model; what the ledger refuses is what the model cannot do."""

    given = Bundle("given")  # transfers between people, and from outside
    open = Bundle("open")  # holds

    def __init__(self, run: Run[Any], bank: Bank) -> None:
        super().__init__()
        self.run, self.bank = run, bank
        self.mark = secrets.token_hex(4)
        self.has: dict[tuple[str, Currency], int] = {}
        self.held: dict[tuple[str, Currency], int] = {}
        self.owes: dict[tuple[str, Currency], int] = {}
        self.house: dict[Currency, int] = {}
        self.done: list[tuple[Again, object]] = []
        self.clawed: dict[str, int] = {}

    def person(self, number: int) -> str:
        return f"p_{self.mark}{number}"

    def gain(self, person: str, currency: Currency, amount: int) -> None:
        of = (person, currency)
        have = self.has.get(of, 0) + amount
        settled = min(have, self.owes.get(of, 0))
        self.has[of] = have - settled
        self.owes[of] = self.owes.get(of, 0) - settled

    def keep(self, again: Again) -> Any:
        """Does it, and remembers how to ask for it again."""
        first = self.run(again())
        self.done.append((again, first))
        return first

    def funds(self, person: str, currency: Currency) -> None:
        of = (person, currency)
        expected = (self.has.get(of, 0), self.held.get(of, 0), self.owes.get(of, 0))
        assert self.run(self.bank.funds(person, currency)) == expected

    def draft(self, source: Any, target: Any, amount: int, currency: Currency) -> Draft:
        return moving(source, target, amount, key=f"{self.mark} {self.bank.key()}", currency=currency)

    @rule(target=given, person=PEOPLE, amount=AMOUNTS, currency=CURRENCIES)
    def top_up(self, person: int, amount: int, currency: Currency) -> Transfer:
        who = self.person(person)
        draft = self.draft(SANDBOX, available(who), amount, currency)
        transfer: Transfer = self.keep(lambda: self.bank.post(draft))
        self.gain(who, currency, amount)
        self.house[currency] = self.house.get(currency, 0) - amount
        self.funds(who, currency)
        return transfer

    @rule(target=given, one=PEOPLE, other=PEOPLE, amount=AMOUNTS, currency=CURRENCIES)
    def pay(self, one: int, other: int, amount: int, currency: Currency) -> Any:
        source, target = self.person(one), self.person(other)
        draft = self.draft(available(source), available(target), amount, currency)
        if source == target or self.has.get((source, currency), 0) < amount:
            code = Code.BAD_REQUEST if source == target else Code.INSUFFICIENT_FUNDS
            with pytest.RaisesExc(VouchError, check=lambda fault: fault.code is code):
                self.run(self.bank.post(draft))
            return multiple()
        transfer = self.keep(lambda: self.bank.post(draft))
        self.has[source, currency] -= amount
        self.gain(target, currency, amount)
        self.funds(source, currency)
        self.funds(target, currency)
        return transfer

    @rule(target=open, person=PEOPLE, amount=AMOUNTS, currency=CURRENCIES)
    def hold(self, person: int, amount: int, currency: Currency) -> Any:
        who, key = self.person(person), f"{self.mark} {self.bank.key()}"
        if self.has.get((who, currency), 0) < amount:
            with pytest.RaisesExc(VouchError, check=lambda fault: fault.code is Code.INSUFFICIENT_FUNDS):
                self.run(self.bank.hold(who, amount, key=key, currency=currency))
            return multiple()
        hold = self.run(self.bank.hold(who, amount, key=key, currency=currency))
        self.has[who, currency] -= amount
        self.held[who, currency] = self.held.get((who, currency), 0) + amount
        self.funds(who, currency)
        return hold

    @rule(target=given, hold=consumes(open), other=PEOPLE, weights=st.tuples(*[st.integers(0, 3)] * 3))
    def share(self, hold: Hold, other: int, weights: tuple[int, int, int]) -> Any:
        key, target, currency = f"{self.mark} {self.bank.key()}", self.person(other), hold.currency
        accounts = (available(hold.person), available(target), STAFF_DEPARTMENT)
        shares = [Share(account, weight) for account, weight in zip(accounts, weights, strict=True)]
        if not any(weights):
            with pytest.RaisesExc(VouchError, check=lambda fault: fault.code is Code.BAD_REQUEST):
                self.run(self.bank.split(hold, shares, key))
            shares = [Share(accounts[0], 1), Share(accounts[1], 0), Share(accounts[2], 0)]
        transfer = self.keep(lambda: self.bank.split(hold, shares, key))
        back, theirs, ours = split(hold.amount, [share.weight for share in shares])
        self.held[hold.person, currency] -= hold.amount
        self.gain(hold.person, currency, back + theirs if target == hold.person else back)
        if target != hold.person:
            self.gain(target, currency, theirs)
        self.house[currency] = self.house.get(currency, 0) + ours
        self.funds(hold.person, currency)
        self.funds(target, currency)
        moved = (theirs if target != hold.person else 0) + ours
        return transfer if moved else multiple()

    @rule(hold=consumes(open))
    def refund(self, hold: Hold) -> None:
        key = f"{self.mark} {self.bank.key()}"
        self.keep(lambda: self.bank.refund(hold, key))
        self.held[hold.person, hold.currency] -= hold.amount
        self.gain(hold.person, hold.currency, hold.amount)
        with pytest.RaisesExc(VouchError, check=lambda fault: fault.code is Code.ALREADY):
            self.run(self.bank.refund(hold))
        self.funds(hold.person, hold.currency)

    @rule(transfer=given, share=st.integers(1, 100))
    def claw_back(self, transfer: Transfer, share: int) -> None:
        """The ledger tells how it was taken; the model checks that nobody gave more than they had."""
        key, currency = f"{self.mark} {self.bank.key()}", transfer.currency
        whole = self.whole(transfer)
        left = whole - self.clawed.get(transfer.id, 0)
        if not left:
            with pytest.RaisesExc(VouchError, check=lambda fault: fault.code is Code.ALREADY):
                self.run(self.bank.claw_back(transfer, None, key))
            return
        amount = max(1, left * share // 100)
        claw: Transfer = self.keep(lambda: self.bank.claw_back(transfer, amount, key))
        self.clawed[transfer.id] = whole - left + amount
        people: set[str] = set()
        gains: list[tuple[str, int]] = []
        for leg in claw.legs:
            of = (leg.account.owner, currency)
            if leg.account.kind.value == "owed":
                assert self.has.get(of, 0) == 0 or any(
                    other.account == available(of[0]) and -other.amount == self.has[of] for other in claw.legs
                ), "a claim only where there is no money left"
                self.owes[of] = self.owes.get(of, 0) - leg.amount
            elif leg.account.kind.value != "available":
                self.house[currency] = self.house.get(currency, 0) + leg.amount
            elif leg.amount > 0:
                gains.append((leg.account.owner, leg.amount))
            people |= {leg.account.owner} if leg.account.owner.startswith("p_") else set()
        for leg in claw.legs:
            if leg.account.kind.value == "available" and leg.amount < 0:
                self.has[leg.account.owner, currency] += leg.amount
        for person, gained in gains:
            self.gain(person, currency, gained)
        for person in people:
            self.funds(person, currency)

    def whole(self, transfer: Transfer) -> int:
        """How much of it went to somebody else."""
        net: dict[str, int] = {}
        for leg in transfer.legs:
            net[leg.account.owner] = net.get(leg.account.owner, 0) + leg.amount
        return sum(part for part in net.values() if part > 0)

    @rule(data=st.data())
    def again(self, data: st.DataObject) -> None:
        """Whatever was done is answered as it was the first time, and nothing moves."""
        if self.done:
            ask, first = self.done[data.draw(st.integers(0, len(self.done) - 1))]
            assert self.run(ask()) == first

    def teardown(self) -> None:
        """Σ = 0 per currency, as the model has it and as the ledger has it."""
        for currency in (Currency.CNY, Currency.JPY):
            people = [self.person(number) for number in range(4)]
            for person in people:
                self.funds(person, currency)
            ours = self.house.get(currency, 0)
            theirs = sum(self.has.get((p, currency), 0) + self.held.get((p, currency), 0) for p in people)
            assert ours + theirs - sum(self.owes.get((p, currency), 0) for p in people) == 0


def test_whatever_is_done_in_any_order(run: Run[Any], bank: Bank, store: Store) -> None:
    run_state_machine_as_test(
        cast(Any, lambda: Ledger(run, bank)),
        settings=settings(
            max_examples=12,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
        ),
    )
    report = run(Verification(store, SystemClock(), b"s" * 32).run())
    assert (report.faults, report.difference) == ([], 0)
    assert set(report.sums.values()) == {0}
    assert report.transfers > 20
