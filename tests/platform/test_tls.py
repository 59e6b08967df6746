from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from server import preflight, tls
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


class TestGestures:
    """Found out without importing anything."""

    @pytest.fixture(autouse=True)
    def machine(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sys.platform", "linux")
        monkeypatch.setattr("platform.machine", lambda: "x86_64")
        monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
        monkeypatch.setattr(preflight, "find_library", lambda name: f"lib{name}.so")

    def test_they_run_when_everything_is_there(self) -> None:
        assert preflight.gestures_obstacle() is None

    def test_the_extra_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        assert "--with-gestures" in str(preflight.gestures_obstacle())

    @pytest.mark.parametrize(("library", "name"), [("GL", "libGL"), ("glib-2.0", "glib")])
    def test_a_library_of_the_system_is_missing(self, monkeypatch: pytest.MonkeyPatch, library: str, name: str) -> None:
        found: Callable[[str], str | None] = lambda asked: None if asked == library else "x"  # noqa: E731
        monkeypatch.setattr(preflight, "find_library", found)
        obstacle = str(preflight.gestures_obstacle())
        assert obstacle.startswith(f"{name} missing")
        assert "apt-get install" in obstacle

    def test_the_processor_does_not_do(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("platform.machine", lambda: "aarch64")
        assert "this processor" in str(preflight.gestures_obstacle())


def test_a_port_that_needs_more_rights_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(preflight, "bind_sockets", refuse)
    with pytest.raises(StartupError, match="above 1023"):
        preflight.listen("127.0.0.1", 80)


def test_open_files_are_raised_as_far_as_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr("resource.getrlimit", lambda what: (256, 4096))
    monkeypatch.setattr("resource.setrlimit", lambda what, limits: asked.append(limits))
    assert preflight.raise_open_files() == 4096
    assert asked == [(4096, 4096)]

    def refuse(what: int, limits: tuple[int, int]) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr("resource.setrlimit", refuse)
    assert preflight.raise_open_files() == 256
