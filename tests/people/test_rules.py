"""Proper handles, names, passwords, phones, birth dates (R-01): pure, mostly by properties."""

from __future__ import annotations

import unicodedata
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from server.errors import Code, VouchError
from server.people import rules
from tests.attempts import attempt

TODAY = date(2026, 11, 22)


def refused(field: str, code: Code = Code.BAD_REQUEST) -> pytest.RaisesExc[VouchError]:
    return pytest.RaisesExc(VouchError, check=lambda error: error.code is code and error.field == field)


# ── Handles ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.from_regex(rules.HANDLE, fullmatch=True))
def test_a_proper_handle_stays(text: str) -> None:
    assert rules.handle(text) == text
    assert rules.handle(f"  {text.upper()} ") == text


@given(st.text())
@example("ﬀoo")  # a ligature folds to letters
@example("İstanbul")
def test_any_text_is_folded_to_a_handle_or_refused(text: str) -> None:
    folded = attempt(lambda: rules.handle(text))
    if isinstance(folded, VouchError):
        assert (folded.code, folded.field) == (Code.BAD_REQUEST, "handle")
    else:
        assert rules.HANDLE.fullmatch(folded)
        assert rules.handle(folded) == folded


@pytest.mark.parametrize("text", ["ab", "1abc", "_abc", "a b", "林小明", "a" * 33, "", "abc\n", "a-b-c", "аbc"])
def test_improper_handles(text: str) -> None:
    if text.strip() == "abc":
        assert rules.handle(text) == "abc"
    else:
        with refused("handle"):
            rules.handle(text)


# ── Passwords ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text",
    ["short77", "x" * 257, "password", "PassWord", "12345678", "iloveyou", "woaini1314", "aaaaaaaaaaaa", "linlinlin"],
)
def test_passwords_that_are_tried_first_are_refused(text: str) -> None:
    with refused("password"):
        rules.password(text, "linlinlin")


@given(st.text(min_size=8, max_size=64))
def test_a_password_does_not_depend_on_how_the_keyboard_composes(text: str) -> None:
    decomposed = unicodedata.normalize("NFD", text)
    assert rules.normal_password(text) == rules.normal_password(decomposed)


def test_spaces_and_any_script_make_a_password() -> None:
    assert rules.password("  纸和印章 是红的 ") == "  纸和印章 是红的 "


def test_about_a_thousand_passwords_are_known() -> None:
    assert len(rules.common_passwords()) > 1000
    assert all(len(word) >= rules.PASSWORD_SHORTEST for word in rules.common_passwords())


# ── Names and words ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("Zoë", 3),
        ("Zoe\u0308", 3),
        ("林小明", 3),
        ("👩‍👩‍👧‍👦", 1),
        ("👋🏽", 1),
        ("🇨🇳🇬🇧", 2),
        ("नमस्ते", 4),
        ("한국", 2),
        ("\u1112\u1161\u11ab", 1),
        ("❤️", 1),
    ],
)
def test_characters_are_counted_as_a_reader_does(text: str, count: int) -> None:
    assert rules.characters(text) == count


@given(st.text(max_size=80))
def test_any_text_is_a_name_or_refused(text: str) -> None:
    name = attempt(lambda: rules.name(text))
    if isinstance(name, VouchError):
        assert (name.code, name.field) == (Code.BAD_REQUEST, "name")
    else:
        assert 1 <= rules.characters(name) <= rules.NAME_LONGEST
        assert name == unicodedata.normalize("NFC", name)
        assert rules.name(name) == name
        assert not any(unicodedata.category(c) in ("Cc", "Cs") for c in name)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "\u3164",
        "\u200d",
        "evil\u202egnp.exe",
        "a\u2066b",
        "a\u200eb",
        "nul\x00",
        "bell\x07",
        "x" * 61,
        "Z" + "\u0301" * 40,
        "\ud800",
        "\ue000",
        "tag\U000e0041",
    ],
)
def test_names_that_disguise_are_refused(text: str) -> None:
    with refused("name"):
        rules.name(text)


