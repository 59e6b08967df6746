"""The sandbox's adapter against the platform in its own process, on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from server.money.model import DECIMALS, Currency
from server.payments.model import OrderKind, Remote, RemoteState
from server.payments.provider import Forged, PaymentProvider, ProviderFault
from server.payments.providers.sandbox import NOTICE_SECONDS, Sandbox
from tests.payments import contract
from tests.payments.counterpart import Sent
from tests.payments.sandbox_process import Browser, SandboxProcess, sandbox, sandbox_process

__all__ = ["sandbox", "sandbox_process"]


class Letterbox(RequestHandler):
    """Takes notices, or answers with what is asked for."""

    def initialize(self, got: list[Sent], answers: list[int]) -> None:
        self._got = got
        self._answers = answers

    def post(self) -> None:
        headers = {name.lower(): value for name, value in self.request.headers.items()}
        self._got.append(Sent(headers, self.request.body))
        self.set_status(self._answers.pop(0) if self._answers else 204)


class There:
    """The counterpart that the contract asks for."""

    signs_headers = True
    currency = Currency.CNY

    def __init__(self, sandbox: SandboxProcess) -> None:
        self.sandbox = sandbox
        self.provider: PaymentProvider = sandbox.provider(within=3.0)
        self.got: list[Sent] = []
        #: statuses with which the next notices are answered
        self.answers: list[int] = []
        self._server = HTTPServer(Application([("/", Letterbox, {"got": self.got, "answers": self.answers})]))
        listening, port = bind_unused_port()
        self._server.add_socket(listening)
        self.address = f"http://127.0.0.1:{port}/"
        sandbox.notify(self.address)

    def destination(self, *, fails: bool = False) -> dict[str, str]:
        return {"number": "6222 0000" if fails else "6222 0001"}

    async def confirm(self, remote: Remote) -> None:
        await asyncio.to_thread(self.sandbox.pay, remote.url or "")

    async def refuse(self, remote: Remote) -> None:
        await asyncio.to_thread(self.sandbox.refuse, remote.url or "")

    async def charge_back(self, remote: Remote, amount: int) -> None:
        await asyncio.to_thread(self.sandbox.dispute, remote.reference, amount)

    async def take_down(self) -> None:
        await asyncio.to_thread(self.sandbox.trouble, outage="refusing")

    async def bring_up(self) -> None:
        await asyncio.to_thread(self.sandbox.calm)

    async def lose_next_answer(self) -> None:
        await asyncio.to_thread(lambda: self.sandbox.trouble(outage="mute", outage_requests=1))

    async def notices(self) -> Sequence[Sent]:
        async with asyncio.timeout(20):
            while not self.got:
                await asyncio.sleep(0.01)
        got = list(self.got)
        self.got.clear()
        return got

    async def close(self) -> None:
        await asyncio.to_thread(self.sandbox.notify, "")
        await self.provider.close()
        self._server.stop()
        await self._server.close_all_connections()


Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture
def there(sandbox: SandboxProcess, run: Run) -> Iterator[There]:
    async def made() -> There:
        return There(sandbox)

    counterpart = run(made())
    yield counterpart
    run(counterpart.close())


@pytest.mark.parametrize("case", contract.cases(), ids=contract.name)
async def test_contract(case: contract.Case, there: There) -> None:
    await case(there)


# ── What only this one can be made to do ────────────────────────────────────────────────────────────────────────────


async def fault_of(asked: Coroutine[Any, Any, object]) -> tuple[str, bool]:
    with pytest.raises(ProviderFault) as caught:
        await asked
    return caught.value.code, caught.value.certain


async def test_an_order_that_is_cancelled_before_it_arrives_never_opens(there: There) -> None:
    order = contract.make(there)
    assert (await there.provider.cancel(order)).state is RemoteState.CANCELLED
    late = await there.provider.charge(order, contract.BACK, "en")
    assert (late.state, late.url) == (RemoteState.CANCELLED, None)
    found = await there.provider.find(order)
    assert found is not None
    assert found.state is RemoteState.CANCELLED


async def test_a_check_out_closes_by_itself(there: There) -> None:
    order = contract.make(there)
    hasty = there.sandbox.provider(open_for=0.3)
    remote = await hasty.charge(order, contract.BACK, "en")
    async with asyncio.timeout(20):
        while (now := await contract.found(there, order)).state is RemoteState.OPEN:
            await asyncio.sleep(0.02)
    assert now.state is RemoteState.EXPIRED
    page = await asyncio.to_thread(Browser().ask, "GET", remote.url or "")
    assert "Too late" in page.text
    await hasty.close()


async def test_a_slow_bank_takes_its_time(there: There) -> None:
    order, remote = await contract.opened(there)
    await asyncio.to_thread(there.sandbox.pay, remote.url or "", "slow")
    assert (await contract.found(there, order)).state in (RemoteState.PENDING, RemoteState.DONE)
    await contract.settled(there, order, RemoteState.DONE)


async def test_an_empty_purse_is_told_as_that(there: There) -> None:
    order, remote = await contract.opened(there)
    await asyncio.to_thread(there.sandbox.pay, remote.url or "", "empty")
    now = await contract.found(there, order)
    assert (now.state, now.fault) == (RemoteState.FAILED, "declined")


async def test_what_a_tester_wants_refused_is_refused_for_ever(there: There) -> None:
    order = contract.make(there)
    await asyncio.to_thread(lambda: there.sandbox.trouble(decline=1))
    for _ in range(2):
        assert await fault_of(there.provider.charge(order, contract.BACK, "en")) == ("declined", True)
    assert await there.provider.find(order) is None
    assert (await there.provider.charge(contract.make(there), contract.BACK, "en")).state is RemoteState.OPEN


async def test_an_over_refund_stays_refused_when_there_would_be_enough(there: There) -> None:
    """A certain refusal must hold: whoever heard it has given the money back already."""
    charge = await contract.paid(there)
    await asyncio.to_thread(there.sandbox.dispute, charge.reference or "", 6_00)
    refund = contract.refund_of(there, charge, 5_00)
    assert await fault_of(there.provider.refund(refund, charge)) == ("over_refund", True)
    await asyncio.to_thread(there.sandbox.restore, charge.reference or "")
    assert (await contract.found(there, charge)).disputed == 0
    assert await fault_of(there.provider.refund(refund, charge)) == ("over_refund", True)
    assert (await contract.found(there, charge)).refunded == 0


async def test_a_refund_finds_its_charge_by_our_id(there: There) -> None:
    charge = await contract.paid(there)
    forgotten = msgspec.structs.replace(charge, reference=None)
    remote = await there.provider.refund(contract.refund_of(there, charge, 1_00), forgotten)
    assert remote.state is RemoteState.DONE
    never = contract.make(there)
    assert await fault_of(there.provider.refund(contract.refund_of(there, never, 1_00), never)) == ("unknown", True)


async def test_pay_outs_wait_for_the_tester_who_holds_them(there: There) -> None:
    await asyncio.to_thread(lambda: there.sandbox.trouble(hold_pay_outs=True))
    orders = [contract.make(there, OrderKind.PAY_OUT, destination=there.destination()) for _ in range(2)]
    remotes = [await there.provider.pay_out(order) for order in orders]
    assert [remote.state for remote in remotes] == [RemoteState.PENDING] * 2
    await asyncio.to_thread(there.sandbox.finish, remotes[0].reference)
    await asyncio.to_thread(there.sandbox.finish, remotes[1].reference, "account_closed")
    found = [await contract.found(there, order) for order in orders]
    assert [(one.state, one.fault) for one in found] == [
        (RemoteState.DONE, None),
        (RemoteState.FAILED, "account_closed"),
    ]


async def test_our_wrong_key_is_nobodys_refusal(there: There) -> None:
    stranger = Sandbox(there.sandbox.url, api_key="wrong", webhook_secret="wrong")
    order = contract.make(there)
    assert await fault_of(stranger.charge(order, contract.BACK, "en")) == ("credentials", False)
    assert await fault_of(stranger.find(order)) == ("credentials", False)
    await stranger.close()


async def test_nobody_there_and_an_answer_too_late_leave_it_open(there: There) -> None:
    listening, port = bind_unused_port()
    listening.close()
    nobody = Sandbox(f"http://127.0.0.1:{port}", api_key="any", webhook_secret="any")
    order = contract.make(there)
    assert await fault_of(nobody.charge(order, contract.BACK, "en")) == ("down", False)
    await nobody.close()
    hasty = there.sandbox.provider(within=0.3)
    await asyncio.to_thread(lambda: there.sandbox.trouble(outage="slow"))
    assert await fault_of(hasty.charge(order, contract.BACK, "en")) == ("timeout", False)
    await asyncio.to_thread(there.sandbox.calm)
    assert (await contract.found(there, order)).state is RemoteState.OPEN  # it was done all the same
    await hasty.close()


class Liar(RequestHandler):
    """Answers what is none of the platform's."""

    def initialize(self, answers: list[tuple[int, bytes]]) -> None:
        self._answers = answers

    def post(self, *_: str) -> None:
        status, body = self._answers.pop(0)
        self.set_status(status)
        self.finish(body)


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (200, b"", "garbled"),
        (200, b"<html>", "garbled"),
        (200, b'{"id": "ch_1"}', "garbled"),
        (404, b"<html>Not here</html>", "down"),
        (422, b"\xff", "down"),
        (422, b'{"error": {"code": "of_tomorrow"}}', "down"),
        (500, b'{"error": {"code": "over_refund"}}', "down"),
        (502, b"", "down"),
        (302, b"", "down"),
    ],
)
async def test_what_no_platform_says_decides_nothing(there: There, status: int, body: bytes, code: str) -> None:
    server = HTTPServer(Application([("/(.*)", Liar, {"answers": [(status, body)]})]))
    listening, port = bind_unused_port()
    server.add_socket(listening)
    asked = Sandbox(f"http://127.0.0.1:{port}", api_key="any", webhook_secret="any")
    assert await fault_of(asked.charge(contract.make(there), contract.BACK, "en")) == (code, False)
    await asked.close()
    server.stop()
    await server.close_all_connections()


