"""The provider in memory passes the suite that all providers pass, and the suite finds one that does not."""

from __future__ import annotations

import pytest

from server.payments.model import Order, OrderKind, Remote, RemoteState
from server.payments.provider import ProviderFault
from tests.payments import contract
from tests.payments.contract import Case
from tests.payments.counterpart import Ability
from tests.payments.strict import StrictCounterpart, StrictProvider


class Arriving(StrictCounterpart):
    """Pay-outs arrive as soon as somebody asks."""

    def __init__(self) -> None:
        super().__init__(_Prompt())


class _Prompt(StrictProvider):
    async def find(self, order: Order) -> Remote | None:
        if (thing := self.of(order.id, order.kind)) is not None and order.kind is OrderKind.PAY_OUT:
            if thing.state is RemoteState.PENDING:
                self.settle(thing, RemoteState.DONE)
        return await super().find(order)


@pytest.mark.parametrize("case", contract.cases(), ids=contract.name)
async def test_contract(case: Case) -> None:
    await case(Arriving())


def test_what_a_counterpart_lacks_is_left_out_and_nothing_else() -> None:
    everything, some = contract.cases(), contract.cases(frozenset({Ability.REPEATS}))
    assert 15 < len(some) < len(everything)
    assert contract.a_charge_asked_twice_is_one not in some
    assert contract.a_charge_opens_a_check_out_page in some


class _Careless(_Prompt):
    """Does everything anew each time it is asked, and gives back what it does not have."""

    def _known(self, order: Order) -> Remote | None:
        if order.kind is OrderKind.REFUND:
            charge = self.of(self._last, OrderKind.CHARGE)
            assert charge is not None
            self._change(charge, refunded=charge.refunded - order.amount)
        return None

    async def refund(self, order: Order, charge: Order) -> Remote:
        self._last = charge.id
        return await super().refund(order, charge)


@pytest.mark.parametrize(
    "case",
    [
        contract.a_charge_asked_twice_is_one,
        contract.a_refund_asked_twice_is_one,
        contract.the_same_id_with_another_amount_is_refused,
        contract.more_than_is_left_does_not_go_back,
    ],
    ids=contract.name,
)
async def test_the_suite_finds_a_careless_provider(case: Case) -> None:
    there = StrictCounterpart(_Careless())
    with pytest.raises((AssertionError, ProviderFault, pytest.fail.Exception)):
        await case(there)
