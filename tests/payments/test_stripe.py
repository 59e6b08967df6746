"""Stripe on the wire: the contract, and what an API, a payer's bank and a forger can do besides."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.clock import SystemClock
from server.money.model import Currency
from server.payments.model import OrderKind, OrderState, Remote, RemoteState
from server.payments.provider import Forged, ProviderFault
from server.payments.providers import stripe
from server.payments.providers.stripe import Stripe
from tests.conftest import Run, eventually
from tests.payments import contract
from tests.payments.contract import known, make
from tests.payments.counterpart import Ability, Sent
from tests.payments.localstripe import localstripe
from tests.payments.stripe_api import KEY, StripeApi

SECRET = "whsec_of_the_tests"
#: Everything: what localstripe lacks is before it in stripe_api.py.
LACKS: frozenset[Ability] = frozenset()


class StripeSide:
    """counterpart.Counterpart."""

    currency = Currency.EUR
    signs_headers = True

    def __init__(self, provider: Stripe, api: StripeApi) -> None:
        self.provider = provider
        self.api = api

    def destination(self, *, fails: bool = False) -> dict[str, str]:
        return {"number": "acct_missing" if fails else "acct_1VouchLin", "holder": "Lin Xiao"}

    async def confirm(self, remote: Remote) -> None:
        await self.api.pay(remote.reference)

    async def refuse(self, remote: Remote) -> None:
        await self.api.pay(remote.reference, has_money=False)

    async def charge_back(self, remote: Remote, amount: int) -> None:
        self.api.dispute(remote.reference, amount)

    async def take_down(self) -> None:
        await self.api.down()

    async def bring_up(self) -> None:
        self.api.up()

    async def lose_next_answer(self) -> None:
        self.api.lose = 1 + stripe.REPEATS

    async def notices(self) -> Sequence[Sent]:
        await eventually(lambda: bool(self.api.received), 15)
        received, self.api.received = self.api.received, []
        return [Sent(headers, body) for headers, body in received]


@pytest.fixture(scope="module")
def there_port() -> Iterator[int]:
    with localstripe() as port:
        yield port


@pytest.fixture
def there(there_port: int, run: Run[Any]) -> Iterator[StripeSide]:
    async def make_it() -> StripeSide:
        api = StripeApi(there_port)
        await api.start(SECRET)
        return StripeSide(Stripe(key=KEY, webhook_secret=SECRET, clock=SystemClock(), api_base=api.url), api)

    side = run(make_it())
    yield side
    run(side.provider.close())
    run(side.api.stop())


@pytest.mark.parametrize("case", contract.cases(LACKS), ids=contract.name)
async def test_contract(case: contract.Case, there: StripeSide) -> None:
    await case(there)


# ── Charges ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_all_that_is_made_goes_by_the_orders_id_and_the_sdks_repeats_too(there: StripeSide) -> None:
    charge = await contract.paid(there)
    refund = contract.refund_of(there, charge, 1_00)
    there.api.lose = 1  # the SDK asks again by itself
    await there.provider.refund(refund, charge)
    pay_out = make(there, OrderKind.PAY_OUT, 8_00, destination=there.destination())
    await there.provider.pay_out(pay_out)
    keys = [(path, headers.get("idempotency-key")) for method, path, headers in there.api.asked if method == "POST"]
    assert keys == [
        ("v1/checkout/sessions", charge.id),
        ("v1/refunds", refund.id),
        ("v1/refunds", refund.id),
        ("v1/transfers", pay_out.id),
    ]
    assert (await contract.found(there, charge)).refunded == 1_00


async def test_what_is_true_is_localstripes_word(there: StripeSide) -> None:
    """Payment intents, charges and refunds are its own; only the page before them is ours."""
    charge = await contract.paid(there)
    await there.provider.refund(contract.refund_of(there, charge, 2_00), charge)
    assert (await contract.found(there, charge)).refunded == 2_00
    assert {"POST v1/payment_intents", "GET v1/payment_intents/pi_…", "POST v1/refunds"} <= set(there.api.forwarded)


async def test_nothing_of_this_machine_is_told(there: StripeSide) -> None:
    await contract.paid(there)
    assert not any("x-stripe-client-telemetry" in headers for _, _, headers in there.api.asked)


async def test_a_page_that_expired_and_one_that_was_closed(there: StripeSide) -> None:
    order, remote = await contract.opened(there)
    there.api.sessions[remote.reference].update(status="expired", url=None)
    assert (await contract.found(there, order)).state is RemoteState.CANCELLED
    there.api.sessions[remote.reference]["expires_at"] -= 7200
    found = await contract.found(there, order)
    assert (found.state, found.url) == (RemoteState.EXPIRED, None)


async def test_an_order_that_waited_too_long_opens_no_page_but_finds_the_one_that_is_there(there: StripeSide) -> None:
    old = datetime.now(UTC) - stripe.START_WITHIN - timedelta(seconds=10)
    with pytest.raises(ProviderFault) as caught:
        await there.provider.charge(make(there, created_at=old), contract.BACK, "en")
    assert (caught.value.code, caught.value.certain) == ("expired", True)
    order, remote = await contract.opened(there)
    made = int((old + timedelta(minutes=1)).timestamp())
    there.api.sessions[remote.reference]["created"] = made
    late = msgspec.structs.replace(order, created_at=old, reference=None, url=None)
    assert (await there.provider.charge(late, contract.BACK, "en")).reference == remote.reference


@pytest.mark.parametrize(
    ("kind", "reference", "number"),
    [
        (OrderKind.CHARGE, "cs_test_gone", ""),
        (OrderKind.REFUND, "re_gone", ""),
        (OrderKind.PAY_OUT, "tr_gone", "acct_1VouchLin"),
        (OrderKind.PAY_OUT, "po_gone", "ba_1VouchSchool"),
    ],
)
async def test_what_stripe_has_forgotten_is_not_found(
    kind: OrderKind, reference: str, number: str, there: StripeSide
) -> None:
    order = make(there, kind, reference=reference, charge="y_1", destination={"number": number})
    assert await there.provider.find(order) is None


async def test_a_check_out_that_was_never_opened_is_cancelled_at_once(there: StripeSide) -> None:
    assert (await there.provider.cancel(make(there))).state is RemoteState.CANCELLED


async def test_a_page_in_chinese_and_in_yen(there: StripeSide) -> None:
    remote = await there.provider.charge(make(there, currency=Currency.JPY, amount=1_000), contract.BACK, "zh-CN")
    assert (remote.amount, remote.currency) == (1_000, Currency.JPY)


@pytest.mark.parametrize(
    ("status", "taken"),
    [("needs_response", 4_00), ("under_review", 4_00), ("lost", 4_00), ("won", 0), ("warning_needs_response", 0)],
)
async def test_only_what_the_bank_has_taken_counts_as_taken_back(status: str, taken: int, there: StripeSide) -> None:
    charge = await contract.paid(there)
    there.api.dispute(charge.reference or "", 4_00, status)
    assert (await contract.found(there, charge)).disputed == taken


async def test_a_dispute_is_listed_when_it_came_however_old_the_charge(there: StripeSide) -> None:
    charge = await contract.paid(there)
    there.api.sessions[charge.reference or ""]["created"] -= 60 * 24 * 3600
    since, until = datetime.now(UTC) - timedelta(minutes=5), datetime.now(UTC) + timedelta(minutes=5)
    assert [one async for one in there.provider.everything(OrderKind.CHARGE, since, until)] == []
    there.api.dispute(charge.reference or "", 4_00)
    there.api.dispute(charge.reference or "", 2_00)
    [one] = [one async for one in there.provider.everything(OrderKind.CHARGE, since, until)]
    assert (one.order, one.disputed) == (charge.id, 6_00)


# ── What leaves ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_pay_out_to_a_bank_account_of_our_own(there: StripeSide) -> None:
    """localstripe's own, over its whole life."""
    order = make(there, OrderKind.PAY_OUT, 8_00, destination={"number": "ba_1VouchSchool", "holder": "School"})
    there.api.expected.add(order.id)
    remote = await there.provider.pay_out(order)
    assert (remote.state, remote.amount) == (RemoteState.PENDING, 8_00)
    assert (await there.provider.pay_out(order)).reference == remote.reference
    assert (await contract.found(there, order)).reference == remote.reference  # by our id alone
    sent = known(order, remote, OrderState.SENT)
    for status, state in (
        ("in_transit", RemoteState.PENDING),
        ("paid", RemoteState.DONE),
        ("failed", RemoteState.FAILED),
        ("canceled", RemoteState.CANCELLED),
    ):
        await there.api.ask("POST", f"v1/payouts/{remote.reference}", {"status": status, "failure_code": "no_account"})
        found = await contract.found(there, sent)
        assert (found.state, found.fault) == (state, "no_account")
    since, until = datetime.now(UTC) - timedelta(minutes=5), datetime.now(UTC) + timedelta(minutes=5)
    assert order.id in {one.order async for one in there.provider.everything(OrderKind.PAY_OUT, since, until)}
    there.api.automatic.add(remote.reference)
    assert [one async for one in there.provider.everything(OrderKind.PAY_OUT, since, until)] == []
    now = datetime.now(UTC)
    notices = [there.provider.read_notice(sent.headers, sent.body, now) for sent in await there.notices()]
    assert [(one.kind, one.order, one.reference) for one in notices if one][:1] == [
        (OrderKind.PAY_OUT, order.id, remote.reference)
    ]


