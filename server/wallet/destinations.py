"""The numbers of pay-out accounts: how they are kept, what is wrong with one, what is shown of it. Pure."""

from __future__ import annotations

import re
import unicodedata

from server.errors import Code, VouchError

SHORTEST, LONGEST = 4, 64
SHOWN = 4  # characters

_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")
_CARD = re.compile(r"[0-9]{12,19}")
_MAIL = re.compile(r"[^@\s]{1,40}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_PLAIN = re.compile(r"[+A-Za-z0-9][A-Za-z0-9._-]*")
#: Providers that pay only to accounts with themselves: a connected account; a mail address, phone or user's number.
_OWN = {
    "stripe": re.compile(r"acct_[A-Za-z0-9]{4,40}"),
    "alipay": re.compile(rf"{_MAIL.pattern}|1[0-9]{{10}}|\+[0-9]{{7,15}}|2088[0-9]{{12}}"),
}
_SPACES = re.compile(r"[\s\u2010-\u2015-]+")


def number(text: str, provider: str = "") -> str:
    """An IBAN, a card or account number, or the mail address or phone number of an Alipay account, in the form that is
    kept: full-width letters folded, without spaces and hyphens between groups. Where the provider pays to accounts of
    its own only, one of these.

    Raises `bad_request` for anything else, and for an IBAN or card with a mistyped digit (ISO 13616, ISO/IEC 7812).
    """
    folded = unicodedata.normalize("NFKC", text).strip()
    if provider in _OWN:
        kept = folded.lower() if "@" in folded else _SPACES.sub("", folded)
        known = _OWN[provider].fullmatch(kept) is not None
    elif "@" in folded:
        kept = folded.lower()
        known = _MAIL.fullmatch(kept) is not None
    else:
        kept = _SPACES.sub("", folded)
        if _IBAN.fullmatch(kept.upper()):
            kept = kept.upper()
            known = _iban_holds(kept)
        elif _CARD.fullmatch(kept):
            known = _luhn_holds(kept)
        else:
            known = _PLAIN.fullmatch(kept) is not None
    if not known or not SHORTEST <= len(kept) <= LONGEST or not kept.isascii():
        raise VouchError(Code.BAD_REQUEST, "This is no account number. Look for a mistyped digit.", field="number")
    return kept


def ending(kept: str) -> str:
    """What is shown of a number: its last characters, never half of it or more; of a mail address the first letter and
    the domain."""
    if "@" in kept:
        name, _, domain = kept.rpartition("@")
        return f"{name[0]}…@{domain}"
    return kept[-min(SHOWN, (len(kept) - 1) // 2) :]


def _iban_holds(iban: str) -> bool:
    """The remainder by 97 of the number, its country and check digits moved to the end, is 1."""
    moved = iban[4:] + iban[:4]
    return int("".join(str(int(character, 36)) for character in moved)) % 97 == 1


def _luhn_holds(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
