"""One connection of a browser: ICE (lite), DTLS, SRTP over the worker's one UDP port, and what its offer agreed on.

A peer speaks packets, not media: `on_rtp` gets what came in, decrypted and proved; `send_rtp` takes what goes out.
Callbacks run in the event loop, between two packets: they must not block and must not raise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from server.calls.wire import Direction
from server.calls.worker.sdp import BadOffer, Codec, Media

__all__ = ["BadOffer", "Codec", "Counters", "Endpoint", "Media", "Peer"]


class Counters:
    """What went through an endpoint since it was opened; each thing that was dropped has its own count."""

    packets_in: int = 0
    packets_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    dropped: dict[str, int]


class Peer:
    """One connection. Made by `Endpoint.accept`; set the callbacks before the next turn of the loop."""

    #: The accepted m-lines of sound and pictures, by their place in the offer (`Media.index`).
    media: tuple[Media, ...]
    direction: Direction
    #: Our SSRC in reports and feedback about what we receive.
    ssrc: int
    #: The name under which all our streams are kept together (RTCP SDES), the same as in the answer.
    cname: str
    #: Seconds to the peer and back, as our own checks measured it last; None before the first answer.
    round_trip: float | None
    #: True from `on_up` until the end.
    up: bool
    on_rtp: Callable[[bytes, float], None]  # a decrypted RTP packet, the loop's time of its arrival
    on_rtcp: Callable[[bytes], None]  # a decrypted compound RTCP packet
    on_up: Callable[[], None]
    on_down: Callable[[str], None]  # timeout, closed_by_peer or failed; not after close()

    def answer(self) -> str:
        """The SDP that answers the offer."""
        raise NotImplementedError

    def send_rtp(self, packet: bytes) -> None:
        """Protects and queues an RTP packet; counted and dropped while the peer is not up or not proved to be there.

        A sequence number of an SSRC goes out once: a repeated one is dropped (send again by RTX).
        """
        raise NotImplementedError

    def send_rtcp(self, packet: bytes) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Says goodbye (DTLS close_notify) and forgets everything; more than once is the same as once."""
        raise NotImplementedError


class Endpoint:
    """The UDP port of a worker and everybody who is connected to it."""

    port: int
    counters: Counters

    @classmethod
    async def open(cls, host: str, port: int, addresses: Iterable[str]) -> Endpoint:
        """Binds `host` (`::` for IPv4 and IPv6) and `port` (0 for any); `addresses` are told to browsers."""
        raise NotImplementedError

    def accept(self, offer: str, direction: Direction) -> Peer:
        """Raises BadOffer, whose `code` is `bad_offer` or `too_large`."""
        raise NotImplementedError

    async def close(self) -> None:
        """Closes every peer and the port."""
        raise NotImplementedError
