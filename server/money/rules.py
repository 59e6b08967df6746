"""The rules of money, without clock or database: what a transfer must look like, how a sum is split."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from server.errors import Code, VouchError
from server.money.model import (
    MOST,
    Account,
    AccountKind,
    Currency,
    Draft,
    Hold,
    Leg,
    Share,
    Transfer,
    TransferKind,
    available,
    held,
    owed,
)

KEY_LONGEST = 200
WORDS_LONGEST = 500
LEGS_MOST = 100

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
#: What is clawed back is what somebody received; these gave nobody anything, or were a giving back themselves.
_FINAL_KINDS = frozenset(
    {
        TransferKind.HOLD,
        TransferKind.REFUND,
        TransferKind.CLAW_BACK,
        TransferKind.CHARGE_BACK,
        TransferKind.SETTLE_CLAIM,
    }
)
#: Kinds that a claw-back may have.
CLAWS = frozenset({TransferKind.CLAW_BACK, TransferKind.CHARGE_BACK})


def id_of(prefix: str, key: str) -> str:
    """The id that belongs to an idempotency key, the same for ever: the key needs no index of its own to be unique."""
    bits = int.from_bytes(hashlib.sha256(f"{prefix} {key}".encode()).digest()[:13], "big") >> 4
    return prefix + "_" + "".join(_ALPHABET[(bits >> shift) & 31] for shift in range(95, -1, -5))


def amount(value: object, *, field: str = "amount") -> int:
    """An amount over 0 in minor units. Raises `bad_request` for anything else: a float and a text are not amounts."""
    if type(value) is not int or not 1 <= value <= MOST:
        raise VouchError(Code.BAD_REQUEST, f"An amount is a whole number from 1 to {MOST}.", field=field)
    return value


def check_key(key: str) -> str:
    if not 1 <= len(key) <= KEY_LONGEST:
        raise VouchError(Code.BAD_REQUEST, f"A key has 1 to {KEY_LONGEST} characters.", field="key")
    return key


def check(draft: Draft) -> None:
    """Raises `bad_request` unless the draft is a transfer: legs of whole numbers that sum to 0, no account twice."""
    check_key(draft.key)
    if not isinstance(draft.currency, Currency):
        raise VouchError(Code.BAD_REQUEST, "This is no currency that the ledger keeps.", field="currency")
    if not 2 <= len(draft.legs) <= LEGS_MOST:
        raise VouchError(Code.BAD_REQUEST, f"A transfer has 2 to {LEGS_MOST} legs.", field="legs")
    for leg in draft.legs:
        if type(leg.amount) is not int or leg.amount == 0 or abs(leg.amount) > MOST:
            raise VouchError(
                Code.BAD_REQUEST, f"A leg moves a whole number of at most {MOST}, and not 0.", field="legs"
            )
    if sum(leg.amount for leg in draft.legs) != 0:
        raise VouchError(Code.BAD_REQUEST, "The legs of a transfer sum to 0.", field="legs")
    if len({leg.account for leg in draft.legs}) < len(draft.legs):
        raise VouchError(Code.BAD_REQUEST, "An account has one leg of a transfer.", field="legs")
    if sum(leg.amount for leg in draft.legs if leg.amount > 0) > MOST:
        raise VouchError(Code.BAD_REQUEST, f"A transfer moves at most {MOST}.", field="legs")
    for name in ("about", "note", "by"):
        if len(getattr(draft, name)) > WORDS_LONGEST:
            raise VouchError(Code.BAD_REQUEST, f"At most {WORDS_LONGEST} characters.", field=name)


def check_open(draft: Draft) -> None:
    """What others may post: held money moves only with its hold, and only the ledger reverses."""
    check(draft)
    if any(leg.account.kind is AccountKind.HELD for leg in draft.legs) or draft.hold is not None:
        raise VouchError(Code.BAD_REQUEST, "Held money moves only with its hold.", field="legs")
    if draft.reverses is not None:
        raise VouchError(Code.BAD_REQUEST, "What was moved is taken back by a claw-back.", field="reverses")


def same(known: Transfer, draft: Draft) -> Transfer:
    """The transfer that has the draft's key. Raises `idempotency_conflict` when it says something else."""
    if any(getattr(known, name) != getattr(draft, name) for name in Draft.__struct_fields__):
        raise VouchError(Code.IDEMPOTENCY_CONFLICT)
    return known


# ── Splitting ───────────────────────────────────────────────────────────────────────────────────────────────────────


