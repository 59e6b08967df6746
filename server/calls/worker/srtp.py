"""SRTP and SRTCP (RFC 3711, 7714) with keys from DTLS (RFC 5764): one session in, one session out per peer."""

from __future__ import annotations

from enum import Enum

import msgspec

from server.calls.worker.private import BUFFER, MAX_TRAILER, Policy, Session, available, transforms

#: SSRCs that a peer may send: libsrtp keeps state for each one that was authentic.
MAX_SSRCS = 128
#: Packets that may come late or twice before they count as replayed.
_WINDOW = 1024
_VERSION = 2
_RTP_HEADER = 12
_RTCP_HEADER = 8
#: The longest packet that may be protected, in bytes.
MAX_PACKET = BUFFER - MAX_TRAILER
# libsrtp's error numbers (srtp.h).
_AUTH_FAIL = 7
_REPLAY_FAIL = 9
_REPLAY_OLD = 10


class Profile(msgspec.Struct, frozen=True):
    name: str  # as OpenSSL calls it
    number: int  # as libsrtp does
    key: int  # bytes
    salt: int  # bytes

    @property
    def material(self) -> int:
        """Bytes to be exported from DTLS for both sides."""
        return 2 * (self.key + self.salt)


#: Our choice first: AES-GCM costs half of AES-CM with HMAC-SHA1. Every browser has the last one.
PROFILES = tuple(
    profile
    for profile in (
        Profile("SRTP_AEAD_AES_128_GCM", Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 16, 12),
        Profile("SRTP_AEAD_AES_256_GCM", Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 32, 12),
        Profile("SRTP_AES128_CM_SHA1_80", Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 16, 14),
    )
    if available(profile.number)
)


class Drop(Enum):
    """Why a packet was not let through."""

    MALFORMED = "malformed"
    FORGED = "forged"
    REPLAYED = "replayed"
    SSRCS = "ssrcs"


class Keys(msgspec.Struct, frozen=True):
    """What DTLS exported: key and salt of either side."""

    profile: Profile
    client: bytes
    server: bytes

    @classmethod
    def of(cls, profile: Profile, material: bytes) -> Keys:
        """RFC 5764, 4.2: both keys, then both salts, the client's first."""
        if len(material) != profile.material:
            raise ValueError(f"{len(material)} bytes of keys instead of {profile.material}")
        key, salt = profile.key, profile.salt
        salts = material[2 * key :]
        return cls(
            profile=profile,
            client=material[:key] + salts[:salt],
            server=material[key : 2 * key] + salts[salt : 2 * salt],
        )


class Inbound:
    """What a peer sends. Nothing is raised: whoever sends rubbish gets nothing but a count."""

    def __init__(self, profile: Profile, key: bytes) -> None:
        policy = Policy(key=key, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=profile.number)
        policy.window_size = _WINDOW
        self._rtp, self._rtcp = transforms(Session(policy), outbound=False)
        self._ssrcs: set[bytes] = set()

    def rtp(self, packet: bytes) -> bytes | Drop:
        if len(packet) < _RTP_HEADER:
            return Drop.MALFORMED
        return self._opened(self._rtp(packet), packet[8:12]) if self._room(packet[8:12]) else Drop.SSRCS

    def rtcp(self, packet: bytes) -> bytes | Drop:
        if len(packet) < _RTCP_HEADER:
            return Drop.MALFORMED
        return self._opened(self._rtcp(packet), packet[4:8]) if self._room(packet[4:8]) else Drop.SSRCS

    def _room(self, ssrc: bytes) -> bool:
        return ssrc in self._ssrcs or len(self._ssrcs) < MAX_SSRCS

    def _opened(self, result: bytes | int, ssrc: bytes) -> bytes | Drop:
        if isinstance(result, bytes):
            self._ssrcs.add(ssrc)
            return result
        if result in (_REPLAY_FAIL, _REPLAY_OLD):
            return Drop.REPLAYED
        return Drop.FORGED if result == _AUTH_FAIL else Drop.MALFORMED


class Outbound:
    """What goes to a peer. An index of a stream is used once: libsrtp refuses the second time.

    With AES-GCM a nonce that is used twice gives the authentication key away, so this is not for the caller to say.
    """

    def __init__(self, profile: Profile, key: bytes) -> None:
        policy = Policy(key=key, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile.number)
        policy.window_size = _WINDOW
        policy.allow_repeat_tx = False
        self._rtp, self._rtcp = transforms(Session(policy), outbound=True)

    def rtp(self, packet: bytes) -> bytes | Drop:
        if not _RTP_HEADER <= len(packet) <= MAX_PACKET or packet[0] >> 6 != _VERSION:
            return Drop.MALFORMED
        return self._closed(self._rtp(packet))

    def rtcp(self, packet: bytes) -> bytes | Drop:
        if not _RTCP_HEADER <= len(packet) <= MAX_PACKET or packet[0] >> 6 != _VERSION:
            return Drop.MALFORMED
        return self._closed(self._rtcp(packet))

    @staticmethod
    def _closed(result: bytes | int) -> bytes | Drop:
        if isinstance(result, bytes):
            return result
        return Drop.REPLAYED if result in (_REPLAY_FAIL, _REPLAY_OLD) else Drop.MALFORMED