async def test_a_transfer_is_found_by_our_id_and_may_be_reversed(there: StripeSide) -> None:
    order = make(there, OrderKind.PAY_OUT, 8_00, destination=there.destination())
    remote = await there.provider.pay_out(order)
    assert (await contract.found(there, order)).reference == remote.reference
    there.api.transfers[remote.reference]["amount_reversed"] = 8_00
    found = await contract.found(there, known(order, remote, OrderState.SENT))
    assert (found.state, found.fault) == (RemoteState.FAILED, "returned")


@pytest.mark.parametrize("number", ["", "DE89370400440532013000", "card_1", "../payouts"])
async def test_a_destination_that_stripe_does_not_know(number: str, there: StripeSide) -> None:
    with pytest.raises(ProviderFault) as caught:
        await there.provider.pay_out(make(there, OrderKind.PAY_OUT, 8_00, destination={"number": number}))
    assert (caught.value.code, caught.value.certain) == ("destination", True)
    assert not any(method == "POST" for method, _, _ in there.api.asked)


async def test_what_is_refused_now_but_was_done_before_counts_as_done(there: StripeSide) -> None:
    """The first try was done and its answer lost; the second is refused: that must not give the money back too."""
    order = make(there, OrderKind.PAY_OUT, 8_00, destination=there.destination())
    await there.lose_next_answer()
    with pytest.raises(ProviderFault) as caught:
        await there.provider.pay_out(order)
    assert not caught.value.certain
    there.api.instead.append((400, error("invalid_request_error", code="account_closed")))
    remote = await there.provider.pay_out(order)
    assert (remote.state, remote.amount) == (RemoteState.DONE, 8_00)
    assert len(there.api.transfers) == 1


