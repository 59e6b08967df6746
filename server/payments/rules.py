"""What becomes of an order. Pure: an order, what the provider says of it and the time → the order and what is booked.

The provider's word is the truth, and it comes by asking; a notice only says that it is time to ask. An answer is
settled against the very order that the question was about, so that an older answer never undoes a newer one, and any
order of the same events ends in the same place.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from server.errors import Code, VouchError
from server.money.model import MOST
from server.payments.model import FINAL, Order, OrderKind, OrderState, Regained, Remote, RemoteState, Terms

#: seconds before a provider that did not answer is asked again: the first time, and at most
PAUSE_FIRST, PAUSE_MOST = 1.0, 300.0
#: seconds between looks at what a provider works on: a quarter of the time for which it has, within these bounds
POLL_FIRST, POLL_MOST = 5.0, 3600.0
#: nothing is ever due later than this; what is, was written before the clock was turned back
DUE_MOST = timedelta(seconds=2 * POLL_MOST)
#: seconds that a check-out may stay open beyond its provider's word before we close it ourselves
GRACE = 600.0

#: faults that only people can decide: the order rests until they have
AMOUNT, STATE, FOREIGN, BOOKS = "amount", "state", "foreign", "books"
#: a check-out was paid after it had been given up; the money is booked all the same
PAID_LATE = "paid_late"
#: money that had left came back
RETURNED = "returned"
NOT_APPROVED = "not_approved"
#: a refund or pay-out left after we had given the money back; the person owes it now
SENT_AFTER_ALL = "sent_after_all"

_SURPRISES = frozenset({AMOUNT, STATE, PAID_LATE, RETURNED, NOT_APPROVED, SENT_AFTER_ALL})
_LEAVING = frozenset({OrderKind.REFUND, OrderKind.PAY_OUT})
_UNDER_WAY = {RemoteState.OPEN: OrderState.OPEN, RemoteState.PENDING: OrderState.SENT}
_NOT_DONE = {
    RemoteState.FAILED: OrderState.FAILED,
    RemoteState.CANCELLED: OrderState.CANCELLED,
    RemoteState.EXPIRED: OrderState.EXPIRED,
}


class Ask(StrEnum):
    """What is asked of the provider."""

    CHARGE = "charge"
    REFUND = "refund"
    PAY_OUT = "pay_out"
    CANCEL = "cancel"
    FIND = "find"


class Silence(msgspec.Struct, frozen=True):
    """The provider did not do it, or nobody knows: ProviderFault as a value."""

    code: str
    certain: bool


class Entry(StrEnum):
    """What is booked."""

    CHARGED = "charged"  # the payer's money has come
    SENT = "sent"  # what was set aside has left
    GIVEN_BACK = "given_back"  # what was set aside is the person's again
    TAKEN_BACK = "taken_back"  # the payer's bank has taken it back
    WON = "won"  # the payer's bank has given it back
    RETURNED = "returned"  # what had left came back
    PART_SENT = "part_sent"  # a part of what was set aside has left, and the rest is the person's again
    CLAIMED = "claimed"  # more has left than was set aside: the person owes it


class Booking(msgspec.Struct, frozen=True):
    """`of` is the key of the transfer that is taken back, or by which it comes; `rest` what a part leaves over."""

    entry: Entry
    amount: int
    of: str = ""
    rest: int = 0


class Step(msgspec.Struct, frozen=True):
    """`free`: so much of the refunded charge may be given back again. `telling`: the person is told."""

    order: Order
    bookings: tuple[Booking, ...] = ()
    free: int = 0
    telling: bool = False


# ── Asking ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def question(order: Order, terms: Terms, now: datetime) -> Ask:
    """What to ask next. A check-out that nobody can want any more is looked for and closed, never opened."""
    if order.state is OrderState.WAITING and not order.stopping and not _stale(order, terms, now):
        return Ask(order.kind.value)
    if order.state is OrderState.OPEN and (order.stopping or _stale(order, terms, now)):
        return Ask.CANCEL
    return Ask.FIND


def _stale(order: Order, terms: Terms, now: datetime) -> bool:
    """Whether a check-out would have closed long ago, by our clock."""
    after = timedelta(seconds=terms.open_for + GRACE)
    return order.kind is OrderKind.CHARGE and now > order.changed_at + after


def pause(tries: int, jitter: float) -> timedelta:
    """How long a provider is left alone that did not answer `tries` times; `jitter` in [0, 1) spreads the orders."""
    return timedelta(seconds=min(PAUSE_MOST, PAUSE_FIRST * 2.0 ** min(tries, 20)) * (0.75 + jitter / 2))


def poll(order: Order, now: datetime, jitter: float) -> timedelta:
    """When to look again at what the provider works on, or the payer is to confirm: rarely, notices are quicker."""
    age = (now - order.changed_at).total_seconds()
    return timedelta(seconds=min(POLL_MOST, max(POLL_FIRST, age / 4)) * (0.75 + jitter / 2))


# ── The answer ──────────────────────────────────────────────────────────────────────────────────────────────────────


def settle(order: Order, ask: Ask, answer: Remote | Silence | None, now: datetime, jitter: float) -> Step | None:
    """What follows; None when nothing does. `answer` None: the provider was never asked for this order."""
    if order.state is OrderState.APPROVAL:
        return None
    if answer is None:
        step = _unknown_there(order, now, jitter)
    elif isinstance(answer, Silence):
        step = _silence(order, ask, answer, now, jitter)
    elif (fault := mismatch(order, answer)) is not None:
        step = _rests(order, answer, fault, now)
    else:
        step = _told(order, ask, answer, now, jitter)
    return step if step is not None and step.order != order else None


def _silence(order: Order, ask: Ask, silence: Silence, now: datetime, jitter: float) -> Step:
    refused = silence.certain and ask in (Ask.CHARGE, Ask.REFUND, Ask.PAY_OUT)
    if refused:
        return _ends(order, OrderState.FAILED, silence.code, now)
    if ask is Ask.CANCEL and silence.certain and silence.code == "unknown":  # nobody can pay there any more
        return _ends(order, OrderState.CANCELLED if order.stopping else OrderState.EXPIRED, None, now)
    due = now + pause(order.tries, jitter)
    return Step(msgspec.structs.replace(order, tries=order.tries + 1, due=due, fault=_kept(order) or silence.code))


def _kept(order: Order) -> str | None:
    """A final order keeps what it says of itself, though its provider does not answer a later question."""
    return order.fault if order.state in FINAL else None


def _unknown_there(order: Order, now: datetime, jitter: float) -> Step | None:
    if order.state in FINAL:
        return Step(msgspec.structs.replace(order, due=None, tries=0))
    if order.state is OrderState.WAITING:
        if order.kind is not OrderKind.CHARGE:
            return None
        return _ends(order, OrderState.CANCELLED if order.stopping else OrderState.EXPIRED, None, now)
    # It had answered before: nothing is concluded from a provider's forgetting.
    due = now + pause(order.tries, jitter)
    return Step(msgspec.structs.replace(order, tries=order.tries + 1, due=due, fault="unknown"))


def mismatch(order: Order, remote: Remote) -> str | None:
    """Why the provider's thing cannot be this order as it is."""
    if remote.kind is not order.kind or remote.order not in (None, order.id):
        return FOREIGN
    moves = remote.state in (RemoteState.OPEN, RemoteState.PENDING, RemoteState.DONE)
    if moves and (remote.amount, remote.currency) != (order.amount, order.currency):
        return AMOUNT
    return None


