"""The only module that touches names of pylibsrtp which it does not promise to keep; they are checked at import.

`pylibsrtp.Session` makes and checks more objects per packet than the work itself costs, and it copies errors into
exceptions: a peer that sends rubbish would buy our time cheaply. So packets go straight to libsrtp.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pylibsrtp import Policy, Session, _binding

_ffi: Any = _binding.ffi
_lib: Any = _binding.lib

for _name in ("srtp_protect", "srtp_protect_rtcp", "srtp_unprotect", "srtp_unprotect_rtcp", "srtp_err_status_ok"):
    if not hasattr(_lib, _name):
        raise ImportError(f"pylibsrtp no longer has {_name}")
if not hasattr(Session(), "_srtp") or _lib.srtp_err_status_ok != 0:
    raise ImportError("pylibsrtp keeps its sessions in another way now")

#: Bytes of a packet in and out, with what libsrtp appends (16 of the tag, 4 of the index, 128 of a key's name).
BUFFER = 2_048
MAX_TRAILER = 148

#: (packet) → the other form of it, or an error number of libsrtp.
Transform = Callable[[bytes], "bytes | int"]


def transforms(session: Session, *, outbound: bool) -> tuple[Transform, Transform]:
    """What turns RTP and RTCP into SRTP and SRTCP, or back. They share a buffer: for one thread only."""
    handle: Any = session._srtp
    buffer: Any = _ffi.new(f"char[{BUFFER}]")
    view: Any = _ffi.buffer(buffer)
    length: Any = _ffi.new("int *")
    longest = BUFFER - MAX_TRAILER

    def transform(function: Any) -> Transform:
        def apply(packet: bytes) -> bytes | int:
            size = len(packet)
            if size > longest:
                return 1
            view[0:size] = packet
            length[0] = size
            # `session` is named so that the handle lives as long as this function.
            error: int = function(session._srtp[0], buffer, length)
            return error or view[0 : length[0]]

        return apply

    assert handle
    if outbound:
        return transform(_lib.srtp_protect), transform(_lib.srtp_protect_rtcp)
    return transform(_lib.srtp_unprotect), transform(_lib.srtp_unprotect_rtcp)


def available(profile: int) -> bool:
    """Whether this build of libsrtp can do a protection profile (the two of AES-GCM depend on it)."""
    policy: Any = _ffi.new("srtp_policy_t *")
    return bool(_lib.srtp_crypto_policy_set_from_profile_for_rtp(_ffi.addressof(policy.rtp), profile) == 0)


__all__ = ["BUFFER", "MAX_TRAILER", "Policy", "Session", "Transform", "available", "transforms"]
