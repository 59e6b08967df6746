"""Alipay on the wire: the contract, amounts, what comes in and what leaves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from server.money.model import MOST, Currency
from server.payments.model import OrderKind, OrderState, RemoteState
from server.payments.provider import ProviderFault
from server.payments.providers import alipay
from server.payments.providers.alipay import Alipay
from server.payments.providers.alipay_words import fen, yuan
from tests.payments import contract
from tests.payments.alipay_gateway import Gateway
from tests.payments.alipay_side import NOTIFY, AlipaySide, adapter, app_key, gateway, other_key, side, there
from tests.payments.contract import known, make
from tests.payments.counterpart import Ability

__all__ = ["app_key", "gateway", "other_key", "side", "there"]

#: Who says no at Alipay just leaves; and nobody's bank takes back what was paid from an account there.
LACKS = frozenset({Ability.REFUSE, Ability.CHARGE_BACK})


@pytest.mark.parametrize("case", contract.cases(LACKS), ids=contract.name)
async def test_contract(case: contract.Case, there: AlipaySide) -> None:
    await case(there)


# ── Amounts ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("minor", "text"), [(1, "0.01"), (10, "0.10"), (100, "1.00"), (123_45, "123.45"), (MOST, "90071992547409.91")]
)
def test_fen_and_yuan(minor: int, text: str) -> None:
    assert yuan(minor) == text
    assert fen(text) == minor


@given(st.integers(1, MOST))
def test_no_fen_is_lost_on_the_way(minor: int) -> None:
    assert fen(yuan(minor)) == minor


@given(st.integers(1, 10**13))  # a float holds 15 figures
def test_no_fen_is_lost_in_a_json_number(minor: int) -> None:
    assert fen(float(yuan(minor))) == minor


@pytest.mark.parametrize("text", ["", "-1.00", "1.001", "1e2", "１.00", "1,00", ".5", "1.", "inf", "90071992547409.92"])
def test_what_is_no_amount(text: str) -> None:
    with pytest.raises(ProviderFault) as caught:
        fen(text)
    assert not caught.value.certain


@pytest.mark.parametrize(("number", "minor"), [(12.34, 12_34), (0.1, 10), (7, 7_00), (1.10, 1_10), (4.35, 4_35)])
def test_amounts_that_come_as_json_numbers(number: float, minor: int) -> None:
    assert fen(number) == minor


# ── Charges ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("check_out", "method"), [("page", "alipay.trade.page.pay"), ("wap", "alipay.trade.wap.pay")])
async def test_the_page_is_signed_here_and_expires(
    check_out: str, method: str, gateway: Gateway, app_key: rsa.RSAPrivateKey, tmp_path: Path
) -> None:
    side = AlipaySide(adapter(Alipay, gateway, app_key, tmp_path, check_out=check_out), gateway)
    order = make(side, amount=12_05)
    remote = await side.provider.charge(order, contract.BACK, "zh-CN")
    fields = dict(parse_qsl(urlsplit(remote.url or "").query))
    assert fields["method"] == method
    assert fields["notify_url"] == NOTIFY
    assert fields["return_url"] == contract.BACK
    gateway.pay(remote.url or "")
    found = await side.provider.find(known(order, remote))
    assert found is not None
    assert (found.state, found.amount) == (RemoteState.DONE, 12_05)
    await side.provider.close()


async def test_a_page_that_nobody_has_opened_is_open_until_it_expires(side: AlipaySide) -> None:
    order = make(side)
    remote = await side.provider.charge(order, contract.BACK, "en")
    assert not side.gateway.trades
    waiting = known(order, remote)
    found = await side.provider.find(waiting)
    assert found is not None
    assert (found.state, found.url) == (RemoteState.OPEN, remote.url)
    late = msgspec.structs.replace(waiting, created_at=order.created_at - timedelta(minutes=40))
    found = await side.provider.find(late)
    assert found is not None
    assert (found.state, found.url) == (RemoteState.EXPIRED, None)


async def test_a_page_that_was_given_up_before_it_was_opened_can_still_be_paid_and_that_is_told(
    side: AlipaySide,
) -> None:
    order = make(side)
    remote = await side.provider.charge(order, contract.BACK, "en")
    stopping = msgspec.structs.replace(known(order, remote), stopping=True)
    assert (await side.provider.cancel(stopping)).state is RemoteState.CANCELLED
    given_up = msgspec.structs.replace(stopping, state=OrderState.CANCELLED)
    found = await side.provider.find(given_up)
    assert found is not None
    assert found.state is RemoteState.CANCELLED
    side.gateway.pay(remote.url or "")
    notice = side.provider.read_notice({}, side.gateway.sent[-1], datetime.now(UTC))
    assert notice is not None
    assert notice.order == order.id
    found = await side.provider.find(given_up)
    assert found is not None
    assert (found.state, found.amount) == (RemoteState.DONE, 10_00)


async def test_an_order_that_waited_too_long_opens_no_page(side: AlipaySide) -> None:
    old = datetime.now(UTC) - timedelta(minutes=31)
    with pytest.raises(ProviderFault) as caught:
        await side.provider.charge(make(side, created_at=old), contract.BACK, "en")
    assert (caught.value.code, caught.value.certain) == ("expired", True)


async def test_a_trade_that_alipay_closed_unpaid_is_not_one_that_went_back_whole(there: AlipaySide) -> None:
    order, _ = await contract.opened(there)
    there.gateway.time_out(order.id)
    assert (await contract.found(there, order)).state is RemoteState.CANCELLED
    late = msgspec.structs.replace(order, created_at=order.created_at - timedelta(hours=1))
    assert (await contract.found(there, late)).state is RemoteState.EXPIRED
    charge = await contract.paid(there)
    await there.provider.refund(contract.refund_of(there, charge, 10_00), charge)
    assert there.gateway.trades[charge.id]["status"] == "TRADE_CLOSED"
    found = await contract.found(there, charge)
    assert (found.state, found.refunded) == (RemoteState.DONE, 10_00)


async def test_without_the_right_to_see_bills_a_charge_is_booked_all_the_same(there: AlipaySide) -> None:
    charge = msgspec.structs.replace(await contract.paid(there), refunded=2_00)
    for refused in (("isv.insufficient-isv-permissions", "40006"), ("INVALID_PRODUCT", "40004")):
        there.gateway.without_bills = refused
        found = await contract.found(there, charge)
        assert (found.state, found.refunded) == (RemoteState.DONE, 2_00)


async def test_only_yuan_and_no_pay_outs_without_certificates(side: AlipaySide) -> None:
    assert set(side.provider.terms.charges) == {Currency.CNY}
    assert not side.provider.terms.pay_outs
    asked = make(side, currency=Currency.EUR)
    for call in (
        side.provider.charge(asked, contract.BACK, "en"),
        side.provider.refund(asked, asked),
        side.provider.pay_out(asked),
    ):
        with pytest.raises(ProviderFault) as caught:
            await call
        assert (caught.value.code, caught.value.certain) == ("currency", True)
    assert not side.gateway.asked


# ── What leaves ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "state", "fault"),
    [
        ("DEALING", RemoteState.PENDING, None),
        ("FAIL", RemoteState.FAILED, "refused"),
        ("REFUND", RemoteState.FAILED, "returned"),
    ],
)
async def test_a_transfer_may_take_its_time_or_come_back(
    status: str, state: RemoteState, fault: str | None, there: AlipaySide
) -> None:
    order = make(there, OrderKind.PAY_OUT, 8_00, destination=there.destination())
    remote = await there.provider.pay_out(order)
    there.gateway.transfers[order.id]["status"] = status
    found = await contract.found(there, known(order, remote, OrderState.SENT))
    assert (found.state, found.fault, found.amount) == (state, fault, 8_00)


async def test_a_transfer_goes_to_a_number_with_a_name_and_is_ten_fen_at_least(there: AlipaySide) -> None:
    user = make(there, OrderKind.PAY_OUT, 10, destination={"number": "2088102146225135", "holder": "林晓"})
    assert (await there.provider.pay_out(user)).state is RemoteState.DONE
    for destination, amount in (({}, 10), ({"number": "a@b.example"}, 10), (there.destination(), 9)):
        with pytest.raises(ProviderFault) as caught:
            await there.provider.pay_out(make(there, OrderKind.PAY_OUT, amount, destination=destination))
        assert caught.value.certain


async def test_what_is_refused_now_but_was_done_before_counts_as_done(there: AlipaySide) -> None:
    """The first try was done and its answer lost; the second is refused: that must not give the money back too."""
    order = make(there, OrderKind.PAY_OUT, 8_00, destination=there.destination())
    there.gateway.lose = 1
    with pytest.raises(ProviderFault) as caught:
        await there.provider.pay_out(order)
    assert not caught.value.certain
    there.gateway.refuse.append(("PAYEE_NOT_EXIST", "40004"))
    remote = await there.provider.pay_out(order)
    assert (remote.state, remote.amount) == (RemoteState.DONE, 8_00)


@pytest.mark.parametrize(
    ("reason", "code", "fault", "certain"),
    [
        ("ACQ.SELLER_BALANCE_NOT_ENOUGH", "40004", "no_funds", False),
        ("ACQ.SYSTEM_ERROR", "40004", "unknown", False),
        ("isp.unknow-error", "20000", "down", False),
        ("isv.invalid-signature", "40002", "credentials", False),
        ("isv.insufficient-isv-permissions", "40006", "credentials", False),
        ("ACQ.TRADE_NOT_ALLOW_REFUND", "40004", "refused", True),
        ("ACQ.TRADE_HAS_FINISHED", "40004", "too_late", True),
    ],
)
async def test_what_refusals_mean(reason: str, code: str, fault: str, certain: bool, there: AlipaySide) -> None:
    charge = await contract.paid(there)
    there.gateway.refuse.append((reason, code))
    with pytest.raises(ProviderFault) as caught:
        await there.provider.refund(contract.refund_of(there, charge, 1_00), charge)
    assert (caught.value.code, caught.value.certain) == (fault, certain)


async def test_lists_go_on_over_pages_and_days(there: AlipaySide, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alipay, "_PAGE", 2)
    charges = [await contract.paid(there) for _ in range(5)]
    await contract.opened(there)  # no money moved
    order = make(there, OrderKind.PAY_OUT, 8_00, destination=there.destination())
    await there.provider.pay_out(order)
    now = datetime.now(UTC)
    since, until = now - timedelta(days=2, minutes=1), now + timedelta(minutes=1)
    listed = [one async for one in there.provider.everything(OrderKind.CHARGE, since, until)]
    assert sorted(one.reference for one in listed) == sorted(charge.id for charge in charges)
    paid_out = [one async for one in there.provider.everything(OrderKind.PAY_OUT, since, until)]
    assert [(one.order, one.amount) for one in paid_out] == [(order.id, 8_00)]
