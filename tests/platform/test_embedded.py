from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from msgspec.structs import replace
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from server import embedded as embedded_module
from server.children import Child
from server.data_directory import DataDirectory
from server.embedded import Embedded
from server.errors import StartupError
from server.keys import Keys, load_keys
from server.settings import ROOT, Settings
from server.store.provision import Answer, Probe


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


class Home:
    """A data directory of one test, and the children in it."""

    def __init__(self, path: Path) -> None:
        self.directory = DataDirectory(path)
        self.directory.open()
        self.settings = Settings(data_dir=path)
        self.keys = load_keys(self.settings.secrets_path)

    def embedded(self, keys: Keys | None = None) -> Embedded:
        return Embedded(self.settings, keys or self.keys, self.directory)

    def pid(self, name: str) -> int:
        return int((self.directory.run / f"{name}.pid").read_text())


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path / "data")
    yield home
    home.directory.close()


def test_both_answer_and_stop_without_a_trace(home: Home) -> None:
    with home.embedded() as children:
        pids = [home.pid("secantusd"), home.pid("redis")]
        with MongoClient[dict[str, object]](children.mongodb_uri) as client:
            assert client.admin.command("hello")["setName"]
        with redis.Redis.from_url(children.redis_url) as bus:
            assert bus.ping()
            assert bus.config_get("port") == {"port": "0"}
    assert not any(alive(pid) for pid in pids)
    assert list(home.directory.run.glob("*.pid")) == []
    assert not (home.directory.run / "redis.sock").exists()


def test_the_second_start_finds_what_the_first_one_wrote(home: Home) -> None:
    with home.embedded() as children, MongoClient[dict[str, object]](children.mongodb_uri) as client:
        client.test.words.insert_one({"_id": 1})
    with home.embedded() as children, MongoClient[dict[str, object]](children.mongodb_uri) as client:
        assert client.test.words.find_one() == {"_id": 1}


def test_the_database_asks_for_its_password(home: Home) -> None:
    with home.embedded() as children:
        bare = children.mongodb_uri.replace(children.mongodb_uri.split("//")[1].split("@")[0] + "@", "")
        with MongoClient[dict[str, object]](bare) as client, pytest.raises(OperationFailure):
            client.test.words.find_one()
        assert (home.directory.path / "database").stat().st_mode & 0o077 == 0


def test_a_first_start_that_was_interrupted_is_repeated(home: Home) -> None:
    with home.embedded():
        pass
    (home.directory.path / "database.user").unlink()
    (home.directory.path / "secrets" / "database").unlink()
    keys = load_keys(home.settings.secrets_path)
    with home.embedded(keys) as children, MongoClient[dict[str, object]](children.mongodb_uri) as client:
        assert client.test.words.find_one() is None


def test_a_lost_password_is_said_so(home: Home) -> None:
    with home.embedded():
        pass
    with pytest.raises(StartupError) as caught, home.embedded(replace(home.keys, database_password="another")):
        pass
    assert caught.value.code == "secrets_mismatch"
    assert list(home.directory.run.glob("*.pid")) == []


def test_a_named_server_needs_no_child(home: Home) -> None:
    settings = replace(home.settings, mongodb_uri="mongodb://db.example/", redis_url="redis://bus.example")
    with Embedded(settings, home.keys, home.directory) as children:
        assert children.mongodb_uri == "mongodb://db.example/"
        assert children.redis_url == "redis://bus.example"
    assert list(home.directory.logs.iterdir()) == []


_SERVER = """
import sys, time
from pathlib import Path
from server.data_directory import DataDirectory
from server.embedded import Embedded
from server.keys import load_keys
from server.settings import Settings
settings = Settings(data_dir=Path(sys.argv[1]))
directory = DataDirectory(settings.data_dir)
directory.open()
Embedded(settings, load_keys(settings.secrets_path), directory).start()
print("ready", flush=True)
time.sleep(600)
"""


