"""Recurrence (RFC 5545, RRULE) in days, for as long as a pledge may last. Pure.

Only a window is ever searched, so that a rule that never comes true (`BYMONTH=2;BYMONTHDAY=30`) costs no more than
others: libraries look for it until the year 9999.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_DAY = timedelta(days=1)
_BY_DAY = re.compile(r"([+-]?\d{1,2})?(MO|TU|WE|TH|FR|SA|SU)", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d{1,3}", re.ASCII)
_UNTIL = re.compile(r"\d{8}(T\d{6}Z?)?", re.ASCII)


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """An RRULE whose occurrences share one time of the day. `until` is a wall-clock time, the last that may come.
    `days` holds (which one of its month or year, 0 for each; weekday from Monday, 0)."""

    frequency: str
    interval: int = 1
    count: int | None = None
    until: datetime | None = None
    days: tuple[tuple[int, int], ...] = ()
    month_days: tuple[int, ...] = ()
    months: tuple[int, ...] = ()
    positions: tuple[int, ...] = ()
    week_start: int = 0


def parse(text: str, zone: ZoneInfo) -> Rule:
    """Raises ValueError, with a sentence for people, for what is no rule or not one by days that ends."""
    parts: dict[str, str] = {}
    for part in text.upper().split(";"):
        name, equals, value = part.partition("=")
        if not equals or name in parts or name not in _PARTS:
            raise ValueError(f"A repetition consists of {', '.join(_PARTS)}, each once.")
        parts[name] = value
    if parts.get("FREQ") not in ("DAILY", "WEEKLY", "MONTHLY", "YEARLY"):
        raise ValueError("FREQ is DAILY, WEEKLY, MONTHLY or YEARLY.")
    if ("COUNT" in parts) == ("UNTIL" in parts):
        raise ValueError("A repetition ends, by either COUNT or UNTIL.")
    rule = Rule(
        frequency=parts["FREQ"],
        interval=_number(parts.get("INTERVAL", "1"), 1, 366, "INTERVAL"),
        count=_number(parts["COUNT"], 1, 999, "COUNT") if "COUNT" in parts else None,
        until=_until(parts["UNTIL"], zone) if "UNTIL" in parts else None,
        days=tuple(_weekday(one) for one in _list(parts, "BYDAY")),
        month_days=_numbers(parts, "BYMONTHDAY", 31),
        months=tuple(_number(one, 1, 12, "BYMONTH") for one in _list(parts, "BYMONTH")),
        positions=_numbers(parts, "BYSETPOS", 366),
        week_start=_week_start(parts.get("WKST", "MO")),
    )
    if rule.frequency == "WEEKLY" and rule.month_days:
        raise ValueError("BYMONTHDAY does not go with FREQ=WEEKLY.")
    if rule.frequency in ("DAILY", "WEEKLY") and any(which for which, _ in rule.days):
        raise ValueError("Weekdays are numbered by month or year only.")
    if rule.positions and not (rule.days or rule.month_days or rule.months):
        raise ValueError("BYSETPOS chooses among the days of another part.")
    return rule


def days(rule: Rule, first: date, last: date) -> Iterator[date]:
    """The days from `first` up to and including `last`, in order; the first one that fits is the first one. `count` and
    `until` are for the caller, who knows the time of the day."""
    rule = _completed(rule, first)
    for begin, end in _periods(rule, first, last):
        fitting = [day for day in _span(begin, end) if _fits(rule, day)]
        if rule.positions:
            chosen = {at - 1 if at > 0 else len(fitting) + at for at in rule.positions}
            fitting = [day for at, day in enumerate(fitting) if at in chosen]
        yield from (day for day in fitting if first <= day <= last)


def _completed(rule: Rule, first: date) -> Rule:
    """What the rule leaves open is as on the first day."""
    if rule.days or rule.month_days or rule.frequency == "DAILY":
        return rule
    if rule.frequency == "WEEKLY":
        return msgspec.structs.replace(rule, days=((0, first.weekday()),))
    months = rule.months or ((first.month,) if rule.frequency == "YEARLY" else ())
    return msgspec.structs.replace(rule, months=months, month_days=(first.day,))


def _periods(rule: Rule, first: date, last: date) -> Iterator[tuple[date, date]]:
    """Each period of the rule that may have a day in the window, from its first day up to the one before the next."""
    step = 0
    while True:
        begin, end = _period(rule, first, step)
        if begin > last:
            return
        yield begin, end
        step += rule.interval


def _period(rule: Rule, first: date, number: int) -> tuple[date, date]:
    match rule.frequency:
        case "DAILY":
            begin = first + number * _DAY
            return begin, begin + _DAY
        case "WEEKLY":
            begin = first + (7 * number - (first.weekday() - rule.week_start) % 7) * _DAY
            return begin, begin + 7 * _DAY
        case "MONTHLY":
            month = first.year * 12 + first.month - 1 + number
            return _month(month), _month(month + 1)
        case _:
            return date(first.year + number, 1, 1), date(first.year + number + 1, 1, 1)


def _fits(rule: Rule, day: date) -> bool:
    if rule.months and day.month not in rule.months:
        return False
    if rule.month_days and not {day.day, day.day - 1 - _length(day)} & set(rule.month_days):
        return False
    return not rule.days or any(_is_weekday(rule, day, *wanted) for wanted in rule.days)


def _is_weekday(rule: Rule, day: date, which: int, weekday: int) -> bool:
    if day.weekday() != weekday:
        return False
    if which == 0:
        return True
    if rule.frequency == "MONTHLY" or rule.months:
        at, length = day.day, _length(day)
    else:
        at, length = day.timetuple().tm_yday, (date(day.year + 1, 1, 1) - date(day.year, 1, 1)).days
    return which in ((at - 1) // 7 + 1, -((length - at) // 7 + 1))


def _month(number: int) -> date:
    return date(number // 12, number % 12 + 1, 1)


def _length(day: date) -> int:
    """Days of the month."""
    number = day.year * 12 + day.month - 1
    return (_month(number + 1) - _month(number)).days


def _span(begin: date, end: date) -> Iterator[date]:
    return (begin + number * _DAY for number in range((end - begin).days))


# ── Reading it ──────────────────────────────────────────────────────────────────────────────────────────────────────

_PARTS = ("FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", "BYMONTHDAY", "BYMONTH", "BYSETPOS", "WKST")


def _list(parts: dict[str, str], name: str) -> list[str]:
    return parts[name].split(",") if name in parts else []


def _number(text: str, least: int, most: int, name: str) -> int:
    if not _NUMBER.fullmatch(text) or not least <= int(text) <= most:
        raise ValueError(f"{name} is a number from {least} to {most}.")
    return int(text)


def _numbers(parts: dict[str, str], name: str, most: int) -> tuple[int, ...]:
    """Counted from the beginning, or with a minus from the end."""
    numbers = tuple(_number(one, -most, most, name) for one in _list(parts, name))
    if 0 in numbers:
        raise ValueError(f"{name} counts from 1, or from the end by -1.")
    return numbers


def _weekday(text: str) -> tuple[int, int]:
    found = _BY_DAY.fullmatch(text)
    which = int(found[1] or 0) if found else 0
    if found is None or (found[1] and which == 0) or abs(which) > 53:
        raise ValueError("BYDAY lists weekdays: MO, TU, WE, TH, FR, SA, SU.")
    return which, WEEKDAYS.index(found[2])


def _week_start(text: str) -> int:
    if text not in WEEKDAYS:
        raise ValueError("WKST is a weekday.")
    return WEEKDAYS.index(text)


def _until(text: str, zone: ZoneInfo) -> datetime:
    """On the wall's clock; a day without a time is meant to its end."""
    try:
        if not _UNTIL.fullmatch(text):
            raise ValueError
        at = datetime.fromisoformat(text)
        if at.tzinfo is not None:
            return at.astimezone(zone).replace(tzinfo=None)
        return at if "T" in text else datetime.combine(at, time.max)
    except (ValueError, OverflowError):
        raise ValueError("UNTIL is a day (20261231), or a day and time (20261231T210000Z).") from None
