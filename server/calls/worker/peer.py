"""One connection of a browser: ICE (lite), DTLS, SRTP over the worker's one UDP port, and what its offer agreed on.

A peer speaks packets, not media: `on_rtp` gets what came in, decrypted and proved; `send_rtp` takes what goes out.
Callbacks run in the event loop, between two packets: they must not block.
"""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
from collections import Counter
from collections.abc import Callable, Iterable

import msgspec
import structlog

from server.calls.wire import Direction
from server.calls.worker import answer, sdp
from server.calls.worker.dtls import DtlsError, Fingerprints, Handshake, Identity
from server.calls.worker.ice import Address, Ice, username
from server.calls.worker.sdp import BadOffer, Codec, Media
from server.calls.worker.srtp import Drop, Inbound, Outbound
from server.calls.worker.udp import Udp

__all__ = ["BadOffer", "Busy", "Codec", "Counters", "Endpoint", "Media", "Peer"]

#: Seconds from an offer to the end of the handshake.
CONNECT_WITHIN = 30.0
#: Peers that share an address are tried one after the other: whoever claims a stranger's gains nothing by it.
_SHARING = 4
#: Connections of a worker, and those of them that have not come up yet: each of these may cost us a handshake.
MAX_PEERS = 2_048
MAX_OPENING = 256
_TICK = 1.0
#: Of faults that datagrams cause, one of so many is told of.
_FAULTS_OF_A_LINE = 1_000

log = structlog.get_logger(__name__)


class Counters(msgspec.Struct):
    """What went through an endpoint since it was opened: RTP and RTCP, with their headers, as it stands on the wire."""

    packets_in: int = 0
    packets_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    #: Why → how many were dropped. Reasons are a fixed set of words.
    dropped: Counter[str] = msgspec.field(default_factory=Counter)


class Busy(Exception):
    """There are as many connections as there may be; `code` as in wire.Refused."""

    code = "full"


def _nothing(*_: object) -> None:
    pass


