"""A backup taken while people write, and what is true after it was put back."""

from __future__ import annotations

import asyncio
import stat
import tarfile
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from motor.motor_asyncio import AsyncIOMotorCollection

from scripts.hub_process import HubProcess, run_command
from server import backup
from server.archive import RESTORING, Reader
from server.clock import SystemClock
from server.commands.backup import target_path
from server.errors import StartupError
from server.keys import Keys, load_keys
from server.services import Services
from server.settings import Settings
from server.store import Store, StoreError, Unavailable, raw
from tests.conftest import Run, RunningServer
from tests.wire.client import Crowd, Person


def reached(hub: HubProcess) -> RunningServer:
    """The hub in its own process, as far as people need it."""
    return RunningServer(int(hub.url.rpartition(":")[2]), cast(Any, None), cast(Any, None))


def command(hub_data: Path, *words: str) -> str:
    done = run_command(*words, "--data-dir", str(hub_data))
    assert done.returncode == 0, done.stdout
    return done.stdout


def refused(hub_data: Path, *words: str) -> str:
    done = run_command(*words, "--data-dir", str(hub_data))
    assert done.returncode == 1, done.stdout
    (line,) = done.stdout.splitlines()
    assert line.startswith("vouch: ")
    return line


@pytest.mark.slow
@pytest.mark.gen_test(timeout=120)
async def test_a_backup_of_the_running_hub_is_put_back_and_clients_fetch_anew(tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "night.tar.gz"
    with HubProcess(data) as hub:
        crowd = Crowd(reached(hub))
        ann, ben = await crowd.friends("ann", "ben")
        ch = await crowd.direct(ann, ben)
        socket = await ann.socket()
        epoch = socket.frames[0]["epoch"]
        await socket.subscribe(ch)
        before = [await socket.write(ch, f"before {number}") for number in range(30)]
        printed = await asyncio.to_thread(command, data, "backup", str(file))
        assert "documents" in printed
        assert "The secrets are not in it" in printed
        after = [await socket.write(ch, f"after {number}") for number in range(10)]
        assert after[-1] == before[-1] + 10
        late = await crowd.browser(ben)
        kept = dict(ben.cookies)
        await ben.delete("/sessions/current")
        line = await asyncio.to_thread(refused, data, "restore", str(file), "--replace")
        assert f"in use by process {hub.process.pid}" in line
        await crowd.leave()
    printed = await asyncio.to_thread(command, data, "restore", str(file), "--replace")
    assert "fetch anew" in printed
    with HubProcess(data) as hub:
        for person in (ann, ben, late):
            person.server = reached(hub)
        socket = await ann.socket(hello=False)
        welcome = await socket.hello(epoch=epoch)
        assert welcome["epoch"] != epoch
        answer = await socket.subscribe(ch, after=after[-1])
        assert answer["gap"] == "epoch"
        assert answer["head"] == before[-1]
        page = await socket.page(ch, limit=100)
        texts = [entry["body"]["text"] for entry in page["entries"] if entry["kind"] == "message"]
        assert texts == [f"before {number}" for number in range(30)]
        assert await socket.write(ch, "and on") == before[-1] + 1
        # Sign-ins are those of the backup: what was ended since holds again, what is newer is gone.
        ben.cookies = kept
        assert (await ben.call("GET", "/me")).status == 200
        assert (await late.call("GET", "/me")).status == 401
        for opened in ann.sockets:
            opened.close()


class TestTaking:
    async def test_it_is_the_database_at_one_moment_while_everybody_writes(
        self, server: RunningServer, keys: Keys, tmp_path: Path
    ) -> None:
        crowd = Crowd(server)
        ann, ben = await crowd.friends("ann", "ben")
        channels = [await crowd.direct(ann, ben), await crowd.group(ann, ben), await crowd.group(ben, ann)]
        sockets = [await ann.socket(), await ben.socket()]
        stop = asyncio.Event()

        async def write(number: int) -> None:
            while not stop.is_set():
                await sockets[number % 2].write(channels[number % 3], f"words of {number}")

        async def meet(number: int) -> None:
            while not stop.is_set():
                await crowd.group(ann, ben, title=f"Group {number}")

        writers = [asyncio.create_task(work) for work in (*map(write, range(6)), meet(1))]
        manifests = [
            await backup.take(server.services.store, tmp_path / f"{number}.tar.gz", keys, SystemClock(), {})
            for number in range(4)
        ]
        stop.set()
        await asyncio.gather(*writers)
        await crowd.leave()
        sizes = []
        for number in range(4):
            rows = documents(tmp_path / f"{number}.tar.gz")
            sizes.append(len(rows["entries"]))
            assert_whole(rows)
        assert sizes == sorted(sizes)
        assert sizes[0] < sizes[-1], "nobody wrote while the backups were taken"
        assert all("nodes" not in manifest.collections for manifest in manifests)

    async def test_the_file_is_private_and_holds_secrets_only_when_asked(
        self, services: Services, keys: Keys, tmp_path: Path
    ) -> None:
        path = tmp_path / "b.tar.gz"
        await backup.take(services.store, path, keys, SystemClock(), {})
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with tarfile.open(path) as tar:
            assert not any("secrets/" in name for name in tar.getnames())
        whole = b"".join(content for _, content in Reader(path).parts())
        for secret in (keys.cookie.current.secret, keys.field.current.secret, keys.database_password.encode()):
            assert secret not in whole

    async def test_an_empty_database_is_no_backup(self, settings: Settings, keys: Keys, tmp_path: Path) -> None:
        store = Store(settings.mongodb_uri, settings.database)
        with pytest.raises(StartupError, match="holds no complete Vouch"):
            await backup.take(store, tmp_path / "b.tar.gz", keys, SystemClock(), {})
        store.close()
        assert list(tmp_path.iterdir()) == []

    async def test_a_database_that_stops_the_reading_leaves_no_file(
        self, services: Services, keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def dead(data: bytes) -> dict[str, Any]:
            raise StoreError("the transaction was aborted")

        monkeypatch.setattr(raw, "decoded", dead)
        with pytest.raises(StartupError) as caught:
            await backup.take(services.store, tmp_path / "b.tar.gz", keys, SystemClock(), {})
        assert caught.value.code == "backup_failed"
        assert list(tmp_path.iterdir()) == []


def documents(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Collection → its documents, out of a backup."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name, content in Reader(path).parts():
        found.setdefault(name, []).extend(raw.decoded(document) for document in raw.split(content))
    return found


def assert_whole(rows: dict[str, list[dict[str, Any]]]) -> None:
    """No hole in any channel, nobody who is not there, and every change is told: in the log or still in the outbox."""
    channels: dict[str, list[int]] = {}
    for entry in rows["entries"]:
        if entry["ch"].startswith("trail:"):  # what one node leaves for the others to look at, for a while
            continue
        channels.setdefault(entry["ch"], []).append(entry["seq"])
    for ch, numbers in channels.items():
        assert sorted(numbers) == list(range(1, len(numbers) + 1)), ch
    people = {row["_id"] for row in rows["people"]}
    rooms = {row["_id"] for row in rows["conversations"]}
    assert {row["by"] for row in rows["entries"] if row["ch"] in channels} <= people | {"system"}
    assert {row["conv"] for row in rows["members"]} <= rooms
    assert {row["person"] for row in rows["members"]} <= people
    assert {ch.partition(":")[2] for ch in channels} <= people | rooms
    waiting = {row["ch"] for row in rows.get("outbox", [])}
    told = channels.keys() | waiting
    assert {f"conv:{row['_id']}" for row in rows["conversations"] if row["kind"] == "group"} <= told
    for head in rows.get("heads", []):
        assert head["seq"] <= len(channels[head["_id"]])


@pytest.fixture
def file(services: Services, keys: Keys, run: Run[Any], tmp_path: Path) -> Path:
    """A backup of a small database."""
    path = tmp_path / "b.tar.gz"
    run(services.people.create_admin("root", "correct horse battery"))
    run(backup.take(services.store, path, keys, SystemClock(), {}))
    return path


@pytest.fixture
def empty(settings: Settings, run: Run[Any]) -> Any:
    """Another, empty database on the same server."""
    store = Store(settings.mongodb_uri, settings.database + "_b")
    yield store
    run(store.drop())
    store.close()


class TestRestoring:
    async def test_everything_is_there_again_under_a_new_epoch(
        self, file: Path, empty: Store, services: Services
    ) -> None:
        reader = Reader(file)
        await backup.check_target(empty, replace=False)
        epoch = await backup.restore(empty, reader, SystemClock().now())
        assert epoch != reader.manifest.epoch
        assert await empty.collection("meta").find_one({"_id": RESTORING}) is None
        found = await empty.collection("people").find_one({"handle": "root"})
        assert found == await services.store.collection("people").find_one({"handle": "root"})

    async def test_a_database_in_use_is_left_alone(self, file: Path, services: Services) -> None:
        with pytest.raises(StartupError) as caught:
            await backup.check_target(services.store, replace=True)
        assert caught.value.code == "nodes_running"

    async def test_one_that_is_not_empty_needs_to_be_told(self, file: Path, empty: Store) -> None:
        await empty.collection("people").insert_one({"_id": "somebody"})
        with pytest.raises(StartupError) as caught:
            await backup.check_target(empty, replace=False)
        assert caught.value.code == "database_not_empty"
        await backup.check_target(empty, replace=True)
        await backup.restore(empty, Reader(file), SystemClock().now())
        assert await empty.collection("people").find_one({"_id": "somebody"}) is None

    async def test_sign_ins_can_be_ended(self, server: RunningServer, keys: Keys, empty: Store, tmp_path: Path) -> None:
        await Person(server, "ann").register()
        path = tmp_path / "b.tar.gz"
        await backup.take(server.services.store, path, keys, SystemClock(), {})
        await backup.restore(empty, Reader(path), SystemClock().now())
        assert await empty.collection("sessions").find_one({}) is not None
        await backup.restore(empty, Reader(path), SystemClock().now(), end_sign_ins=True)
        assert await empty.collection("sessions").find_one({}) is None
        assert await empty.collection("people").find_one({"handle": "ann"}) is not None

    async def test_no_server_starts_on_a_half_restored_database(
        self, file: Path, empty: Store, settings: Settings, keys: Keys, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def full(*_: object) -> None:
            raise StoreError("disk full")

        monkeypatch.setattr(raw, "insert", full)
        with pytest.raises(StoreError):
            await backup.restore(empty, Reader(file), SystemClock().now())
        half = msgspec.structs.replace(settings, database=empty.name)
        services = Services(half, keys, mongodb_uri=settings.mongodb_uri, redis_url=settings.redis_url)
        with pytest.raises(StartupError) as caught:
            await services.start()
        services.store.close()
        assert caught.value.code == "half_restored"
        with pytest.raises(StartupError, match="no complete Vouch"):
            await backup.take(empty, file, keys, SystemClock(), {})

    async def test_a_slow_database_that_did_what_it_did_not_answer_is_asked_again(
        self, file: Path, empty: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rows = [content for name, content in Reader(file).parts() if name == "people"]
        insert = AsyncIOMotorCollection.insert_many
        lost = [Unavailable("timed out"), Unavailable("timed out")]

        async def unanswered(*arguments: Any, **options: Any) -> Any:
            done = await insert(*arguments, **options)
            if lost:
                raise lost.pop()
            return done

        monkeypatch.setattr(AsyncIOMotorCollection, "insert_many", unanswered)
        monkeypatch.setattr(raw, "PAUSE", 0.0)
        await raw.insert(empty, "people", raw.split(rows[0]))
        found = await empty.collection("people").find({}).to_list(None)
        assert [row["handle"] for row in found] == ["root"]

    def test_other_secrets_are_refused(self, file: Path, tmp_path: Path) -> None:
        with pytest.raises(StartupError) as caught:
            backup.check_secrets(Reader(file), load_keys(tmp_path / "other"))
        assert caught.value.code == "secrets_mismatch"


@pytest.mark.slow
def test_with_its_secrets_it_can_be_put_back_on_a_new_machine(tmp_path: Path) -> None:
    old, new, backups = tmp_path / "old", tmp_path / "new", tmp_path / "backups"
    backups.mkdir()
    make_root = ("admin", "create", "root", "--password-stdin", "--data-dir")
    assert run_command(*make_root, str(old), stdin="correct horse\n").returncode == 0
    assert "The secrets are in it" in command(old, "backup", str(backups), "--with-secrets")
    (file,) = backups.iterdir()
    printed = command(new, "restore", str(file), "--with-secrets", "--end-sign-ins")
    assert "All sign-ins and tokens have ended." in printed
    before, after = load_keys(old / "secrets"), load_keys(new / "secrets")
    assert after.known() == before.known()
    assert after.database_password != before.database_password
    assert "has this handle already" in run_command(*make_root, str(new), stdin="correct horse\n").stdout


def test_a_file_that_is_there_is_replaced_only_when_told(tmp_path: Path) -> None:
    (tmp_path / "b.tar.gz").touch()
    with pytest.raises(StartupError, match="is there already"):
        target_path(tmp_path / "b.tar.gz", Settings(), overwrite=False)
    assert target_path(tmp_path / "b.tar.gz", Settings(), overwrite=True) == tmp_path / "b.tar.gz"
    assert target_path(tmp_path, Settings(database="school"), overwrite=False).name.startswith("vouch-school-20")
