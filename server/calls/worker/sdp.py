"""What a browser offers and what we answer (RFC 8866, 8829, 8843): only what calls need, within bounds."""

from __future__ import annotations

from typing import Literal

import msgspec

#: Header extensions (RFC 8285) that we agree to when they are offered.
MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
ABS_SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
TRANSPORT_CC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
AUDIO_LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"


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
    feedback: frozenset[str] = frozenset()  # nack, "nack pli", "ccm fir", transport-cc, goog-remb: agreed on


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