async def test_a_key_that_stripe_has_forgotten_does_nothing_twice(there: StripeSide) -> None:
    charge = await contract.paid(there)
    yesterday = datetime.now(UTC) - timedelta(hours=25)
    refund = msgspec.structs.replace(contract.refund_of(there, charge, 4_00), created_at=yesterday)
    pay_out = make(there, OrderKind.PAY_OUT, 8_00, destination=there.destination(), created_at=yesterday)
    first = [await there.provider.refund(refund, charge), await there.provider.pay_out(pay_out)]
    there.api.done.clear()
    again = [await there.provider.refund(refund, charge), await there.provider.pay_out(pay_out)]
    assert [one.reference for one in again] == [one.reference for one in first]
    assert (await contract.found(there, charge)).refunded == 4_00


# ── Hostile answers ─────────────────────────────────────────────────────────────────────────────────────────────────


def error(kind: str, **more: str) -> bytes:
    return json.dumps({"error": {"type": kind, "message": "no", **more}}).encode()


@pytest.mark.parametrize(
    ("status", "body", "code", "certain"),
    [
        (400, error("invalid_request_error", param="currency"), "refused", True),
        (402, error("card_error", code="card_declined"), "declined", True),
        (400, error("idempotency_error"), "conflict", True),
        (400, error("invalid_request_error", code="balance_insufficient"), "no_funds", True),
        (401, error("invalid_request_error"), "credentials", False),
        (403, error("invalid_request_error"), "credentials", False),
        (429, error("rate_limit_error"), "busy", False),
        (409, error("invalid_request_error", code="idempotency_key_in_use"), "busy", False),
        (500, error("api_error"), "down", False),
        (503, b"<html>Service Unavailable</html>", "down", False),
        (200, b"<html>hello</html>", "unknown", False),
        (200, b"", "unknown", False),
        (200, b"[]", "unknown", False),
        (200, b'"text"', "unknown", False),
        (200, b"null", "unknown", False),
        (200, b"[" * 100_000, "unknown", False),
        (200, b'{"id": "tr_1"}', "unknown", False),
        (200, b'{"id": 1, "amount": "8.00", "currency": "eur", "created": 1}', "unknown", False),
        (200, b'{"id": "tr_1", "amount": 800, "currency": "doge", "created": 1}', "unknown", False),
        (200, b'{"id": "tr_1", "amount": 800, "currency": "eur", "created": 99999999999999999}', "unknown", False),
        (302, b"", "unknown", False),
        (200, b"x" * (5 * 1024**2), "down", False),
    ],
)
async def test_what_answers_mean(status: int, body: bytes, code: str, certain: bool, there: StripeSide) -> None:
    order = make(there, OrderKind.PAY_OUT, 8_00, destination=there.destination())
    there.api.instead += [(status, body)] * (1 + stripe.REPEATS if status >= 409 or len(body) > 4 * 1024**2 else 1)
    with pytest.raises(ProviderFault) as caught:
        await there.provider.pay_out(order)
    assert (caught.value.code, caught.value.certain) == (code, certain)
    assert KEY not in str(caught.value)


