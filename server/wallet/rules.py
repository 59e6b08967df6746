"""How much a person may move, and who looks at it: limits by day and month, four eyes, cooling, minors. Pure.

What was moved is counted by the calendar of the person's time zone. Days only go forward: whoever changes their time
zone to and fro meets each day once, and has at most the hours in between to gain.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from server.errors import Code, VouchError
from server.money.model import MOST, Currency
from server.payments.model import OrderKind
from server.wallet.model import Limit, Standing

#: About ten yuan in each currency, in minor units: bounds are so many of these, round in every currency.
STEP: dict[Currency, int] = {
    Currency.CNY: 10_00,
    Currency.HKD: 10_00,
    Currency.TWD: 50_00,
    Currency.JPY: 200,
    Currency.SGD: 2_00,
    Currency.USD: 2_00,
    Currency.EUR: 1_00,
    Currency.GBP: 1_00,
}


class Bounds(msgspec.Struct, frozen=True):
    """The most at once, in a day and in a month; `four_eyes`: what is more on a day needs somebody else's approval.
    In minor units, or in steps before the currency is known."""

    single: int
    day: int
    month: int
    four_eyes: int | None = None

    def times(self, factor: float) -> Bounds:
        def scaled(value: int) -> int:
            return min(MOST, max(1, round(value * factor)))

        eyes = None if self.four_eyes is None else scaled(self.four_eyes)
        return Bounds(scaled(self.single), scaled(self.day), scaled(self.month), eyes)


#: In steps; None are payments to people. What came in by a top-up may go back the same way.
BOUNDS: dict[OrderKind | None, Bounds] = {
    OrderKind.CHARGE: Bounds(single=1_000, day=2_000, month=10_000),
    OrderKind.REFUND: Bounds(single=1_000, day=2_000, month=10_000, four_eyes=500),
    OrderKind.PAY_OUT: Bounds(single=1_000, day=2_000, month=10_000, four_eyes=200),
    None: Bounds(single=500, day=1_000, month=5_000),
}


def bounds(kind: OrderKind | None, currency: Currency, factor: float = 1.0) -> Bounds:
    """In minor units of the currency; `factor` is the installation's own."""
    return BOUNDS[kind].times(STEP[currency] * factor)


class Spent(msgspec.Struct, frozen=True):
    """What one person has moved of one kind and currency: on `day`, and in the month of that day."""

    day: date
    today: int = 0
    month: int = 0


def turned(spent: Spent | None, day: date) -> Spent:
    """The same on a later day: a new day begins at 0, a new month too. An earlier day changes nothing."""
    if spent is None:
        return Spent(day)
    if day <= spent.day:
        return spent
    same_month = (day.year, day.month) == (spent.day.year, spent.day.month)
    return Spent(day, 0, spent.month if same_month else 0)


def admitted(spent: Spent, limits: Bounds, amount: int) -> Spent:
    """With `amount` more. Raises `amount_limit` where that is too much at once, today or this month."""
    if amount > limits.single:
        raise _beyond("This is more than may be moved at once.")
    if spent.today + amount > limits.day:
        raise _beyond("This is more than may be moved today.")
    if spent.month + amount > limits.month:
        raise _beyond("This is more than may be moved this month.")
    return Spent(spent.day, spent.today + amount, spent.month + amount)


def given_back(spent: Spent, day: date, amount: int) -> Spent:
    """Without what was counted on `day` and did not come to pass. What lies in an earlier month is over anyway."""
    same_month = (day.year, day.month) == (spent.day.year, spent.day.month)
    today = max(0, spent.today - amount) if day == spent.day else spent.today
    return Spent(spent.day, today, max(0, spent.month - amount) if same_month else spent.month)


def needs_approval(spent: Spent, limits: Bounds, amount: int) -> bool:
    """Whether a second pair of eyes looks at it: by what is moved on the day, so that many small ones are one large."""
    return limits.four_eyes is not None and spent.today + amount > limits.four_eyes


def left(kind: OrderKind | None, currency: Currency, limits: Bounds, spent: Spent) -> Limit:
    """What may still be moved."""
    month = max(0, limits.month - spent.month)
    day = min(month, max(0, limits.day - spent.today))
    eyes = None if limits.four_eyes is None else max(0, limits.four_eyes - spent.today)
    return Limit(kind, currency, min(limits.single, day), day, month, eyes)


def _beyond(message: str) -> VouchError:
    return VouchError(Code.AMOUNT_LIMIT, message, field="amount")


# ── Who, and when ───────────────────────────────────────────────────────────────────────────────────────────────────


def moves_money(standing: Standing) -> None:
    """Raises `guardian_needed` for minors: they neither pay nor are paid."""
    if standing is Standing.MINOR:
        raise VouchError(Code.GUARDIAN_NEEDED)


def usable_at(added: datetime, cooling: timedelta) -> datetime:
    """From when money goes to a pay-out account: so long its owner can object."""
    return added + cooling


def cooled(usable: datetime, now: datetime) -> None:
    """Raises `cooling` with the seconds that are left."""
    if now < usable:
        raise VouchError(Code.COOLING, field="account", retry_after=max(1.0, round((usable - now).total_seconds(), 1)))


#: Where people usually pay with what; anywhere else the hub's own currency comes first.
_BY_ZONE = {
    "Asia/Hong_Kong": Currency.HKD,
    "Asia/Taipei": Currency.TWD,
    "Asia/Tokyo": Currency.JPY,
    "Asia/Singapore": Currency.SGD,
    "Europe/London": Currency.GBP,
    "Asia/Shanghai": Currency.CNY,
    "Asia/Urumqi": Currency.CNY,
}


def first_currency(zone: str, filled: Iterable[Currency], offered: Iterable[Currency]) -> Currency:
    """The currency that is shown first: one that the person has, the one of their time zone before others; else that
    of the time zone where a provider takes it; else the first that is offered."""
    had, taken = list(filled), list(offered)
    home = _BY_ZONE.get(zone)
    if home is None:
        home = Currency.USD if zone.startswith("America/") else Currency.EUR if zone.startswith("Europe/") else None
    if home in had:
        return home
    if had:
        return had[0]
    if home is not None and (home in taken or not taken):
        return home
    return taken[0] if taken else Currency.CNY


def day_of(at: datetime, zone: str) -> date:
    """The calendar day in a time zone."""
    return at.astimezone(ZoneInfo(zone)).date()
