from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from server import tls
from server.errors import StartupError
from server.keys import Keys, load_keys

AT = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture
def authority(tmp_path: Path) -> Keys:
    return load_keys(tmp_path / "secrets", AT)


class TestCertificate:
    def test_it_is_kept_until_something_changes(self, authority: Keys, tmp_path: Path) -> None:
        directory = tmp_path / "tls"

        def serve(names: list[str], at: datetime, keys: Keys = authority) -> bytes:
            context = tls.server_context(keys, directory, names, at)
            assert context.minimum_version == ssl.TLSVersion.TLSv1_2
            return (directory / "server.pem").read_bytes()

        first = serve(["localhost", "10.0.0.1"], AT)
        assert (directory / "server.pem").stat().st_mode & 0o777 == 0o600
        assert serve(["localhost", "10.0.0.1"], AT + timedelta(days=300)) == first
        assert serve(["localhost"], AT) == first
        moved = serve(["localhost", "10.0.0.2"], AT)
        assert moved != first
        renewed = serve(["localhost"], AT + timedelta(days=380))
        assert renewed != moved
        assert serve(["localhost"], AT, load_keys(tmp_path / "others", AT)) != renewed

    def test_a_damaged_file_is_made_again(self, authority: Keys, tmp_path: Path) -> None:
        tls.server_context(authority, tmp_path, ["localhost"], AT)
        (tmp_path / "server.pem").write_text("junk")
        tls.server_context(authority, tmp_path, ["localhost"], AT)

    def test_a_directory_that_cannot_be_made_is_one_line(self, authority: Keys, tmp_path: Path) -> None:
        (tmp_path / "tls").touch()
        with pytest.raises(StartupError):
            tls.server_context(authority, tmp_path / "tls", ["localhost"], AT)


class _Address(NamedTuple):
    ip: str | tuple[str, int, int]


class _Adapter(NamedTuple):
    ips: list[_Address]


def test_addresses_for_phones_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [_Adapter([_Address("127.0.0.1"), _Address(("::1", 0, 0))])]
    found.append(_Adapter([_Address("8.8.4.4"), _Address("192.168.1.20"), _Address("169.254.1.1")]))
    found.append(
        _Adapter([_Address(("fe80::1%eth0", 0, 2)), _Address(("2001:4860::5", 0, 0)), _Address("192.168.1.20")])
    )
    monkeypatch.setattr("ifaddr.get_adapters", lambda: found)
    assert tls.lan_addresses() == ["192.168.1.20", "8.8.4.4", "2001:4860::5"]


def test_names_include_the_machine_and_its_public_origins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "Hall.example")
    names = tls.server_names(["https://vouch.example:8443"])
    assert {"localhost", "127.0.0.1", "::1", "hall", "hall.local", "vouch.example"} <= set(names)
    monkeypatch.setattr("socket.gethostname", lambda: "教室")
    assert "教室" not in tls.server_names()
