"""When a picture is a live one, when it is one that was shown before, and what is written on it. Pure.

What is asked of a live picture: a nonce that this server has made for exactly this person and promise, which is used
once and within a minute; nothing in the file that another camera or a program writes; and a look that is not that of a
picture shown before. It is no proof against who feeds a false camera with a false scene of the moment: the seal says
when it came and that it is unchanged since, people say what they see.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from statistics import StatisticsError, correlation, pstdev

import msgspec

from server.errors import Code, VouchError
from server.proofs.model import Looks, Nonce, Place, Proof

#: how long one has for pointing the camera
LIVES = timedelta(seconds=60)
#: a picture that was taken in time is so long on its way at most
ON_ITS_WAY = timedelta(seconds=15)
#: Of 64 bits of the coarse form: the same picture, encoded anew or at another size, differs in 0 to 4.
BITS_MOST = 6
#: Mean difference of 32 × 32 greys, of 255. The same picture encoded anew or scaled differs by less than 1; another
#: shot of the same scene by hand, moved by a hundredth of its width, by 2 and more. One from a stand may differ by
#: less than its noise: then nothing in it has changed, and it is asked for again, moved a little.
GREYS_MOST = 1.5
#: Mean difference of the greys that differ most. Encoded anew or scaled: up to 6.5. One line of handwriting more on a
#: page below a stand: 13, although the mean of all is 0.5.
SOME, SOME_MOST = 20, 8.0
#: From here on a picture is not the same, but alike, which people are told: bits, and how well the greys go together.
ALIKE_BITS, ALIKE_GREYS = 10, 0.97
#: bits up to which a picture is surely found (`sought_under`); with more it is where one part differs in one at most
SURE_BITS = 7
#: where the hash is all that there is to compare: pictures that lost some of their edges
ALIKE_BITS_ALONE = 5
#: Greys that stray less (standard deviation) are a wall or a covered lens: their hash is that of their noise.
FLAT = 3.0
#: the scripts of the font that pictures are written with
_SCRIPTS = ("LATIN", "GREEK", "CYRILLIC", "CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "IDEOGRAPHIC")
#: symbols that are drawn in colours, and what goes with them
_PICTURES = frozenset({"So", "Sk", "Cs"})
#: letters of a name, so that there is room for what was promised
NAME_MOST = 32
#: bits of a part of a hash by which pictures are found, and how many parts there are
_PART, _PARTS = 16, 4


def check_nonce(nonce: Nonce | None, person: str, session: str, pledge: str, now: datetime) -> Nonce:
    """Raises `not_live` for what was never given to this person at this sign-in for this promise, `nonce_used`,
    `nonce_stale`."""
    if nonce is None or (nonce.person, nonce.session, nonce.pledge) != (person, session, pledge):
        raise VouchError(Code.NOT_LIVE, "Nobody has asked for a photo with this code.", field="nonce")
    if nonce.proof is not None:
        raise VouchError(Code.NONCE_USED, field="nonce")
    if now > nonce.until + ON_ITS_WAY:
        raise VouchError(Code.NONCE_STALE, field="nonce")
    return nonce


def bits_between(one: str, other: str) -> int:
    """How many of the 64 bits differ."""
    return (int(one, 16) ^ int(other, 16)).bit_count()


def greys_between(one: bytes, other: bytes) -> float:
    """Mean difference of the greys when both are as bright on average: a lamp more is no other picture."""
    size = min(len(one), len(other)) or 1
    lighter = (sum(one) - sum(other)) / size
    return sum(abs(a - b - lighter) for a, b in zip(one, other, strict=False)) / size


def worst_between(one: bytes, other: bytes) -> float:
    """Mean difference of the SOME greys that differ most, when both are as bright on average."""
    size = min(len(one), len(other)) or 1
    lighter = (sum(one) - sum(other)) / size
    apart = sorted((abs(a - b - lighter) for a, b in zip(one, other, strict=False)), reverse=True)
    return sum(apart[:SOME]) / SOME


def together(one: bytes, other: bytes) -> float:
    """The correlation of two sets of greys, -1 to 1; 0 where one of them is the same all over."""
    try:
        return correlation(one, other)
    except StatisticsError:
        return 0.0


def is_flat(looks: Looks) -> bool:
    return bool(looks.grid) and pstdev(looks.grid) < FLAT


def same_picture(one: Looks, other: Looks) -> bool:
    """Whether one is the other, perhaps encoded anew or at another size."""
    return (
        bool(one.grid and other.grid)
        and bits_between(one.hash, other.hash) <= BITS_MOST
        and greys_between(one.grid, other.grid) <= GREYS_MOST
        and worst_between(one.grid, other.grid) <= SOME_MOST
    )


def alike(one: Looks, other: Looks) -> bool:
    """Whether one may be made from the other, or was taken from the same place: people are told, nobody is refused."""
    bits = bits_between(one.hash, other.hash)
    if not (one.grid and other.grid):
        return bits <= ALIKE_BITS_ALONE
    return bits <= ALIKE_BITS and together(one.grid, other.grid) >= ALIKE_GREYS


def shown_before(looks: Looks, earlier: Iterable[Proof]) -> bool:
    return any(same_picture(looks, one) for proof in earlier for one in proof.looks)


def nearest(looks: Looks, earlier: Iterable[Proof]) -> Proof | None:
    """The proof whose picture is most like this one, if any is."""
    found = [
        (bits_between(looks.hash, one.hash), proof.id, proof)
        for proof in earlier
        for one in proof.looks
        if alike(looks, one)
    ]
    return min(found)[2] if found else None


def parts_of(hash: str) -> list[tuple[int, int]]:
    value = int(hash, 16)
    return [(n, value >> (_PART * n) & (1 << _PART) - 1) for n in range(_PARTS)]


def kept_under(looks: Sequence[Looks], person: str) -> list[str]:
    """The words under which a picture is found again (`sought_under`). Those of a wall are found by their person's
    only: all walls look alike."""
    if looks and is_flat(looks[0]):
        return [f"flat {person}"]
    return sorted({_word(*part) for one in looks for part in parts_of(one.hash)})


def sought_under(looks: Looks, person: str) -> list[str]:
    """All that a picture can be kept under whose hash differs in up to SURE_BITS bits: one of its four parts then
    differs in at most one. 68 of 262,144 words."""
    if is_flat(looks):
        return [f"flat {person}"]
    near = (0, *(1 << bit for bit in range(_PART)))
    return [_word(n, part ^ flip) for n, part in parts_of(looks.hash) for flip in near]


def _word(number: int, part: int) -> str:
    return f"{number}{part:04x}"


def code_of(nonce: str) -> str:
    """The nonce as people compare it: `7K2MQ-0X4TV-…`."""
    letters = nonce.partition("_")[2].upper()
    return "-".join(letters[i : i + 5] for i in range(0, len(letters), 5))


def stamp_of(at: datetime) -> str:
    """The server's time as it stands on a picture."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def written(text: str) -> str:
    """What of somebody's words is drawn: one line, nothing invisible, no small pictures, nothing that turns the
    direction of others."""
    composed = unicodedata.normalize("NFC", text)
    kept = (
        "" if unicodedata.category(c) in _PICTURES else c if unicodedata.category(c)[0] not in "CZ" else " "
        for c in composed
    )
    return " ".join("".join(kept).split())


