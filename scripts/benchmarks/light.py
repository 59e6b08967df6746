"""Ends of calls that cost next to nothing: bench `calls_crowd` needs more of them than stock peers leave room for.

They say offers, checks, DTLS and SRTP as browsers do, each on a socket of its own. What they send was made beforehand;
of what comes, headers are counted, and one voice in sixteen is decrypted to learn when it was sent.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import struct
import time
from collections.abc import Iterator

from aiortc.codecs.vpx import Vp8Encoder
from OpenSSL import SSL

from scripts.benchmarks.film import FPS, pictures
from server.calls.worker import ice
from server.calls.worker.dtls import Identity
from server.calls.worker.srtp import PROFILES, Inbound, Keys, Outbound
from server.calls.worker.udp import Udp

#: Pictures after which a film begins again with its keyframe, and seconds between two voices.
_FILM, VOICE_SECONDS = 60, 0.02
_VOICE_BYTES = 120
_VOICE, _PICTURE = 111, 96
_REQUEST, _SUCCESS = 0x0001, 0x0101
_USERNAME, _PRIORITY, _USE_CANDIDATE, _CONTROLLING = 0x0006, 0x0024, 0x0025, 0x802A
_RTP = struct.Struct("!BBHLL")
#: The extension that browsers number all packets of a transport with, in the form with one byte (RFC 8285, 4.2).
_NUMBER_ID = 3
_EXTENSION = struct.Struct("!HHBHx")
_STAMP = struct.Struct("!d")
#: Voices of which one is decrypted.
_SAMPLE = 16
_CHECK_SECONDS = 2.0


class LightEnd:
    """`connect` with the server's answer to `offer`; raises TimeoutError when it does not come up."""

    def __init__(self, identity: Identity, address: str) -> None:
        self._identity = identity
        self._ufrag, self._password = secrets.token_hex(4), secrets.token_hex(16)
        self._ssl = SSL.Connection(identity._context)
        self._ssl.set_connect_state()
        self._udp = Udp(address, 0, self._received)
        self._address = address
        self._server = b""
        self._remote = ("", b"")  # name and password
        self._up = asyncio.get_running_loop().create_future()
        self._out: Outbound | None = None
        self._in: Inbound | None = None
        self._checking: asyncio.TimerHandle | None = None

    def offer(self) -> str:
        raise NotImplementedError

    def _offer(self, lines: list[list[str]]) -> str:
        head = ["v=0", "o=- 1 2 IN IP4 127.0.0.1", "s=-", "t=0 0"]
        head.append("a=group:BUNDLE " + " ".join(map(str, range(len(lines)))))
        common = [
            *("c=IN IP4 0.0.0.0", f"a=ice-ufrag:{self._ufrag}", f"a=ice-pwd:{self._password}"),
            *(f"a=fingerprint:{self._identity.fingerprint}", "a=setup:actpass", "a=rtcp-mux", "a=rtcp-rsize"),
            f"a=extmap:{_NUMBER_ID} http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
        ]
        for number, line in enumerate(lines):
            head += [line[0], *common, f"a=mid:{number}", *line[1:]]
        return "\r\n".join(head) + "\r\n"

    async def connect(self, answer: str, seconds: float = 20.0) -> None:
        def of(name: str) -> str:
            found = re.search(rf"^a={name}:(\S+)", answer, re.MULTILINE)
            if found is None:
                raise RuntimeError(f"an answer without {name}")
            return found[1]

        port = int(answer.partition("\nm=")[2].split()[1])
        self._server = ice.sockaddr(self._address, port, v6=False)
        self._remote = (of("ice-ufrag"), of("ice-pwd").encode())
        self._check()
        async with asyncio.timeout(seconds):
            await self._up

    def close(self) -> None:
        if self._checking is not None:
            self._checking.cancel()
        self._udp.close()

    def _check(self) -> None:
        name, password = self._remote
        attributes = [(_USERNAME, f"{name}:{self._ufrag}".encode()), (_PRIORITY, b"\x6e\0\0\xff")]
        attributes += [(_CONTROLLING, b"12345678"), (_USE_CANDIDATE, b"")]
        self._send(ice.built(_REQUEST, secrets.token_bytes(12), attributes, password))
        self._checking = asyncio.get_running_loop().call_later(_CHECK_SECONDS, self._check)

    def _send(self, data: bytes) -> None:
        self._udp.send(data, self._server)

    def _received(self, data: bytes, where: bytes) -> None:
        first = data[0]
        if first >= 128:
            self.media(data)
        elif first <= 3:
            if data[:2] == b"\0\x01":
                self._send(ice.built(_SUCCESS, data[8:20], [], self._password.encode()))
            elif self._out is None:
                self._shake()
        elif self._out is None:
            self._ssl.bio_write(data)
            self._shake()

    def _shake(self) -> None:
        try:
            self._ssl.do_handshake()
        except SSL.WantReadError:
            self._flush()
            return
        self._flush()
        chosen = self._ssl.get_selected_srtp_profile().decode()
        profile = next(profile for profile in PROFILES if profile.name == chosen)
        keys = Keys.of(profile, self._ssl.export_keying_material(b"EXTRACTOR-dtls_srtp", profile.material))
        self._in, self._out = Inbound(profile, keys.server), Outbound(profile, keys.client)
        if not self._up.done():
            self._up.set_result(None)

    def _flush(self) -> None:
        """Each record in a datagram of its own."""
        while True:
            try:
                records = self._ssl.bio_read(16_384)
            except SSL.Error:
                return
            while records:
                end = 13 + int.from_bytes(records[11:13], "big")
                self._send(records[:end])
                records = records[end:]

    def media(self, data: bytes) -> None:
        """A packet of SRTP or SRTCP has come."""


