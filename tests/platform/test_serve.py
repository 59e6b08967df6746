"""The server as a person meets it at the terminal: start, stop, and the one line for everything that goes wrong."""

from __future__ import annotations

import json
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.hub_process import HubProcess, run_command
from server.settings import ROOT
from tests.payments.sandbox_process import SandboxClient
from tests.platform.standalone_mongo import standalone_mongo
from tests.platform.test_embedded import alive, eventually


def get(url: str, context: ssl.SSLContext | None = None) -> tuple[int, bytes]:
    with urllib.request.urlopen(url, timeout=10, context=context) as answer:
        return answer.status, answer.read()


def one_line(printed: str) -> str:
    """The only line that was printed, which starts with the program's name."""
    (line,) = printed.splitlines()
    assert line.startswith("vouch: ")
    assert "Traceback" not in line
    return line


def charge(platform: SandboxClient, order: str, back: str) -> dict[str, str]:
    wanted = {"order": order, "amount": 50_00, "currency": "CNY", "return_url": f"{back}/"}
    made: dict[str, str] = platform.ask("POST", "/v1/charges", wanted, key=order).json()
    return made


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with HubProcess(tmp_path_factory.mktemp("hub") / "data") as hub:
        yield hub


class TestRunning:
    def test_it_answers_where_it_says(self, hub: HubProcess) -> None:
        assert get(hub.url + "/healthz")[0] == 200
        assert get(hub.url + "/readyz")[0] == 200

    def test_it_says_what_is_off_and_how_to_stop(self, hub: HubProcess) -> None:
        assert "Gestures are off" in hub.printed
        assert "Ctrl-C" in hub.printed

    def test_a_second_one_on_its_data_directory_is_told_who_is_there(self, hub: HubProcess) -> None:
        done = run_command("serve", "--port", "0", "--data-dir", str(hub.data_dir))
        assert done.returncode == 1
        assert f"in use by process {hub.process.pid}." in one_line(done.stdout)

    def test_a_second_one_on_its_port_is_told_so_before_anything_is_made(self, hub: HubProcess, tmp_path: Path) -> None:
        port = hub.url.rpartition(":")[2]
        done = run_command("serve", "--port", port, "--data-dir", str(tmp_path / "data"))
        assert done.returncode == 1
        assert f"Port {port} is taken." in one_line(done.stdout)
        assert not (tmp_path / "data").exists()

    def test_an_administrator_is_made_while_it_runs(self, hub: HubProcess) -> None:
        handle = "root_" + secrets.token_hex(3)
        words = ("admin", "create", handle, "--password-stdin", "--data-dir", str(hub.data_dir))
        done = run_command(*words, stdin="correct horse battery\n")
        assert done.stdout == f"{handle} is an administrator now.\n"
        assert done.returncode == 0

    def test_a_password_that_is_no_good_is_one_line(self, hub: HubProcess) -> None:
        words = ("admin", "create", "root_2", "--password-stdin", "--data-dir", str(hub.data_dir))
        done = run_command(*words, stdin="short\n")
        assert done.returncode == 1
        assert "Nothing was changed." in one_line(done.stdout)

    def test_the_embedded_database_keeps_its_port_when_it_is_killed(self, hub: HubProcess) -> None:
        before = json.loads((hub.data_dir / "run" / "endpoints.json").read_text())
        pid = hub.child_pids()["secantusd"]
        subprocess.run(["kill", "-9", str(pid)], check=True)
        assert eventually(lambda: hub.child_pids().get("secantusd") not in (None, pid))

        def ready() -> bool:
            try:
                return get(hub.url + "/readyz")[0] == 200
            except OSError:
                return False

        assert eventually(ready, 30)
        assert json.loads((hub.data_dir / "run" / "endpoints.json").read_text()) == before
        hub.wait_for("child_restarted")

    def test_the_platform_for_play_money_keeps_its_place_and_its_money_when_it_is_killed(self, hub: HubProcess) -> None:
        platform = SandboxClient.of_hub(hub.data_dir)
        made = charge(platform, "y_1", hub.url)
        pid = hub.child_pids()["sandbox"]
        subprocess.run(["kill", "-9", str(pid)], check=True)
        hub.wait_for(r"child_restarted.*child=sandbox")
        assert hub.child_pids()["sandbox"] != pid
        assert platform.ask("GET", f"/v1/charges/{made['id']}").json() == made
        assert get(made["url"])[0] == 200

    def test_the_platform_for_play_money_tells_the_hub(self, hub: HubProcess) -> None:
        platform = SandboxClient.of_hub(hub.data_dir)
        platform.pay(charge(platform, "y_2", hub.url)["url"])
        assert eventually(lambda: all(notice["state"] == "delivered" for notice in platform.notices()), 30)
        assert platform.notices()

    def test_its_console_is_named_and_its_word_is_not_printed(self, hub: HubProcess) -> None:
        platform = SandboxClient.of_hub(hub.data_dir)
        assert f"{platform.url}/console" in hub.printed
        assert platform.console_word not in hub.printed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything_with_status_0_and_the_next_start_is_quick(
    tmp_path: Path, number: signal.Signals
) -> None:
    hub = HubProcess(tmp_path / "data").start()
    pids = hub.child_pids()
    assert set(pids) == {"secantusd", "redis", "sandbox"}
    hub.send(number)
    assert hub.end() == 0
    assert hub.printed.splitlines()[-1] == "Stopping."
    assert "error" not in hub.printed
    assert not any(alive(pid) for pid in pids.values())
    assert list((tmp_path / "data" / "run").glob("*.pid")) == []


