"""What is found out about the machine before anything is started."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from server import preflight
from server.errors import StartupError


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


def test_a_hang_up_that_nohup_ignores_stays_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal, "getsignal", lambda number: signal.SIG_DFL)
    assert preflight.stop_signals() == [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    monkeypatch.setattr(signal, "getsignal", lambda number: signal.SIG_IGN)
    assert preflight.stop_signals() == [signal.SIGINT, signal.SIGTERM]
