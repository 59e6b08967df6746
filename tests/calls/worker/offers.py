"""Offers as browsers write them, in parts that a test can change."""

from __future__ import annotations

FINGERPRINT = "sha-256 " + ":".join(["AB"] * 32)
UFRAG, PASSWORD = "abcd", "0123456789abcdefghijkl"

_EXTENSIONS = [
    "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
    "a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    "a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
    "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid",
    "a=extmap:13 urn:3gpp:video-orientation",
]


def _common(mid: str, flow: str, fingerprint: str) -> list[str]:
    return [
        "c=IN IP4 0.0.0.0",
        "a=rtcp:9 IN IP4 0.0.0.0",
        "a=candidate:1 1 udp 2122260223 7d5e6a2a-6d11-4c5d-9a0e-f0b64bd5e2f1.local 54321 typ host generation 0",
        f"a=ice-ufrag:{UFRAG}",
        f"a=ice-pwd:{PASSWORD}",
        "a=ice-options:trickle",
        f"a=fingerprint:{fingerprint}",
        "a=setup:actpass",
        f"a=mid:{mid}",
        *_EXTENSIONS,
        f"a={flow}",
        "a=msid:- 5f0e9a77",
        "a=rtcp-mux",
        "a=rtcp-rsize",
    ]


def sound(mid: str, flow: str, fingerprint: str = FINGERPRINT) -> list[str]:
    return [
        "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8",
        *_common(mid, flow, fingerprint),
        "a=rtpmap:111 opus/48000/2",
        "a=rtcp-fb:111 transport-cc",
        "a=fmtp:111 minptime=10;useinbandfec=1",
        "a=rtpmap:63 red/48000/2",
        "a=fmtp:63 111/111",
        "a=rtpmap:9 G722/8000",
        f"a=ssrc:{1000 + int(mid)} cname:x",
    ]


def picture(mid: str, flow: str, fingerprint: str = FINGERPRINT) -> list[str]:
    media, rtx = 2000 + int(mid), 3000 + int(mid)
    feedback = ["goog-remb", "transport-cc", "ccm fir", "nack", "nack pli"]
    return [
        "m=video 9 UDP/TLS/RTP/SAVPF 96 97 103 104 39 40",
        *_common(mid, flow, fingerprint),
        "a=rtpmap:96 VP8/90000",
        *(f"a=rtcp-fb:96 {word}" for word in feedback),
        "a=rtpmap:97 rtx/90000",
        "a=fmtp:97 apt=96",
        "a=rtpmap:103 H264/90000",
        *(f"a=rtcp-fb:103 {word}" for word in feedback),
        "a=fmtp:103 level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f",
        "a=rtpmap:104 rtx/90000",
        "a=fmtp:104 apt=103",
        "a=rtpmap:39 H264/90000",
        "a=fmtp:39 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
        "a=rtpmap:40 rtx/90000",
        "a=fmtp:40 apt=39",
        f"a=ssrc-group:FID {media} {rtx}",
        f"a=ssrc:{rtx} cname:x",
        f"a=ssrc:{media} cname:x",
    ]


def data(mid: str) -> list[str]:
    return [
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        "c=IN IP4 0.0.0.0",
        f"a=mid:{mid}",
        "a=sctp-port:5000",
    ]


def offer(*sections: list[str]) -> str:
    mids = [line[6:] for section in sections for line in section if line.startswith("a=mid:")]
    head = [
        "v=0",
        "o=- 1 2 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE " + " ".join(mids),
        "a=msid-semantic: WMS",
    ]
    return "\r\n".join([*head, *(line for section in sections for line in section)]) + "\r\n"


def publishing(fingerprint: str = FINGERPRINT) -> str:
    """Voice, camera, small, screen."""
    pictures = (picture(str(mid), "sendonly", fingerprint) for mid in (1, 2, 3))
    return offer(sound("0", "sendonly", fingerprint), *pictures)


def watching(slots: int = 8, fingerprint: str = FINGERPRINT) -> str:
    """Slots for sound, then as many for pictures."""
    sounds = (sound(str(mid), "recvonly", fingerprint) for mid in range(slots))
    pictures = (picture(str(mid), "recvonly", fingerprint) for mid in range(slots, 2 * slots))
    return offer(*sounds, *pictures)