def test_kill_9_takes_the_children_along_and_the_next_start_works(tmp_path: Path) -> None:
    hub = HubProcess(tmp_path / "data").start()
    pids = hub.child_pids()
    hub.send(signal.SIGKILL)
    hub.end()
    assert eventually(lambda: not any(alive(pid) for pid in pids.values()))
    with HubProcess(tmp_path / "data") as again:
        assert get(again.url + "/readyz")[0] == 200


def test_a_signal_during_the_start_leaves_nothing_behind(tmp_path: Path) -> None:
    hub = HubProcess(tmp_path / "data")
    hub.launch()
    assert eventually(lambda: len(hub.child_pids()) == 3, 20)
    pids = hub.child_pids()
    hub.send(signal.SIGTERM)
    assert hub.end() in (0, 130)
    assert "Traceback" not in hub.printed
    assert not any(alive(pid) for pid in pids.values())


def test_a_signal_while_a_class_is_made_ends_with_our_status(tmp_path: Path) -> None:
    """CPython ends by SIGINT when the plain KeyboardInterrupt has left code made by `exec`, caught or not."""
    (tmp_path / "interrupted.py").write_text("""
from server.commands.serve import _interrupt
try:
    exec("_interrupt(2, None)")
except KeyboardInterrupt:
    raise SystemExit(130)
""")
    environ = {"PYTHONPATH": f"{ROOT}:{tmp_path}"}
    done = subprocess.run([sys.executable, "-m", "interrupted"], env=environ, check=False)
    assert done.returncode == 130


def test_asked_twice_it_does_not_wait(tmp_path: Path) -> None:
    hub = HubProcess(tmp_path / "data").start()
    pids = hub.child_pids()
    hub.send(signal.SIGINT)
    hub.wait_for("Stopping")
    began = time.monotonic()
    while hub.process.poll() is None and time.monotonic() - began < 10:
        hub.send(signal.SIGINT)
        time.sleep(0.005)
    hub.end()
    assert eventually(lambda: not any(alive(pid) for pid in pids.values()))


class TestOneLine:
    """What stands in the way of a start."""

    def refused(self, tmp_path: Path, *options: str, environ: dict[str, str] | None = None) -> str:
        words = ("serve", "--port", "0", "--data-dir", str(tmp_path / "data"), *options)
        done = run_command(*words, environ=environ)
        assert done.returncode == 1, done.stdout
        assert not list((tmp_path / "data" / "run").glob("*.pid"))
        return one_line(done.stdout)

    def test_a_setting_that_cannot_be_read(self, tmp_path: Path) -> None:
        assert "VOUCH_TLS='perhaps'" in self.refused(tmp_path, environ={"VOUCH_TLS": "perhaps"})

    def test_an_address_that_is_not_ours(self, tmp_path: Path) -> None:
        assert "192.0.2.7 is no address of this machine" in self.refused(tmp_path, "--host", "192.0.2.7")

    def test_a_name_that_is_no_address(self, tmp_path: Path) -> None:
        assert "There is no address 'nowhere.invalid'" in self.refused(tmp_path, "--host", "nowhere.invalid")

    def test_a_database_that_does_not_start(self, tmp_path: Path) -> None:
        storage = tmp_path / "data" / "database"
        storage.mkdir(parents=True)
        (storage / "WiredTiger").write_text("this is no database")
        (storage / "WiredTiger.turtle").write_text("this neither")
        line = self.refused(tmp_path)
        assert "The database ended while it started" in line
        assert str(tmp_path / "data" / "logs" / "database.log") in line

    def test_a_mongodb_that_is_no_replica_set(self, tmp_path: Path) -> None:
        with standalone_mongo() as uri:
            assert "no replica set" in self.refused(tmp_path, environ={"VOUCH_MONGODB_URI": uri})

    def test_a_mongodb_that_is_not_there(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        uri = f"mongodb://127.0.0.1:{port}/?directConnection=true"
        assert "does not answer" in self.refused(tmp_path, environ={"VOUCH_MONGODB_URI": uri})

    def test_secrets_that_do_not_fit_the_database(self, tmp_path: Path) -> None:
        with HubProcess(tmp_path / "data"):
            pass
        field = tmp_path / "data" / "secrets" / "field"
        field.write_text(secrets.token_hex(32))
        assert "field" in self.refused(tmp_path)

    def test_secrets_that_others_can_read(self, tmp_path: Path) -> None:
        (tmp_path / "data" / "secrets").mkdir(parents=True)
        (tmp_path / "data" / "secrets").chmod(0o755)
        assert "chmod 700" in self.refused(tmp_path)

    def test_a_data_directory_that_is_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "data").touch()
        done = run_command("serve", "--port", "0", "--data-dir", str(tmp_path / "data"))
        assert "cannot be used" in one_line(done.stdout)

    def test_a_command_that_there_is_not(self) -> None:
        done = run_command("srve")
        assert done.returncode == 2
        assert "There are: serve, admin" in one_line(done.stdout)


