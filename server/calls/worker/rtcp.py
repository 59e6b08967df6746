"""RTCP: reading what strangers send, writing our own (RFC 3550, 6; 4585; 5104; REMB; transport-wide feedback).

Nothing here raises for malformed packets: readers drop them whole and return nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import msgspec

SR, RR, SDES, BYE, RTPFB, PSFB = 200, 201, 202, 203, 205, 206
NACK, TRANSPORT_CC = 1, 15  # of RTPFB
PLI, FIR, APPLICATION = 1, 4, 15  # of PSFB

#: Parts of one compound packet, and numbers that one packet may ask for again.
MAX_PARTS = 64
MAX_NACKS = 256
_HEAD = struct.Struct("!BBH")
_BLOCK = struct.Struct("!IIIIII")
_SENDER = struct.Struct("!IQIII")
_WORD = struct.Struct("!I")
_PAIR = struct.Struct("!HH")


class Part(msgspec.Struct, frozen=True):
    """One packet of a compound one: `count` is the number of reports or the kind of feedback."""

    kind: int
    count: int
    body: bytes  # after the first four bytes, without padding


class Report(msgspec.Struct, frozen=True):
    """What a receiver says of one stream."""

    ssrc: int
    fraction: int  # lost, of 256
    lost: int  # ever; may be negative
    highest: int  # sequence number with its turns above
    jitter: int
    last_sr: int
    delay: int  # since that, in 1/65536 s


class SenderInfo(msgspec.Struct, frozen=True):
    ssrc: int
    ntp: int  # 32.32 bits since 1900
    rtp: int
    packets: int
    octets: int


def parts(packet: bytes) -> list[Part]:
    """The packets of a compound one; empty when anything about its structure is wrong."""
    found: list[Part] = []
    at, end = 0, len(packet)
    while at < end:
        if end - at < 8 or len(found) == MAX_PARTS:
            return []
        first, kind, words = _HEAD.unpack_from(packet, at)
        size = 4 + 4 * words
        if first & 0xC0 != 0x80 or size < 8 or at + size > end:
            return []
        stop = at + size
        if first & 0x20:
            padding = packet[stop - 1]
            if stop != end or not 0 < padding <= size - 8:
                return []
            stop -= padding
        found.append(Part(kind, first & 0x1F, packet[at + 4 : stop]))
        at += size
    return found


def sender_info(part: Part) -> SenderInfo | None:
    if part.kind != SR or len(part.body) < 24:
        return None
    return SenderInfo(*_SENDER.unpack_from(part.body))


def reports(part: Part) -> list[Report]:
    """The reports of an SR or RR."""
    at = {SR: 24, RR: 4}.get(part.kind)
    if at is None or len(part.body) < at + 24 * part.count:
        return []
    found = []
    for index in range(part.count):
        ssrc, lost, highest, jitter, last_sr, delay = _BLOCK.unpack_from(part.body, at + 24 * index)
        total = lost & 0xFFFFFF
        total -= (total & 0x800000) << 1
        found.append(Report(ssrc, lost >> 24, total, highest, jitter, last_sr, delay))
    return found


def nacks(part: Part) -> tuple[int, list[int]] | None:
    """Whose packets are missing, and which (RFC 4585, 6.2.1): at most MAX_NACKS."""
    if part.kind != RTPFB or part.count != NACK or len(part.body) < 12:
        return None
    (ssrc,) = _WORD.unpack_from(part.body, 4)
    wanted: dict[int, None] = {}
    for at in range(8, len(part.body) - 3, 4):
        first, mask = _PAIR.unpack_from(part.body, at)
        wanted[first] = None
        while mask:
            lowest = mask & -mask
            wanted[(first + lowest.bit_length()) & 0xFFFF] = None
            mask ^= lowest
        if len(wanted) >= MAX_NACKS:
            break
    return ssrc, list(wanted)[:MAX_NACKS]


def keyframes_wanted(part: Part) -> list[int]:
    """SSRCs whose next picture must be a keyframe: PLI (RFC 4585, 6.3.1) and FIR (RFC 5104, 4.3.1)."""
    if part.kind != PSFB or len(part.body) < 8:
        return []
    if part.count == PLI:
        return [_WORD.unpack_from(part.body, 4)[0]]
    if part.count == FIR:
        return [_WORD.unpack_from(part.body, at)[0] for at in range(8, len(part.body) - 7, 8)]
    return []


def remb(part: Part) -> int | None:
    """Bits per second that a receiver believes its line to carry (draft-alvestrand-rmcat-remb)."""
    body = part.body
    if part.kind != PSFB or part.count != APPLICATION or len(body) < 16 or body[8:12] != b"REMB":
        return None
    exponent = body[13] >> 2
    mantissa = (body[13] & 3) << 16 | body[14] << 8 | body[15]
    return mantissa << exponent


# -- writing


def _packed(kind: int, count: int, body: bytes) -> bytes:
    return _HEAD.pack(0x80 | count, kind, len(body) // 4) + body


def _block(report: Report) -> bytes:
    lost = max(-0x800000, min(0x7FFFFF, report.lost)) & 0xFFFFFF
    return _BLOCK.pack(
        report.ssrc,
        report.fraction << 24 | lost,
        report.highest & 0xFFFFFFFF,
        min(report.jitter, 0xFFFFFFFF),
        report.last_sr,
        report.delay & 0xFFFFFFFF,
    )


def receiver_report(ssrc: int, blocks: Sequence[Report]) -> bytes:
    """At most 31 blocks."""
    return _packed(RR, len(blocks), _WORD.pack(ssrc) + b"".join(map(_block, blocks)))


def sender_report(info: SenderInfo) -> bytes:
    return _packed(
        SR,
        0,
        _SENDER.pack(
            info.ssrc,
            info.ntp & 0xFFFFFFFFFFFFFFFF,
            info.rtp & 0xFFFFFFFF,
            info.packets & 0xFFFFFFFF,
            info.octets & 0xFFFFFFFF,
        ),
    )


def description(ssrc: int, cname: str) -> bytes:
    """SDES with a CNAME. One packet for each SSRC: not every implementation reads several in one rightly."""
    text = cname.encode()[:255]
    chunk = _WORD.pack(ssrc) + bytes([1, len(text)]) + text
    return _packed(SDES, 1, chunk + bytes(4 - len(chunk) % 4))


def picture_loss(ssrc: int, media: int) -> bytes:
    return _packed(PSFB, PLI, struct.pack("!II", ssrc, media))


def generic_nack(ssrc: int, media: int, missing: Sequence[int]) -> bytes:
    """`missing` in 16 bits, in the order of the stream, not empty."""
    pairs: list[bytes] = []
    first, mask = missing[0], 0
    for number in missing[1:]:
        distance = (number - first) & 0xFFFF
        if 1 <= distance <= 16:
            mask |= 1 << (distance - 1)
        else:
            pairs.append(_PAIR.pack(first, mask))
            first, mask = number, 0
    pairs.append(_PAIR.pack(first, mask))
    return _packed(RTPFB, NACK, struct.pack("!II", ssrc, media) + b"".join(pairs))


def estimate(ssrc: int, bitrate: int, of: Sequence[int]) -> bytes:
    """REMB: bits per second that all streams `of` (SSRCs, at most 255) may have together."""
    exponent = max(0, bitrate.bit_length() - 18)
    head = struct.pack("!II4sBBH", ssrc, 0, b"REMB", len(of), exponent << 2 | bitrate >> exponent + 16, 0)
    number = (bitrate >> exponent & 0xFFFF).to_bytes(2, "big")
    return _packed(PSFB, APPLICATION, head[:-2] + number + b"".join(map(_WORD.pack, of)))


def transport_feedback(ssrc: int, media: int, first: int, arrivals: Sequence[float | None], count: int) -> bytes:
    """When the packets from number `first` on came, in seconds, None for not at all; not empty, one came at least.

    `count` numbers the feedback packets (draft-holmer-rmcat-transport-wide-cc-extensions-01). Times are in steps of
    250 µs; the reference in steps of 64 ms.
    """
    start = next(at for at in arrivals if at is not None)
    reference = int(start / 0.064)
    before = reference * 256
    symbols, deltas = [], bytearray()
    for at in arrivals:
        if at is None:
            symbols.append(0)
            continue
        delta = int(at * 4000) - before
        if 0 <= delta <= 255:
            symbols.append(1)
            deltas.append(delta)
        else:
            delta = max(-32_768, min(32_767, delta))
            symbols.append(2)
            deltas += struct.pack("!h", delta)
        before += delta
    head = struct.pack("!IIHHI", ssrc, media, first & 0xFFFF, len(symbols), (reference & 0xFFFFFF) << 8 | count & 0xFF)
    body = head + _chunks(symbols) + bytes(deltas)
    return _packed(RTPFB, TRANSPORT_CC, body + bytes(-len(body) % 4))


def _chunks(symbols: list[int]) -> bytes:
    """Runs of the same symbol where they are longer than what seven two-bit symbols say."""
    written = bytearray()
    at = 0
    while at < len(symbols):
        run = 1
        while at + run < len(symbols) and run < 8191 and symbols[at + run] == symbols[at]:
            run += 1
        if run >= 7 or at + run == len(symbols):
            chunk = symbols[at] << 13 | run
            at += run
        else:
            chunk = 0xC000
            for place, symbol in enumerate(symbols[at : at + 7]):
                chunk |= symbol << (12 - 2 * place)
            at += 7
        written += chunk.to_bytes(2, "big")
    return bytes(written)