def test_kill_9_of_the_parent_leaves_no_orphan_and_the_directory_is_free(home: Home, tmp_path: Path) -> None:
    home.directory.close()
    parent = subprocess.Popen(
        [sys.executable, "-c", _SERVER, str(home.directory.path)], stdout=subprocess.PIPE, cwd=ROOT
    )
    assert parent.stdout is not None
    with parent.stdout:
        assert parent.stdout.readline() == b"ready\n"
        pids = [home.pid("secantusd"), home.pid("redis")]
        assert all(alive(pid) for pid in pids)
        parent.kill()
        parent.wait()
    assert eventually(lambda: not any(alive(pid) for pid in pids))
    home.directory.open()
    with home.embedded() as children, MongoClient[dict[str, object]](children.mongodb_uri) as client:
        assert client.admin.command("ping")


async def test_children_that_die_come_back_where_they_were(home: Home) -> None:
    with home.embedded() as children:
        watching = asyncio.create_task(children.watch())
        loop = asyncio.get_running_loop()
        try:
            with MongoClient[dict[str, object]](children.mongodb_uri) as client:
                client.test.words.insert_one({"_id": 1})
                before = home.pid("secantusd")
                os.kill(before, signal.SIGKILL)
                found = await loop.run_in_executor(None, client.test.words.find_one)
                for _ in range(500):
                    if home.pid("secantusd") != before:
                        break
                    await asyncio.sleep(0.01)
                assert found == {"_id": 1}
                assert home.pid("secantusd") != before
        finally:
            watching.cancel()


def test_an_open_transaction_holds_nobody_up(home: Home) -> None:
    """Near the largest that the database takes; without `_EVICTION` nothing was answered any more."""
    with (
        home.embedded() as children,
        MongoClient[dict[str, object]](children.mongodb_uri, socketTimeoutMS=10_000) as client,
    ):
        bytes_ = os.urandom(250_000)
        client.mine.words.insert_one({"_id": "first"})
        client.others.words.insert_one({"_id": "first"})
        with client.start_session() as session:
            session.start_transaction()
            for _ in range(80):
                client.mine.words.insert_one({"content": bytes_}, session=session)
            for _ in range(200):
                client.others.words.insert_one({"content": bytes_})
            session.commit_transaction()
        assert client.mine.words.count_documents({}) == 81
        assert client.others.words.count_documents({}) == 201


@pytest.mark.gen_test(timeout=120)
async def test_a_database_that_answers_nothing_is_started_again(home: Home) -> None:
    """Its threads waited for each other once, for three quarters of an hour; stopped by a signal it is as silent."""
    with home.embedded() as children:
        watching = asyncio.create_task(children.watch())
        loop = asyncio.get_running_loop()
        try:
            with MongoClient[dict[str, object]](children.mongodb_uri, socketTimeoutMS=1_000) as client:
                client.test.words.insert_one({"_id": 1})
                before = home.pid("secantusd")
                os.kill(before, signal.SIGSTOP)
                while home.pid("secantusd") == before:
                    await asyncio.sleep(0.1)
                assert not alive(before)
                assert await loop.run_in_executor(None, client.test.words.find_one) == {"_id": 1}
        finally:
            watching.cancel()


async def test_a_database_that_stood_still_for_a_moment_is_left_alone(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_module, "_PROBE_SECONDS", 0.05)
    answers = iter([Answer.NONE, Answer.NONE, Answer.WELL, Answer.NONE, Answer.NONE, Answer.WELL])
    told = asyncio.Event()

    async def ask(self: Probe) -> Answer:
        answer = next(answers, None)
        if answer is None:
            told.set()
        return answer or Answer.WELL

    monkeypatch.setattr(Probe, "ask", ask)
    with home.embedded() as children:
        before = home.pid("secantusd")
        watching = asyncio.create_task(children.watch())
        try:
            await told.wait()
            assert alive(before)
            assert home.pid("secantusd") == before
        finally:
            watching.cancel()