async def test_nobody_waits_for_an_answer_that_does_not_come(
    there: StripeSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = make(there)
    monkeypatch.setattr(there.provider._line, "_within", 0.2)
    there.api.hang = 1 + stripe.REPEATS
    with pytest.raises(ProviderFault) as caught:
        await there.provider.charge(order, contract.BACK, "en")
    assert (caught.value.code, caught.value.certain) == ("timeout", False)
    monkeypatch.setattr(there.provider._line, "_within", 6.0)
    monkeypatch.setattr(stripe, "WITHIN", 0.2)
    there.api.hang = 1
    with pytest.raises(ProviderFault) as caught:
        await there.provider.charge(order, contract.BACK, "en")
    assert (caught.value.code, caught.value.certain) == ("timeout", False)


# ── Notifications ───────────────────────────────────────────────────────────────────────────────────────────────────


def signed(body: bytes, at: datetime, secret: str = SECRET, scheme: str = "v1") -> dict[str, str]:
    """As Stripe signs: https://docs.stripe.com/webhooks#verify-manually."""
    moment = str(int(at.timestamp()))
    signature = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return {"stripe-signature": f"t={moment},{scheme}={signature}"}


def event(object: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"id": "evt_1", "type": "some.thing", "data": {"object": object}, **more}).encode()


CHARGE = event({"id": "cs_1", "object": "checkout.session", "client_reference_id": "y_1"})


