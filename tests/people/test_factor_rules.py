"""Codes, counters, facts, hosts: pure, mostly by properties."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import Code, VouchError
from server.people import factor_rules as rules
from server.people.factor_model import Factor, FactorKind, Method, Purpose

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
NOW = datetime(2026, 11, 22, 12, 0, 10, tzinfo=UTC)
moments = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))


@given(moments)
def test_the_code_of_now_and_of_a_step_before_or_after_is_right(at: datetime) -> None:
    step = rules.step_of(at)
    for offset in (-1, 0, 1):
        code = pyotp.TOTP(SECRET).at(at, counter_offset=offset)
        found = rules.matching_step(SECRET, code, at, 0)
        assert found is not None
        assert pyotp.TOTP(SECRET).generate_otp(found) == code
        assert abs(found - step) <= 1


@given(moments)
def test_a_code_is_never_right_twice(at: datetime) -> None:
    code = pyotp.TOTP(SECRET).at(at)
    used = rules.matching_step(SECRET, code, at, 0)
    assert used is not None
    for later in range(3):
        found = rules.matching_step(SECRET, code, at + timedelta(seconds=30 * later), used)
        assert found is None or pyotp.TOTP(SECRET).generate_otp(found) == code  # the next step has the same by chance
        assert found != used


def test_older_and_other_codes_are_wrong() -> None:
    totp = pyotp.TOTP(SECRET)
    for wrong in (
        totp.at(NOW, counter_offset=-2),
        totp.at(NOW, counter_offset=2),
        pyotp.TOTP("KRSXG5CTMVRXEZLUKRSXG5CTMVRXEZLU").at(NOW),
        "",
        "000000 ",
    ):
        assert rules.matching_step(SECRET, wrong, NOW, 0) is None


@pytest.mark.parametrize(
    ("typed", "plain"),
    [
        ("123456", "123456"),
        (" 123 456 ", "123456"),
        ("123-456", "123456"),
        ("１２３４５６", "123456"),
        ("12345", ""),
        ("1234567", ""),
        ("12345a", ""),
        ("١٢٣٤٥٦", ""),
        ("", ""),
    ],
)
def test_codes_as_people_type_them(typed: str, plain: str) -> None:
    assert rules.plain_code(typed) == plain


def test_recovery_codes_are_read_however_they_are_typed() -> None:
    codes = rules.fresh_recovery_codes()
    assert len(set(codes)) == rules.RECOVERY_CODES
    for code in codes:
        kept = rules.recovery_hash(code, "p_1")
        for typed in (code.upper(), code.replace("-", ""), code.replace("-", " "), code.replace("0", "O"), f" {code} "):
            assert rules.recovery_hash(typed, "p_1") == kept
        assert rules.recovery_hash(code, "p_2") != kept
        assert rules.recovery_hash(code[:-1] + ("y" if code[-1] != "y" else "z"), "p_1") != kept


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_a_counter_rises_or_was_never_there(kept: int, seen: int) -> None:
    assert rules.counter_goes_on(kept, seen) is (seen > kept or kept == seen == 0)


facts = st.dictionaries(st.text(max_size=6), st.text(max_size=6) | st.integers(0, 2**53 - 1), max_size=4)


@given(facts, facts)
def test_other_facts_have_another_digest(one: dict[str, str | int], other: dict[str, str | int]) -> None:
    same = one == other
    for key in (b"k" * 32, b"another key of 32 bytes ........"):
        digests = [rules.facts_digest(key, Purpose.PAY_OUT, each) for each in (one, other)]
        assert (digests[0] == digests[1]) is same
    assert rules.facts_digest(b"k", Purpose.PAY_OUT, one) != rules.facts_digest(b"k", Purpose.PAYOUT_ACCOUNT, one)


def test_the_order_of_facts_is_nothing_and_a_number_is_no_text() -> None:
    digest = rules.facts_digest(b"k", Purpose.PAY_OUT, {"amount": 100, "currency": "CNY"})
    assert digest == rules.facts_digest(b"k", Purpose.PAY_OUT, {"currency": "CNY", "amount": 100})
    assert digest != rules.facts_digest(b"k", Purpose.PAY_OUT, {"currency": "CNY", "amount": "100"})


def test_a_purpose_has_exactly_its_facts() -> None:
    whole: dict[str, str | int] = {"account": "b_1", "amount": 1, "currency": "CNY"}
    rules.check_facts(Purpose.PAY_OUT, whole)
    for wrong in ({}, {**whole, "more": 1}, {"account": "b_1"}, {"action": "add", "what": ""}):
        with pytest.raises(VouchError) as refusal:
            rules.check_facts(Purpose.PAY_OUT, wrong)
        assert (refusal.value.code, refusal.value.field) == (Code.BAD_REQUEST, "facts")


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://vouch.example", "vouch.example"),
        ("https://Vouch.Example:8443", "vouch.example"),
        ("http://localhost:8080", "localhost"),
        ("http://vouch.localhost:8080", "vouch.localhost"),
        ("http://vouch.example", None),
        ("http://127.0.0.1:8080", None),
        ("https://127.0.0.1:8080", None),
        ("https://[::1]:8080", None),
        ("null", None),
        ("", None),
    ],
)
def test_passkeys_belong_to_a_name_over_https_or_to_localhost(origin: str, host: str | None) -> None:
    assert rules.passkey_host(origin) == host


def test_recovery_codes_prove_nothing_about_money() -> None:
    totp = Factor(id="f_1", person="p", kind=FactorKind.TOTP, name="app", created_at=NOW)
    key = Factor(id="f_2", person="p", kind=FactorKind.PASSKEY, name="key", created_at=NOW, host="vouch.example")
    copied = Factor(id="f_3", person="p", kind=FactorKind.PASSKEY, name="k", created_at=NOW, host="a.b", copied=True)
    every = [totp, key, copied]
    assert rules.methods(every, 10, Purpose.PAY_OUT, "vouch.example") == [Method.PASSKEY, Method.TOTP]
    assert rules.methods(every, 10, Purpose.FACTOR, "vouch.example")[-1] is Method.RECOVERY
    assert rules.methods(every, 0, Purpose.FACTOR, None) == [Method.TOTP]
    assert rules.methods([copied], 0, Purpose.FACTOR, "a.b") == []