class Peer:
    """One connection. Made by `Endpoint.accept`; set the callbacks before the next turn of the loop."""

    def __init__(self, endpoint: Endpoint, offer: sdp.Offer, direction: Direction) -> None:
        now = endpoint.now()
        self.direction = direction
        #: Our SSRC in reports and feedback about what we receive.
        self.ssrc = secrets.randbelow(0xFFFFFFFE) + 1
        #: The name under which all our streams are kept together (RTCP SDES), the same as in the answer.
        self.cname = secrets.token_hex(8)
        #: The accepted m-lines of sound and pictures, by their place in the offer (`Media.index`).
        self.media: tuple[Media, ...] = offer.media
        if direction is Direction.WATCH:
            self.media = _with_sources(offer.media, self.ssrc)
        #: True from `on_up` until the end.
        self.up = False
        self.closed = False
        self.on_rtp: Callable[[bytes, float], None] = _nothing  # a decrypted packet, the loop's time of its arrival
        self.on_rtcp: Callable[[bytes], None] = _nothing  # a decrypted compound packet
        self.on_up: Callable[[], None] = _nothing
        self.on_down: Callable[[str], None] = _nothing  # timeout, closed_by_peer or failed; not after close()
        self.ice = Ice(offer.ufrag, offer.password, now)
        self._offer = offer
        self._endpoint = endpoint
        self._counters = endpoint.counters
        self._made = now
        self._handshake: Handshake = endpoint.identity.accept(Fingerprints(offer.fingerprints))
        self._resend: asyncio.TimerHandle | None = None
        self._inbound: Inbound | None = None
        self._outbound: Outbound | None = None
        #: What DTLS wants to say, until the peer is proved to be where it says.
        self._held: list[bytes] = []
        #: Where media go now; None while they may go nowhere.
        self._target: Address | None = None

    @property
    def round_trip(self) -> float | None:
        """Seconds to the peer and back, as our own checks measured it last; None before the first answer."""
        return self.ice.round_trip

    def answer(self) -> str:
        """The SDP that answers the offer."""
        endpoint = self._endpoint
        ours = answer.Ours(
            ufrag=self.ice.ufrag,
            password=self.ice.password,
            fingerprint=endpoint.identity.fingerprint,
            addresses=endpoint.addresses,
            port=endpoint.port,
            session=self.ssrc,
            cname=self.cname,
        )
        return answer.written(self._offer, self.media, self.direction, ours)

    def send_rtp(self, packet: bytes) -> None:
        """Protects and queues an RTP packet; counted and dropped while the peer is not up or not proved to be there.

        A sequence number of an SSRC goes out once: a repeated one is dropped (send it again by RTX).
        """
        target, outbound = self._target, self._outbound
        if target is None or outbound is None:
            self._counters.dropped["not_up"] += 1
            return
        self._send(outbound.rtp(packet), target)

    def send_rtcp(self, packet: bytes) -> None:
        """As `send_rtp`; a compound packet, or a single one of reduced size."""
        target, outbound = self._target, self._outbound
        if target is None or outbound is None:
            self._counters.dropped["not_up"] += 1
            return
        self._send(outbound.rtcp(packet), target)

    def close(self) -> None:
        """Says goodbye (DTLS close_notify) and forgets everything; more than once is the same as once."""
        if self.closed:
            return
        target = self._target
        if target is not None:
            for datagram in self._handshake.goodbye():
                self._endpoint.send(datagram, target)
        self._forget()

    # -- what the endpoint calls

    def take_stun(self, data: bytes, address: Address, now: float) -> None:
        verdict, replies = self.ice.receive(data, address, now)
        if verdict != "ok":
            self._counters.dropped["stun_" + verdict] += 1
            return
        if self.ice.knows(address):  # a conflict about roles is answered, and nothing else
            self._endpoint.know(self, address)
        while self.ice.evicted:
            self._endpoint.disown(self, self.ice.evicted.pop())
        for reply in replies:
            self._endpoint.send(reply, address)
        self._look(now)

    def take_dtls(self, data: bytes) -> None:
        try:
            flight = self._handshake.receive(data)
        except DtlsError as error:
            log.info("a handshake failed", why=str(error))
            self._down("failed")
            return
        self._send_flight(flight)
        if self._handshake.closed:
            self._down("closed_by_peer")
        elif self._outbound is None and self._handshake.keys is not None:
            keys = self._handshake.keys
            self._inbound = Inbound(keys.profile, keys.client)
            self._outbound = Outbound(keys.profile, keys.server)
            self._look(self._endpoint.now())

    def take_media(self, data: bytes, address: Address, now: float) -> Drop | None:
        """None when it was this peer's. RTP and RTCP share the port: RFC 5761, 4."""
        inbound = self._inbound
        if inbound is None:
            return Drop.FORGED
        rtcp = 192 <= data[1] <= 223
        plain = inbound.rtcp(data) if rtcp else inbound.rtp(data)
        if isinstance(plain, Drop):
            return plain
        self.ice.heard(address, now)
        counters = self._counters
        counters.packets_in += 1
        counters.bytes_in += len(data)
        try:
            if rtcp:
                self.on_rtcp(plain)
            else:
                self.on_rtp(plain, now)
        except Exception:  # whatever a packet does to its reader, the port goes on for everybody else
            self._endpoint.fault("unread")
        return None

    def tick(self, now: float) -> None:
        """Once a second: is it still there?"""
        if self.ice.silent(now):
            self._down("timeout")
        elif not self.up and now - self._made > CONNECT_WITHIN:
            self._down("failed")
        else:
            self._look(now)

    # -- inside

    def _send(self, packet: bytes | Drop, target: Address) -> None:
        counters = self._counters
        if isinstance(packet, Drop):
            counters.dropped["out_" + packet.value] += 1
            return
        counters.packets_out += 1
        counters.bytes_out += len(packet)
        self._endpoint.send(packet, target)

    def _look(self, now: float) -> None:
        """Where may media go now, and are we up with that?"""
        if self.closed:
            return
        self._target = self.ice.selected if self.ice.may_send(now) else None
        if self._target is not None and self._held:
            held, self._held = self._held, []
            self._send_flight(held)
        if not self.up and self._target is not None and self._outbound is not None:
            self.up = True
            self._call(self.on_up)

    def _send_flight(self, flight: list[bytes]) -> None:
        if self._target is None:
            self._held = flight or self._held
        else:
            for datagram in flight:
                self._endpoint.send(datagram, self._target)
        if self._resend is not None:
            self._resend.cancel()
            self._resend = None
        wait = self._handshake.timeout()
        if wait is not None:
            self._resend = asyncio.get_running_loop().call_later(wait, self._again)

    def _again(self) -> None:
        try:
            self._send_flight(self._handshake.resend())
        except DtlsError:
            self._down("failed")

    def _down(self, reason: str) -> None:
        if not self.closed:
            on_down = self.on_down
            self._forget()
            self._call(on_down, reason)

    def _forget(self) -> None:
        self.closed = True
        self.up = False
        self._target = self._inbound = self._outbound = None
        # Who listens mostly holds us, too: without this, memory would come back when the collector does.
        self.on_rtp = self.on_rtcp = self.on_up = self.on_down = _nothing
        self._held.clear()
        if self._resend is not None:
            self._resend.cancel()
            self._resend = None
        self._endpoint.forget(self)

    @staticmethod
    def _call(callback: Callable[..., None], *values: str) -> None:
        try:
            callback(*values)
        except Exception:
            log.exception("a callback of a connection failed")


def _with_sources(media: tuple[Media, ...], *taken: int) -> tuple[Media, ...]:
    """Each m-line with SSRCs of ours that nobody else on this connection has."""
    used = set(taken)

    def fresh() -> int:
        while (ssrc := secrets.randbelow(0xFFFFFFFE) + 1) in used:
            pass
        used.add(ssrc)
        return ssrc

    return tuple(
        msgspec.structs.replace(line, ssrc=fresh(), rtx_ssrc=fresh() if line.codec.rtx is not None else 0)
        for line in media
    )


