"""When a picture is a live one, when it is one that was shown before, and what is written on it. Pure.

What is asked of a live picture: a nonce that this server has made for exactly this person and promise, which is used
once and within a minute; nothing in the file that another camera or a program writes; and a look that is not that of a
picture shown before. It is no proof against who feeds a false camera with a false scene of the moment: the seal says
when it came and that it is unchanged since, people say what they see.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable
from datetime import datetime, timedelta

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
#: shot of the same scene by hand, moved by a hundredth of its width, by 2 and more. One from a tripod may differ by
#: less than its noise: then the same picture is asked for again, moved a little, which costs ten seconds.
GREYS_MOST = 1.5


def check_nonce(nonce: Nonce | None, person: str, pledge: str, now: datetime) -> Nonce:
    """Raises `not_live` for what was never given to this person for this promise, `nonce_used`, `nonce_stale`."""
    if nonce is None or nonce.person != person or nonce.pledge != pledge:
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


def same_picture(one: Looks, other: Looks) -> bool:
    """Whether one is the other, perhaps encoded anew or at another size."""
    return bits_between(one.hash, other.hash) <= BITS_MOST and greys_between(one.grid, other.grid) <= GREYS_MOST


def shown_before(looks: Looks, earlier: Iterable[Looks]) -> bool:
    return any(same_picture(looks, one) for one in earlier)


def code_of(nonce: str) -> str:
    """The nonce as people compare it: `7K2MQ-0X4TV-…`."""
    letters = nonce.partition("_")[2].upper()
    return "-".join(letters[i : i + 5] for i in range(0, len(letters), 5))


def stamp_of(at: datetime) -> str:
    """The server's time as it stands on a picture."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def written(text: str) -> str:
    """What of somebody's words is drawn: one line, nothing invisible, nothing that turns the direction of others."""
    kept = (c if unicodedata.category(c)[0] not in "CZ" else " " for c in unicodedata.normalize("NFC", text))
    return " ".join("".join(kept).split())


def lines_of(name: str, title: str, task: int, nonce: str, at: datetime) -> tuple[str, str, str]:
    """What stands on the picture: when, who and what, and the code."""
    about = " · ".join(part for part in (written(name), written(title), f"#{task}" if task else "") if part)
    return stamp_of(at), about, code_of(nonce)


def digest_of(place: Place, nonce: str) -> str:
    """SHA-256 (hex) that binds a place to the moment in which it was told."""
    said = {"nonce": nonce, **msgspec.to_builtins(place)}
    return hashlib.sha256(msgspec.json.encode(said, order="deterministic")).hexdigest()


def may_see(proof: Proof, person: str, *, reads_pledge: bool) -> bool:
    """Who took it, whom it shows, and those who read the promise that it is for."""
    return person in (proof.by, proof.person) or (bool(proof.pledge) and reads_pledge)
