"""How much may be moved: limits by day and month where the person is, four eyes, cooling, and numbers of accounts."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import Code, VouchError
from server.money.model import Currency
from server.payments.model import OrderKind
from server.wallet import destinations, rules
from server.wallet.model import Standing
from server.wallet.rules import BOUNDS, Bounds, Spent

ZONES = (
    "Asia/Shanghai",
    "Europe/London",
    "America/New_York",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
    "Australia/Lord_Howe",
)
LIMITS = Bounds(single=50, day=100, month=300, four_eyes=40)

amounts = st.integers(1, 120)
moments = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)).map(lambda at: at.replace(tzinfo=UTC))


class Tracker:
    """What the rules have let through, kept as the service keeps it."""

    def __init__(self) -> None:
        self.spent: Spent | None = None
        self.moved: list[tuple[date, int]] = []

    def move(self, at: datetime, zone: str, amount: int) -> bool:
        spent = rules.turned(self.spent, rules.day_of(at, zone))
        try:
            self.spent = rules.admitted(spent, LIMITS, amount)
        except VouchError:
            return False
        self.moved.append((spent.day, amount))
        return True

    def sum_of(self, day: date) -> int:
        return sum(amount for on, amount in self.moved if on == day)

    def sum_of_month(self, day: date) -> int:
        return sum(amount for on, amount in self.moved if (on.year, on.month) == (day.year, day.month))


@given(st.lists(st.tuples(moments, amounts), max_size=60), st.sampled_from(ZONES))
def test_no_day_and_no_month_has_more_than_its_limit(moves: list[tuple[datetime, int]], zone: str) -> None:
    tracker = Tracker()
    for at, amount in sorted(moves):
        day = rules.day_of(at, zone)
        had, had_in_month = tracker.sum_of(day), tracker.sum_of_month(day)
        fits = amount <= LIMITS.single and had + amount <= LIMITS.day and had_in_month + amount <= LIMITS.month
        assert tracker.move(at, zone, amount) == fits


@given(st.lists(st.tuples(st.integers(0, 72), st.sampled_from(ZONES), amounts), max_size=60))
def test_changing_time_zones_to_and_fro_wins_hours_and_never_days(moves: list[tuple[int, str, int]]) -> None:
    """In three days and one hour at most five calendar days begin, wherever one says that one is."""
    start = datetime(2026, 3, 27, tzinfo=UTC)
    tracker = Tracker()
    for hours, zone, amount in sorted(moves, key=lambda move: move[0]):
        tracker.move(start + timedelta(hours=hours), zone, amount)
    days = {day for day, _ in tracker.moved}
    assert len(days) <= 5
    assert all(tracker.sum_of(day) <= LIMITS.day for day in days)
    assert tracker.moved == sorted(tracker.moved, key=lambda move: move[0]), "days only go forward"


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/London", date(2026, 3, 29), 23),
        ("Europe/London", date(2026, 10, 25), 25),
        ("America/New_York", date(2026, 3, 8), 23),
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
        ("Asia/Shanghai", date(2026, 3, 29), 24),
    ],
)
def test_a_day_on_which_clocks_change_is_one_day(zone: str, day: date, hours: float) -> None:
    at = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    length, step = timedelta(hours=hours), timedelta(minutes=30)
    assert rules.day_of(at - timedelta(milliseconds=1), zone) == day - timedelta(days=1)
    tracker, moment = Tracker(), at
    while moment < at + length:
        assert rules.day_of(moment, zone) == day
        tracker.move(moment, zone, 3)
        moment += step
    assert tracker.sum_of(day) == 99
    assert rules.day_of(at + length, zone) == day + timedelta(days=1)
    assert tracker.move(at + length, zone, 50)


@given(st.lists(st.tuples(amounts, st.booleans()), max_size=40))
def test_what_does_not_come_to_pass_leaves_no_trace(moves: list[tuple[int, bool]]) -> None:
    day = date(2026, 11, 22)
    spent, kept = Spent(day), 0
    wide = Bounds(single=1_000, day=10_000, month=10_000)
    for amount, _ in moves:
        spent = rules.admitted(spent, wide, amount)
    for amount, comes in moves:
        if comes:
            kept += amount
        else:
            spent = rules.given_back(spent, day, amount)
    assert spent == Spent(day, kept, kept)


def test_what_is_given_back_later_belongs_to_the_day_on_which_it_was_counted() -> None:
    day = date(2026, 11, 29)
    spent = rules.turned(Spent(day, 30, 70), day + timedelta(days=1))
    assert rules.given_back(spent, day, 30) == Spent(day + timedelta(days=1), 0, 40)
    december = rules.turned(spent, date(2026, 12, 2))
    assert december == Spent(date(2026, 12, 2))
    assert rules.given_back(december, day, 30) == december
    assert rules.turned(december, day) == december


@given(st.lists(amounts, max_size=30))
def test_four_eyes_see_one_large_sum_and_many_small_ones(moves: list[int]) -> None:
    wide = Bounds(single=1_000, day=10_000, month=10_000, four_eyes=200)
    spent = Spent(date(2026, 11, 22))
    for amount in moves:
        left = rules.left(OrderKind.PAY_OUT, Currency.CNY, wide, spent).four_eyes
        assert left is not None
        assert rules.needs_approval(spent, wide, amount) == (amount > left)
        spent = rules.admitted(spent, wide, amount)
    assert not rules.needs_approval(spent, Bounds(1, 1, 1), 10**9)


@given(st.integers(0, 400), st.integers(0, 400), st.integers(1, 500))
def test_what_is_said_to_be_left_can_be_moved_and_no_more(today: int, more: int, amount: int) -> None:
    spent = Spent(date(2026, 11, 22), min(today, 100), min(today + more, 300))
    left = rules.left(None, Currency.CNY, LIMITS, spent)
    assert 0 <= left.single <= left.day_left <= left.month_left
    if amount <= left.single:
        rules.admitted(spent, LIMITS, amount)
    else:
        with pytest.raises(VouchError) as refused:
            rules.admitted(spent, LIMITS, amount)
        assert (refused.value.code, refused.value.field) == (Code.AMOUNT_LIMIT, "amount")


@pytest.mark.parametrize("currency", Currency)
@pytest.mark.parametrize("kind", BOUNDS)
def test_every_kind_and_currency_has_bounds_that_fit_into_each_other(
    kind: OrderKind | None, currency: Currency
) -> None:
    bounds = rules.bounds(kind, currency)
    assert 0 < bounds.single <= bounds.day <= bounds.month
    assert bounds.four_eyes is None or bounds.four_eyes <= bounds.single
    assert (bounds.four_eyes is None) == (kind in (None, OrderKind.CHARGE)), "what leaves is looked at"
    tiny = rules.bounds(kind, currency, 1e-9)
    assert min(tiny.single, tiny.day, tiny.month) >= 1


@given(moments, st.integers(0, 10 * 86_400))
def test_cooling_ends_exactly_when_it_was_said(added: datetime, seconds: int) -> None:
    usable = rules.usable_at(added, timedelta(days=3))
    now = added + timedelta(seconds=seconds)
    if now >= usable:
        rules.cooled(usable, now)
        return
    with pytest.raises(VouchError) as refused:
        rules.cooled(usable, now)
    assert refused.value.code is Code.COOLING
    wait = refused.value.retry_after
    assert wait is not None
    rules.cooled(usable, now + timedelta(seconds=wait))


def test_minors_move_nothing() -> None:
    rules.moves_money(Standing.OPEN)
    with pytest.raises(VouchError) as refused:
        rules.moves_money(Standing.MINOR)
    assert refused.value.code is Code.GUARDIAN_NEEDED


@pytest.mark.parametrize(
    ("zone", "filled", "offered", "first"),
    [
        ("Asia/Shanghai", [], ["CNY", "GBP"], "CNY"),
        ("Europe/London", [], ["CNY", "GBP"], "GBP"),
        ("Europe/Paris", [], ["CNY", "GBP", "EUR"], "EUR"),
        ("America/Lima", [], ["CNY"], "CNY"),
        ("America/Lima", [], [], "USD"),
        ("Africa/Cairo", [], [], "CNY"),
        ("Europe/London", ["CNY"], ["CNY", "GBP"], "CNY"),
        ("Europe/London", ["CNY", "GBP"], ["CNY"], "GBP"),
    ],
)
def test_the_currency_of_ones_money_comes_first_then_that_of_ones_place(
    zone: str, filled: list[str], offered: list[str], first: str
) -> None:
    assert rules.first_currency(zone, map(Currency, filled), map(Currency, offered)) == first


# ── Numbers of accounts ─────────────────────────────────────────────────────────────────────────────────────────────

NUMBERS = {
    "GB82 WEST 1234 5698 7654 32": ("GB82WEST12345698765432", "5432"),
    "de89-3704-0044-0532-0130-00": ("DE89370400440532013000", "3000"),
    "４２４２ ４２４２ ４２４２ ４２４２": ("4242424242424242", "4242"),
    "4242 4242 4242 4242": ("4242424242424242", "4242"),
    "138 0013 8000": ("13800138000", "8000"),
    "Lin.Ba@Example.com": ("lin.ba@example.com", "l…@example.com"),
    "acct_1032D82eZvKYlo2C": ("acct_1032D82eZvKYlo2C", "lo2C"),
    "12345": ("12345", "45"),
}


@pytest.mark.parametrize(("typed", "kept"), NUMBERS.items())
def test_a_number_is_kept_without_what_people_type_between(typed: str, kept: tuple[str, str]) -> None:
    number = destinations.number(typed)
    assert (number, destinations.ending(number)) == kept
    assert destinations.number(number) == number


@pytest.mark.parametrize(
    "typed",
    [
        *(
            "GB82WEST12345698765433",
            "DE88370400440532013000",
            "4242424242424241",
            "６２２２ ０２００ ０００１ ２３４５",
        ),
        *(
            "",
            "   ",
            "123",
            "a@b",
            "@example.com",
            "lin ba@example.com",
            "1" * 65,
            "<b>1234</b>",
            "账号一二三四",
            "=1+2345",
        ),
    ],
)
def test_a_mistyped_number_is_refused(typed: str) -> None:
    with pytest.raises(VouchError) as refused:
        destinations.number(typed)
    assert (refused.value.code, refused.value.field) == (Code.BAD_REQUEST, "number")


@pytest.mark.parametrize(
    ("provider", "typed", "kept"),
    [
        ("stripe", " acct_1032D82eZvKYlo2C ", "acct_1032D82eZvKYlo2C"),
        ("alipay", "Lin@Example.com", "lin@example.com"),
        ("alipay", "１３８ 0013 8000", "13800138000"),
        ("alipay", "+852 9123 4567", "+85291234567"),
        ("alipay", "2088102146225135", "2088102146225135"),  # no card: its digits need not check
    ],
)
def test_a_provider_that_pays_its_own_accounts_takes_one_of_these(provider: str, typed: str, kept: str) -> None:
    assert destinations.number(typed, provider) == kept


@pytest.mark.parametrize(
    ("provider", "typed"),
    [
        ("stripe", "DE89370400440532013000"),
        ("stripe", "4242424242424242"),
        ("stripe", "ba_1Vouch"),
        ("stripe", "acct_"),
        ("alipay", "DE89370400440532013000"),
        ("alipay", "4242424242424242"),
        ("alipay", "12345"),
        ("alipay", "a@b"),
    ],
)
def test_a_provider_that_pays_its_own_accounts_takes_no_others(provider: str, typed: str) -> None:
    with pytest.raises(VouchError) as refused:
        destinations.number(typed, provider)
    assert (refused.value.code, refused.value.field) == (Code.BAD_REQUEST, "number")


@given(st.integers(0, 10**15 - 1), st.integers(0, 14), st.integers(1, 9))
def test_one_wrong_digit_of_a_card_is_noticed(body: int, place: int, off: int) -> None:
    digits = f"{body:015d}"
    card = next(digits + str(last) for last in range(10) if _takes(digits + str(last)))
    wrong = card[:place] + str((int(card[place]) + off) % 10) + card[place + 1 :]
    assert not _takes(wrong)


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=70))
def test_any_text_is_a_number_or_refused_and_never_shown_whole(text: str) -> None:
    try:
        kept = destinations.number(text)
    except VouchError:
        return
    assert kept.isascii()
    assert len(destinations.ending(kept)) < len(kept)


def _takes(number: str) -> bool:
    try:
        destinations.number(number)
    except VouchError:
        return False
    return True
