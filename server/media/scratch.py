"""A directory for the files of jobs: one per process, emptied at both ends of its life."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path


class Scratch:
    """`<directory>/<process id>-<node>`. What processes that are no more have left is removed."""

    def __init__(self, directory: Path, node: str) -> None:
        self._directory = directory
        self.path = directory / f"{os.getpid()}-{node}"

    def open(self) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in self._directory.iterdir():
            pid, dash, _ = left.name.partition("-")
            if dash and pid.isdigit() and not _runs(int(pid)):
                shutil.rmtree(left, ignore_errors=True)
        self.path.mkdir(mode=0o700, exist_ok=True)

    def close(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


def _runs(pid: int) -> bool:
    with suppress(PermissionError):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
    return True