def test_a_name_is_one_line() -> None:
    assert rules.name("  Ana\t María\n  Núñez ") == "Ana María Núñez"


@pytest.mark.parametrize("text", ["علی‌رضا", "👨‍👩‍👧", "x" * 60, "林" * 60])
def test_names_of_all_scripts_pass(text: str) -> None:
    assert rules.name(text) == text


def test_words_keep_lines_and_have_a_limit() -> None:
    assert rules.words(" one\r\ntwo\u2028three ", 20, field="introduction") == "one\ntwo\nthree"
    assert rules.words("", 20, field="introduction") == ""
    with refused("introduction"):
        rules.words("x" * 21, 20, field="introduction")
    with refused("note"):
        rules.words("a\u202eb", 20, field="note")


# ── Phone numbers ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text",
    [
        "13800138000",
        "138 0013 8000",
        "+86 138-0013-8000",
        "+8613800138000",
        "008613800138000",
        "１３８００１３８０００",
        "＋８６１３８００１３８０００",
        "(138)00138000",
    ],
)
def test_all_forms_of_a_chinese_number_are_one(text: str) -> None:
    assert rules.phone(text) == "+8613800138000"
    assert rules.looks_like_phone(text)


def test_other_countries_need_their_code() -> None:
    assert rules.phone("+44 20 7946 0958") == "+442079460958"
    assert rules.phone("+1 (650) 253-0000") == "+16502530000"


@given(st.text(max_size=60))
@example("+86" + "1" * 30)
@example("+8613800138000;ext=12")
def test_any_text_is_a_number_or_refused(text: str) -> None:
    number = attempt(lambda: rules.phone(text))
    if isinstance(number, VouchError):
        assert (number.code, number.field) == (Code.BAD_REQUEST, "phone")
    else:
        assert number.startswith("+")
        assert number[1:].isascii()
        assert number[1:].isdigit()
        assert rules.phone(number) == number


@given(st.from_regex(rules.HANDLE, fullmatch=True))
def test_no_handle_looks_like_a_phone(handle: str) -> None:
    assert not rules.looks_like_phone(handle)


# ── Birth dates and minors ──────────────────────────────────────────────────────────────────────────────────────────


@given(st.dates(min_value=date(1897, 1, 1), max_value=TODAY))
def test_birth_dates_of_the_past_130_years(born: date) -> None:
    assert rules.birth_date(born.isoformat(), TODAY) == born


@pytest.mark.parametrize(
    "text", ["", "2026-11-23", "1895-11-21", "2026-02-30", "20100101", "2010-1-1", "22.11.2010", "２０１０-０１-０１"]
)
def test_other_birth_dates_are_refused(text: str) -> None:
    with refused("birth_date"):
        rules.birth_date(text, TODAY)


def test_somebody_comes_of_age_at_midnight_where_they_are() -> None:
    born = date(2008, 11, 22)
    at = datetime(2026, 11, 21, 16, 30, tzinfo=UTC)  # 00:30 on the 22nd in Shanghai
    assert not rules.is_minor(born, at, "Asia/Shanghai")
    assert rules.is_minor(born, at, "Europe/London")
    assert not rules.is_minor(None, at, "Asia/Shanghai")


@given(st.dates(min_value=date(1900, 1, 1), max_value=date(2100, 1, 1)), st.integers(0, 40_000))
def test_years_only_grow(born: date, days: int) -> None:
    later = born + timedelta(days=days)
    years = rules.years_between(born, later)
    assert 0 <= years <= rules.years_between(born, later + timedelta(days=1)) <= years + 1


def test_born_on_29_february() -> None:
    assert rules.years_between(date(2008, 2, 29), date(2026, 2, 28)) == 17
    assert rules.years_between(date(2008, 2, 29), date(2026, 3, 1)) == 18


def test_time_zones() -> None:
    assert rules.time_zone("Asia/Shanghai") == "Asia/Shanghai"
    for text in ("Asia/Nowhere", "", "../etc/passwd", "asia/shanghai "):
        with refused("time_zone"):
            rules.time_zone(text)
