"""The contract of payment providers: one suite, and every provider passes it.

A provider's tests give a `Counterpart` (counterpart.py): the adapter and ways to be the payer, the payer's bank and the
misfortune on the other side. What it cannot do at all is named by `Ability`, in that test and in docs/payments.md:

    LACKS = frozenset({Ability.REPEATS})

    @pytest.mark.parametrize("case", contract.cases(LACKS), ids=contract.name)
    async def test_contract(case: contract.Case, there: Mine) -> None:
        await case(there)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from server.ids import new_id
from server.payments.model import Order, OrderKind, OrderState, Remote, RemoteState
from server.payments.provider import Forged, ProviderFault
from tests.payments.counterpart import Ability, Counterpart

#: where the payer comes back to, in the cases
BACK = "http://127.0.0.1/wallet/payments"

Case = Callable[[Counterpart], Awaitable[None]]
_cases: list[tuple[Case, frozenset[Ability]]] = []


def case(*needs: Ability) -> Callable[[Case], Case]:
    def add(run: Case) -> Case:
        _cases.append((run, frozenset(needs)))
        return run

    return add


def cases(lacks: frozenset[Ability] = frozenset()) -> list[Case]:
    """Those that a counterpart can be put through."""
    return [run for run, needs in _cases if not needs & lacks]


def name(case: Case) -> str:
    return case.__name__


# ── Orders as the service makes them ────────────────────────────────────────────────────────────────────────────────


def make(there: Counterpart, kind: OrderKind = OrderKind.CHARGE, amount: int = 10_00, **more: object) -> Order:
    now = datetime.now(UTC)
    order = Order(
        id=new_id("y"),
        kind=kind,
        provider=there.provider.name,
        person=new_id("p"),
        amount=amount,
        currency=there.currency,
        state=OrderState.WAITING,
        purpose="top_up",
        by="system",
        return_url=BACK,
        created_at=now,
        changed_at=now,
    )
    return msgspec.structs.replace(order, **more)


def known(order: Order, remote: Remote, state: OrderState = OrderState.OPEN) -> Order:
    """The order after the provider has answered."""
    return msgspec.structs.replace(order, reference=remote.reference, url=remote.url, state=state)


async def opened(there: Counterpart, amount: int = 10_00) -> tuple[Order, Remote]:
    order = make(there, amount=amount)
    remote = await there.provider.charge(order, BACK, "en")
    return known(order, remote), remote


async def paid(there: Counterpart, amount: int = 10_00) -> Order:
    """A charge that the payer has confirmed."""
    order, remote = await opened(there, amount)
    await there.confirm(remote)
    await settled(there, order, RemoteState.DONE)
    return known(order, remote, OrderState.DONE)


async def found(there: Counterpart, order: Order) -> Remote:
    remote = await there.provider.find(order)
    assert remote is not None
    return remote


async def settled(there: Counterpart, order: Order, state: RemoteState) -> Remote:
    """What the provider says once it has come to this state: some take a moment."""
    async with asyncio.timeout(15):
        while (remote := await found(there, order)).state is not state:
            assert remote.state in (RemoteState.OPEN, RemoteState.PENDING), remote
            await asyncio.sleep(0.05)
    return remote


def refund_of(there: Counterpart, charge: Order, amount: int) -> Order:
    return make(there, OrderKind.REFUND, amount, person=charge.person, charge=charge.id)


# ── Charges ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@case()
async def a_charge_opens_a_check_out_page(there: Counterpart) -> None:
    order, remote = await opened(there)
    assert (remote.kind, remote.state) == (OrderKind.CHARGE, RemoteState.OPEN)
    assert (remote.amount, remote.currency) == (10_00, there.currency)
    assert remote.order == order.id
    assert remote.reference
    assert (remote.url or "").startswith(("http://", "https://"))
    assert (remote.refunded, remote.disputed) == (0, 0)
    again = await found(there, order)
    assert (again.reference, again.state, again.amount) == (remote.reference, RemoteState.OPEN, 10_00)


@case()
async def what_the_payer_confirms_is_done(there: Counterpart) -> None:
    order = await paid(there, 12_34)
    remote = await found(there, order)
    assert (remote.state, remote.amount, remote.currency) == (RemoteState.DONE, 12_34, there.currency)


@case(Ability.FIND_BY_ORDER)
async def what_was_asked_is_found_by_our_id_alone(there: Counterpart) -> None:
    order, remote = await opened(there)
    unknown = msgspec.structs.replace(order, reference=None, url=None)
    assert (await found(there, unknown)).reference == remote.reference


@case()
async def what_was_never_asked_is_not_found(there: Counterpart) -> None:
    assert await there.provider.find(make(there)) is None


@case(Ability.REPEATS)
async def a_charge_asked_twice_is_one(there: Counterpart) -> None:
    order, remote = await opened(there)
    again = await there.provider.charge(msgspec.structs.replace(order, reference=None, url=None), BACK, "en")
    assert (again.reference, again.url) == (remote.reference, remote.url)
    await there.confirm(remote)
    await settled(there, order, RemoteState.DONE)
    after = await there.provider.charge(order, BACK, "en")
    assert (after.reference, after.state) == (remote.reference, RemoteState.DONE)


@case(Ability.OTHER_CONTENT)
async def the_same_id_with_another_amount_is_refused(there: Counterpart) -> None:
    order, _ = await opened(there)
    with pytest.raises(ProviderFault) as caught:
        await there.provider.charge(msgspec.structs.replace(order, amount=99_00, reference=None), BACK, "en")
    assert caught.value.certain
    assert (await found(there, order)).amount == 10_00


@case(Ability.REFUSE)
async def what_the_payer_refuses_has_failed(there: Counterpart) -> None:
    order, remote = await opened(there)
    await there.refuse(remote)
    state = (await _ended(there, order)).state
    assert state in (RemoteState.FAILED, RemoteState.CANCELLED)


@case(Ability.CANCEL)
async def a_check_out_that_is_closed_takes_no_money(there: Counterpart) -> None:
    order, _ = await opened(there)
    cancelled = await there.provider.cancel(order)
    assert cancelled.state in (RemoteState.CANCELLED, RemoteState.EXPIRED)
    assert (await found(there, order)).state is cancelled.state
    assert (await there.provider.cancel(order)).state is cancelled.state


@case(Ability.CANCEL)
async def what_was_paid_before_it_was_closed_is_done(there: Counterpart) -> None:
    order, remote = await opened(there)
    await there.confirm(remote)
    assert (await there.provider.cancel(order)).state in (RemoteState.DONE, RemoteState.PENDING)
    assert (await settled(there, order, RemoteState.DONE)).amount == 10_00


# ── Refunds ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@case()
async def a_charge_goes_back_in_parts(there: Counterpart) -> None:
    charge = await paid(there)
    for amount, sum_ in ((3_00, 3_00), (7_00, 10_00)):
        refund = refund_of(there, charge, amount)
        remote = await there.provider.refund(refund, charge)
        assert (remote.kind, remote.amount, remote.currency) == (OrderKind.REFUND, amount, there.currency)
        await settled(there, known(refund, remote, OrderState.SENT), RemoteState.DONE)
        assert (await found(there, charge)).refunded == sum_


@case(Ability.REPEATS)
async def a_refund_asked_twice_is_one(there: Counterpart) -> None:
    charge = await paid(there)
    refund = refund_of(there, charge, 4_00)
    first = await there.provider.refund(refund, charge)
    assert (await there.provider.refund(refund, charge)).reference == first.reference
    await settled(there, known(refund, first, OrderState.SENT), RemoteState.DONE)
    assert (await found(there, charge)).refunded == 4_00


@case(Ability.OVER_REFUND)
async def more_than_is_left_does_not_go_back(there: Counterpart) -> None:
    charge = await paid(there)
    first = refund_of(there, charge, 6_00)
    await there.provider.refund(first, charge)
    with pytest.raises(ProviderFault) as caught:
        await there.provider.refund(refund_of(there, charge, 4_01), charge)
    assert (caught.value.code, caught.value.certain) == ("over_refund", True)
    assert (await found(there, charge)).refunded == 6_00


@case(Ability.OVER_REFUND)
async def what_was_never_paid_does_not_go_back(there: Counterpart) -> None:
    charge, _ = await opened(there)
    with pytest.raises(ProviderFault) as caught:
        await there.provider.refund(refund_of(there, charge, 1_00), charge)
    assert caught.value.certain


@case(Ability.CHARGE_BACK)
async def what_the_payers_bank_takes_back_is_told(there: Counterpart) -> None:
    charge = await paid(there)
    remote = await found(there, charge)
    await there.charge_back(remote, 10_00)
    after = await found(there, charge)
    assert (after.state, after.disputed, after.amount) == (RemoteState.DONE, 10_00, 10_00)


# ── Pay-outs ────────────────────────────────────────────────────────────────────────────────────────────────────────


@case(Ability.PAY_OUT)
async def a_pay_out_arrives(there: Counterpart) -> None:
    await paid(there, 50_00)  # there must be something to pay it from
    order = make(there, OrderKind.PAY_OUT, 8_00, destination=there.destination())
    remote = await there.provider.pay_out(order)
    assert (remote.kind, remote.amount, remote.currency) == (OrderKind.PAY_OUT, 8_00, there.currency)
    assert remote.state in (RemoteState.PENDING, RemoteState.DONE)
    done = await settled(there, known(order, remote, OrderState.SENT), RemoteState.DONE)
    assert done.reference == remote.reference


@case(Ability.PAY_OUT, Ability.REPEATS)
async def a_pay_out_asked_twice_is_one(there: Counterpart) -> None:
    await paid(there, 50_00)
    order = make(there, OrderKind.PAY_OUT, 8_00, destination=there.destination())
    first = await there.provider.pay_out(order)
    assert (await there.provider.pay_out(order)).reference == first.reference


@case(Ability.PAY_OUT, Ability.FAILING_PAY_OUT)
async def a_pay_out_that_cannot_arrive_fails(there: Counterpart) -> None:
    await paid(there, 50_00)
    order = make(there, OrderKind.PAY_OUT, 8_00, destination=there.destination(fails=True))
    try:
        remote = await there.provider.pay_out(order)
    except ProviderFault as fault:
        certain = fault.certain
    else:
        certain = (await _ended(there, known(order, remote, OrderState.SENT))).state is RemoteState.FAILED
    assert certain


# ── Faults ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@case(Ability.DOWN)
async def nobody_knows_what_a_provider_that_is_down_has_done(there: Counterpart) -> None:
    order, _ = await opened(there)
    fresh = make(there)
    await there.take_down()
    for asked in (there.provider.find(order), there.provider.charge(fresh, BACK, "en")):
        with pytest.raises(ProviderFault) as caught:
            await asked
        assert not caught.value.certain
        assert caught.value.code in ("down", "timeout")
    await there.bring_up()
    assert (await found(there, order)).state is RemoteState.OPEN
    assert (await there.provider.charge(fresh, BACK, "en")).state is RemoteState.OPEN


@case(Ability.LOST_ANSWER, Ability.REPEATS)
async def what_was_done_though_its_answer_was_lost_is_done_once(there: Counterpart) -> None:
    charge = await paid(there)
    refund = refund_of(there, charge, 4_00)
    await there.lose_next_answer()
    with pytest.raises(ProviderFault) as caught:
        await there.provider.refund(refund, charge)
    assert not caught.value.certain
    remote = await there.provider.refund(refund, charge)
    await settled(there, known(refund, remote, OrderState.SENT), RemoteState.DONE)
    assert (await found(there, charge)).refunded == 4_00


# ── Notices and lists ───────────────────────────────────────────────────────────────────────────────────────────────


@case(Ability.NOTICES)
async def a_notice_says_what_it_is_about(there: Counterpart) -> None:
    order = await paid(there)
    now = datetime.now(UTC)
    read = [there.provider.read_notice(sent.headers, sent.body, now) for sent in await there.notices()]
    about = [notice for notice in read if notice is not None and notice.kind is OrderKind.CHARGE]
    assert about
    assert all(notice.id for notice in about)
    assert any(notice.order == order.id or notice.reference == order.reference for notice in about)


@case(Ability.NOTICES)
async def a_forged_notice_is_found_out(there: Counterpart) -> None:
    await paid(there)
    sent = (await there.notices())[0]
    now = datetime.now(UTC)
    middle = len(sent.body) // 2
    changed = sent.body[:middle] + bytes([sent.body[middle] ^ 1]) + sent.body[middle + 1 :]
    strange = dict.fromkeys(sent.headers, "é")
    for headers, body in (
        (sent.headers, changed),
        ({}, sent.body),
        (strange, sent.body),
        (sent.headers, b""),
        (sent.headers, sent.body * 2),
        ({}, b"\xff{"),
    ):
        if body == sent.body and not there.signs_headers:
            continue
        with pytest.raises(Forged):
            there.provider.read_notice(headers, body, now)


@case(Ability.LISTING)
async def everything_is_listed_once(there: Counterpart) -> None:
    since = datetime.now(UTC) - timedelta(minutes=5)
    charge = await paid(there)
    other = await paid(there, 20_00)
    refund = refund_of(there, charge, 2_50)
    remote = await there.provider.refund(refund, charge)
    until = datetime.now(UTC) + timedelta(minutes=5)
    charges = [one async for one in there.provider.everything(OrderKind.CHARGE, since, until)]
    listed = {one.reference: one for one in charges}
    assert len(listed) == len(charges)
    for order in (charge, other):
        one = listed[order.reference or ""]
        assert (one.kind, one.state, one.amount) == (OrderKind.CHARGE, RemoteState.DONE, order.amount)
        assert one.order == order.id
    assert listed[charge.reference or ""].refunded == 2_50
    refunds = [one async for one in there.provider.everything(OrderKind.REFUND, since, until)]
    assert [one.amount for one in refunds if one.reference == remote.reference] == [2_50]
    later = until + timedelta(days=1)
    assert [one async for one in there.provider.everything(OrderKind.CHARGE, until, later)] == []


@case()
async def its_terms_cover_what_it_was_asked(there: Counterpart) -> None:
    terms = there.provider.terms
    least, most = terms.charges[there.currency]
    assert 0 < least <= 10_00 <= most
    assert terms.open_for >= 60


async def _ended(there: Counterpart, order: Order) -> Remote:
    async with asyncio.timeout(15):
        while (remote := await found(there, order)).state in (RemoteState.OPEN, RemoteState.PENDING):
            await asyncio.sleep(0.05)
    return remote
