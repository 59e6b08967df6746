"""What a browser offers (SDP: RFC 8866, 8829, 8843): only what calls need, within bounds. The answer: answer.py.

Candidates are not read at all (see ice.py). What is not understood is left out, as SDP wants it; what contradicts
itself, or lacks what WebRTC requires (BUNDLE, rtcp-mux, DTLS), is refused.
"""

from __future__ import annotations

import re
from typing import Literal, NoReturn

import msgspec

from server.calls.wire import MAX_SDP, Direction

#: Header extensions (RFC 8285) that we agree to when they are offered.
MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
ABS_SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
TRANSPORT_CC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
AUDIO_LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"

MAX_MEDIA = 40
MAX_LINES = 6_000
MAX_CODECS = 64
MAX_EXTENSIONS = 32
MAX_SSRCS = 16
MAX_FINGERPRINTS = 4

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]{1,32}")
_ICE = re.compile(r"[A-Za-z0-9+/]+")
_HASHES = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
_HEX = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2})*")
_NUMBER = re.compile(r"[0-9]{1,10}")
_FLOW = frozenset({"sendrecv", "sendonly", "recvonly", "inactive"})
#: Feedback that we know what to do with (RFC 4585, 5104).
_FEEDBACK = frozenset({"nack", "nack pli", "ccm fir", "transport-cc", "goog-remb"})


class BadOffer(Exception):
    """An offer that cannot be answered: `code` is `bad_offer` or `too_large`; the text says why, for a log."""

    def __init__(self, text: str, code: Literal["bad_offer", "too_large"] = "bad_offer") -> None:
        super().__init__(text)
        self.code = code


class Codec(msgspec.Struct, frozen=True):
    """The one codec of an m-line. `name` is in capitals: OPUS, VP8 or H264."""

    name: str
    payload_type: int
    clock_rate: int  # Hz
    rtx: int | None = None  # payload type of retransmissions (RFC 4588)
    feedback: frozenset[str] = frozenset()  # agreed on: nack, "nack pli", "ccm fir", transport-cc, goog-remb
    fmtp: str = ""  # its parameters as they are answered


class Media(msgspec.Struct, frozen=True):
    """One accepted m-line. Its payload types, extension ids and mid are those of the browser's offer."""

    index: int  # among all m-lines of the offer
    mid: str
    kind: Literal["audio", "video"]
    codec: Codec
    extensions: dict[str, int]  # URI → id (1 to 14)
    active: bool  # something may flow; otherwise the answer says inactive
    ssrcs: tuple[int, ...] = ()  # as the offer says, media first; may be empty
    rtx_of: dict[int, int] = {}  # SSRC of retransmissions → SSRC of the media, as the offer says
    ssrc: int = 0  # ours, when the browser watches
    rtx_ssrc: int = 0  # ours, when the browser watches and codec.rtx is not None


class Refused(msgspec.Struct, frozen=True):
    """An m-line that is answered with port 0: data channels, and what the browser itself has given up."""

    kind: str
    protocol: str
    format: str
    mid: str


class Offer(msgspec.Struct, frozen=True):
    """`lines` has every m-line in its order."""

    lines: tuple[Media | Refused, ...]
    ufrag: str
    password: str
    fingerprints: tuple[tuple[str, str], ...]  # (sha-256, AB:CD:…)
    reduced_rtcp: bool  # RFC 5506

    @property
    def media(self) -> tuple[Media, ...]:
        return tuple(line for line in self.lines if isinstance(line, Media))