class Endpoint:
    """The UDP port of a worker and everybody who is connected to it. Made by `open`."""

    def __init__(self, host: str, port: int, addresses: tuple[str, ...], *, batches: bool = True) -> None:
        self._loop = asyncio.get_running_loop()
        self.counters = Counters()
        #: Peers that are gone, ever.
        self.ended = 0
        self.identity = Identity()
        self.addresses = addresses
        self._udp = Udp(host, port, self._received, batches=batches)
        self.port = self._udp.port
        self.send = self._udp.send
        self.now = self._loop.time
        self._peers: dict[bytes, Peer] = {}  # by our ufrag
        self._owners: dict[Address, tuple[Peer, ...]] = {}  # who sends from there; nearly always one
        self._ticking = self._loop.call_later(_TICK, self._tick)

    @classmethod
    async def open(cls, host: str, port: int, addresses: Iterable[str], *, batches: bool = True) -> Endpoint:
        """Binds `host` (`::` for IPv4 and IPv6) and `port` (0 for any); `addresses` are told to browsers.

        Raises ValueError for addresses that are none, OSError when the port cannot be had.
        """
        told = tuple(str(ipaddress.ip_address(address)) for address in addresses)
        if not told:
            raise ValueError("no address for browsers to come to")
        return cls(host, port, told, batches=batches)

    @property
    def peers(self) -> tuple[Peer, ...]:
        return tuple(self._peers.values())

    @property
    def lost(self) -> int:
        """Datagrams that the socket did not take."""
        return self._udp.lost

    def accept(self, offer: str, direction: Direction) -> Peer:
        """Raises BadOffer, whose `code` is `bad_offer` or `too_large`, and Busy, whose `code` is `full`."""
        if len(self._peers) >= MAX_PEERS or sum(not peer.up for peer in self._peers.values()) >= MAX_OPENING:
            raise Busy("too many connections")
        peer = Peer(self, sdp.read(offer, direction), direction)
        self._peers[peer.ice.ufrag.encode()] = peer
        return peer

    async def close(self) -> None:
        """Closes every peer and the port."""
        for peer in self.peers:
            peer.close()
        self._ticking.cancel()
        self._udp.close()

    # -- what peers call

    def know(self, peer: Peer, address: Address) -> None:
        """An authentic check of the peer has come from there, or an answer to one of ours."""
        owners = self._owners.get(address, ())
        if owners != (peer,):
            everybody = (peer, *(owner for owner in owners if owner is not peer))
            # Who was proved to be there stands in front of those who only claim it.
            self._owners[address] = tuple(sorted(everybody, key=lambda owner: -owner.ice.proved(address)))[:_SHARING]

    def disown(self, peer: Peer, address: Address) -> None:
        owners = tuple(owner for owner in self._owners.get(address, ()) if owner is not peer)
        if owners:
            self._owners[address] = owners
        else:
            self._owners.pop(address, None)

    def forget(self, peer: Peer) -> None:
        if self._peers.pop(peer.ice.ufrag.encode(), None) is not None:
            self.ended += 1
        for address in peer.ice.addresses:
            self.disown(peer, address)

    # -- inside

    def _received(self, data: bytes, address: Address) -> None:
        try:
            self._take(data, address)
        except Exception:  # it concerns one peer, and others' datagrams have come with it
            self.fault("failed")

    def _take(self, data: bytes, address: Address) -> None:
        """RFC 7983: the first byte says what it is."""
        if len(data) < 2:
            self.counters.dropped["malformed"] += 1
            return
        first = data[0]
        if 128 <= first <= 191:
            why: Drop | None = None
            for peer in self._owners.get(address, ()):
                why = peer.take_media(data, address, self.now())
                if why is None:
                    return
            self.counters.dropped["stranger" if why is None else why.value] += 1
        elif first <= 3:
            self._stun(data, address)
        elif 20 <= first <= 63:
            owners = self._owners.get(address)
            if owners is None:
                self.counters.dropped["stranger"] += 1
            else:
                owners[0].take_dtls(data)
        else:
            self.counters.dropped["malformed"] += 1

    def _stun(self, data: bytes, address: Address) -> None:
        name = username(data)
        if name is not None:
            peer = self._peers.get(name)
            if peer is not None:
                peer.take_stun(data, address, self.now())
                return
        else:  # perhaps the answer to a check of ours
            for owner in self._owners.get(address, ()):
                if owner.ice.awaits(data[8:20], address):
                    owner.take_stun(data, address, self.now())
                    return
        self.counters.dropped["stranger"] += 1

    def _tick(self) -> None:
        self._ticking = self._loop.call_later(_TICK, self._tick)
        now = self.now()
        for peer in self.peers:
            try:
                peer.tick(now)
            except Exception:
                self.fault("failed")

    def fault(self, kind: str) -> None:
        """Something of ours failed, in an `except`: counted, and told of from time to time."""
        dropped = self.counters.dropped
        dropped[kind] += 1
        if dropped[kind] % _FAULTS_OF_A_LINE == 1:
            log.exception("a datagram was not read", why=kind, dropped=dropped[kind])
