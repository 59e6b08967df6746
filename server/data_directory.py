"""The data directory: made private, owned by one server at a time, with room left on its disk."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from server.errors import StartupError

#: below this many free bytes the database could stop in the middle of a write
LEAST_FREE_BYTES = 200 * 1024 * 1024


def _free_bytes(path: Path) -> int:
    return shutil.disk_usage(path).free


class DataDirectory:
    """Holds the lock of a data directory from `open` to `close`.

    The lock is an flock on `<data>/lock`, so it goes away with the process however that ends.
    """

    def __init__(self, path: Path, *, free_bytes: Callable[[Path], int] = _free_bytes) -> None:
        self.path = path
        self._free_bytes = free_bytes
        self._lock: int | None = None

    @property
    def logs(self) -> Path:
        """What the children print."""
        return self.path / "logs"

    @property
    def run(self) -> Path:
        """Sockets and process ids of the running server."""
        return self.path / "run"

    @property
    def endpoints(self) -> Path:
        """Where the children of the running server listen, for commands that run beside it."""
        return self.run / "endpoints.json"

    def open(self) -> None:
        """Raises StartupError: `data_dir_unusable`, `data_dir_in_use`, `disk_full`."""
        with startup_errors(self.path):
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                self._take(descriptor)
                free = self._free_bytes(self.path)
                if free < LEAST_FREE_BYTES:
                    raise StartupError(
                        "disk_full",
                        f"The disk that holds {self.path} has {free // 2**20} MB left.",
                        hint=f"Make room: at least {LEAST_FREE_BYTES // 2**20} MB must be free.",
                    )
                self.logs.mkdir(mode=0o700, exist_ok=True)
                self.run.mkdir(mode=0o700, exist_ok=True)
            except BaseException:
                os.close(descriptor)
                raise
            self._lock = descriptor

    def _take(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            raise StartupError(
                "data_dir_in_use",
                f"The data directory {self.path} is in use by process {owner}.",
                hint="Stop that server, or start this one with another --data-dir.",
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)

    def close(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


@contextmanager
def startup_errors(path: Path) -> Iterator[None]:
    """Turns what the operating system refuses under `path` into the one line that a person reads."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StartupError("disk_full", f"The disk that holds {path} is full.", hint="Make room.") from error
        raise StartupError(
            "data_dir_unusable",
            f"The data directory {path} cannot be used: {error.strerror or error}.",
            hint="Choose another with --data-dir.",
        ) from error
