"""The doctor finds what is wrong: each thing is really made wrong first."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from scripts.hub_process import HubProcess, run_command
from server import preflight, tls
from server.doctor import Finding, Verdict, installation, machine
from server.keys import load_keys, write_secret
from server.settings import Settings
from tests.conftest import RunningServer

AT = datetime(2026, 11, 22, 4, 25, tzinfo=UTC)


def verdict(finding: Finding) -> Verdict:
    """Whatever is not fine says what to do; nothing is said in two lines or with a secret."""
    assert "\n" not in finding.says + finding.remedy
    assert finding.says.endswith(".")
    assert bool(finding.remedy) is (finding.verdict is not Verdict.OK)
    return finding.verdict


def only(findings: list[Finding], name: str) -> Finding:
    (found,) = (finding for finding in findings if finding.name == name)
    return found


class TestMachine:
    def test_python(self) -> None:
        assert verdict(machine.python((3, 11))) is Verdict.OK
        assert verdict(machine.python((3, 13))) is Verdict.PROBLEM

    @pytest.fixture
    def project(self, tmp_path: Path) -> Callable[[str, str], Path]:
        def project(needed: str, locked: str) -> Path:
            (tmp_path / "setup.cfg").write_text(f"[options]\ninstall_requires =\n    {needed}\n")
            (tmp_path / "requirements.lock").write_text(locked)
            return tmp_path

        return project

    def test_packages(self, project: Callable[[str, str], Path]) -> None:
        version = pytest.__version__
        assert verdict(machine.packages(project("pytest>=9,<10", f"pytest=={version}\n"))) is Verdict.OK
        missing = machine.packages(project("no-such-thing==1; python_version>'3'", ""))
        assert verdict(missing) is Verdict.PROBLEM
        assert "no-such-thing" in missing.says
        other = machine.packages(project("pytest", "# made\npytest==1.0 ; python_version > '3'\nnot-there==2\n"))
        assert verdict(other) is Verdict.WARNING
        assert f"pytest {version} (locked: 1.0)" in other.says
        assert "not-there" not in other.says

    def test_the_web_client(self, settings: Settings, tmp_path: Path) -> None:
        bare = replace(settings, static_dir=tmp_path)
        assert verdict(machine.web_client(bare)) is Verdict.PROBLEM
        (tmp_path / "index.html").write_text('<script src="/assets/a.js"></script>')
        assert "assets/a.js missing" in machine.web_client(bare).says
        (tmp_path / "assets").mkdir()
        (tmp_path / "assets" / "a.js").touch()
        assert verdict(machine.web_client(bare)) is Verdict.OK

    @pytest.mark.parametrize(("said", "hint"), [("v18.2.0", "too old"), ("v22.1.0", "is here")])
    def test_the_node_that_would_build_it(
        self, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, hint: str
    ) -> None:
        program = tmp_path / "node"
        program.write_text(f"#!/bin/sh\necho {said}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        assert hint in machine.web_client(replace(settings, static_dir=tmp_path)).remedy
        program.unlink()
        monkeypatch.setenv("PATH", str(tmp_path))
        assert "no Node" in machine.web_client(replace(settings, static_dir=tmp_path)).remedy

    def test_gestures(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(preflight, "gestures_obstacle", lambda: "no mediapipe")
        assert "no mediapipe" in machine.gestures().says
        monkeypatch.setattr(preflight, "gestures_obstacle", lambda: None)
        assert verdict(machine.gestures()) is Verdict.OK

    def test_open_files(self) -> None:
        assert verdict(machine.open_files(10_000, 10_000 + machine.SPARE_FILES)) is Verdict.OK
        few = machine.open_files(10_000, 10_000)
        assert verdict(few) is Verdict.PROBLEM
        assert "LimitNOFILE=10512" in few.remedy


class TestSettings:
    def test_variables(self) -> None:
        assert verdict(installation.variables({"VOUCH_PORT": "1", "HOME": "/"})) is Verdict.OK
        assert "VOUCH_PROT" in installation.variables({"VOUCH_PROT": "1"}).says

    @pytest.mark.parametrize(
        ("changes", "name", "expected"),
        [
            ({}, "exposure", Verdict.OK),
            ({"host": "0.0.0.0"}, "exposure", Verdict.PROBLEM),
            ({"host": "0.0.0.0", "tls": True}, "exposure", Verdict.OK),
            ({"trusted_proxies": ("0.0.0.0/0",)}, "trusted_proxies", Verdict.PROBLEM),
            ({"public_origins": ("https://vouch.example",)}, "trusted_proxies", Verdict.PROBLEM),
            ({"public_origins": ("http://vouch.example",)}, "public_origins", Verdict.WARNING),
            ({"public_origins": ("http://localhost:5173",)}, "exposure", Verdict.OK),
            (
                {"public_origins": ("https://vouch.example",), "trusted_proxies": ("127.0.0.1",)},
                "exposure",
                Verdict.OK,
            ),
        ],
    )
    def test_exposure(self, changes: dict[str, Any], name: str, expected: Verdict) -> None:
        assert verdict(only(installation.exposure(replace(Settings(), **changes)), name)) is expected


class TestDataDirectory:
    def test_one_that_is_not_there_yet_can_be_made(self, tmp_path: Path) -> None:
        assert "first start makes it" in installation.data_directory(Settings(data_dir=tmp_path / "a" / "b")).says

    def test_one_that_others_can_read(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o750)
        found = installation.data_directory(Settings(data_dir=tmp_path))
        assert verdict(found) is Verdict.PROBLEM
        assert f"chmod 700 {tmp_path}" in found.remedy
        tmp_path.chmod(0o700)
        assert verdict(installation.data_directory(Settings(data_dir=tmp_path))) is Verdict.OK

    def test_a_file_in_its_place(self, tmp_path: Path) -> None:
        (tmp_path / "data").touch()
        assert verdict(installation.data_directory(Settings(data_dir=tmp_path / "data"))) is Verdict.PROBLEM

    def test_one_of_another_user(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("os.geteuid", lambda: tmp_path.stat().st_uid + 1)
        assert verdict(installation.data_directory(Settings(data_dir=tmp_path))) is Verdict.WARNING

    @pytest.mark.parametrize(
        ("free", "expected"), [(100 << 20, Verdict.PROBLEM), (1 << 30, Verdict.WARNING), (1 << 40, Verdict.OK)]
    )
    def test_disk_space(self, tmp_path: Path, free: int, expected: Verdict) -> None:
        assert verdict(installation.disk_space(Settings(data_dir=tmp_path / "not" / "yet"), free)) is expected
        assert "GB are free" in installation.disk_space(Settings(data_dir=tmp_path)).says


class TestSecrets:
    @pytest.fixture
    def here(self, tmp_path: Path) -> Settings:
        load_keys(tmp_path / "secrets")
        return Settings(data_dir=tmp_path)

    def test_complete_ones_and_none_at_all(self, here: Settings, tmp_path: Path) -> None:
        found, keys = installation.secrets(here)
        assert verdict(found) is Verdict.OK
        assert keys == load_keys(here.secrets_path)
        assert "first start" in installation.secrets(Settings(data_dir=tmp_path / "new"))[0].says

    def test_a_missing_one_is_named_and_not_made(self, here: Settings) -> None:
        (here.secrets_path / "picture.pem").unlink()
        assert verdict(installation.secrets(here)[0]) is Verdict.WARNING
        (here.secrets_path / "field").unlink()
        found, keys = installation.secrets(here)
        assert (verdict(found), keys) == (Verdict.PROBLEM, None)
        assert "field" in found.says
        assert not (here.secrets_path / "field").exists()

    def test_one_that_others_can_read(self, here: Settings) -> None:
        (here.secrets_path / "field").chmod(0o644)
        assert "chmod 600" in installation.secrets(here)[0].remedy

    def test_a_damaged_one(self, here: Settings) -> None:
        (here.secrets_path / "field").write_text("abc")
        assert verdict(installation.secrets(here)[0]) is Verdict.PROBLEM

    def test_a_change_that_is_not_finished(self, here: Settings) -> None:
        ring = load_keys(here.secrets_path).cookie.announced("another", str.encode, AT)
        write_secret(here.secrets_path / "cookie", ring.text().encode(), replace=True)
        found, keys = installation.secrets(here)
        assert "Being changed: cookie" in found.says
        assert keys is not None


class TestPort:
    def test_a_free_one(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        assert verdict(installation.port(Settings(port=port))) is Verdict.OK
        assert verdict(installation.port(Settings(port=0))) is Verdict.OK

    def test_one_that_something_else_uses(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:

            def answer() -> None:
                other.accept()[0].close()
                with other.accept()[0] as client:
                    client.recv(1000)
                    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")

            thread = threading.Thread(target=answer)
            thread.start()
            found = installation.port(Settings(port=other.getsockname()[1]))
            thread.join()
        assert verdict(found) is Verdict.PROBLEM
        assert "is taken by something else" in found.says

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Tornado drops it unclosed
    def test_an_address_of_another_machine(self) -> None:
        found = installation.port(Settings(host="192.0.2.1", port=8080))
        assert verdict(found) is Verdict.PROBLEM
        assert "no address of this machine" in found.says

    async def test_one_that_vouch_itself_uses(self, server: RunningServer) -> None:
        here = Settings(port=server.port)
        assert "is ready" in (await asyncio.to_thread(installation.port, here)).says
        await server.services.limits.stop()
        server.services.store.close()
        found = await asyncio.to_thread(installation.port, here)
        assert verdict(found) is Verdict.PROBLEM
        assert "'database': 'away'" in found.says


class TestCertificate:
    def own(self, tmp_path: Path, made: datetime, names: list[str] | None = None) -> Finding:
        """What is said at AT of a certificate that was made at another time."""
        keys = load_keys(tmp_path / "secrets", made)
        tls.server_context(keys, tmp_path / "tls", names or tls.server_names(), made)
        return only(installation.certificate(Settings(data_dir=tmp_path, tls=True), keys, AT), "certificate")

    @pytest.mark.parametrize(
        ("age", "expected"), [(0, Verdict.OK), (380, Verdict.WARNING), (398, Verdict.PROBLEM)], ids=str
    )
    def test_its_end(self, tmp_path: Path, age: int, expected: Verdict) -> None:
        assert verdict(self.own(tmp_path, AT - timedelta(days=age))) is expected

    def test_a_name_that_is_missing(self, tmp_path: Path) -> None:
        assert "does not name" in self.own(tmp_path, AT, ["localhost"]).says

    def test_one_of_a_former_authority(self, tmp_path: Path) -> None:
        self.own(tmp_path, AT)
        here = Settings(data_dir=tmp_path, tls=True)
        stranger = load_keys(tmp_path / "others")
        assert "former authority" in only(installation.certificate(here, stranger, AT), "certificate").says

    def test_none_and_a_broken_one(self, tmp_path: Path) -> None:
        here = Settings(data_dir=tmp_path, tls=True)
        assert verdict(only(installation.certificate(here, None), "certificate")) is Verdict.OK
        (tmp_path / "tls").mkdir()
        (tmp_path / "tls" / "server.pem").write_text("nothing")
        assert verdict(only(installation.certificate(here, None), "certificate")) is Verdict.PROBLEM

    @pytest.mark.parametrize(("age", "says"), [(0, "is good until"), (390, "ends in 6 days")])
    def test_what_the_proxy_shows(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age: int, says: str) -> None:
        now = datetime.now(UTC)
        keys = load_keys(tmp_path / "secrets", now - timedelta(days=age))
        context = tls.server_context(keys, tmp_path, ["localhost"], now - timedelta(days=age))
        (tmp_path / "ca.pem").write_bytes(keys.ca_cert)
        with proxy(context) as port:
            here = Settings(public_origins=(f"https://localhost:{port}",))
            assert "do not trust" in only(installation.certificate(here, None), "certificate").says
            monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
            assert says in only(installation.certificate(here, None), "certificate").says

    def test_a_proxy_that_is_not_there(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            here = Settings(public_origins=(f"https://127.0.0.1:{probe.getsockname()[1]}",))
            assert "cannot be reached" in only(installation.certificate(here, None), "certificate").says


@contextmanager
def proxy(context: ssl.SSLContext) -> Iterator[int]:
    """Shakes hands twice."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            for _ in range(2):
                client = listening.accept()[0]
                try:
                    context.wrap_socket(client, server_side=True).close()
                except OSError:
                    client.close()

        thread = threading.Thread(target=answer)
        thread.start()
        yield int(listening.getsockname()[1])
        thread.join()


@pytest.mark.slow
def test_the_command_tells_people_and_programs(tmp_path: Path) -> None:
    data = ("--data-dir", str(tmp_path / "data"), "--port", "0", "--connections", "10")
    fresh = run_command("doctor", *data)
    assert "the first start makes it" in fresh.stdout
    assert not (tmp_path / "data").exists(), "it only looks"
    with HubProcess(tmp_path / "data"):
        told = msgspec.json.decode(run_command("doctor", "--json", *data).stdout)
    found = {finding["name"]: finding["verdict"] for finding in told["findings"]}
    assert found.keys() >= {"python", "database", "database_write", "redis_bus", "secrets_fit", "indexes", "nodes"}
    assert told["healthy"] is ("problem" not in found.values())
    assert {found[name] for name in ("database", "secrets", "indexes", "nodes")} == {"ok"}
    (tmp_path / "data" / "secrets" / "field").chmod(0o644)
    broken = run_command("doctor", *data)
    assert broken.returncode == 1
    assert "problem  secrets" in broken.stdout
    assert "→ Run: chmod 600" in broken.stdout
