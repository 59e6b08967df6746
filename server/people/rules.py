"""What is a proper handle, name, password, phone number, birth date. Pure: time and the list of words are arguments.

Each function returns the value in the form that is kept, or raises `bad_request` with its field.
"""

from __future__ import annotations

import re
import unicodedata
import zoneinfo
from datetime import UTC, date, datetime, time
from functools import cache
from importlib import resources

import phonenumbers

from server.errors import Code, VouchError
from server.people.model import Age

HANDLE = re.compile(r"[a-z][a-z0-9_.]{2,31}")
PASSWORD_SHORTEST, PASSWORD_LONGEST = 8, 256
NAME_LONGEST = 60  # what a reader counts as characters
INTRODUCTION_LONGEST = 500
NOTE_LONGEST = 200
OLDEST = 130  # years
OF_AGE = 18
DEFAULT_REGION = "CN"

#: A reader's character is rarely more than a base and a few marks; stacked marks ("Zalgo") climb over other lines.
_CODE_POINTS_PER_CHARACTER = 8
_JOINERS = "\u200c\u200d"  # needed by Persian, by Indic scripts and by composed emoji
_BLANK_LETTERS = "\u115f\u1160\u3164\uffa0\u2800"  # letters that show nothing
_LINE_BREAKS = re.compile(r"\r\n?|\u2028|\u2029|\u0085")


def _refuse(field: str, message: str) -> VouchError:
    return VouchError(Code.BAD_REQUEST, message, field=field)


def handle(text: str) -> str:
    """3–32 of a–z, 0–9, `_`, `.`, starting with a letter; capitals and full-width letters are folded."""
    folded = unicodedata.normalize("NFKC", text).strip().lower()
    if not HANDLE.fullmatch(folded):
        raise _refuse("handle", "A handle has 3 to 32 of a–z, 0–9, _ and ., and starts with a letter.")
    return folded


def password(text: str, own_handle: str = "", *, field: str = "password") -> str:
    """8–256 characters, not the handle, not one of the commonest; NFC (RFC 8265 §4.2) so that keyboards agree."""
    normal = normal_password(text)
    if not PASSWORD_SHORTEST <= len(normal) <= PASSWORD_LONGEST:
        raise _refuse(field, "A password has 8 to 256 characters.")
    if own_handle and normal.lower() == own_handle:
        raise _refuse(field, "The password must not be the handle.")
    if normal.lower() in common_passwords() or len(set(normal)) == 1:
        raise _refuse(field, "This password is one of those that are tried first. Take another one.")
    return normal


def normal_password(text: str) -> str:
    """The form in which passwords are hashed and compared."""
    return unicodedata.normalize("NFC", text)


@cache
def common_passwords() -> frozenset[str]:
    """The 1,000 commonest passwords of eight characters or more, and favourites of Chinese keyboards."""
    text = resources.files("server.people").joinpath("common_passwords.txt").read_text("utf-8")
    return frozenset(text.split())


def name(text: str, *, field: str = "name") -> str:
    """1–60 characters as a reader counts them; one line, NFC, nothing invisible that could disguise it."""
    clean = " ".join(unicodedata.normalize("NFC", text).split())
    _visible_text(clean, field, breaks=False)
    if not clean or all(c in _JOINERS + _BLANK_LETTERS or unicodedata.category(c)[0] in "MZ" for c in clean):
        raise _refuse(field, "A name is needed.")
    if characters(clean) > NAME_LONGEST:
        raise _refuse(field, f"A name has at most {NAME_LONGEST} characters.")
    return clean


def words(text: str, longest: int, *, field: str) -> str:
    """Free text of at most `longest` code points, with line breaks, without control and direction characters."""
    clean = unicodedata.normalize("NFC", _LINE_BREAKS.sub("\n", text)).strip()
    _visible_text(clean, field, breaks=True)
    if len(clean) > longest:
        raise _refuse(field, f"This has at most {longest} characters.")
    return clean


