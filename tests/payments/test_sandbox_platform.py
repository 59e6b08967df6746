"""The platform itself, as strict as a bank: asked over the wire, in its own process."""

from __future__ import annotations

import secrets
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.payments.sandbox_process import Answer, SandboxProcess, sandbox, sandbox_process

__all__ = ["sandbox", "sandbox_process"]

BACK = "http://127.0.0.1:1/wallet"


def name() -> str:
    return f"y_{secrets.token_hex(10)}"


def wanted(order: str, amount: int = 10_00, **more: Any) -> dict[str, Any]:
    return {"order": order, "amount": amount, "currency": "CNY", "return_url": BACK} | more


def opened(sandbox: SandboxProcess, amount: int = 10_00, **more: Any) -> dict[str, Any]:
    order = name()
    answer = sandbox.ask("POST", "/v1/charges", wanted(order, amount, **more), key=order)
    assert answer.status == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def paid(sandbox: SandboxProcess, amount: int = 10_00) -> dict[str, Any]:
    made = opened(sandbox, amount)
    sandbox.pay(made["url"])
    return now(sandbox, made)


def now(sandbox: SandboxProcess, made: dict[str, Any]) -> dict[str, Any]:
    kind = {"charge": "charges", "refund": "refunds", "pay_out": "pay-outs"}[made["kind"]]
    found: dict[str, Any] = sandbox.ask("GET", f"/v1/{kind}/{made['id']}").json()
    return found


def refund(sandbox: SandboxProcess, charge: dict[str, Any], amount: int, key: str = "") -> Answer:
    order = key or name()
    asked = {"order": order, "charge": charge["id"], "amount": amount, "currency": "CNY"}
    return sandbox.ask("POST", "/v1/refunds", asked, key=order)


def code(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json()["error"]["code"]


def eventually(true: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# ── Keys ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_key_with_other_content_is_a_conflict_and_changes_nothing(sandbox: SandboxProcess) -> None:
    made = opened(sandbox)
    key = made["order"]
    for other in (wanted(key, 10_01), wanted(key, currency="EUR"), wanted(key, return_url=BACK + "/x")):
        assert code(sandbox.ask("POST", "/v1/charges", other, key=key)) == (409, "idempotency_conflict")
    assert now(sandbox, made) == made
    pay_out = {"order": key, "amount": 10_00, "currency": "CNY", "destination": {"number": "1"}}
    assert code(sandbox.ask("POST", "/v1/pay-outs", pay_out, key=key)) == (409, "idempotency_conflict")


def test_an_order_is_asked_for_under_one_key(sandbox: SandboxProcess) -> None:
    made = opened(sandbox)
    again = sandbox.ask("POST", "/v1/charges", wanted(made["order"]), key=name())
    assert code(again) == (409, "order_exists")


def test_the_same_content_written_otherwise_is_the_same(sandbox: SandboxProcess) -> None:
    order = name()
    first = sandbox.ask("POST", "/v1/charges", wanted(order), key=order)
    backwards = msgspec.json.format(msgspec.json.encode(dict(reversed(wanted(order).items()))), indent=3)
    assert sandbox.ask("POST", "/v1/charges", backwards, key=order).json() == first.json()


def test_a_key_is_needed_and_of_bounded_length(sandbox: SandboxProcess) -> None:
    assert code(sandbox.ask("POST", "/v1/charges", wanted(name()))) == (400, "bad_request")
    assert code(sandbox.ask("POST", "/v1/charges", wanted(name()), key="k" * 201)) == (400, "bad_request")


# ── Strictness ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_fifty_refunds_at_once_give_back_what_was_paid_and_not_more(sandbox: SandboxProcess) -> None:
    charge = paid(sandbox, 10_00)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: refund(sandbox, charge, 70), range(50)))
    done = [answer for answer in answers if answer.status == 200]
    assert len(done) == 14  # 14 × 70 = 980
    assert {code(answer) for answer in answers if answer.status != 200} == {(422, "over_refund")}
    assert now(sandbox, charge)["refunded"] == 9_80


def test_one_refund_asked_twenty_times_at_once_is_one(sandbox: SandboxProcess) -> None:
    charge = paid(sandbox)
    key = name()
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: refund(sandbox, charge, 3_00, key), range(20)))
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert now(sandbox, charge)["refunded"] == 3_00


def test_a_button_pressed_twenty_times_at_once_pays_once(sandbox: SandboxProcess) -> None:
    made = opened(sandbox)
    before = len(told(sandbox, made))
    browser = sandbox.browser()
    page = browser.ask("GET", made["url"])
    token = page.text.partition('name="_xsrf" value="')[2].partition('"')[0]
    path = made["url"].removeprefix(sandbox.url)
    fields = {"_xsrf": token, "act": "pay", "purse": "full"}
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: browser.submit(made["url"], fields, path), range(20)))
    assert {(answer.status, answer.headers["location"]) for answer in answers} == {(303, BACK)}
    assert now(sandbox, made)["state"] == "done"
    assert len(told(sandbox, made)) == before + 1


def told(sandbox: SandboxProcess, made: dict[str, Any]) -> list[dict[str, Any]]:
    return [notice for notice in sandbox.notices() if notice["order"] == made["order"]]


