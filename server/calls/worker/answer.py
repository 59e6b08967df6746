"""The SDP that answers a browser's offer: ICE lite, passive DTLS, everything over one port (RFC 8829, 8843, 8839)."""

from __future__ import annotations

import ipaddress

import msgspec

from server.calls.wire import Direction
from server.calls.worker.sdp import Media, Offer, Refused

#: Feedback in the order in which it is written.
_FEEDBACK = ("transport-cc", "goog-remb", "ccm fir", "nack", "nack pli")
_COMPONENT = 1
#: Priority of a host candidate (RFC 8445, 5.1.2): type preference, below it the local one, below it the component.
_HOST = 126 << 24


class Ours(msgspec.Struct, frozen=True):
    """Our side of a connection."""

    ufrag: str
    password: str
    fingerprint: str  # as SDP writes it
    addresses: tuple[str, ...]  # of the server, the best first
    port: int
    session: int
    cname: str


def written(offer: Offer, media: tuple[Media, ...], direction: Direction, ours: Ours) -> str:
    """The answer; `media` are the offer's, with our SSRCs when the browser watches."""
    lines = [
        "v=0",
        f"o=- {ours.session} 1 IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        "a=ice-lite",
        "a=group:BUNDLE " + " ".join(line.mid for line in media),
        "a=msid-semantic: WMS *",
    ]
    accepted = {line.index: line for line in media}
    order = {"audio": 0, "video": 0}
    for index, line in enumerate(offer.lines):
        if isinstance(line, Refused):
            lines += [f"m={line.kind} 0 {line.protocol} {line.format}", "c=IN IP4 0.0.0.0", "a=inactive"]
            lines.append(f"a=mid:{line.mid}")
            continue
        lines += _accepted(accepted[index], direction, ours, order[line.kind], reduced=offer.reduced_rtcp)
        order[line.kind] += 1
        if index == media[0].index:
            lines += _candidates(ours)
    return "\r\n".join(lines) + "\r\n"


def _accepted(media: Media, direction: Direction, ours: Ours, place: int, *, reduced: bool) -> list[str]:
    codec = media.codec
    types = str(codec.payload_type) + (f" {codec.rtx}" if codec.rtx is not None else "")
    address = ours.addresses[0]
    flow = "inactive" if not media.active else "recvonly" if direction is Direction.PUBLISH else "sendonly"
    lines = [
        f"m={media.kind} {ours.port} UDP/TLS/RTP/SAVPF {types}",
        f"c=IN IP{ipaddress.ip_address(address).version} {address}",
        f"a=mid:{media.mid}",
        f"a={flow}",
        f"a=ice-ufrag:{ours.ufrag}",
        f"a=ice-pwd:{ours.password}",
        f"a=fingerprint:{ours.fingerprint}",
        "a=setup:passive",
        "a=rtcp-mux",
    ]
    if reduced:
        lines.append("a=rtcp-rsize")
    channels = "/2" if codec.name == "OPUS" else ""
    name = codec.name.lower() if codec.name == "OPUS" else codec.name
    lines.append(f"a=rtpmap:{codec.payload_type} {name}/{codec.clock_rate}{channels}")
    if codec.fmtp:
        lines.append(f"a=fmtp:{codec.payload_type} {codec.fmtp}")
    lines += [f"a=rtcp-fb:{codec.payload_type} {word}" for word in _FEEDBACK if word in codec.feedback]
    if codec.rtx is not None:
        lines += [f"a=rtpmap:{codec.rtx} rtx/{codec.clock_rate}", f"a=fmtp:{codec.rtx} apt={codec.payload_type}"]
    lines += [f"a=extmap:{id} {uri}" for uri, id in media.extensions.items()]
    if direction is Direction.WATCH and media.active:
        # Sound and pictures of the same place among their kind belong to one stream: browsers keep them in sync.
        lines.append(f"a=msid:seat{place} {media.kind}{place}")
        if media.rtx_ssrc:
            lines.append(f"a=ssrc-group:FID {media.ssrc} {media.rtx_ssrc}")
        lines += [f"a=ssrc:{ssrc} cname:{ours.cname}" for ssrc in (media.ssrc, media.rtx_ssrc) if ssrc]
    return lines


def _candidates(ours: Ours) -> list[str]:
    lines = [
        f"a=candidate:{place + 1} {_COMPONENT} udp {_HOST | 65_535 - place << 8 | 256 - _COMPONENT} "
        f"{address} {ours.port} typ host"
        for place, address in enumerate(ours.addresses)
    ]
    return [*lines, "a=end-of-candidates"]