def _rests(order: Order, remote: Remote, fault: str, now: datetime) -> Step | None:
    """Until somebody of the finance desk decides. What is final stays so, unless money has come for it."""
    come = order.kind is OrderKind.CHARGE and remote.state is RemoteState.DONE
    if order.state is OrderState.DONE or (order.state in FINAL and not come):
        return Step(msgspec.structs.replace(order, due=None, tries=0, fault=fault))
    reference = order.reference if fault == FOREIGN else remote.reference
    resting = msgspec.structs.replace(order, state=OrderState.SENT, reference=reference, fault=fault, due=None, tries=0)
    return _moved(order, resting, now)


def _told(order: Order, ask: Ask, remote: Remote, now: datetime, jitter: float) -> Step | None:
    seen = msgspec.structs.replace(order, reference=remote.reference, url=remote.url or order.url, tries=0)
    if order.state is OrderState.DONE:
        return _after_done(order, seen, remote, now, jitter)
    if remote.state is RemoteState.DONE:
        return _done(order, seen, remote, now)
    if order.state in FINAL:
        return _after_end(order, seen, remote, now)
    if remote.state in _UNDER_WAY:
        moved = _at(msgspec.structs.replace(seen, state=_UNDER_WAY[remote.state], fault=None), order, now)
        closing = order.stopping and remote.state is RemoteState.OPEN and ask is not Ask.CANCEL
        due = now if closing else now + poll(moved, now, jitter)
        return _moved(order, msgspec.structs.replace(moved, due=due), now)
    state = _NOT_DONE[remote.state]
    if state is OrderState.CANCELLED and ask is Ask.CANCEL and not order.stopping:
        state = OrderState.EXPIRED  # we have closed what stood open too long
    return _ends(seen, state, remote.fault or ("failed" if state is OrderState.FAILED else None), now, before=order)