async def test_notifications_that_are_not_for_us(there: StripeSide) -> None:
    now = datetime.now(UTC)
    read = there.provider.read_notice
    assert read(signed(CHARGE, now), CHARGE, now) is not None
    both = signed(CHARGE, now, "an older secret")["stripe-signature"].split(",")[1]
    assert read({"stripe-signature": signed(CHARGE, now)["stripe-signature"] + "," + both}, CHARGE, now) is not None
    huge = event({"id": "x" * 300_000, "object": "payout"})
    for headers, body in (
        ({}, CHARGE),
        (signed(CHARGE, now, "another secret"), CHARGE),
        (signed(CHARGE, now, scheme="v0"), CHARGE),
        (signed(CHARGE, now), CHARGE.replace(b"y_1", b"y_2")),
        (signed(CHARGE, now - timedelta(minutes=6)), CHARGE),
        (signed(CHARGE, now + timedelta(minutes=6)), CHARGE),
        ({"stripe-signature": "t=soon,v1=00"}, CHARGE),
        ({"stripe-signature": "t=1"}, CHARGE),
        ({"stripe-signature": ",,,="}, CHARGE),
        ({"stripe-signature": "t=1,v1=é"}, CHARGE),
        (signed(b"", now), b""),
        (signed(b"\xff", now), b"\xff"),
        (signed(huge, now), huge),
    ):
        with pytest.raises(Forged):
            read(headers, body, now)


async def test_what_notifications_are_about(there: StripeSide) -> None:
    now = datetime.now(UTC)
    ours = {"order": "y_1"}
    for body, expected in (
        (CHARGE, (OrderKind.CHARGE, "y_1", "cs_1")),
        (event({"id": "pi_1", "object": "payment_intent", "metadata": ours}), (OrderKind.CHARGE, "y_1", None)),
        (event({"id": "ch_1", "object": "charge", "metadata": ours}), (OrderKind.CHARGE, "y_1", None)),
        (event({"id": "re_1", "object": "refund", "metadata": ours}), (OrderKind.REFUND, "y_1", "re_1")),
        (event({"id": "tr_1", "object": "transfer", "metadata": ours}), (OrderKind.PAY_OUT, "y_1", "tr_1")),
        (event({"id": "po_1", "object": "payout"}), (OrderKind.PAY_OUT, None, "po_1")),
        (event({"id": "du_1", "object": "dispute", "payment_intent": "pi_1"}), (OrderKind.CHARGE, None, "pi_1")),
        (event({"id": "pi_1", "object": "payment_intent"}), None),
        (event({"id": "cus_1", "object": "customer"}), None),
        (event({"id": "cs_1", "object": "checkout.session", "client_reference_id": "y_1"}, livemode=True), None),
        (b"{}", None),
        (b"[" * 10_000, None),
    ):
        notice = there.provider.read_notice(signed(body, now), body, now)
        assert (notice and (notice.kind, notice.order, notice.reference)) == expected


@given(st.text(max_size=100), st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_arrives_unsigned_is_forged(there: StripeSide, signature: str, body: bytes) -> None:
    for headers in ({"stripe-signature": signature}, {"stripe-signature": f"t=1,v1={signature}"}):
        with pytest.raises(Forged):
            there.provider.read_notice(headers, body, datetime.now(UTC))


_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=20), st.just({"id": "x"})
)
_FIELDS = ["id", "object", "amount", "currency", "created", "amount_reversed", "metadata", "error", "message", "url"]


@given(st.dictionaries(st.sampled_from(_FIELDS), _VALUES))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_is_said_is_an_answer_or_a_fault(there: StripeSide, run: Run[Any], said: dict[str, Any]) -> None:
    there.api.instead[:] = [(200, json.dumps(said).encode())]
    order = make(there, OrderKind.PAY_OUT, 8_00, destination=there.destination(), reference="tr_1")
    certain = False
    try:
        run(there.provider.find(order))
    except ProviderFault as fault:
        certain = fault.certain
    assert not certain
