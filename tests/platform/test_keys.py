from __future__ import annotations

import base64
import os
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from msgspec.structs import replace

from server import certificates
from server.errors import StartupError
from server.keys import FILES, Keys, compare_fingerprints, load_keys
from server.settings import ROOT


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "data" / "secrets"


def test_secrets_are_made_once_and_private(directory: Path) -> None:
    first = load_keys(directory)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {path.name for path in directory.iterdir()} == set(FILES)
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {0o600}
    keys = {first.field.current.secret, first.blind.current.secret, first.digest}
    assert {len(key) for key in keys} == {32}
    assert len(keys) == 3
    assert load_keys(directory) == first


def test_a_secret_of_a_newer_version_is_added_beside_the_old_ones(directory: Path) -> None:
    first = load_keys(directory)
    (directory / "picture.pem").unlink()
    second = load_keys(directory)
    assert replace(second, picture_cert=first.picture_cert) == first


def test_digests_keep_the_key_that_they_had_before_they_had_one_of_their_own(directory: Path) -> None:
    blind = load_keys(directory).blind.current.secret
    (directory / "digest").unlink()
    assert load_keys(directory).digest == blind


_FINGERPRINTS = """
import sys
from pathlib import Path
from server.keys import load_keys
print(sorted(load_keys(Path(sys.argv[1])).fingerprints().items()))
"""


def test_processes_that_start_at_once_make_the_same_secrets(directory: Path) -> None:
    command = [sys.executable, "-c", _FINGERPRINTS, str(directory)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) for _ in range(4)]
    printed = {process.communicate(timeout=60)[0] for process in running}
    assert len(printed) == 1
    assert b"field" in printed.pop()


def test_vapid_public_key_is_the_uncompressed_point(directory: Path) -> None:
    public = load_keys(directory).vapid_public
    point = base64.urlsafe_b64decode(public + "=")
    assert len(point) == 65
    assert point[0] == 4
    assert "=" not in public


def test_the_picture_certificate_is_a_leaf_of_the_authority_for_email_protection(directory: Path) -> None:
    keys = load_keys(directory)
    certificate = x509.load_pem_x509_certificate(keys.picture_cert)
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.EMAIL_PROTECTION]
    assert certificates.signed_by(keys.picture_cert, keys.ca_cert)


def test_fingerprints_tell_secrets_apart_without_telling_them(directory: Path, tmp_path: Path) -> None:
    keys, other = load_keys(directory), load_keys(tmp_path / "other")
    fingerprints = keys.fingerprints()
    assert compare_fingerprints(fingerprints, fingerprints) == []
    assert compare_fingerprints({}, fingerprints) == []
    assert compare_fingerprints(fingerprints, other.fingerprints()) == sorted(fingerprints)
    assert compare_fingerprints(fingerprints, replace(keys, blind=other.blind).fingerprints()) == ["blind"]
    assert compare_fingerprints(fingerprints | {"later": "x"}, fingerprints) == ["later"]
    text = repr(fingerprints) + repr(keys) + str(keys)
    assert keys.cookie.current.text not in text
    assert keys.field.current.text not in text


def test_the_database_password_has_no_fingerprint_in_the_database(directory: Path) -> None:
    assert "database" not in load_keys(directory).fingerprints()


@pytest.mark.parametrize("name", ["cookie", "authority.key.pem"])
def test_a_secret_that_others_can_read_is_refused_with_the_remedy(directory: Path, name: str) -> None:
    load_keys(directory)
    (directory / name).chmod(0o644)
    with pytest.raises(StartupError) as caught:
        load_keys(directory)
    assert caught.value.code == "secrets_open"
    assert f"chmod 600 {directory / name}" in str(caught.value)


def test_a_directory_that_others_can_read_is_refused(directory: Path) -> None:
    load_keys(directory)
    directory.chmod(0o755)
    with pytest.raises(StartupError, match=f"chmod 700 {directory}"):
        load_keys(directory)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("field", b"abcd"),
        ("blind", b"not hexadecimal"),
        ("vapid.pem", b"-----BEGIN NOTHING-----"),
        ("cookie", b""),
        ("cookie", b"current 1 - one\ncurrent 2 - two\n"),
        ("cookie", b"current 1 - one\nold 1 - two\n"),
        ("cookie", b"current 1 yesterday one\n"),
        ("cookie", b"current one\n"),
        ("cookie", "密".encode()),
        ("picture.pem", b"junk"),
    ],
)
def test_damaged_secrets_are_named_and_not_replaced(directory: Path, name: str, content: bytes) -> None:
    load_keys(directory)
    (directory / name).write_bytes(content)
    with pytest.raises(StartupError) as caught:
        load_keys(directory)
    assert caught.value.code == "secrets_damaged"
    assert "\n" not in str(caught.value)
    assert (directory / name).read_bytes() == content


def test_a_picture_certificate_of_another_authority_is_damage(directory: Path, tmp_path: Path) -> None:
    load_keys(directory)
    stranger = load_keys(tmp_path / "other")
    (directory / "picture.pem").write_bytes(stranger.picture_cert)
    with pytest.raises(StartupError, match="not issued by"):
        load_keys(directory)


def test_secrets_that_cannot_be_made_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    with pytest.raises(StartupError) as caught:
        load_keys(tmp_path / "file" / "secrets")
    assert caught.value.code == "secrets_unreadable"


def test_a_full_disk_is_said_so(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StartupError) as caught:
        load_keys(directory)
    assert caught.value.code == "disk_full"
    assert list(directory.iterdir()) == []


class TestServerCertificate:
    at = datetime(2026, 11, 22, tzinfo=UTC)

    def certificate(self, keys: Keys, names: list[str]) -> bytes:
        key = certificates.private_key_pem()
        return certificates.server_certificate(key, keys.ca_key, keys.ca_cert, names, self.at)

    def test_it_names_hosts_and_addresses(self, directory: Path) -> None:
        keys = load_keys(directory, self.at)
        pem = self.certificate(keys, ["localhost", "127.0.0.1", "::1", "hall.local"])
        assert certificates.names_of(pem) == {"localhost", "127.0.0.1", "::1", "hall.local"}
        assert certificates.signed_by(pem, keys.ca_cert)

    def test_it_is_renewed_thirty_days_before_its_end(self, directory: Path) -> None:
        pem = self.certificate(load_keys(directory, self.at), ["localhost"])
        end = self.at + timedelta(days=397)
        assert not certificates.due_for_renewal(pem, end - timedelta(days=31))
        assert certificates.due_for_renewal(pem, end - timedelta(days=29))

    def test_another_authority_did_not_sign_it(self, directory: Path, tmp_path: Path) -> None:
        pem = self.certificate(load_keys(directory, self.at), ["localhost"])
        assert not certificates.signed_by(pem, load_keys(tmp_path / "other", self.at).ca_cert)

    def test_a_key_of_another_kind_is_refused(self) -> None:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519

        pem = ed25519.Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        with pytest.raises(ValueError, match="elliptic"):
            certificates.load_private_key(pem)