def read(text: str, direction: Direction) -> Offer:
    """Raises BadOffer for whatever cannot be answered; nothing else."""
    if len(text) > MAX_SDP:
        raise BadOffer(f"{len(text)} characters", "too_large")
    lines = text.replace("\r\n", "\n").rstrip("\n").split("\n")
    if len(lines) > MAX_LINES:
        raise BadOffer("too many lines")
    if lines[0] != "v=0":
        raise BadOffer("not a session description")
    sections: list[list[str]] = [[]]
    for line in lines:
        if len(line) < 2 or line[1] != "=" or not line.isprintable():
            raise BadOffer("not a line of a session description")
        if line.startswith("m="):
            sections.append([])
            if len(sections) - 1 > MAX_MEDIA:
                raise BadOffer("too many m-lines", "too_large")
        sections[-1].append(line)
    return _Reader(sections, direction).offer()


class _Attributes:
    """The a-lines of a session or an m-line."""

    def __init__(self, lines: list[str]) -> None:
        self._pairs: dict[str, list[str]] = {}
        for line in lines:
            if line.startswith("a="):
                name, _, value = line[2:].partition(":")
                self._pairs.setdefault(name, []).append(value.strip())

    def __contains__(self, name: str) -> bool:
        return name in self._pairs

    def all(self, name: str) -> list[str]:
        return self._pairs.get(name, [])

    def one(self, name: str, other: str = "") -> str:
        """The only value; raises BadOffer when there are several that differ."""
        values = self._pairs.get(name)
        if values is None:
            return other
        if len(set(values)) > 1:
            raise BadOffer(f"a={name} says several things")
        return values[0]


