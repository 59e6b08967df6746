"""C2PA (Content Credentials): a manifest inside the JPEG, signed with the installation's key, that binds every byte.

Nothing is fetched and nobody else's clock is asked: no timestamps, no remote manifests, no lists of revocations.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any

import c2pa
import msgspec

from server import __version__

LABEL = "org.vouch.proof"
_TYPE = "image/jpeg"
_CAMERA = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"
_NAMED = re.compile(rb"pf_[0-9a-z]{20}")


def sign(jpeg: bytes, key: str, chain: str, at: str, facts: Mapping[str, str]) -> bytes:
    """The same picture with its manifest. `chain` is the signer's certificate and its authority's, PEM."""
    manifest = {
        "claim_generator_info": [{"name": "Vouch", "version": __version__}],
        "title": "Vouch live proof",
        "assertions": [
            {
                "label": "c2pa.actions",
                "data": {"actions": [{"action": "c2pa.created", "when": at, "digitalSourceType": _CAMERA}]},
            },
            {"label": LABEL, "data": dict(facts)},
        ],
    }
    info = c2pa.C2paSignerInfo(b"es256", chain.encode(), key.encode(), None)
    signed = io.BytesIO()
    with (
        c2pa.Context.from_dict(_settings("")) as context,
        c2pa.Signer.from_info(info) as signer,
        c2pa.Builder(msgspec.json.encode(manifest).decode(), context) as builder,
    ):
        builder.sign(signer, _TYPE, io.BytesIO(jpeg), signed)
    return signed.getvalue()


def check(data: bytes, authorities: str) -> tuple[bool, str]:
    """(Signed under one of these authorities and unchanged since, the proof that it names or else that its bytes name:
    what was torn apart cannot be read as a manifest any more.)"""
    try:
        with (
            c2pa.Context.from_dict(_settings(authorities)) as context,
            c2pa.Reader(_TYPE, io.BytesIO(data), context=context) as reader,
        ):
            said: dict[str, Any] = msgspec.json.decode(reader.json())
    except c2pa.C2paError:
        return False, _named(data)
    active = said.get("manifests", {}).get(said.get("active_manifest", ""), {})
    facts: object = next((one["data"] for one in active.get("assertions", ()) if one.get("label") == LABEL), {})
    proof = str(facts.get("proof", "")) if isinstance(facts, dict) else ""
    return said.get("validation_state") == "Trusted" and bool(proof), proof or _named(data)


def _named(data: bytes) -> str:
    found = _NAMED.search(data)
    return found.group().decode() if found else ""


def _settings(authorities: str) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "verify": {
            "verify_trust": bool(authorities),
            "verify_timestamp_trust": False,
            "remote_manifest_fetch": False,
            "ocsp_fetch": False,
        },
        "builder": {"thumbnail": {"enabled": False}},
    }
    if authorities:
        settings["trust"] = {"trust_anchors": authorities}
    return settings