def _sound(flow: str, ssrc: int = 0) -> list[str]:
    rows = [f"m=audio 9 UDP/TLS/RTP/SAVPF {_VOICE}", f"a={flow}", f"a=rtpmap:{_VOICE} opus/48000/2"]
    rows.append(f"a=rtcp-fb:{_VOICE} transport-cc")
    return [*rows, f"a=ssrc:{ssrc} cname:x"] if ssrc else rows


def _sight(flow: str, ssrc: int = 0) -> list[str]:
    rows = [f"m=video 9 UDP/TLS/RTP/SAVPF {_PICTURE} 97", f"a={flow}", f"a=rtpmap:{_PICTURE} VP8/90000"]
    rows += [f"a=rtcp-fb:{_PICTURE} {word}" for word in ("transport-cc", "ccm fir", "nack", "nack pli")]
    rows += ["a=rtpmap:97 rtx/90000", f"a=fmtp:97 apt={_PICTURE}"]
    return [*rows, f"a=ssrc:{ssrc} cname:x"] if ssrc else rows


class LightPublisher(LightEnd):
    """A voice and a film; `voice` and `picture` send the next of them. The film begins `ahead` pictures later."""

    def __init__(self, identity: Identity, address: str, ahead: int = 0) -> None:
        super().__init__(identity, address)
        self._numbers = [secrets.randbelow(1000), secrets.randbelow(1000)]
        self._all = 0
        self._spoken = 0
        self._shown = -ahead
        self._film = packets()

    def offer(self) -> str:
        return self._offer([_sound("sendonly", 1001), _sight("sendonly", 2001)])

    def voice(self) -> None:
        payload = _STAMP.pack(time.perf_counter()) + bytes(_VOICE_BYTES)
        self._rtp(0, _VOICE, 960 * self._spoken, 1001, payload, last=False)
        self._spoken += 1

    def picture(self) -> None:
        """Nothing before its first picture is due."""
        self._shown += 1
        if self._shown <= 0:
            return
        payloads = self._film[(self._shown - 1) % _FILM]
        for place, payload in enumerate(payloads):
            self._rtp(1, _PICTURE, 3000 * self._shown, 2001, payload, last=place == len(payloads) - 1)

    def _rtp(self, line: int, kind: int, timestamp: int, ssrc: int, payload: bytes, *, last: bool) -> None:
        assert self._out is not None
        number, self._numbers[line] = self._numbers[line], self._numbers[line] + 1 & 0xFFFF
        header = _RTP.pack(0x90, kind | last << 7, number, timestamp & 0xFFFFFFFF, ssrc)
        extension = _EXTENSION.pack(0xBEDE, 1, _NUMBER_ID << 4 | 1, self._all)
        self._all = self._all + 1 & 0xFFFF
        packet = self._out.rtp(header + extension + payload)
        assert isinstance(packet, bytes)
        self._send(packet)