class _Reader:
    """Reads one offer."""

    def __init__(self, sections: list[list[str]], direction: Direction) -> None:
        self._session = _Attributes(sections[0])
        self._sections = sections[1:]
        self._direction = direction
        self._bundle: list[str] = []
        for group in self._session.all("group"):
            semantics, _, members = group.partition(" ")
            if semantics == "BUNDLE":
                if self._bundle:
                    self._bad("two bundles")
                self._bundle = members.split()
        self._mids: set[str] = set()
        self._ids: dict[int, str] = {}
        self._types: dict[int, str] = {}
        self._ssrcs: set[int] = set()
        self._transport: tuple[str, str, tuple[tuple[str, str], ...]] | None = None

    @staticmethod
    def _bad(text: str) -> NoReturn:
        raise BadOffer(text)

    def offer(self) -> Offer:
        lines = tuple(self._line(index, section) for index, section in enumerate(self._sections))
        if self._transport is None or not any(isinstance(line, Media) for line in lines):
            self._bad("no sound and no pictures")
        ufrag, password, fingerprints = self._transport
        reduced = all(
            "rtcp-rsize" in _Attributes(section)
            for section, line in zip(self._sections, lines, strict=True)
            if isinstance(line, Media)
        )
        return Offer(lines=lines, ufrag=ufrag, password=password, fingerprints=fingerprints, reduced_rtcp=reduced)

    def _line(self, index: int, section: list[str]) -> Media | Refused:
        kind, port, protocol, *formats = section[0][2:].split(" ") + [""] * 3
        formats = [format for format in formats if format]
        if not _NUMBER.fullmatch(port) or int(port) > 65_535 or not formats or len(formats) > MAX_CODECS:
            self._bad("a malformed m-line")
        if not all(_TOKEN.fullmatch(word) for word in (kind, *protocol.split("/"), *formats)):
            self._bad("a malformed m-line")
        attributes = _Attributes(section)
        mid = attributes.one("mid")
        if not _TOKEN.fullmatch(mid) or len(mid) > 16 or mid in self._mids:
            self._bad("an m-line without a mid of its own")
        self._mids.add(mid)
        given_up = int(port) == 0 and "bundle-only" not in attributes
        if kind not in ("audio", "video") or given_up:
            return Refused(kind=kind, protocol=protocol, format=formats[0], mid=mid)
        if protocol != "UDP/TLS/RTP/SAVPF":
            self._bad("not the protocol of WebRTC")
        if mid not in self._bundle:
            self._bad("an m-line that is not bundled")
        if "rtcp-mux" not in attributes:
            self._bad("no rtcp-mux")
        self._same_transport(attributes)
        flow = [word for word in _FLOW if word in attributes]
        if len(flow) > 1:
            self._bad("several directions")
        wanted = {"sendonly", "sendrecv"} if self._direction is Direction.PUBLISH else {"recvonly", "sendrecv"}
        media = Media(
            index=index,
            mid=mid,
            kind="audio" if kind == "audio" else "video",
            codec=self._codec(kind, formats, attributes),
            extensions=self._extensions(kind, attributes),
            active=(flow[0] if flow else "sendrecv") in wanted,
        )
        if self._direction is Direction.PUBLISH:
            ssrcs, rtx_of = self._sources(attributes)
            media = msgspec.structs.replace(media, ssrcs=ssrcs, rtx_of=rtx_of)
        return media

    def _same_transport(self, attributes: _Attributes) -> None:
        """ICE and DTLS of the bundle: in its first m-line or above all; others may say the same or nothing."""

        def value(name: str) -> str:
            return attributes.one(name) or self._session.one(name)

        ufrag, password, setup = value("ice-ufrag"), value("ice-pwd"), value("setup")
        fingerprints = attributes.all("fingerprint") or self._session.all("fingerprint")
        if self._transport is not None and not (ufrag or password or fingerprints):
            return
        if setup not in ("actpass", "active"):
            self._bad("the browser must begin with DTLS")
        if not (4 <= len(ufrag) <= 256 and 22 <= len(password) <= 256):
            self._bad("no name or password for ICE")
        if not _ICE.fullmatch(ufrag) or not _ICE.fullmatch(password):
            self._bad("no name or password for ICE")
        transport = (ufrag, password, self._fingerprints(fingerprints))
        if self._transport is not None and transport != self._transport:
            self._bad("several transports")
        self._transport = transport

    def _fingerprints(self, values: list[str]) -> tuple[tuple[str, str], ...]:
        found = []
        for value in values:
            name, _, digits = value.partition(" ")
            name = name.lower()
            if name not in _HASHES:
                continue
            if len(digits) != _HASHES[name] * 3 - 1 or not _HEX.fullmatch(digits):
                self._bad("a malformed fingerprint")
            found.append((name, digits.upper()))
        if not 1 <= len(found) <= MAX_FINGERPRINTS:
            self._bad("no fingerprint that we know")
        return tuple(found)

    def _codec(self, kind: str, formats: list[str], attributes: _Attributes) -> Codec:
        offered = [_number(format, 127) for format in formats]
        if len(set(offered)) != len(offered):
            self._bad("a payload type twice")
        names = {int(pt): value.upper() for pt, value in _by_type(attributes.all("rtpmap"))}
        parameters = {int(pt): value for pt, value in _by_type(attributes.all("fmtp"))}
        chosen = _chosen(kind, [pt for pt in offered if pt in names], names, parameters)
        rtx = next(
            (
                pt
                for pt in offered
                if names.get(pt) == "RTX/90000" and _fmtp(parameters.get(pt, "")).get("apt") == str(chosen)
            ),
            None,
        )
        name, rate = names[chosen].split("/")[:2]
        for pt, meaning in ((chosen, names[chosen]), (rtx, f"RTX/{chosen}")):
            if pt is None:
                continue
            # 64 to 95 would look like RTCP (RFC 5761, 4).
            if 64 <= pt <= 95 or self._types.setdefault(pt, meaning) != meaning:
                self._bad("a payload type that means several things")
        said = {
            value
            for pt, value in (entry.partition(" ")[::2] for entry in attributes.all("rtcp-fb"))
            if pt in ("*", str(chosen))
        }
        # One estimate of the line is enough: a publisher is told when each packet came, a viewer tells us a bitrate.
        unwanted = {"transport-cc"}
        if self._direction is Direction.PUBLISH:
            unwanted = {"goog-remb"} if "transport-cc" in said else set()
        feedback = (said & _FEEDBACK) - unwanted
        fmtp = {"OPUS": "minptime=10;useinbandfec=1", "H264": parameters.get(chosen, "")}.get(name, "")
        return Codec(
            name=name,
            payload_type=chosen,
            clock_rate=int(rate),
            rtx=rtx,
            feedback=frozenset(feedback),
            fmtp=fmtp,
        )

    def _extensions(self, kind: str, attributes: _Attributes) -> dict[str, int]:
        found: dict[str, int] = {}
        entries = attributes.all("extmap")
        if len(entries) > MAX_EXTENSIONS:
            self._bad("too many header extensions")
        wanted = {MID, ABS_SEND_TIME}
        if kind == "audio":
            wanted.add(AUDIO_LEVEL)
        if self._direction is Direction.PUBLISH:
            wanted.add(TRANSPORT_CC)
        for entry in entries:
            words = entry.split(" ")
            if len(words) < 2:
                self._bad("a malformed extmap")
            id = _number(words[0].partition("/")[0], 255)
            if words[1] not in wanted or not 1 <= id <= 14:
                continue
            if found.setdefault(words[1], id) != id or self._ids.setdefault(id, words[1]) != words[1]:
                self._bad("a header extension that means several things")
        return found

    def _sources(self, attributes: _Attributes) -> tuple[tuple[int, ...], dict[int, int]]:
        """SSRCs as the offer says, and which of them are retransmissions of which (RFC 5576)."""
        ssrcs = list(dict.fromkeys(_number(value.partition(" ")[0], 0xFFFFFFFF) for value in attributes.all("ssrc")))
        rtx_of: dict[int, int] = {}
        for group in attributes.all("ssrc-group"):
            words = group.split(" ")
            if words[0] == "FID" and len(words) == 3:
                media, rtx = _number(words[1], 0xFFFFFFFF), _number(words[2], 0xFFFFFFFF)
                if media == rtx:
                    self._bad("an SSRC that repeats itself")
                rtx_of[rtx] = media
        if len(ssrcs) > MAX_SSRCS or len(rtx_of) > MAX_SSRCS:
            self._bad("too many SSRCs")
        if self._ssrcs & set(ssrcs):
            self._bad("an SSRC in two m-lines")
        self._ssrcs.update(ssrcs)
        return tuple(sorted(ssrcs, key=lambda ssrc: ssrc in rtx_of)), rtx_of