def _done(order: Order, seen: Order, remote: Remote, now: datetime) -> Step | None:
    ended = order.state in FINAL
    if order.kind in _LEAVING:
        if ended:  # it was given back already, and now it has left: nothing is booked that may not be covered
            return Step(msgspec.structs.replace(order, due=None, tries=0, fault=STATE))
        done = msgspec.structs.replace(seen, state=OrderState.DONE, due=None, fault=None)
        return _moved(order, done, now, Booking(Entry.SENT, order.amount))
    late = ended or order.stopping
    done = msgspec.structs.replace(
        seen, state=OrderState.DONE, due=None, fault=PAID_LATE if late else None, stopping=False
    )
    done, taken = disputed_to(done, remote.disputed)
    return _moved(order, done, now, Booking(Entry.CHARGED, order.amount), *taken)


def _after_done(order: Order, seen: Order, remote: Remote, now: datetime, jitter: float) -> Step | None:
    """What may still happen to what is done: a bank takes back or gives up, a pay-out or refund comes back."""
    seen = msgspec.structs.replace(seen, due=None)
    if order.kind in _LEAVING:
        if remote.state in _NOT_DONE:
            back = msgspec.structs.replace(seen, state=OrderState.FAILED, fault=RETURNED)
            return _moved(order, back, now, Booking(Entry.RETURNED, order.amount))
        # Some banks say that it has arrived before it has.
        again = now + poll(order, now, jitter) if remote.state in _UNDER_WAY else None
        return Step(msgspec.structs.replace(seen, due=again))
    if remote.state is not RemoteState.DONE:
        return Step(msgspec.structs.replace(seen, fault=STATE))
    changed, bookings = disputed_to(seen, remote.disputed)
    return Step(changed, bookings, telling=bool(bookings))


def disputed_to(charge: Order, disputed: int) -> tuple[Order, tuple[Booking, ...]]:
    """The payer's bank has taken back so much altogether. What it gave back stands on transfers of their own, so what
    it takes again is taken from those once the charge's own is used up."""
    disputed = min(max(disputed, 0), charge.amount)
    more = disputed - charge.disputed
    after = msgspec.structs.replace(charge, disputed=disputed)
    if more < 0:
        key = won_key(charge)
        regained = (*charge.regained, Regained(key, -more))
        return msgspec.structs.replace(after, regained=regained), (Booking(Entry.WON, -more, key),)
    after, bookings = take(after, more)
    return after, bookings


def take(charge: Order, amount: int) -> tuple[Order, tuple[Booking, ...]]:
    """Takes so much of a charge back from whom it went to; no more than stands."""
    own = min(amount, charge.amount - charge.taken)
    bookings = [Booking(Entry.TAKEN_BACK, own, charge_key(charge.id))] if own else []
    rest, regained = amount - own, []
    for one in charge.regained:
        part = min(rest, one.left)
        rest -= part
        if part:
            bookings.append(Booking(Entry.TAKEN_BACK, part, one.key))
        if one.left > part:
            regained.append(Regained(one.key, one.left - part))
    after = msgspec.structs.replace(charge, taken=charge.taken + own, regained=tuple(regained))
    return after, tuple(bookings)


def charge_key(order: str) -> str:
    """The idempotency key of the transfer by which a charge came in."""
    return f"charge:{order}"


def won_key(charge: Order) -> str:
    return f"won:{charge.id}:{charge.version}"


def _after_end(order: Order, seen: Order, remote: Remote, now: datetime) -> Step | None:
    """A check-out that we hold for ended is still open there: it is closed. What leaves is decided when it is done."""
    if order.kind in _LEAVING or remote.state not in _UNDER_WAY:
        return Step(msgspec.structs.replace(order, due=None, tries=0))
    state = _UNDER_WAY[remote.state]
    again = msgspec.structs.replace(seen, state=state, fault=None, stopping=state is OrderState.OPEN, due=now)
    return _moved(order, again, now)


def _ends(order: Order, state: OrderState, fault: str | None, now: datetime, before: Order | None = None) -> Step:
    """It will not be done: what was set aside goes back, and a charge may be given back in another way."""
    ended = msgspec.structs.replace(order, state=state, fault=fault, due=None, tries=0)
    back = () if order.hold is None else (Booking(Entry.GIVEN_BACK, order.amount),)
    free = order.amount if order.kind is OrderKind.REFUND else 0
    return msgspec.structs.replace(_moved(before or order, ended, now, *back), free=free)


def _moved(before: Order, after: Order, now: datetime, *bookings: Booking) -> Step:
    free = after.amount if any(b.entry is Entry.RETURNED for b in bookings) and after.charge else 0
    return Step(_at(after, before, now), bookings, free, telling=after.state is not before.state)