def has_letters(text: str) -> bool:
    """Whether the font has the script of all its letters."""
    letters = [c for c in text if unicodedata.category(c)[0] == "L"]
    return all(unicodedata.name(c, "").startswith(_SCRIPTS) for c in letters)


def name_on(name: str, handle: str) -> str:
    """What stands on a picture for somebody: their name, or, where the font does not have its letters, their handle."""
    drawn = written(name)
    if drawn and has_letters(drawn):
        return drawn if len(drawn) <= NAME_MOST else drawn[: NAME_MOST - 1].rstrip() + "…"
    return f"@{handle}" if handle else ""


def lines_of(name: str, title: str, task: int, nonce: str, at: datetime) -> tuple[str, str, str]:
    """What stands on the picture: when, who (`name_on`) and what, and the code. A title without its letters would be
    boxes: it is left out."""
    words = written(title)
    what = " ".join(part for part in (f"#{task}" if task else "", words if has_letters(words) else "") if part)
    return stamp_of(at), " · ".join(part for part in (written(name), what) if part), code_of(nonce)


def digest_of(place: Place, nonce: str) -> str:
    """SHA-256 (hex) that binds a place to the moment in which it was told."""
    said = {"nonce": nonce, **msgspec.to_builtins(place)}
    return hashlib.sha256(msgspec.json.encode(said, order="deterministic")).hexdigest()


def may_see(proof: Proof, person: str, *, reads_pledge: bool, sent: bool) -> bool:
    """Who took it, whom it shows, and those who read the promise that it is for, once it was sent there."""
    return person in (proof.by, proof.person) or (bool(proof.pledge) and reads_pledge and sent)