class TestSocketPath:
    def test_a_long_data_directory_gets_a_short_private_place(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
        run = tmp_path / ("long" * 30) / "run"
        short = embedded_module._socket_directory(run)
        assert short.parent == tmp_path
        assert short.stat().st_mode & 0o777 == 0o700
        assert embedded_module._socket_directory(run) == short
        assert embedded_module._socket_directory(tmp_path / "r") == tmp_path / "r"

    def test_a_place_that_others_can_enter_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
        run = tmp_path / ("long" * 30) / "run"
        embedded_module._socket_directory(run).chmod(0o777)
        with pytest.raises(StartupError, match="belongs to somebody else"):
            embedded_module._socket_directory(run)


class TestMissing:
    def test_the_database_program(self, home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(StartupError) as caught:
            embedded_module._script("secantusd-py")
        assert caught.value.code == "embedded_missing"
        assert "VOUCH_MONGODB_URI" in str(caught.value)

    def test_the_redis_program(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        with pytest.raises(StartupError, match="Redis is not installed"):
            embedded_module.valkey_server()


class TestChild:
    def child(self, tmp_path: Path, script: str, **options: object) -> Child:
        return Child(
            "sample",
            command=lambda: [sys.executable, "-u", "-c", script],
            ready=lambda printed: "ready" in printed,
            log_path=tmp_path / "sample.log",
            pid_path=tmp_path / "sample.pid",
            **options,  # type: ignore[arg-type]
        )

    def test_a_child_that_ends_at_once_names_its_log_and_last_words(self, tmp_path: Path) -> None:
        child = self.child(tmp_path, "import sys; print('first'); sys.exit('storage is damaged')")
        with pytest.raises(StartupError) as caught:
            child.start()
        assert caught.value.code == "child_failed"
        assert "storage is damaged" in str(caught.value)
        assert str(tmp_path / "sample.log") in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_a_child_that_is_never_ready_is_ended(self, tmp_path: Path) -> None:
        child = self.child(tmp_path, "import time; time.sleep(60)", start_seconds=0.3)
        with pytest.raises(StartupError, match="not ready within"):
            child.start()
        assert not child.alive

    def test_a_full_disk_is_recognised_in_what_it_printed(self, tmp_path: Path) -> None:
        child = self.child(tmp_path, "import sys; sys.exit('pwrite: No space left on device')")
        with pytest.raises(StartupError) as caught:
            child.start()
        assert caught.value.code == "disk_full"

    def test_a_child_that_ignores_the_request_is_killed(self, tmp_path: Path) -> None:
        script = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready'); time.sleep(60)"
        child = self.child(tmp_path, script)
        child.start()
        pid = child.pid
        child.stop(grace_seconds=0.2)
        child.stop()
        assert pid is not None
        assert not alive(pid)

    def test_a_long_log_is_put_aside(self, tmp_path: Path) -> None:
        (tmp_path / "sample.log").write_bytes(b"ready\n" * 10**6)
        child = self.child(tmp_path, "import time; print('ready now'); time.sleep(60)")
        child.start()
        child.stop()
        assert (tmp_path / "sample.log").read_text() == "ready now\n"
        assert (tmp_path / "sample.old.log").stat().st_size == 6 * 10**6

    def test_only_the_main_thread_may_start_one(self, tmp_path: Path) -> None:
        from concurrent.futures import ThreadPoolExecutor

        child = self.child(tmp_path, "print('ready')")
        with ThreadPoolExecutor(1) as pool, pytest.raises(RuntimeError, match="main thread"):
            pool.submit(child.start).result()

    def test_the_pipe_tether_ends_the_child_with_its_parent(self, tmp_path: Path) -> None:
        script = "import time; print('ready'); time.sleep(60)"
        child = self.child(tmp_path, script, tether_mode="pipe")
        child.start()
        tether = child.pid
        assert tether is not None
        inner = int(Path(f"/proc/{tether}/task/{tether}/children").read_text())
        assert child._process is not None
        assert child._process.stdin is not None
        child._process.stdin.close()
        assert eventually(lambda: not alive(tether) and not alive(inner))
        child.stop()

    def test_the_pipe_tether_passes_on_the_request_to_stop(self, tmp_path: Path) -> None:
        child = self.child(tmp_path, "import time; print('ready'); time.sleep(60)", tether_mode="pipe")
        child.start()
        inner = int(Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text())
        child.stop()
        assert not alive(inner)

    async def test_a_child_that_cannot_come_back_is_tried_again(self, tmp_path: Path) -> None:
        flag = tmp_path / "broken"
        script = (
            f"import pathlib, sys, time; pathlib.Path({str(flag)!r}).exists() and sys.exit('no'); "
            "print('ready'); time.sleep(60)"
        )
        child = self.child(tmp_path, script)
        child.start()
        flag.touch()
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        watching = asyncio.create_task(child.watch())
        await asyncio.sleep(0.8)
        flag.unlink()
        await asyncio.sleep(1.5)
        assert child.alive
        watching.cancel()
        child.stop()
