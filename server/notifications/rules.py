"""Who is told of what, and when it is quiet. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from server.chat.words import Message
from server.clock import to_ms
from server.errors import Code, VouchError
from server.notifications.model import Level, NotificationSettings, Notify, QuietHours, Receipts
from server.people.rules import time_zone

#: Characters of a message that a push shows, and the most bytes of a push (RFC 8030 asks services for 4,096 with all).
PREVIEW_LONGEST = 300
PAYLOAD_MOST = 3_000


def settings(wanted: NotificationSettings) -> NotificationSettings:
    """The choices as they are kept. Raises `bad_request` for a time zone that does not exist."""
    time_zone(wanted.quiet.zone)
    quiet = msgspec.structs.replace(wanted.quiet, days=sorted(set(wanted.quiet.days)))
    return msgspec.structs.replace(wanted, quiet=quiet)


def is_quiet(hours: QuietHours, at: datetime) -> bool:
    """Whether quiet hours cover this moment: told by the clock on the wall, so that days on which it is turned need no
    rule of their own. An hour that comes twice is quiet twice, and where `to` is skipped they end with the jump."""
    if not hours.on:
        return False
    wall = at.astimezone(ZoneInfo(hours.zone))
    begin, end, now = _minute(hours.from_), _minute(hours.to), wall.hour * 60 + wall.minute
    today, yesterday = wall.weekday(), (wall.weekday() - 1) % 7
    if begin < end:
        return today in hours.days and begin <= now < end
    return (today in hours.days and now >= begin) or (yesterday in hours.days and now < end)


def hides_receipts(choices: NotificationSettings, at: datetime) -> bool:
    """Whether others do not see what is read at this moment."""
    match choices.receipts:
        case Receipts.HIDDEN:
            return True
        case Receipts.NOT_WHEN_QUIET:
            return is_quiet(choices.quiet, at)
        case _:
            return False


def level(notify: Notify, at: datetime) -> Level:
    """What holds now."""
    return Level.ALL if notify.until is not None and to_ms(at) >= notify.until else notify.level


def wants(notify: Notify, at: datetime, *, called: bool) -> bool:
    """Whether a message is worth telling; `called`: it mentions the person, or everybody."""
    match level(notify, at):
        case Level.ALL:
            return True
        case Level.MENTIONS:
            return called
        case Level.NONE:
            return False


def receiver_key(text: str) -> bytes:
    """The point of a browser's key. Raises `bad_request` when it does not lie on the curve."""
    point = _bytes(text, "p256dh")
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError:
        raise VouchError(Code.BAD_REQUEST, "This is not a key of a push subscription.", field="p256dh") from None
    return point


def receiver_secret(text: str) -> bytes:
    return _bytes(text, "auth")


def preview(message: Message) -> dict[str, Any]:
    """What a push shows of a message: the beginning of its text on one line, and of which kind its media are."""
    shown: dict[str, Any] = {}
    if text := " ".join(message.text.split()):
        shown["body"] = text if len(text) <= PREVIEW_LONGEST else text[: PREVIEW_LONGEST - 1].rstrip() + "…"
    if message.media:
        shown["media"] = str(message.media[0].kind)
        shown["count"] = len(message.media)
    return shown


def payload(content: dict[str, Any]) -> bytes:
    """The bytes of a push, cut to PAYLOAD_MOST by shortening its text."""
    data = msgspec.json.encode(content)
    while len(data) > PAYLOAD_MOST and (body := content.get("body")):
        content = content | {"body": body[: len(body) * 3 // 4].rstrip("…") + "…" if len(body) > 8 else ""}
        data = msgspec.json.encode(content)
    return data


def topic(subscription: str, ch: str) -> str:
    """Tells a push service nothing, not even who is in one conversation (32 characters, RFC 8030 section 5.4)."""
    return base64.urlsafe_b64encode(hashlib.sha256(f"{subscription}|{ch}".encode()).digest()[:24]).decode()


def _minute(time: str) -> int:
    hour, minute = time.split(":")
    return int(hour) * 60 + int(minute)


def _bytes(text: str, field: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4))
    except (binascii.Error, ValueError):
        raise VouchError(Code.BAD_REQUEST, "This is not base64url.", field=field) from None