def test_paying_and_calling_off_at_once_come_to_one_end(sandbox: SandboxProcess) -> None:
    for _ in range(5):
        made = opened(sandbox)
        off = {name: made[name] for name in ("order", "amount", "currency")}
        with ThreadPoolExecutor(2) as pool:
            paying = pool.submit(sandbox.browser().press, made["url"], act="pay", purse="full")
            calling = pool.submit(sandbox.ask, "POST", "/v1/charges/cancel", off)
            told_off = calling.result().json()["state"]
            with suppress(AssertionError):  # the page said that it was called off, and had no button any more
                paying.result()
        assert now(sandbox, made)["state"] == told_off
        assert told_off in ("done", "cancelled")


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"amount": 0}, "bad_request"),
        ({"amount": -5}, "bad_request"),
        ({"amount": 10.0}, "bad_request"),
        ({"amount": "1000"}, "bad_request"),
        ({"amount": True}, "bad_request"),
        ({"amount": None}, "bad_request"),
        ({"amount": 2**53}, "bad_request"),
        ({"amount": 10**30}, "bad_request"),
        ({"amount": 5_000_001}, "amount_limit"),
        ({"currency": "cny"}, "bad_request"),
        ({"currency": "XXX"}, "bad_request"),
        ({"order": ""}, "bad_request"),
        ({"order": "a b"}, "bad_request"),
        ({"order": "y_1\n"}, "bad_request"),
        ({"return_url": "javascript:alert(1)"}, "bad_request"),
        ({"description": "x" * 141}, "bad_request"),
        ({"open_for": 0}, "bad_request"),
        ({"open_for": 86_401}, "bad_request"),
        ({"surprise": 1}, "bad_request"),
    ],
)
def test_what_is_not_well_formed_is_refused(sandbox: SandboxProcess, change: dict[str, Any], refusal: str) -> None:
    order = name()
    answer = sandbox.ask("POST", "/v1/charges", wanted(order) | change, key=order)
    assert answer.json()["error"]["code"] == refusal
    assert sandbox.ask("GET", f"/v1/charges?order={order}").json()["items"] == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b'{"amount": NaN}', b"[" * 5_000])
def test_what_is_no_json_is_refused(sandbox: SandboxProcess, body: bytes) -> None:
    assert code(sandbox.ask("POST", "/v1/charges", body, key=name())) == (400, "bad_request")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/charges"), ("POST", "/v1/refunds"), ("GET", "/v1/tester/troubles")]
)
def test_nobody_gets_in_without_a_key(sandbox: SandboxProcess, method: str, path: str) -> None:
    body = b"{}" if method == "POST" else None
    wrong = {"Authorization": f"Bearer {sandbox.console_word if 'tester' not in path else sandbox.api_key}"}
    for headers in ({}, wrong, {"Authorization": "Bearer "}, {"Authorization": "Bearer \u00e9"}):
        answer = sandbox.browser().ask(method, sandbox.url + path, body, headers)
        assert code(answer) == (401, "credentials")


def test_what_there_is_not_is_told_as_that(sandbox: SandboxProcess) -> None:
    assert code(sandbox.ask("GET", "/v1/charges/ch_000000000000000000000000")) == (404, "unknown")
    assert code(sandbox.ask("GET", "/v1/nothing")) == (404, "unknown")
    assert code(sandbox.ask("DELETE", "/v1/charges")) == (405, "wrong_method")
    assert code(sandbox.ask("GET", "/v1/charges?since=never")) == (400, "bad_request")
    pay_out = sandbox.ask("GET", f"/v1/refunds/{opened(sandbox)['id']}")
    assert code(pay_out) == (404, "unknown")


# ── What lasts ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_killed_in_the_midst_of_refunds_it_keeps_what_it_said(tmp_path: Path) -> None:
    with SandboxProcess(tmp_path / "sandbox") as sandbox:
        charge = paid(sandbox, 100_00)
        waiting = opened(sandbox)
        keys = [name() for _ in range(30)]
        said: dict[str, str] = {}

        def ask(key: str) -> None:
            with suppress(OSError):  # it was killed before it answered
                said[key] = refund(sandbox, charge, 1_00, key).json()["id"]

        with ThreadPoolExecutor(4) as pool:
            asking = [pool.submit(ask, key) for key in keys]
            eventually(lambda: len(said) >= 8)
            sandbox.kill()
            for one in asking:
                one.result()
        url = sandbox.url
        sandbox.start()
        assert sandbox.url == url  # open pages find it again
        assert now(sandbox, waiting) == waiting
        kept = {item["order"]: item["id"] for item in sandbox.ask("GET", "/v1/refunds").json()["items"]}
        assert said.items() <= kept.items()
        assert now(sandbox, charge)["refunded"] == 1_00 * len(kept)
        for key in keys:  # whoever got no answer asks again
            assert refund(sandbox, charge, 1_00, key).status == 200
        assert now(sandbox, charge)["refunded"] == 30_00
        assert sandbox.stop() == 0


def test_its_files_are_its_own(tmp_path: Path) -> None:
    with SandboxProcess(tmp_path / "sandbox") as sandbox:
        data = sandbox.directory / "data"
        assert data.stat().st_mode & 0o77 == 0
        assert (data / "book.sqlite").stat().st_mode & 0o77 == 0
        opened(sandbox)
        assert sandbox.api_key not in sandbox.log


def test_a_taken_port_is_told_in_one_line(sandbox: SandboxProcess, tmp_path: Path) -> None:
    second = SandboxProcess(tmp_path / "sandbox", "--port", sandbox.url.rpartition(":")[2])
    with pytest.raises(AssertionError, match=r"^port \d+ is taken"):
        second.start()


def test_a_signal_ends_it_with_status_0(tmp_path: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        with SandboxProcess(tmp_path / number.name) as sandbox:
            assert sandbox.stop(number) == 0