def _at(after: Order, before: Order, now: datetime) -> Order:
    return after if after.state is before.state else msgspec.structs.replace(after, changed_at=now)


# ── What people do ──────────────────────────────────────────────────────────────────────────────────────────────────


def approve(order: Order, by: str, now: datetime) -> Step:
    """Raises `forbidden` for who asked or gains, `already` for what does not wait for it."""
    _second_pair_of_eyes(order, by)
    approved = msgspec.structs.replace(order, state=OrderState.WAITING, approved_by=by, due=now)
    return _moved(order, approved, now)


def refuse(order: Order, by: str, reason: str, now: datetime) -> Step:
    """Raises as `approve` does."""
    _second_pair_of_eyes(order, by)
    return _ends(msgspec.structs.replace(order, reason=reason), OrderState.FAILED, NOT_APPROVED, now, before=order)


def _second_pair_of_eyes(order: Order, by: str) -> None:
    if by in (order.by, order.person):
        raise VouchError(Code.FORBIDDEN, "Somebody else decides this: neither who asked for it nor who gains by it.")
    if order.state is not OrderState.APPROVAL:
        raise VouchError(Code.ALREADY)


def cancel(order: Order, now: datetime) -> Step | None:
    """What nobody has been told of ends at once; an open check-out is closed at its provider. None: it is on its way.

    Raises `already` for what has ended, `conflict` for what cannot be called back.
    """
    if order.state is OrderState.CANCELLED or order.stopping:
        return None
    if order.state in FINAL:
        raise VouchError(Code.ALREADY)
    if order.state is OrderState.APPROVAL or (order.state is OrderState.WAITING and not order.asked):
        return _ends(order, OrderState.CANCELLED, None, now)
    if not cancellable(order):
        raise VouchError(Code.CONFLICT, "This is under way and cannot be called back.")
    return Step(msgspec.structs.replace(order, stopping=True, due=now))


def cancellable(order: Order) -> bool:
    """Whether `cancel` may be tried."""
    if order.stopping:
        return False
    if order.state is OrderState.APPROVAL or (order.state is OrderState.WAITING and not order.asked):
        return True
    return order.kind is OrderKind.CHARGE and order.state in (OrderState.WAITING, OrderState.OPEN)


def left(charge: Order) -> int:
    """How much of a charge may still be given back the way it came."""
    return max(0, charge.amount - charge.refunded - charge.disputed) if charge.state is OrderState.DONE else 0


def give_back(charge: Order, amount: int | None, terms: Terms) -> int:
    """How much a refund is of. Raises `conflict` when nothing is left, `amount_limit` for more than is, `bad_request`
    for a part where the provider knows only the whole."""
    if charge.kind is not OrderKind.CHARGE or charge.state is not OrderState.DONE:
        raise VouchError(Code.CONFLICT, "Only a payment that has come in can be given back.")
    most = left(charge)
    if most == 0:
        raise VouchError(Code.CONFLICT, "Nothing of it is left to be given back.")
    wanted = most if amount is None else amount
    if wanted > most:
        raise VouchError(Code.AMOUNT_LIMIT, "This is more than is left of it.", field="amount")
    if wanted != charge.amount and not terms.partial_refunds:
        raise VouchError(Code.BAD_REQUEST, "This provider gives back the whole only.", field="amount")
    return wanted


def in_terms(order: Order, terms: Terms) -> None:
    """Raises `bad_request` for what the provider does not do, `amount_limit` beyond its bounds."""
    if not 1 <= order.amount <= MOST:
        raise VouchError(Code.BAD_REQUEST, "An amount is over 0.", field="amount")
    if order.kind is OrderKind.PAY_OUT and not terms.pay_outs:
        raise VouchError(Code.BAD_REQUEST, "This provider pays nothing out.", field="provider")
    if order.currency not in terms.charges:
        raise VouchError(Code.BAD_REQUEST, "This provider does not take this currency.", field="currency")
    least, most = terms.charges[order.currency]
    if order.kind is OrderKind.CHARGE and not least <= order.amount <= most:
        raise VouchError(Code.AMOUNT_LIMIT, field="amount")


def same(known: Order, asked: Order) -> bool:
    """Whether a key came with the same content again."""
    names = ("kind", "provider", "person", "amount", "currency", "purpose", "charge", "destination")
    return all(getattr(known, name) == getattr(asked, name) for name in names)


def worth_a_word(order: Order) -> bool:
    """Whether the end of it counts as news: others have asked for it or decided it, money that was to leave is here
    again, or it is not what was expected."""
    if order.state not in FINAL:
        return False
    others = order.by != order.person or order.approved_by is not None
    stayed = order.kind in _LEAVING and order.state is OrderState.FAILED
    return others or stayed or order.disputed > 0 or order.fault in _SURPRISES
