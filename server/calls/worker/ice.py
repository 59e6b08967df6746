"""ICE lite (RFC 8445) over STUN (RFC 8489): we answer checks and never look for anybody.

What a browser says about its own addresses is not read, so nobody can make us knock at doors of our own network. Media
go where a check came from that knew our password, with two more proofs that lite agents may leave out but we do not:
a check that was recorded and is played again from elsewhere counts for nothing, and before media flow to an address it
must have answered a check of ours (as RFC 7675 does for consent), so that nobody can point a picture at a stranger.

Pure: bytes, addresses and the time (seconds of any rising clock) come in, bytes go out.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import socket
import struct
import zlib
from collections import OrderedDict
from typing import Literal

import msgspec

#: Seconds without anything authentic after which an address, or a whole peer, counts as gone.
SILENCE = 15.0
#: Seconds for which an address has our trust after it has answered a check of ours (RFC 7675, 5.1).
CONSENT = 30.0
#: Seconds after which a chosen address is left for another one that is heard: a router gave the browser a new port,
#: say. Longer than browsers let pass between two checks (Firefox: 6 s).
MOVED = 8.0
#: Seconds between our checks towards one address: before its first answer, and afterwards.
_ASK_UNPROVED = 0.05
_ASK_AGAIN = 5.0
#: Checks towards one address that follow each other so quickly; and those whose answer we still know.
_MAX_UNANSWERED = 20
_MAX_ASKED = 16
#: Addresses of one peer: a browser has several network cards, each with IPv4, IPv6 and behind a relay.
_MAX_ADDRESSES = 16
_REMEMBERED_CHECKS = 512

_HEADER = struct.Struct("!HHI12s")
_ATTRIBUTE = struct.Struct("!HH")
_COOKIE = 0x2112A442
_COOKIE_BYTES = _COOKIE.to_bytes(4, "big")
_REQUEST, _SUCCESS, _ERROR = 0x0001, 0x0101, 0x0111
_MAX_MESSAGE = 1_500
_MAX_ATTRIBUTES = 32
_USERNAME, _INTEGRITY, _ERROR_CODE, _XOR_ADDRESS = 0x0006, 0x0008, 0x0009, 0x0020
_PRIORITY, _USE_CANDIDATE, _FINGERPRINT, _CONTROLLED = 0x0024, 0x0025, 0x8028, 0x8029
_FINGERPRINT_XOR = 0x5354554E

#: A `sockaddr` as the kernel writes it: the cheapest thing to compare, keep and send to.
Address = bytes
Verdict = Literal["ok", "malformed", "forged"]


class Malformed(Exception):
    """Not a STUN message, or one that says what it must not."""


class Message(msgspec.Struct, frozen=True):
    """A STUN message; `attributes` are those in front of MESSAGE-INTEGRITY, of several alike the first."""

    type: int
    transaction: bytes
    attributes: dict[int, bytes]
    signed: bytes | None  # what MESSAGE-INTEGRITY covers, with the length as it was then
    integrity: bytes

    def proves(self, password: bytes) -> bool:
        """Whether whoever wrote it knew the password."""
        if self.signed is None:
            return False
        return hmac.compare_digest(hmac.digest(password, self.signed, hashlib.sha1), self.integrity)


def parsed(data: bytes) -> Message:
    """Raises Malformed. A FINGERPRINT must be right when there is one."""
    if not 20 <= len(data) <= _MAX_MESSAGE:
        raise Malformed("size")
    kind, length, cookie, transaction = _HEADER.unpack_from(data)
    if cookie != _COOKIE or length != len(data) - 20 or length % 4 or kind >= 0x4000:
        raise Malformed("header")
    attributes: dict[int, bytes] = {}
    signed, integrity = None, b""
    at = 20
    for _ in range(_MAX_ATTRIBUTES):
        if at >= len(data):
            return Message(
                type=kind, transaction=transaction, attributes=attributes, signed=signed, integrity=integrity
            )
        name, size = _ATTRIBUTE.unpack_from(data, at)
        value = data[at + 4 : at + 4 + size]
        if len(value) != size:
            raise Malformed("attribute")
        if name == _FINGERPRINT:
            if at + 8 != len(data) or value != _fingerprint(data[:at]):
                raise Malformed("fingerprint")
        elif name == _INTEGRITY:
            if size != 20 or signed is not None:
                raise Malformed("integrity")
            signed, integrity = data[:2] + struct.pack("!H", at + 4) + data[4:at], value
        elif signed is None:  # what stands behind MESSAGE-INTEGRITY is not to be believed (RFC 8489, 14.5)
            attributes.setdefault(name, value)
        at += 4 + (size + 3 & ~3)
    raise Malformed("attributes")


def username(data: bytes) -> bytes | None:
    """Our part of the USERNAME of a request (RFC 8445, 7.2.2), looked up without reading the rest; None for others."""
    if len(data) < 28 or len(data) > _MAX_MESSAGE or data[:2] != b"\x00\x01" or data[4:8] != _COOKIE_BYTES:
        return None
    at = 20
    for _ in range(_MAX_ATTRIBUTES):
        if at + 4 > len(data):
            return None
        name, size = _ATTRIBUTE.unpack_from(data, at)
        if name == _USERNAME:
            return data[at + 4 : at + 4 + size].partition(b":")[0]
        at += 4 + (size + 3 & ~3)
    return None


def built(kind: int, transaction: bytes, attributes: list[tuple[int, bytes]], password: bytes) -> bytes:
    """A message with MESSAGE-INTEGRITY and FINGERPRINT."""
    body = b"".join(_ATTRIBUTE.pack(name, len(value)) + value + b"\0" * (-len(value) % 4) for name, value in attributes)
    head = _HEADER.pack(kind, len(body) + 24, _COOKIE, transaction) + body
    signed = head + _ATTRIBUTE.pack(_INTEGRITY, 20) + hmac.digest(password, head, hashlib.sha1)
    whole = signed[:2] + struct.pack("!H", len(signed) - 20 + 8) + signed[4:]
    return whole + _ATTRIBUTE.pack(_FINGERPRINT, 4) + _fingerprint(whole)


def _fingerprint(data: bytes) -> bytes:
    return struct.pack("!I", zlib.crc32(data) ^ _FINGERPRINT_XOR)


def sockaddr(host: str, port: int, *, v6: bool) -> Address:
    """A numeric address as the kernel writes it, for a socket of IPv6 (which takes IPv4 as ::ffff:…) or of IPv4."""
    ip = ipaddress.ip_address(host.partition("%")[0])
    if v6:
        raw = ip.packed if ip.version == 6 else b"\0" * 10 + b"\xff\xff" + ip.packed
        return struct.pack("=H", socket.AF_INET6) + struct.pack("!HI", port, 0) + raw + b"\0" * 4
    if ip.version == 6:
        raise ValueError("an IPv6 address for a socket of IPv4")
    return struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + ip.packed + b"\0" * 8


def spelled(address: Address) -> tuple[str, int]:
    """Host and port of a sockaddr; raises ValueError for other families."""
    packed, port = _unpacked(address)
    return str(ipaddress.ip_address(packed)), port


def _unpacked(address: Address) -> tuple[bytes, int]:
    (family,) = struct.unpack_from("=H", address)
    port = int.from_bytes(address[2:4], "big")
    if family == socket.AF_INET:
        return address[4:8], port
    if family != socket.AF_INET6 or len(address) < 24:
        raise ValueError("an address of another family")
    ip = address[8:24]
    return (ip[12:] if ip[:12] == b"\0" * 10 + b"\xff\xff" else ip), port


def _xored(address: Address, transaction: bytes) -> bytes:
    """XOR-MAPPED-ADDRESS (RFC 8489, 14.2)."""
    ip, port = _unpacked(address)
    mask = _COOKIE_BYTES + transaction
    family = 1 if len(ip) == 4 else 2
    return struct.pack("!BBH", 0, family, port ^ (_COOKIE >> 16)) + bytes(a ^ b for a, b in zip(ip, mask, strict=False))


class _Path:
    """One address of the peer."""

    __slots__ = ("asked", "heard", "proved", "unanswered", "waiting")

    def __init__(self, now: float) -> None:
        self.heard = now  # the last authentic thing from there
        self.proved = float("-inf")  # its last answer to a check of ours
        self.asked = float("-inf")
        self.unanswered = 0
        self.waiting: OrderedDict[bytes, float] = OrderedDict()  # our checks without an answer, and when


class Ice:
    """Our side of ICE with one peer. `selected` is where everything goes, None before the first check."""

    def __init__(self, remote_ufrag: str, remote_password: str, now: float) -> None:
        self.ufrag = secrets.token_hex(8)
        self.password = secrets.token_hex(16)
        self._password = self.password.encode()
        self._remote_password = remote_password.encode()
        self._username = f"{self.ufrag}:{remote_ufrag}".encode()
        self._our_username = f"{remote_ufrag}:{self.ufrag}".encode()
        self._tie_breaker = secrets.token_bytes(8)
        self._paths: dict[Address, _Path] = {}
        self._seen: OrderedDict[bytes, Address] = OrderedDict()
        self.selected: Address | None = None
        self._nominee: Address | None = None  # takes its place as soon as it has answered us
        #: Addresses that made room for others, until somebody takes note of it.
        self.evicted: list[Address] = []
        self._heard = now
        self.round_trip: float | None = None

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Where authentic checks came from, the longest known first."""
        return tuple(self._paths)

    def silent(self, now: float) -> bool:
        """Nothing authentic has come for so long that the peer must be gone."""
        return now - self._heard > SILENCE

    def heard(self, address: Address, now: float) -> None:
        """Something has come from there that only the peer can have sent (SRTP)."""
        path = self._paths.get(address)
        if path is not None:
            path.heard = self._heard = now

    def knows(self, address: Address) -> bool:
        """Whether it is among `addresses`."""
        return address in self._paths

    def awaits(self, transaction: bytes, address: Address) -> bool:
        """Whether an answer to this check of ours is to come from there."""
        path = self._paths.get(address)
        return path is not None and transaction in path.waiting

    def proved(self, address: Address) -> float:
        """When a check of ours was answered from there; minus infinity for never."""
        path = self._paths.get(address)
        return float("-inf") if path is None else path.proved

    def may_send(self, now: float) -> bool:
        """Whether media may go to the selected address: it answers us, and we hear from it."""
        return self.selected is not None and self._usable(self.selected, now)

    def _usable(self, address: Address, now: float) -> bool:
        path = self._paths.get(address)
        return path is not None and now - path.heard <= SILENCE and now - path.proved <= CONSENT

    def receive(self, data: bytes, address: Address, now: float) -> tuple[Verdict, list[bytes]]:
        """Takes a STUN message from `address`; what is to be sent back there."""
        try:
            message = parsed(data)
        except (Malformed, struct.error):
            return "malformed", []
        if message.type == _REQUEST:
            return self._requested(message, address, now)
        if message.type in (_SUCCESS, _ERROR):
            return self._answered(message, address, now)
        return "malformed", []  # indications only keep the way open; nothing proves who sent them

    def _requested(self, message: Message, address: Address, now: float) -> tuple[Verdict, list[bytes]]:
        # No answer to whoever does not know the password: an error would only be of use to those who probe.
        if message.attributes.get(_USERNAME) != self._username or not message.proves(self._password):
            return "forged", []
        if self._seen.setdefault(message.transaction, address) != address:
            return "forged", []  # recorded somewhere and played again from elsewhere
        while len(self._seen) > _REMEMBERED_CHECKS:
            self._seen.popitem(last=False)
        if _CONTROLLED in message.attributes:
            # We are always the controlled one (RFC 8445, 7.3.1.1).
            reason = (_ERROR_CODE, b"\0\0\x04\x57Role Conflict")
            return "ok", [built(_ERROR, message.transaction, [reason], self._password)]
        path = self._path(address, now)
        path.heard = self._heard = now
        self._choose(address, now, nominated=_USE_CANDIDATE in message.attributes)
        out = [
            built(_SUCCESS, message.transaction, [(_XOR_ADDRESS, _xored(address, message.transaction))], self._password)
        ]
        out += self._ask(path, now)
        return "ok", out

    def _choose(self, address: Address, now: float, *, nominated: bool) -> None:
        """Where media go on; where they flow, until the new address has proved to be the browser's."""
        selected = self._paths.get(self.selected) if self.selected is not None else None
        if selected is None or self.selected is None:
            self.selected = address
        elif nominated or now - selected.heard > MOVED:
            if address == self.selected or self._usable(address, now) or not self._usable(self.selected, now):
                self.selected, self._nominee = address, None
            else:
                self._nominee = address

    def _answered(self, message: Message, address: Address, now: float) -> tuple[Verdict, list[bytes]]:
        path = self._paths.get(address)
        if path is None or not message.proves(self._remote_password):
            return "forged", []
        asked = path.waiting.pop(message.transaction, None)
        if asked is None or message.type == _ERROR:
            return "forged", []
        path.waiting.clear()
        path.unanswered = 0
        path.proved = path.heard = self._heard = now
        if address == self._nominee:
            self.selected, self._nominee = address, None
        if address == self.selected:
            self.round_trip = now - asked
        return "ok", []

    def _ask(self, path: _Path, now: float) -> list[bytes]:
        """Our own check, only ever in answer to one: never more bytes than came in."""
        settled = path.unanswered == 0 and path.proved > float("-inf")
        pause = _ASK_AGAIN if settled or path.unanswered >= _MAX_UNANSWERED else _ASK_UNPROVED
        if now - path.asked < pause:
            return []
        path.asked = now
        path.unanswered += 1
        transaction = secrets.token_bytes(12)
        path.waiting[transaction] = now
        while len(path.waiting) > _MAX_ASKED:
            path.waiting.popitem(last=False)
        attributes = [
            (_USERNAME, self._our_username),
            (_CONTROLLED, self._tie_breaker),
            (_PRIORITY, b"\x6e\xff\xff\xff"),
        ]
        return [built(_REQUEST, transaction, attributes, self._remote_password)]

    def _path(self, address: Address, now: float) -> _Path:
        path = self._paths.get(address)
        if path is None:
            if len(self._paths) >= _MAX_ADDRESSES:
                quiet = min((a for a in self._paths if a != self.selected), key=lambda a: self._paths[a].heard)
                del self._paths[quiet]
                self.evicted.append(quiet)
            path = self._paths[address] = _Path(now)
        return path
