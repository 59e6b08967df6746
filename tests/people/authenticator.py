"""A passkey in software: what a phone or a key does, and what a forger would."""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from webauthn.helpers import bytes_to_base64url

from server.people.factor_model import Assertion, NewPasskey

PRESENT, VERIFIED, CREDENTIAL = 0x01, 0x04, 0x40


class Authenticator:
    """One credential. `counter` rises with each use; `host` and `origin` are those of the page."""

    def __init__(self, origin: str = "https://vouch.example", host: str = "vouch.example") -> None:
        self.origin = origin
        self.host = host
        self.counter = 0
        self.flags = PRESENT | VERIFIED
        self.id = secrets.token_bytes(20)
        self._key = ec.generate_private_key(ec.SECP256R1())

    def create(self, challenge: str) -> NewPasskey:
        public = self._key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: public.x.to_bytes(32, "big"), -3: public.y.to_bytes(32, "big")}
        credential = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + cbor2.dumps(cose)
        attestation = {"fmt": "none", "attStmt": {}, "authData": self._data(CREDENTIAL) + credential}
        client = self._client("webauthn.create", challenge)
        return NewPasskey(_text(self.id), _text(client), _text(cbor2.dumps(attestation)), ["internal"])

    def sign(self, challenge: str) -> Assertion:
        self.counter += 1
        client, data = self._client("webauthn.get", challenge), self._data(0)
        signature = self._key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(SHA256()))
        return Assertion(_text(self.id), _text(client), _text(data), _text(signature))

    def _data(self, flags: int) -> bytes:
        head = hashlib.sha256(self.host.encode()).digest()
        return head + bytes([self.flags | flags]) + self.counter.to_bytes(4, "big")

    def _client(self, kind: str, challenge: str) -> bytes:
        said: dict[str, Any] = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return json.dumps(said).encode()


def _text(data: bytes) -> str:
    return bytes_to_base64url(data)
