"""Where our books and a provider's differ, and what booking the provider's word would mean. Pure."""

from __future__ import annotations

from datetime import datetime

import msgspec

from server.errors import Code, VouchError
from server.payments import rules
from server.payments.model import (
    Difference,
    DifferenceKind,
    Order,
    OrderKind,
    OrderState,
    Reckoning,
    Remote,
    RemoteState,
)
from server.payments.rules import Booking, Entry, Step

_KIND = DifferenceKind


def kind(order: Order | None, remote: Remote | None, sent_back: int = 0) -> DifferenceKind | None:
    """What differs, None when nothing does. `sent_back` is the sum of this charge's refunds that are done.

    What is under way on both sides does not differ, nor what neither side has moved money for.
    """
    if order is None or remote is None:
        return _missing(order, remote)
    done, done_there = order.state is OrderState.DONE, remote.state is RemoteState.DONE
    if (done or done_there) and (order.amount, order.currency) != (remote.amount, remote.currency):
        return _KIND.AMOUNT
    if done is not done_there:
        return _KIND.STATE
    if done and order.kind is OrderKind.CHARGE:
        if min(remote.disputed, order.amount) != order.disputed:
            return _KIND.DISPUTED
        if not sent_back <= remote.refunded <= order.refunded:
            return _KIND.REFUNDED
    return None


def _missing(order: Order | None, remote: Remote | None) -> DifferenceKind | None:
    if remote is not None and remote.state is RemoteState.DONE:
        return _KIND.MISSING_HERE
    if order is not None and order.state is OrderState.DONE:
        return _KIND.MISSING_THERE
    return None


def difference(
    provider: str, what: DifferenceKind, order: Order | None, remote: Remote | None, now: datetime
) -> Difference:
    about = order.kind if order is not None else remote.kind if remote is not None else OrderKind.CHARGE
    reference = remote.reference if remote is not None else order.reference if order is not None else None
    name = order.id if order is not None else reference
    ours = theirs = None
    if order is not None:
        ours = Reckoning(order.state.value, order.amount, order.currency, order.refunded, order.disputed)
    if remote is not None:
        theirs = Reckoning(remote.state.value, remote.amount, remote.currency, remote.refunded, remote.disputed)
    return Difference(
        id=f"{what}:{provider}:{name}",
        kind=what,
        provider=provider,
        about=about,
        order=order.id if order is not None else remote.order if remote is not None else None,
        reference=reference,
        person=order.person if order is not None else None,
        ours=ours,
        theirs=theirs,
        mendable=order is not None and remote is not None and _mended(what, order, remote, now) is not None,
    )


def mended(what: DifferenceKind, order: Order, remote: Remote, now: datetime) -> Step:
    """Books what the provider says. Raises `conflict` where only an adjustment by hand helps."""
    step = _mended(what, order, remote, now)
    if step is None:
        raise VouchError(Code.CONFLICT, "This cannot be put right by itself: adjust it by hand.")
    return step


def _mended(what: DifferenceKind, order: Order, remote: Remote, now: datetime) -> Step | None:
    done_there = remote.state is RemoteState.DONE
    match what:
        case _KIND.AMOUNT if done_there and order.kind is OrderKind.CHARGE and order.state is not OrderState.DONE:
            return _as_it_came(order, remote, now)
        case _KIND.AMOUNT if done_there and order.state is OrderState.SENT and order.currency is remote.currency:
            return _as_it_left(order, remote, now)
        case _KIND.STATE if done_there and order.kind is not OrderKind.CHARGE and order.state is OrderState.FAILED:
            after = _done(order, remote, rules.SENT_AFTER_ALL, now)
            # The charge has so much less to give back.
            free = -order.amount if order.charge is not None else 0
            return Step(after, (Booking(Entry.CLAIMED, order.amount),), free, telling=True)
        case _KIND.STATE if not done_there and order.kind is OrderKind.CHARGE and order.state is OrderState.DONE:
            taken, bookings = rules.take(order, order.amount - order.disputed)
            gone = msgspec.structs.replace(taken, state=OrderState.FAILED, fault=rules.STATE, changed_at=now)
            return Step(gone, bookings, telling=True)
        case _KIND.REFUNDED if remote.refunded > order.refunded:
            taken, bookings = rules.take(order, remote.refunded - order.refunded)
            return Step(msgspec.structs.replace(taken, refunded=remote.refunded), bookings, telling=True)
    return None


def _as_it_came(order: Order, remote: Remote, now: datetime) -> Step:
    came = msgspec.structs.replace(order, amount=remote.amount, currency=remote.currency)
    after, taken = rules.disputed_to(_done(came, remote, rules.AMOUNT, now), remote.disputed)
    return Step(after, (Booking(Entry.CHARGED, remote.amount), *taken), telling=True)


def _as_it_left(order: Order, remote: Remote, now: datetime) -> Step:
    after = msgspec.structs.replace(_done(order, remote, rules.AMOUNT, now), amount=remote.amount)
    rest = order.amount - remote.amount
    free = rest if order.charge is not None else 0
    if rest > 0:
        return Step(after, (Booking(Entry.PART_SENT, remote.amount, rest=rest),), free, telling=True)
    return Step(after, (Booking(Entry.SENT, order.amount), Booking(Entry.CLAIMED, -rest)), free, telling=True)


def _done(order: Order, remote: Remote, fault: str, now: datetime) -> Order:
    return msgspec.structs.replace(
        order,
        state=OrderState.DONE,
        reference=remote.reference,
        fault=fault,
        due=None,
        tries=0,
        stopping=False,
        changed_at=now,
    )