class LightViewer(LightEnd):
    """So many voices, then as many pictures. `counts` are packets by SSRC, `delays` of some voices in seconds."""

    def __init__(self, identity: Identity, address: str, people: int) -> None:
        super().__init__(identity, address)
        self._people = people
        self.counts: dict[bytes, int] = {}
        self._spans: dict[bytes, tuple[int, int]] = {}  # the first number and the newest, without turns
        self.delays: list[float] = []

    def offer(self) -> str:
        return self._offer([_sound("recvonly")] * self._people + [_sight("recvonly")] * self._people)

    def forget(self) -> None:
        """Counts from here on."""
        self.counts.clear()
        self._spans.clear()
        self.delays.clear()

    def lost(self) -> tuple[int, int]:
        """(lost, expected) since `forget`, of the streams that came at all."""
        expected = sum(last - first + 1 for first, last in self._spans.values())
        return expected - sum(self.counts.values()), expected

    def report(self) -> None:
        """A receiver report without loss, as browsers send one each second."""
        if self._out is None or not self._spans:
            return
        blocks = [
            ssrc + struct.pack("!LLLLL", 0, last & 0xFFFFFFFF, 0, 0, 0) for ssrc, (_, last) in self._spans.items()
        ]
        head = struct.pack("!BBHL", 0x80 | len(blocks), 201, 1 + 6 * len(blocks), 1)
        packet = self._out.rtcp(head + b"".join(blocks))
        assert isinstance(packet, bytes)
        self._send(packet)

    def media(self, data: bytes) -> None:
        if 192 <= data[1] <= 223:
            return
        ssrc = data[8:12]
        number = data[2] << 8 | data[3]
        span = self._spans.get(ssrc)
        if span is None:
            self._spans[ssrc], self.counts[ssrc] = (number, number), 1
            return
        self.counts[ssrc] += 1
        first, last = span
        ahead = (number - last + 0x8000 & 0xFFFF) - 0x8000
        if ahead > 0:
            self._spans[ssrc] = (first, last + ahead)
        if data[1] & 0x7F == _VOICE and number % _SAMPLE == 0 and self._in is not None:
            plain = self._in.rtp(data)
            if isinstance(plain, bytes):
                (sent,) = _STAMP.unpack_from(plain, len(plain) - _VOICE_BYTES - _STAMP.size)
                self.delays.append(time.perf_counter() - sent)


def packets() -> list[list[bytes]]:
    """The payloads of each picture of a film that begins with its keyframe."""
    if not _PACKETS:
        for number, picture in enumerate(pictures()[:_FILM]):
            _PACKETS.append(Vp8Encoder._packetize(picture, number))
    return _PACKETS


_PACKETS: list[list[bytes]] = []


async def played(publishers: list[LightPublisher], viewers: list[LightViewer]) -> None:
    """Plays all at their pace, a hundred times a second a part of them, until it is cancelled."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    due = list(_times(len(publishers), began))
    while True:
        now = loop.time()
        for row in due:
            publisher = publishers[int(row[0])]
            while row[1] <= now:
                row[1] += VOICE_SECONDS
                publisher.voice()
            while row[2] <= now:
                row[2] += 1 / FPS
                publisher.picture()
        if now - began >= 1:
            began += 1
            for viewer in viewers:
                viewer.report()
        await asyncio.sleep(0.004)


def _times(count: int, began: float) -> Iterator[list[float]]:
    """When each says and shows its next: spread, as people do not begin together."""
    for place in range(count):
        share = place / count
        yield [place, began + share * VOICE_SECONDS, began + share / FPS]
