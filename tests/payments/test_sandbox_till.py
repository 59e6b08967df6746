"""The platform's till against a small model of it: whatever merchants, payers, banks and testers do in any order."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import msgspec
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from server.payments.sandbox.book import Book
from server.payments.sandbox.model import (
    CancelRequest,
    ChargeRequest,
    Currency,
    Kind,
    Movement,
    PayOutRequest,
    RefundRequest,
    Refusal,
    RefusalCode,
    State,
    Troubles,
)
from server.payments.sandbox.till import PURSES, Till

_FINAL = frozenset({State.DONE, State.FAILED, State.CANCELLED, State.EXPIRED})
_AMOUNT = st.integers(1, 20)
_PLACE = st.integers(0, 3)


class TillMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.now = 1_000_000
        self.woken = 0
        self.names = 0
        #: charge's id → what was asked for, and what has gone back of it by what we were answered
        self.charges: dict[str, ChargeRequest] = {}
        self.returned: dict[str, int] = {}
        self.disputed: dict[str, int] = {}
        #: key → request and answer, to be repeated
        self.said: dict[str, tuple[ChargeRequest | RefundRequest | PayOutRequest, str | RefusalCode]] = {}
        self.ended: dict[str, State] = {}

    @initialize(amounts=st.lists(_AMOUNT, min_size=1, max_size=2))
    def begin(self, amounts: list[int]) -> None:
        """There is something to give back from the beginning."""
        self.open()
        for place, amount in enumerate(amounts):
            self.charge(amount, 60.0)
            self.decide(place, "full")

    def open(self) -> None:
        self.book = Book(self.directory / "book.sqlite")
        self.till = Till(self.book, lambda: self.now, self.wake, bank_ms=1_000)

    def wake(self) -> None:
        self.woken += 1

    def teardown(self) -> None:
        self.book.close()
        shutil.rmtree(self.directory)

    def name(self) -> str:
        self.names += 1
        return f"y_{self.names}"

    def ask(self, key: str, request: ChargeRequest | RefundRequest | PayOutRequest) -> Movement | RefusalCode:
        digest = msgspec.json.encode(request).decode()
        try:
            match request:
                case ChargeRequest():
                    return self.till.charge(key, digest, request)
                case RefundRequest():
                    return self.till.refund(key, digest, request)
                case _:
                    return self.till.pay_out(key, digest, request)
        except Refusal as refusal:
            return refusal.code

    def keep(
        self, key: str, request: ChargeRequest | RefundRequest | PayOutRequest, answer: Movement | RefusalCode
    ) -> None:
        self.said[key] = (request, answer.id if isinstance(answer, Movement) else answer)

    def some(self, place: int) -> Movement | None:
        known = list(self.charges)
        return self.book.movement(known[place % len(known)]) if known else None

    @rule(amount=_AMOUNT, open_for=st.sampled_from((1.0, 60.0)))
    def charge(self, amount: int, open_for: float) -> None:
        request = ChargeRequest(self.name(), amount, Currency.CNY, "http://127.0.0.1/", open_for=open_for)
        before = self.book.troubles().decline
        answer = self.ask(request.order, request)
        self.keep(request.order, request, answer)
        if before:
            assert answer is RefusalCode.DECLINED
        else:
            assert isinstance(answer, Movement)
            assert answer.state is State.OPEN
            self.charges[answer.id] = request
            self.returned[answer.id] = self.disputed[answer.id] = 0

    @rule(place=_PLACE, purse=st.sampled_from((*PURSES, "refuse")))
    def decide(self, place: int, purse: str) -> None:
        charge = self.some(place)
        if charge is None or charge.token is None:
            return
        before = self.till.page(charge.token)
        after = self.till.decline(charge.token) if purse == "refuse" else self.till.pay(charge.token, purse)
        if before.state is not State.OPEN:
            assert after == before
        else:
            assert after.state is not State.OPEN

    @rule(place=_PLACE)
    def cancel(self, place: int) -> None:
        charge = self.some(place)
        if charge is None:
            return
        after = self.till.cancel(CancelRequest(charge.order, charge.amount, charge.currency))
        assert after.state is not State.OPEN

    @rule(amount=_AMOUNT)
    def cancel_before_it_arrives(self, amount: int) -> None:
        order = self.name()
        self.till.cancel(CancelRequest(order, amount, Currency.CNY))
        if self.book.troubles().decline == 0:
            late = self.ask(order, ChargeRequest(order, amount, Currency.CNY, "http://127.0.0.1/"))
            assert isinstance(late, Movement)
            assert (late.state, late.token) == (State.CANCELLED, None)

    @rule(place=_PLACE, amount=_AMOUNT)
    def give_back(self, place: int, amount: int) -> None:
        """As often again: this is where money could get lost."""
        self.refund(place, amount)

    @rule(place=_PLACE, amount=_AMOUNT)
    def refund(self, place: int, amount: int) -> None:
        charge = self.some(place)
        if charge is None:
            return
        declined = self.book.troubles().decline
        request = RefundRequest(self.name(), charge.id, amount, Currency.CNY)
        answer = self.ask(request.order, request)
        self.keep(request.order, request, answer)
        if isinstance(answer, Movement):
            assert charge.state is State.DONE
            self.returned[charge.id] += amount
        elif not declined and charge.state is State.DONE:
            assert amount > charge.amount - self.returned[charge.id] - self.disputed[charge.id]

    @rule(amount=_AMOUNT, closed=st.booleans())
    def pay_out(self, amount: int, closed: bool) -> None:
        destination = {"number": "0000" if closed else "1234"}
        request = PayOutRequest(self.name(), amount, Currency.CNY, destination)
        self.keep(request.order, request, self.ask(request.order, request))

    @rule(place=_PLACE, amount=_AMOUNT, back=st.booleans())
    def dispute(self, place: int, amount: int, back: bool) -> None:
        charge = self.some(place)
        if charge is None:
            return
        try:
            (self.till.restore if back else self.till.dispute)(charge.id, amount)
        except Refusal:
            return
        self.disputed[charge.id] += -amount if back else amount

    @rule(data=st.data())
    def ask_again(self, data: st.DataObject) -> None:
        """The same key and content is answered the same, and with other content refused."""
        if not self.said:
            return
        key = data.draw(st.sampled_from(sorted(self.said)))
        request, answer = self.said[key]
        again = self.ask(key, request)
        assert (again.id if isinstance(again, Movement) else again) == answer
        other = msgspec.structs.replace(request, amount=request.amount + 1)
        assert self.ask(key, other) is RefusalCode.CONFLICT

    @rule(decline=st.sampled_from((0, 0, 0, 1)), fail=st.integers(0, 2), lose=st.integers(0, 2), hold=st.booleans())
    def trouble(self, decline: int, fail: int, lose: int, hold: bool) -> None:
        self.till.trouble(Troubles(decline=decline, fail_pay_outs=fail, lose=lose, hold_pay_outs=hold))

    @rule(seconds=st.integers(0, 90))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds * 1_000
        self.till.pass_time()

    @rule()
    def it_starts_anew(self) -> None:
        self.book.close()
        self.open()

    @invariant()
    def no_more_goes_back_than_was_paid(self) -> None:
        for id in self.charges:
            charge = self.book.movement(id)
            assert charge is not None
            assert (charge.refunded, charge.disputed) == (self.returned[id], self.disputed[id])
            assert charge.left >= 0
            assert charge.refunded + charge.disputed == 0 or charge.state is State.DONE

    @invariant()
    def what_has_ended_has_ended(self) -> None:
        for kind in Kind:
            for one in self.book.made(kind, 0, self.now + 1, 0, 1_000):
                assert self.ended.get(one.id, one.state) is one.state
                if one.state in _FINAL:
                    self.ended[one.id] = one.state


TestTill = TillMachine.TestCase
TestTill.settings = settings_of_hypothesis(max_examples=20, stateful_step_count=30, deadline=None)
