"""Is it ours, unchanged? And what strangers are told."""

from __future__ import annotations

import msgspec
import pytest

from server import certificates
from server.clock import to_ms
from server.errors import Code, VouchError
from server.keys import Keys, load_keys
from server.proofs.model import VerifyState
from server.proofs.studio import Studio
from tests.proofs.conftest import Booth
from tests.proofs.scenes import jpeg, scene, shot
from tests.supervision.conftest import StageClock

STRANGER = ""


async def test_unchanged_and_who_is_told_what(booth: Booth, clock: StageClock) -> None:
    proof = await booth.take()
    file = await booth.file(proof)
    title = (await booth.load(booth.pledge)).terms.title
    for one in (STRANGER, booth.eve):
        said = await booth.proofs.verify(one, "192.0.2.1", file)
        assert (said.state, said.at, said.code) == (VerifyState.UNCHANGED, to_ms(clock.at), proof.code)
        assert said.pledge is None
        assert said.person is None
    for one in (booth.emma, booth.tom):
        said = await booth.proofs.verify(one, "192.0.2.1", file)
        assert said.pledge is not None
        assert (said.pledge.title, said.pledge.task, said.person) == (title, 1, "Emma")


async def test_any_flipped_byte_is_found(booth: Booth) -> None:
    """In the pixels, in the signature, in the manifest, at the ends: never `unchanged`."""
    file = await booth.file(await booth.take())
    told = set()
    for at in (*range(0, 64, 9), *range(400, len(file), len(file) // 12), len(file) - 1):
        flipped = bytearray(file)
        flipped[at] ^= 0x01
        told.add((await booth.proofs.verify(STRANGER, "192.0.2.1", bytes(flipped))).state)
    assert told == {VerifyState.CHANGED}


async def test_cut_lengthened_and_encoded_anew(booth: Booth) -> None:
    file = await booth.file(await booth.take())
    for changed in (file[:-200], file + b"more"):
        assert (await booth.proofs.verify(STRANGER, "192.0.2.1", changed)).state is VerifyState.CHANGED
    for foreign in (shot(44), b"", b"nothing", jpeg(scene(2)) + b"pf_" + b"0" * 20):
        assert (await booth.proofs.verify(STRANGER, "192.0.2.1", foreign)).state is VerifyState.UNKNOWN


async def test_another_installations_signature_is_not_ours(
    booth: Booth, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Even when it names a proof of ours: the key is another one."""
    proof = await booth.take()
    others = load_keys(tmp_path_factory.mktemp("other") / "secrets")
    picture = scene(3)
    forged = await Studio(others).seal(
        *picture.size, picture.tobytes(), ("now", "me", proof.code), booth.clock.at, {"proof": proof.id}
    )
    file = next(iter(forged.pieces.values()))[1]
    assert (await Studio(others).check(file)).valid
    assert not (await booth.proofs.studio.check(file)).valid
    assert (await booth.proofs.verify(STRANGER, "192.0.2.1", file)).state is VerifyState.CHANGED


async def test_what_a_former_authority_has_signed_stays_valid(booth: Booth, keys: Keys) -> None:
    file = await booth.file(await booth.take())
    key = certificates.private_key_pem()
    authority = certificates.authority_certificate(key, booth.clock.at)
    picture_key = certificates.private_key_pem()
    later = msgspec.structs.replace(
        keys,
        ca_key=key,
        ca_cert=authority,
        picture_key=picture_key,
        picture_cert=certificates.picture_certificate(picture_key, key, authority, booth.clock.at),
    )
    assert not (await Studio(later).check(file)).valid
    assert (await Studio(msgspec.structs.replace(later, former_authorities=keys.ca_cert)).check(file)).valid


async def test_a_file_of_an_unknown_row_is_ours_by_its_signature(booth: Booth) -> None:
    """Restored from an older backup, the database does not know it; the signature does. A stolen key could sign it,
    too: that is not called unchanged."""
    proof = await booth.take()
    file = await booth.file(proof)
    await booth.services.store.collection("live_proofs").delete_many({"_id": proof.id})
    said = await booth.proofs.verify(STRANGER, "192.0.2.1", file)
    assert (said.state, said.at) == (VerifyState.UNRECORDED, None)


async def test_a_worker_that_dies_is_an_answer(booth: Booth, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.proofs.workers._MODULE", "server.proofs.nothing")
    with pytest.raises(VouchError) as fault:
        await booth.proofs.studio.check(b"x")
    assert fault.value.code is Code.UNAVAILABLE
    with pytest.raises(VouchError) as fault:
        await booth.proofs.studio.read(shot())
    assert fault.value.code is Code.BAD_PICTURE


async def test_a_worker_that_takes_too_long_is_ended(booth: Booth, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.proofs.studio.SECONDS", 0.0)
    with pytest.raises(VouchError) as fault:
        await booth.proofs.studio.read(shot())
    assert fault.value.code is Code.UNAVAILABLE


def test_secrets_keep_the_former_authority(tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("former") / "secrets"
    before = load_keys(directory)
    assert before.former_authorities == b""
    (directory / "authority.former.pem").write_bytes(before.ca_cert)
    (directory / "authority.former.pem").chmod(0o600)
    assert load_keys(directory).former_authorities == before.ca_cert