async def test_another_orders_answer_is_not_taken_for_ours(there: There) -> None:
    order, _ = await contract.opened(there)
    body = there.sandbox.ask("GET", f"/v1/charges?order={order.id}").json()["items"][0]
    server = HTTPServer(Application([("/(.*)", Liar, {"answers": [(200, msgspec.json.encode(body))]})]))
    listening, port = bind_unused_port()
    server.add_socket(listening)
    asked = Sandbox(f"http://127.0.0.1:{port}", api_key="any", webhook_secret="any")
    assert await fault_of(asked.charge(contract.make(there), contract.BACK, "en")) == ("garbled", False)
    await asked.close()
    server.stop()
    await server.close_all_connections()


@pytest.mark.parametrize("currency", list(Currency))
async def test_its_terms_are_those_of_the_platform(there: There, currency: Currency) -> None:
    least, most = there.provider.terms.charges[currency]
    for amount in (least, most):
        order = contract.make(there, amount=amount, currency=currency)
        assert (await there.provider.charge(order, contract.BACK, "en")).state is RemoteState.OPEN
    for amount in (least - 1, most + 1):
        order = contract.make(there, amount=amount, currency=currency)
        _, certain = await fault_of(there.provider.charge(order, contract.BACK, "en"))
        assert certain
    assert DECIMALS[currency] in (0, 2)


async def test_a_list_longer_than_a_page_is_whole(there: There) -> None:
    since = datetime.now(UTC) - timedelta(milliseconds=1)
    orders = [contract.make(there, OrderKind.PAY_OUT, 1_00, destination=there.destination()) for _ in range(205)]
    for order in orders:
        await there.provider.pay_out(order)
    until = datetime.now(UTC) + timedelta(seconds=1)
    listed = [one.order async for one in there.provider.everything(OrderKind.PAY_OUT, since, until)]
    assert listed == [order.id for order in orders]


async def test_old_and_future_notices_are_forged(there: There) -> None:
    await contract.paid(there)
    sent = (await there.notices())[0]
    now = datetime.now(UTC)
    assert there.provider.read_notice(sent.headers, sent.body, now) is not None
    for seconds in (-NOTICE_SECONDS - 60, NOTICE_SECONDS + 60):
        with pytest.raises(Forged):
            there.provider.read_notice(sent.headers, sent.body, now + timedelta(seconds=seconds))
    stranger = Sandbox(there.sandbox.url, api_key="any", webhook_secret="another")
    with pytest.raises(Forged):
        stranger.read_notice(sent.headers, sent.body, now)
