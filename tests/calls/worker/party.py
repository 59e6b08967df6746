"""The other end by hand: a UDP socket, checks, DTLS and SRTP, each step when a test says so, right or wrong."""

from __future__ import annotations

import asyncio
import secrets
import socket
import struct
from collections.abc import Callable
from typing import Any

from OpenSSL import SSL

from server.calls.wire import Direction
from server.calls.worker import ice
from server.calls.worker.dtls import Identity
from server.calls.worker.peer import Endpoint, Peer
from server.calls.worker.srtp import PROFILES, Inbound, Keys, Outbound
from tests.calls.worker import offers

REQUEST, SUCCESS, ERROR = 0x0001, 0x0101, 0x0111
USERNAME, PRIORITY, USE_CANDIDATE, CONTROLLED, CONTROLLING = 0x0006, 0x0024, 0x0025, 0x8029, 0x802A


class Wire:
    """A UDP socket on the loopback that keeps what came, by what it is."""

    def __init__(self, server: Endpoint) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self._server = ("127.0.0.1", server.port)
        self.port: int = self._socket.getsockname()[1]
        self.bytes_in = 0
        self.bytes_out = 0
        self.stun: asyncio.Queue[bytes] = asyncio.Queue()
        self.dtls: asyncio.Queue[bytes] = asyncio.Queue()
        self.media: asyncio.Queue[bytes] = asyncio.Queue()
        asyncio.get_running_loop().add_reader(self._socket, self._read)

    @property
    def address(self) -> ice.Address:
        return ice.sockaddr("127.0.0.1", self.port, v6=False)

    def send(self, data: bytes) -> None:
        self.bytes_out += len(data)
        self._socket.sendto(data, self._server)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _read(self) -> None:
        while True:
            try:
                data = self._socket.recv(4_096)
            except BlockingIOError:
                return
            self.bytes_in += len(data)
            queue = self.stun if data[0] <= 3 else self.dtls if data[0] < 64 else self.media
            queue.put_nowait(data)


class Party:
    """Somebody who knows what an offer and its answer said; `connect` does everything, the rest does it singly."""

    def __init__(self, server: Endpoint, direction: Direction = Direction.PUBLISH, offer: str = "") -> None:
        self.server = server
        self._identity = Identity()
        make: Callable[..., str] = offers.publishing if direction is Direction.PUBLISH else offers.watching
        self.peer: Peer = server.accept(offer or make(fingerprint=self._identity.fingerprint), direction)
        self.wire = Wire(server)
        self.ssl = SSL.Connection(self._identity._context)
        self.ssl.set_connect_state()
        self.inbound: Inbound | None = None
        self.outbound: Outbound | None = None

    def close(self) -> None:
        self.wire.close()

    def check(self, *extra: tuple[int, bytes], **changed: Any) -> bytes:
        """A binding request with MESSAGE-INTEGRITY."""
        name = changed.get("username", f"{self.peer.ice.ufrag}:{offers.UFRAG}".encode())
        attributes = [(USERNAME, name), (PRIORITY, b"\x6e\0\0\xff"), *extra]
        if not any(attribute in (CONTROLLED, CONTROLLING) for attribute, _ in extra):
            attributes.append((CONTROLLING, b"12345678"))
        password = changed.get("password", self.peer.ice.password.encode())
        return ice.built(REQUEST, changed.get("transaction") or secrets.token_bytes(12), attributes, password)

    def reply(self, request: bytes, password: str = offers.PASSWORD) -> bytes:
        return ice.built(SUCCESS, request[8:20], [], password.encode())

    async def prove(self, wire: Wire | None = None) -> None:
        """A nominating check, and the answer to the one that comes back."""
        wire = wire or self.wire
        wire.send(self.check((USE_CANDIDATE, b"")))
        while True:
            message = await wire.stun.get()
            if message[:2] == b"\0\x01":
                wire.send(self.reply(message))
                return

    async def shake(self) -> None:
        while True:
            try:
                self.ssl.do_handshake()
            except SSL.WantReadError:
                self._flush()
                self.ssl.bio_write(await self.wire.dtls.get())
            else:
                break
        self._flush()
        chosen = self.ssl.get_selected_srtp_profile().decode()
        profile = next(profile for profile in PROFILES if profile.name == chosen)
        keys = Keys.of(profile, self.ssl.export_keying_material(b"EXTRACTOR-dtls_srtp", profile.material))
        self.inbound, self.outbound = Inbound(profile, keys.server), Outbound(profile, keys.client)

    def _flush(self) -> None:
        while True:
            try:
                records = self.ssl.bio_read(16_384)
            except SSL.Error:
                return
            while records:  # one datagram each
                end = 13 + int.from_bytes(records[11:13], "big")
                self.wire.send(records[:end])
                records = records[end:]

    async def connect(self) -> None:
        up = asyncio.Event()
        before = self.peer.on_up
        self.peer.on_up = up.set
        await self.prove()
        await self.shake()
        await up.wait()
        self.peer.on_up = before

    def sealed(self, seq: int, ssrc: int = 2001, payload: bytes = b"picture") -> bytes:
        """An SRTP packet of the camera."""
        assert self.outbound is not None
        packet = self.outbound.rtp(packet_of(seq, ssrc, payload))
        assert isinstance(packet, bytes)
        return packet


def packet_of(seq: int, ssrc: int, payload: bytes = b"picture") -> bytes:
    return struct.pack("!BBHLL", 0x80, 96, seq & 0xFFFF, seq * 3_000 & 0xFFFFFFFF, ssrc) + payload