def test_help_lists_commands_and_options() -> None:
    assert "make an administrator" in run_command("--help").stdout
    assert "--tls" in run_command("serve", "--help").stdout


def test_a_variable_that_nothing_reads_is_mentioned(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "data", environ={"VOUCH_PROT": "1"}) as hub:
        assert "VOUCH_PROT" in hub.printed


def test_without_payments_there_is_no_platform_for_play_money(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "data", environ={"VOUCH_PAYMENTS": ""}) as hub:
        assert set(hub.child_pids()) == {"secantusd", "redis"}
        assert "play money" not in hub.printed
        assert not (tmp_path / "data" / "sandbox").exists()


def test_the_platform_for_play_money_has_the_port_that_was_set(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        words = ("serve", "--port", "0", "--data-dir", str(tmp_path / "data"))
        done = run_command(*words, environ={"VOUCH_SANDBOX_PORT": str(port)})
        assert f"The sandbox ended while it started (port {port} is taken)." in one_line(done.stdout)
    environ = {"VOUCH_SANDBOX_PORT": str(port), "VOUCH_SANDBOX_PUBLIC_URL": "https://pay.vouch.example/"}
    with HubProcess(tmp_path / "data", environ=environ) as hub:
        platform = SandboxClient.of_hub(hub.data_dir)
        assert platform.url == f"http://127.0.0.1:{port}"
        assert charge(platform, "y_1", hub.url)["url"].startswith("https://pay.vouch.example/pay/")


def test_an_administrator_is_made_before_the_first_start(tmp_path: Path) -> None:
    words = ("admin", "create", "root_1", "--password-stdin", "--data-dir", str(tmp_path / "data"))
    assert run_command(*words, stdin="correct horse battery\n").returncode == 0
    assert list((tmp_path / "data" / "run").glob("*.pid")) == []


class TestTls:
    @pytest.fixture(scope="class")
    def secure(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
        with HubProcess(tmp_path_factory.mktemp("tls") / "data", "--tls") as hub:
            yield hub

    def trusting(self, hub: HubProcess) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=hub.data_dir / "secrets" / "authority.pem")

    def test_whoever_trusts_the_authority_trusts_the_server(self, secure: HubProcess) -> None:
        assert secure.url.startswith("https://127.0.0.1:")
        context = self.trusting(secure)
        assert get(secure.url + "/healthz", context)[0] == 200
        assert get(secure.url.replace("127.0.0.1", "localhost") + "/healthz", context)[0] == 200
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            get(secure.url + "/healthz")

    def test_the_page_offers_the_certificate_its_code_and_its_fingerprint(self, secure: HubProcess) -> None:
        context = self.trusting(secure)
        status, page = get(secure.url + "/trust", context)
        assert status == 200
        assert b"<svg" in page
        assert b"<script" not in page
        fingerprint = secure.printed.partition("Fingerprint of its certificate: ")[2].split()[0]
        assert fingerprint.replace(":", ":<wbr>").encode() in page
        assert "信任" in get(secure.url + "/trust?lang=zh-CN", context)[1].decode()
        chinese = urllib.request.Request(secure.url + "/trust", headers={"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"})
        with urllib.request.urlopen(chinese, context=context) as answer:
            assert 'lang="zh-CN"' in answer.read().decode()
        der = get(secure.url + "/ca.crt", context)[1]
        pem = (secure.data_dir / "secrets" / "authority.pem").read_text()
        assert der == ssl.PEM_cert_to_DER_cert(pem)

    def test_the_platform_for_play_money_speaks_https_too(self, secure: HubProcess) -> None:
        platform = SandboxClient.of_hub(secure.data_dir, tls=True)
        made = charge(platform, "y_1", secure.url.replace("127.0.0.1", "localhost"))
        assert made["url"].startswith(platform.url.replace("127.0.0.1", "localhost"))
        cookie = platform.browser()
        page = cookie.ask("GET", made["url"])
        assert page.status == 200
        assert "secure" in page.headers["set-cookie"].lower()
        platform.pay(made["url"])
        assert eventually(lambda: platform.notices()[0]["state"] == "delivered", 30)

    def test_without_tls_there_is_nothing_to_trust(self, hub: HubProcess) -> None:
        assert b"SHA-256" not in get(hub.url + "/trust")[1]


def test_the_program_finds_itself_from_any_directory(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "__init__.py").write_text("raise SystemExit('the wrong server')")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "server", "--help"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "usage: python -m server" in done.stdout
