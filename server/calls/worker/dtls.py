"""DTLS 1.2 as the passive side (RFC 5763, 5764): only to agree on keys for SRTP; no data go through it.

The certificate is the worker's own and lives as long as it. A browser's is proved by the fingerprint in its offer,
which came over the hub from the signed-in person; authorities play no part.
"""

from __future__ import annotations

import datetime
import secrets

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from server.calls.worker.srtp import PROFILES, Keys

_LABEL = b"EXTRACTOR-dtls_srtp"
_DTLS_1_2 = 0xFEFD
_RECORD_HEADER = 13
#: Bytes of a datagram: below every path's limit, so that a flight is never fragmented by IP.
_MTU = 1_200
#: Bytes read at once from OpenSSL.
_BUFFER = 16 * 1024
#: Flights that may go out before the handshake is done (resends included): bounds what an address can be made to get.
_MAX_FLIGHTS = 24
#: Bytes of a browser's certificate and of what it may send during the handshake in all.
_MAX_HANDSHAKE = 64 * 1024
_DIGESTS: dict[str, hashes.HashAlgorithm] = {
    "sha-256": hashes.SHA256(),
    "sha-384": hashes.SHA384(),
    "sha-512": hashes.SHA512(),
}


class Fingerprints:
    """What an offer says the peer's certificate is; of several, each that we can compute must be right."""

    def __init__(self, pairs: tuple[tuple[str, str], ...]) -> None:
        self._pairs = tuple((_DIGESTS[name], bytes.fromhex(value.replace(":", ""))) for name, value in pairs)

    def match(self, certificate: x509.Certificate) -> bool:
        return bool(self._pairs) and all(
            secrets.compare_digest(certificate.fingerprint(digest), value) for digest, value in self._pairs
        )


class Identity:
    """Key and certificate of a worker."""

    def __init__(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, secrets.token_hex(16))])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            # As long as any process runs: nobody looks at it, and a worker of years must not fail for it.
            .not_valid_after(now + datetime.timedelta(days=3650))
            .sign(key, hashes.SHA256())
        )
        #: As SDP writes it: `sha-256 AB:CD:…`.
        self.fingerprint = "sha-256 " + certificate.fingerprint(hashes.SHA256()).hex(":").upper()
        context = SSL.Context(SSL.DTLS_METHOD)
        context.set_min_proto_version(_DTLS_1_2)
        context.set_max_proto_version(_DTLS_1_2)
        context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)  # after the handshake next to nothing comes
        # The fingerprint is compared when the handshake is over.
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
        context.use_certificate(certificate)
        context.use_privatekey(key)
        context.set_cipher_list(
            b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
            b"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA"
        )
        context.set_tlsext_use_srtp(":".join(profile.name for profile in PROFILES).encode())
        self._context = context

    def accept(self, fingerprints: Fingerprints) -> Handshake:
        return Handshake(SSL.Connection(self._context), fingerprints)


class DtlsError(Exception):
    """The handshake failed, for good."""


class Handshake:
    """The state of DTLS with one peer: bytes in, bytes out; no sockets, no clocks.

    `keys` is there when the handshake is done; `closed` when the peer has said goodbye.
    """

    def __init__(self, connection: SSL.Connection, fingerprints: Fingerprints) -> None:
        self._ssl = connection
        self._ssl.set_accept_state()
        self._ssl.set_ciphertext_mtu(_MTU)
        self._fingerprints = fingerprints
        self._flights = 0
        self._received = 0
        self.keys: Keys | None = None
        self.closed = False

    def receive(self, datagram: bytes) -> list[bytes]:
        """Takes a datagram and returns those to be sent. Raises DtlsError once nothing can come of it anymore."""
        if self.keys is None:
            self._received += len(datagram)
            if self._received > _MAX_HANDSHAKE:
                raise DtlsError("a handshake without end")
        if not _whole(datagram):
            return []
        try:
            self._ssl.bio_write(datagram)
        except SSL.Error:
            return []
        if self.keys is None:
            return self._shake()
        try:
            while True:  # to the last record, or they would pile up in OpenSSL
                self._ssl.recv(_BUFFER)
        except SSL.ZeroReturnError:
            self.closed = True
        except SSL.Error:
            pass  # nothing more to read, or rubbish that OpenSSL has left out
        return self._written()

    def timeout(self) -> float | None:
        """Seconds until `resend` is due; None when nothing waits for an answer."""
        return None if self.keys is not None else self._ssl.DTLSv1_get_timeout()

    def resend(self) -> list[bytes]:
        """The last flight once more. Raises DtlsError when the other side has not answered for too long."""
        try:
            self._ssl.DTLSv1_handle_timeout()
        except SSL.Error as error:
            raise DtlsError("no answer") from error
        return self._written()

    def goodbye(self) -> list[bytes]:
        """A close_notify, when there is anything to close."""
        if self.keys is None or self.closed:
            return []
        try:
            self._ssl.shutdown()
        except SSL.Error:
            return []
        return self._written()

    def _shake(self) -> list[bytes]:
        try:
            self._ssl.do_handshake()
        except SSL.WantReadError:
            return self._written()
        except SSL.Error as error:
            raise DtlsError(str(error)) from error
        try:
            certificate = self._ssl.get_peer_certificate(as_cryptography=True)
            ours = certificate is not None and self._fingerprints.match(certificate)
        except (ValueError, x509.InvalidVersion) as error:  # OpenSSL reads more than the library does
            raise DtlsError("an unreadable certificate") from error
        if not ours:
            raise DtlsError("the certificate is not the one of the offer")
        chosen = self._ssl.get_selected_srtp_profile().decode()
        profile = next((profile for profile in PROFILES if profile.name == chosen), None)
        if profile is None:
            raise DtlsError("no profile for SRTP in common")
        self.keys = Keys.of(profile, self._ssl.export_keying_material(_LABEL, profile.material))
        return self._written()

    def _written(self) -> list[bytes]:
        """What OpenSSL has written. The records of a flight come as one stream: cut it where records end."""
        flight = b""
        while True:
            try:
                flight += self._ssl.bio_read(_BUFFER)
            except SSL.Error:
                break
        if not flight:
            return []
        self._flights += 1
        if self._flights > _MAX_FLIGHTS and self.keys is None:
            raise DtlsError("too many flights")
        datagrams = [b""]
        for record in _records(flight):
            if datagrams[-1] and len(datagrams[-1]) + len(record) > _MTU:
                datagrams.append(b"")
            datagrams[-1] += record
        return datagrams


def _records(stream: bytes) -> list[bytes]:
    """RFC 6347, 4.1: a record's length stands in the last two bytes of its header."""
    records = []
    while stream:
        end = _RECORD_HEADER + int.from_bytes(stream[11:13], "big")
        records.append(stream[:end])
        stream = stream[end:]
    return records


def _whole(datagram: bytes) -> bool:
    """Whether it consists of whole records: the rest of a broken one must not be read as part of the next datagram."""
    at = 0
    while at < len(datagram):
        if len(datagram) - at < _RECORD_HEADER:
            return False
        at += _RECORD_HEADER + int.from_bytes(datagram[at + 11 : at + 13], "big")
    return at == len(datagram) > 0