def split(whole: int, weights: Sequence[int]) -> list[int]:
    """Parts of `whole` by weight that sum to it exactly: each gets its share rounded down, and what is left goes, one
    by one, to the largest fractions; of equal ones to those that stand first. Raises `bad_request` without a weight
    over 0 or for a negative one or a negative whole."""
    total = sum(weights)
    if total <= 0 or min(weights) < 0 or whole < 0:
        raise VouchError(Code.BAD_REQUEST, "There is nobody to split it among.", field="shares")
    parts = [whole * weight // total for weight in weights]
    left = whole - sum(parts)
    order = sorted(range(len(weights)), key=lambda i: (-(whole * weights[i] % total), i))
    for i in order[:left]:
        parts[i] += 1
    return parts


def split_legs(hold: Hold, shares: Sequence[Share]) -> tuple[Leg, ...]:
    """The legs that take the whole hold apart. An account that is named twice gets both its parts in one leg; nobody
    gets a leg of 0."""
    if any(share.account.kind in (AccountKind.HELD, AccountKind.OWED) for share in shares):
        raise VouchError(Code.BAD_REQUEST, "A share goes to an account that can be paid.", field="shares")
    if not shares:
        raise VouchError(Code.BAD_REQUEST, "There is nobody to split it among.", field="shares")
    parts: dict[Account, int] = {}
    for share, part in zip(shares, split(hold.amount, [share.weight for share in shares]), strict=True):
        parts[share.account] = parts.get(share.account, 0) + part
    gains = [Leg(account, part) for account, part in parts.items() if part]
    return (Leg(held(hold.person), -hold.amount), *gains)


# ── Claw-backs ──────────────────────────────────────────────────────────────────────────────────────────────────────


class Reversal(msgspec.Struct, frozen=True):
    """How much of a transfer has been taken back: per account what was taken from it, and what was given back to it."""

    taken: dict[Account, int] = msgspec.field(default_factory=dict)
    given: dict[Account, int] = msgspec.field(default_factory=dict)

    @property
    def amount(self) -> int:
        return sum(self.taken.values())


def moved(transfer: Transfer) -> tuple[dict[Account, int], dict[Account, int]]:
    """(who received how much, who gave how much), where held and available money of a person are one and the same: a
    share that went back to the person who had pledged it was neither. Raises `bad_request` for a transfer that gave
    nobody anything."""
    if transfer.kind in _FINAL_KINDS:
        raise VouchError(Code.BAD_REQUEST, "This transfer cannot be taken back.", field="transfer")
    net: dict[Account, int] = {}
    for leg in transfer.legs:
        account = leg.account
        if account.kind in (AccountKind.HELD, AccountKind.OWED):
            account = available(account.owner)
        net[account] = net.get(account, 0) + leg.amount
    received = {account: change for account, change in net.items() if change > 0}
    gave = {account: -change for account, change in net.items() if change < 0}
    if not received:
        raise VouchError(Code.BAD_REQUEST, "This transfer cannot be taken back.", field="transfer")
    return received, gave


def reverse(transfer: Transfer, before: Reversal, most: int | None) -> tuple[Reversal, Reversal]:
    """(what this claw-back moves, what all of them have moved): `most` of what is left, None for all of it. It is taken
    in proportion to what each still has of it. Raises `already` when nothing is left, `bad_request` for more."""
    received, gave = moved(transfer)
    left_to_take = _less(received, before.taken)
    left_to_give = _less(gave, before.given)
    left = sum(left_to_take.values())
    if left == 0:
        raise VouchError(Code.ALREADY, "All of this has been taken back.")
    wanted = left if most is None else amount(most)
    if wanted > left:
        raise VouchError(Code.BAD_REQUEST, "This is more than is left of it.", field="amount")
    now = Reversal(_parts(wanted, left_to_take), _parts(wanted, left_to_give))
    return now, Reversal(_plus(before.taken, now.taken), _plus(before.given, now.given))


def claw_legs(now: Reversal, funds: Mapping[Account, int]) -> tuple[Leg, ...]:
    """The legs of a claw-back. People give what they have (`funds`); what they lack becomes a claim on them."""
    changes: dict[Account, int] = {}

    def change(account: Account, by: int) -> None:
        changes[account] = changes.get(account, 0) + by

    for account, part in now.taken.items():
        if account.kind is not AccountKind.AVAILABLE:
            change(account, -part)
            continue
        paid = min(part, max(0, funds.get(account, 0)))
        change(account, -paid)
        change(owed(account.owner), paid - part)
    for account, part in now.given.items():
        change(account, part)
    return tuple(Leg(account, by) for account, by in changes.items() if by)


def _less(whole: Mapping[Account, int], part: Mapping[Account, int]) -> dict[Account, int]:
    return {account: value - part.get(account, 0) for account, value in whole.items()}


def _plus(some: Mapping[Account, int], more: Mapping[Account, int]) -> dict[Account, int]:
    return {account: some.get(account, 0) + more.get(account, 0) for account in {**some, **more}}


def _parts(wanted: int, left: Mapping[Account, int]) -> dict[Account, int]:
    # In proportion to what is left, so that no part is ever more than that.
    return dict(zip(left, split(wanted, list(left.values())), strict=True))


def settlement(key: str, currency: Currency, person: str, have: int, owes: int) -> Draft | None:
    """The transfer by which a person's claim is settled from what they have; `owes` is 0 or over."""
    part = min(have, owes)
    if part <= 0:
        return None
    return Draft(
        key=f"settle:{id_of('t', key)}:{person}",
        kind=TransferKind.SETTLE_CLAIM,
        currency=currency,
        legs=(Leg(available(person), -part), Leg(owed(person), part)),
    )


def sums(transfers: Iterable[Draft]) -> dict[Currency, int]:
    """Σ of all legs per currency: 0 for every one, or the ledger is wrong."""
    totals: dict[Currency, int] = {}
    for transfer in transfers:
        totals[transfer.currency] = totals.get(transfer.currency, 0) + sum(leg.amount for leg in transfer.legs)
    return totals
