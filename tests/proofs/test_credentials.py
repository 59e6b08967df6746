"""The signature as other programs see it, what outlives a change of keys, and what an administrator is told of it."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import c2pa
import msgspec
import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from server import certificates
from server.doctor import Verdict, pictures
from server.keys import Keys
from server.proofs.studio import Studio
from server.proofs.worker import signing
from tests.proofs.conftest import Booth


def told(file: bytes, authorities: str = "") -> dict[str, Any]:
    """What c2pa's own reader says."""
    with (
        c2pa.Context.from_dict(signing._settings(authorities)) as context,
        c2pa.Reader("image/jpeg", io.BytesIO(file), context=context) as reader,
    ):
        return dict(msgspec.json.decode(reader.json()))


async def test_other_programs_find_it_valid_and_trusted_by_our_authority(booth: Booth, keys: Keys) -> None:
    """Without the authority's certificate the only thing amiss is that nobody knows the signer."""
    proof = await booth.take()
    file = await booth.file(proof)
    said = told(file)
    assert said["validation_state"] == "Valid"
    assert {one["code"] for one in said.get("validation_status", ())} <= {"signingCredential.untrusted"}
    known = told(file, keys.ca_cert.decode())
    assert known["validation_state"] == "Trusted"
    assert not known.get("validation_status")
    (facts,) = (
        one["data"]
        for one in known["manifests"][known["active_manifest"]]["assertions"]
        if one["label"] == signing.LABEL
    )
    assert set(facts) == {"proof", "kind", "code", "at"}, "neither names nor promises: everybody can read it"
    assert (facts["proof"], facts["code"], facts["kind"]) == (proof.id, proof.code, "photo")


async def test_a_new_key_of_the_same_authority_leaves_earlier_pictures_valid(booth: Booth, keys: Keys) -> None:
    file = await booth.file(await booth.take())
    fresh = certificates.private_key_pem()
    cert = certificates.picture_certificate(fresh, keys.ca_key, keys.ca_cert, booth.clock.at)
    studio = Studio(msgspec.structs.replace(keys, picture_key=fresh, picture_cert=cert))
    assert (await studio.check(file)).valid
    await studio.stop()


def test_the_certificate_is_one_that_signs_pictures_and_nothing_else(keys: Keys) -> None:
    cert = x509.load_pem_x509_certificate(keys.picture_cert)
    usage = cert.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.EMAIL_PROTECTION]
    assert not cert.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert cert.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    assert certificates.signed_by(keys.picture_cert, keys.ca_cert)


@pytest.mark.parametrize(
    ("before_end", "verdict"),
    [(timedelta(days=400), Verdict.OK), (timedelta(days=100), Verdict.WARNING), (timedelta(0), Verdict.PROBLEM)],
)
def test_the_doctor_says_until_when_it_is_good(keys: Keys, before_end: timedelta, verdict: Verdict) -> None:
    end = x509.load_pem_x509_certificate(keys.picture_cert).not_valid_after_utc
    found = pictures._certificate(keys, end - before_end)
    assert found.verdict is verdict
    assert bool(found.remedy) is (verdict is not Verdict.OK)


async def test_the_doctor_seals_a_picture(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    at = x509.load_pem_x509_certificate(keys.picture_cert).not_valid_before_utc + timedelta(days=2)
    assert [one.verdict for one in await pictures.proofs(keys, at)] == [Verdict.OK, Verdict.OK]
    monkeypatch.setattr("server.proofs.workers._MODULE", "server.proofs.nothing")
    _, sealing = await pictures.proofs(keys, at)
    assert (sealing.name, sealing.verdict) == ("proof_workers", Verdict.PROBLEM)
    assert await pictures.proofs(None) == []
