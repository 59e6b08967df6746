from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.payments.sandbox import rules
from server.payments.sandbox.model import Currency, Kind, Movement, Refusal, RefusalCode, State, Troubles
from server.payments.sandbox.words import CHINESE, ENGLISH, words


def charge(amount: int = 10_00, refunded: int = 0, disputed: int = 0, state: State = State.DONE) -> Movement:
    return Movement(
        id="ch_1",
        kind=Kind.CHARGE,
        order="y_1",
        state=state,
        amount=amount,
        currency=Currency.CNY,
        refunded=refunded,
        disputed=disputed,
        created_at=0,
        changed_at=0,
    )


@given(st.integers(1, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 10**6))
def test_never_more_goes_back_than_was_paid(amount: int, refunded: int, disputed: int, asked: int) -> None:
    before = charge(amount, min(refunded, amount), min(disputed, amount - min(refunded, amount)))
    if asked <= before.left:
        rules.check_refund(before, asked, Currency.CNY)
        assert before.refunded + before.disputed + asked <= amount
    else:
        with pytest.raises(Refusal) as caught:
            rules.check_refund(before, asked, Currency.CNY)
        assert caught.value.code is RefusalCode.OVER_REFUND


@pytest.mark.parametrize("state", [state for state in State if state is not State.DONE])
def test_what_was_not_paid_does_not_go_back(state: State) -> None:
    with pytest.raises(Refusal) as caught:
        rules.check_refund(charge(state=state), 1, Currency.CNY)
    assert caught.value.code is RefusalCode.NOT_PAID


def test_another_currency_does_not_go_back() -> None:
    with pytest.raises(Refusal) as caught:
        rules.check_refund(charge(), 1, Currency.EUR)
    assert caught.value.code is RefusalCode.CURRENCY


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/wallet",
        "javascript:alert(1)",
        "data:text/html,x",
        "ftp://host/",
        "http://",
        "http://user@host/",
        "http://host;script-src *",
        "http://host;script-src/x",
        "http://host,other/x",
        "http://host:port/",
        "http://host/a b",
        "http://host/\r\nSet-Cookie: a=b",
        "http://host/\u00e9",
        "http://[::1/",
    ],
)
def test_no_browser_is_sent_to_what_is_no_page(url: str) -> None:
    with pytest.raises(Refusal):
        rules.check_return_url(url)


@pytest.mark.parametrize(
    ("back", "page"),
    [
        ("http://127.0.0.1:8080/wallet", "http://127.0.0.1:9"),
        ("https://vouch.local/wallet?a=b#c", "http://vouch.local:9"),
        ("http://[fd00::5]:8080/", "http://[fd00::5]:9"),
        ("http://192.168.1.20/", "http://192.168.1.20:9"),
    ],
)
def test_the_page_is_on_the_host_of_the_merchant(back: str, page: str) -> None:
    rules.check_return_url(back)
    assert rules.page_origin(back, "http", 9) == page


@given(st.text(min_size=1), st.integers(0, 10**10), st.binary())
def test_a_signature_is_over_time_and_body(secret: str, at: int, body: bytes) -> None:
    time, _, made = rules.signature(secret, at, body).partition(",v1=")
    assert time == f"t={at}"
    assert made == hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()


def test_notices_are_delayed_doubled_reordered_and_lost_as_asked() -> None:
    assert rules.deliveries(Troubles(), 1) == ((0,), Troubles())
    assert rules.deliveries(Troubles(delay=1.5, copies=2), 1)[0] == (1_500, 1_500)
    first, second = (rules.deliveries(Troubles(reorder=True), number)[0][0] for number in (1, 2))
    assert first > second
    assert rules.deliveries(Troubles(lose=2), 1) == ((), Troubles(lose=1))


@given(st.integers(1, rules.MOST_TRIES), st.integers(1, 10_000))
def test_pauses_grow_and_end_at_five_minutes(tries: int, first: int) -> None:
    assert rules.pause(tries, first) <= rules.pause(tries + 1, first) <= 300_000
    assert rules.pause(1, first) == first


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (1, Currency.CNY, "¥0.01"),
        (123_456_78, Currency.CNY, "¥123,456.78"),
        (500, Currency.JPY, "JP¥500"),
        (5_00, Currency.EUR, "€5.00"),
    ],
)
def test_amounts_are_spelled_as_people_read_them(amount: int, currency: Currency, text: str) -> None:
    assert rules.spelled(amount, currency) == text


def test_both_languages_say_the_same_things() -> None:
    assert ENGLISH.keys() == CHINESE.keys()
    assert all(english.count("{}") == CHINESE[key].count("{}") for key, english in ENGLISH.items())


@pytest.mark.parametrize(
    ("wishes", "lang"),
    [
        (("", "zh-CN", "en"), "zh-CN"),
        (("", "", "zh-TW,en;q=0.5"), "zh-CN"),
        (("", "fr", "de,en-GB;q=0.7,zh;q=0.1"), "en"),
        (("", "", ""), "en"),
    ],
)
def test_a_page_speaks_the_first_language_it_can(wishes: tuple[str, ...], lang: str) -> None:
    assert words(*wishes)["lang"] == lang