def _visible_text(text: str, field: str, *, breaks: bool) -> None:
    for character in text:
        category = unicodedata.category(character)
        hidden = category in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
        if hidden and character not in _JOINERS and not (breaks and character in "\n\t"):
            raise _refuse(field, "Control characters and direction marks are not possible here.")
    if len(text) > _CODE_POINTS_PER_CHARACTER * max(characters(text), 1):
        raise _refuse(field, "Too many marks on one character.")


def characters(text: str) -> int:
    """Characters as a reader counts them: close to Unicode's grapheme clusters (UAX 29), without its tables.

    Marks, variation selectors, skin tones and what follows a joiner belong to the character before; two regional
    indicators are one flag; Hangul vowels and finals belong to their syllable.
    """
    count = 0
    joined = flag = False
    for character in text:
        point = ord(character)
        if character in _JOINERS:
            joined = character == "\u200d"
            count = count or 1
            continue
        if 0x1F1E6 <= point <= 0x1F1FF:
            count += not flag
            flag = not flag
            joined = False
            continue
        flag = False
        attached = unicodedata.category(character)[0] == "M" or 0x1F3FB <= point <= 0x1F3FF or 0x1160 <= point <= 0x11FF
        if not (attached and count) and not (joined and count):
            count += 1
        joined = False
    return count


def phone(text: str, *, field: str = "phone") -> str:
    """A number as E.164. Full-width digits are read; without a country code it is a Chinese one (+86)."""
    try:
        number = phonenumbers.parse(unicodedata.normalize("NFKC", text), DEFAULT_REGION)
    except phonenumbers.NumberParseException:
        raise _refuse(field, "This is not a phone number.") from None
    if len(text) > 40 or number.extension or not phonenumbers.is_valid_number(number):
        raise _refuse(field, "This is not a phone number.")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def looks_like_phone(login: str) -> bool:
    """True when a login can only be a phone number: handles start with a letter."""
    return unicodedata.normalize("NFKC", login).strip()[:1] in set("+(0123456789")


def birth_date(text: str, today: date) -> date:
    """YYYY-MM-DD within the past 130 years."""
    try:
        born = date.fromisoformat(text) if re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII) else None
    except ValueError:
        born = None
    if born is None:
        raise _refuse("birth_date", "A birth date is written YYYY-MM-DD.")
    if born > today or years_between(born, today) > OLDEST:
        raise _refuse("birth_date", f"A birth date lies in the past {OLDEST} years.")
    return born


def time_zone(text: str) -> str:
    """The name of an IANA time zone."""
    if text not in _time_zones():
        raise _refuse("time_zone", "This is not the name of an IANA time zone.")
    return text


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def local_day(at: datetime, zone: str) -> date:
    """The calendar day in a time zone."""
    return at.astimezone(zoneinfo.ZoneInfo(zone)).date()


def years_between(born: date, today: date) -> int:
    """Completed years; somebody born on 29 February has their birthday on 1 March in other years."""
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def of_age_on(born: date) -> date:
    """The eighteenth birthday."""
    try:
        return born.replace(year=born.year + OF_AGE)
    except ValueError:  # 29 February
        return date(born.year + OF_AGE, 3, 1)


def age(born: date | None, at: datetime, zone: str) -> Age:
    """Somebody's age, where they are."""
    if born is None:
        return Age(False, None, None, None)
    day = of_age_on(born)
    begins = datetime.combine(day, time.min, zoneinfo.ZoneInfo(zone)).astimezone(UTC)
    return Age(is_minor(born, at, zone), born, day, begins)


def keep_birth_date(before: date | None, after: date | None, at: datetime, zone: str) -> None:
    """Raises `guardian_needed` to a minor who changes their birth date: they would be of age whenever they like."""
    if before != after and is_minor(before, at, zone):
        raise VouchError(Code.GUARDIAN_NEEDED, "Staff correct the birth date of a minor.", field="birth_date")


def is_minor(born: date | None, at: datetime, zone: str) -> bool:
    """Under 18 today, where the person is. Nobody is called a minor without a birth date."""
    return born is not None and years_between(born, local_day(at, zone)) < OF_AGE