def _number(text: str, largest: int) -> int:
    if not _NUMBER.fullmatch(text) or int(text) > largest:
        raise BadOffer("not a number")
    return int(text)


def _by_type(values: list[str]) -> list[tuple[int, str]]:
    """`a=rtpmap:96 VP8/90000` → (96, VP8/90000)."""
    if len(values) > MAX_CODECS:
        raise BadOffer("too many codecs")
    return [(_number(value.partition(" ")[0], 127), value.partition(" ")[2].strip()) for value in values]


def _fmtp(text: str) -> dict[str, str]:
    pairs = (part.strip().partition("=") for part in text.split(";"))
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _chosen(kind: str, offered: list[int], names: dict[int, str], parameters: dict[int, str]) -> int:
    """The payload type of the one codec that we take: whoever watches must be able to show what anybody publishes."""
    for pt in offered:
        if names[pt] == ("OPUS/48000/2" if kind == "audio" else "VP8/90000"):
            return pt
    for pt in offered:
        wanted = _fmtp(parameters.get(pt, ""))
        # Constrained baseline (RFC 6184, 8.1): profile 42, constraint set 1.
        profile = wanted.get("profile-level-id", "")
        if names[pt] != "H264/90000" or kind != "video" or wanted.get("packetization-mode") != "1":
            continue
        if re.fullmatch(r"42[4-7C-Fc-f][0-9A-Fa-f]{3}", profile):
            return pt
    raise BadOffer("no codec in common")
