"""The file of a backup, and the secrets that it may hold: whole or refused."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from pathlib import Path
from typing import Any

import msgspec
import pytest

from server import backup
from server.archive import FORMAT, Manifest, Reader, Writer
from server.clock import SystemClock
from server.errors import StartupError
from server.keys import Keys, install_secrets, load_keys, portable_secrets
from server.services import Services
from tests.conftest import Run


@pytest.fixture
def file(services: Services, keys: Keys, run: Run[Any], tmp_path: Path) -> Path:
    """A backup of a small database."""
    path = tmp_path / "b.tar.gz"
    run(services.people.create_admin("root", "correct horse battery"))
    run(backup.take(services.store, path, keys, SystemClock(), {}))
    return path


class TestDamage:
    """Nothing is written before the whole file was verified, so it is enough that `Reader` refuses."""

    def rewritten(self, file: Path, change: dict[str, bytes | None]) -> Path:
        """A copy in which members are replaced, or left out for None."""
        copy = file.with_name("copy.tar.gz")
        with tarfile.open(file) as source, tarfile.open(copy, "w:gz") as target:
            for entry in source:
                member = source.extractfile(entry)
                assert member is not None
                content = change.get(entry.name, member.read())
                if content is not None:
                    entry.size = len(content)
                    target.addfile(entry, io.BytesIO(content))
        return copy

    @pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
    def test_half_a_file_is_refused(self, file: Path, part: float) -> None:
        data = file.read_bytes()
        file.write_bytes(data[: int(len(data) * part)])
        with pytest.raises(StartupError) as caught:
            Reader(file)
        assert caught.value.code == "backup_damaged"

    def test_a_changed_document_is_refused(self, file: Path) -> None:
        with tarfile.open(file) as tar:
            member = tar.extractfile("collections/people.0.bson")
            assert member is not None
            content = member.read().replace(b"root", b"toor")
        copy = self.rewritten(file, {"collections/people.0.bson": content})
        with pytest.raises(StartupError, match=r"people\.0\.bson is not what was written"):
            Reader(copy)

    def test_a_missing_part_and_a_missing_manifest_are_refused(self, file: Path) -> None:
        with pytest.raises(StartupError, match="is not what was written"):
            Reader(self.rewritten(file, {"collections/people.0.bson": None}))
        with pytest.raises(StartupError, match="its end is missing"):
            Reader(self.rewritten(file, {"manifest.json": None}))

    def test_a_newer_format_and_another_program_are_named(self, file: Path) -> None:
        manifest = msgspec.to_builtins(Reader(file).manifest)
        newer = msgspec.json.encode(manifest | {"format": FORMAT + 1, "version": "9.9"})
        with pytest.raises(StartupError, match=r"version 9\.9"):
            Reader(self.rewritten(file, {"manifest.json": newer}))
        other = msgspec.json.encode({"product": "other"})
        with pytest.raises(StartupError, match="another program"):
            Reader(self.rewritten(file, {"manifest.json": other}))
        with pytest.raises(StartupError, match="manifest cannot be read"):
            Reader(self.rewritten(file, {"manifest.json": b"{"}))

    def test_what_is_no_backup_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "text").write_text("a letter")
        with pytest.raises(StartupError, match="no complete backup"):
            Reader(tmp_path / "text")
        with pytest.raises(StartupError, match="There is no file"):
            Reader(tmp_path / "nothing")

    def test_the_manifest_says_what_is_in_it(self, file: Path) -> None:
        manifest = Reader(file).manifest
        assert isinstance(manifest, Manifest)
        assert manifest.collections["people"].documents == 1
        assert set(manifest.secrets_needed) >= {"cookie", "field", "blind"}


def test_a_full_disk_leaves_neither_file_nor_half_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "b.tar.gz").write_text("the one of yesterday")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"), Writer(tmp_path / "b.tar.gz") as writer:
        writer.finish(version="1", taken_at=SystemClock().now(), database="vouch", epoch="e", needed={})
    assert [path.name for path in tmp_path.iterdir()] == ["b.tar.gz"]
    assert (tmp_path / "b.tar.gz").read_text() == "the one of yesterday"


class TestInstallingSecrets:
    def test_others_are_moved_aside_and_the_password_of_the_database_stays(self, tmp_path: Path) -> None:
        here, theirs = load_keys(tmp_path / "secrets"), load_keys(tmp_path / "theirs")
        at = SystemClock().now()
        aside = install_secrets(tmp_path / "secrets", portable_secrets(tmp_path / "theirs"), at)
        now = load_keys(tmp_path / "secrets")
        assert now.known() == theirs.known()
        assert now.database_password == here.database_password
        assert aside is not None
        assert (aside / "field").read_text() == here.field.current.text
        assert stat.S_IMODE(aside.stat().st_mode) == 0o700
        assert install_secrets(tmp_path / "secrets", portable_secrets(tmp_path / "theirs"), at) is None

    def test_only_secrets_are_installed(self, tmp_path: Path) -> None:
        files = {"database": b"theirs", "../outside": b"x", "authorized_keys": b"x"}
        install_secrets(tmp_path / "secrets", files, SystemClock().now())
        assert [path.name for path in tmp_path.rglob("*")] == ["secrets"]
