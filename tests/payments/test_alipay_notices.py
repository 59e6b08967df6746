"""Alipay's notifications: which are for us, what they are about, and what of them is believed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.payments.model import OrderKind, RemoteState
from server.payments.provider import Forged
from tests.payments import contract
from tests.payments.alipay_side import AlipaySide, app_key, gateway, other_key, side, there

__all__ = ["app_key", "gateway", "other_key", "side", "there"]


def at(when: datetime) -> str:
    return (when + timedelta(hours=8)).strftime("%Y-%m-%d %H:%M:%S")


async def test_notifications_that_are_not_for_us(side: AlipaySide, app_key: rsa.RSAPrivateKey) -> None:
    now, gateway = datetime.now(UTC), side.gateway
    fields = {"notify_type": "trade_status_sync", "out_trade_no": "y_1", "trade_status": "TRADE_SUCCESS"}
    good = gateway.signed_notice(fields)
    assert side.provider.read_notice({}, good, now) is not None
    forged = [
        gateway.signed_notice(fields, key=app_key),
        gateway.signed_notice(fields | {"app_id": "2021000000000002"}),
        gateway.signed_notice(fields | {"sign_type": "RSA"}),
        gateway.signed_notice(fields | {"notify_time": at(now - timedelta(hours=31))}),
        gateway.signed_notice(fields | {"notify_time": at(now + timedelta(hours=1))}),
        gateway.signed_notice(fields | {"notify_time": "yesterday"}),
        good + b"&total_amount=1000000.00",
        good.replace(b"y_1", b"y_2"),
        good.replace(b"sign=", b"sing="),
        b"&".join(part for part in good.split(b"&") if not part.startswith(b"sign=")),
        good + b"&" + b"&".join(b"a%d=1" % n for n in range(300)),
        good + b"&x=" + b"x" * 70_000,
        b"\xff\xfe",
        b"",
        b"{}",
    ]
    for body in forged:
        with pytest.raises(Forged):
            side.provider.read_notice({}, body, now)


async def test_a_notification_that_comes_again_says_the_same(there: AlipaySide) -> None:
    """It is only a hint; that it is worth nothing twice is seen to by who asks then."""
    charge = await contract.paid(there)
    [sent] = await there.notices()
    first = there.provider.read_notice(sent.headers, sent.body, datetime.now(UTC))
    again = there.provider.read_notice(sent.headers, sent.body, datetime.now(UTC) + timedelta(hours=25))
    assert first == again
    assert first is not None
    assert first.order == charge.id


async def test_an_amount_in_a_notification_is_not_believed(there: AlipaySide) -> None:
    order, _ = await contract.opened(there)
    there.gateway.notify_trade(order.id, trade_status="TRADE_SUCCESS", total_amount="99999.00")
    [sent] = await there.notices()
    assert there.provider.read_notice(sent.headers, sent.body, datetime.now(UTC)) is not None
    found = await contract.found(there, order)
    assert (found.state, found.amount) == (RemoteState.OPEN, 10_00)


async def test_what_notifications_are_about(there: AlipaySide) -> None:
    now, gateway = datetime.now(UTC), there.gateway
    charge = await contract.paid(there)
    refund = contract.refund_of(there, charge, 1_00)
    await there.provider.refund(refund, charge)
    notices = [there.provider.read_notice({}, sent.body, now) for sent in await there.notices()]
    assert [(one.kind, one.order) for one in notices if one] == [
        (OrderKind.CHARGE, charge.id),
        (OrderKind.REFUND, refund.id),
    ]
    transfer = {
        "notify_time": "",
        "utc_timestamp": str(int(now.timestamp() * 1000)),
        "msg_method": "alipay.fund.trans.order.changed",
        "biz_content": '{"out_biz_no":"y_77","status":"SUCCESS"}',
    }
    message = gateway.signed_notice(transfer, keep_kind=True)
    notice = there.provider.read_notice({}, message, now)
    assert notice is not None
    assert (notice.kind, notice.order) == (OrderKind.PAY_OUT, "y_77")
    for other in ({"notify_type": "servicemarket_order_notify"}, {"msg_method": "alipay.fund.trans.order.changed"}):
        assert there.provider.read_notice({}, gateway.signed_notice(other), now) is None


@given(st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_arrives_unsigned_is_forged(side: AlipaySide, body: bytes) -> None:
    with pytest.raises(Forged):
        side.provider.read_notice({}, body, datetime.now(UTC))
