"""A transfer as one person sees it: what it changed for them, who the other one was, for whom it is. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import msgspec

from server.money.model import AccountKind, Day, Transfer, TransferKind

#: `about` of a payment that somebody receives for a minor, before the minor's id
FOR = "for:"
#: `about` of what belongs to a payment through a provider, before the order's id
ORDER = "order:"
_OF_PEOPLE = frozenset({AccountKind.AVAILABLE, AccountKind.HELD, AccountKind.OWED})


class Seen(msgspec.Struct, frozen=True):
    """`available` and `held` are signed changes; `other`, `beneficiary` are persons' ids, `order` an order's."""

    available: int
    held: int
    other: str | None
    beneficiary: str | None
    order: str | None


def people_of(transfer: Transfer) -> list[str]:
    """Every person whose accounts it moved, sorted."""
    return sorted({leg.account.owner for leg in transfer.legs if leg.account.kind in _OF_PEOPLE})


def concerns(transfer: Transfer, person: str) -> bool:
    return person in people_of(transfer)


def seen(transfer: Transfer, person: str) -> Seen:
    """`other` is named where exactly one other person stands on the other side."""
    available = _change(transfer, person, AccountKind.AVAILABLE)
    held = _change(transfer, person, AccountKind.HELD)
    gains = available + held >= 0
    others = {
        leg.account.owner
        for leg in transfer.legs
        if leg.account.kind in _OF_PEOPLE and leg.account.owner != person and (leg.amount < 0) == gains
    }
    return Seen(
        available=available,
        held=held,
        other=others.pop() if len(others) == 1 else None,
        beneficiary=_named(transfer.about, FOR),
        order=_named(transfer.about, ORDER),
    )


def receipt_amount(transfer: Transfer, person: str) -> int:
    """What a receipt names, over 0: what came to or went from the person, or what was set aside for them or freed."""
    line = seen(transfer, person)
    return abs(line.available + line.held) or abs(line.available) or abs(line.held)


def received_from(transfer: Transfer) -> tuple[str, str] | None:
    """(who paid, who has it) of a payment between two people, else None."""
    if transfer.kind is not TransferKind.PAYMENT:
        return None
    payers = {leg.account.owner for leg in transfer.legs if leg.amount < 0 and leg.account.kind in _OF_PEOPLE}
    payees = {leg.account.owner for leg in transfer.legs if leg.amount > 0 and leg.account.kind in _OF_PEOPLE}
    return (payers.pop(), payees.pop()) if len(payers) == len(payees) == 1 else None


def every_day(known: Sequence[Day], first: date, last: date, opening: int) -> list[Day]:
    """The days from `first` to `last`, with those on which nothing moved: they end as the day before did. `opening` is
    what there was before a span in which nothing moved at all."""
    by_day = {day.day: day for day in known}
    if known:
        opening = known[0].available - known[0].came + known[0].went
    days: list[Day] = []
    for number in range((last - first).days + 1):
        on = first + timedelta(days=number)
        days.append(by_day.get(on) or Day(on, 0, 0, days[-1].available if days else opening))
    return days


def _change(transfer: Transfer, person: str, kind: AccountKind) -> int:
    return sum(leg.amount for leg in transfer.legs if leg.account.owner == person and leg.account.kind is kind)


def _named(about: str, prefix: str) -> str | None:
    return about.removeprefix(prefix) if about.startswith(prefix) else None
