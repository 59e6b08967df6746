"""`python -m tests.faults.turned FILE serve …`: the server with a wall clock that can be turned while it runs.

FILE holds one double, how many seconds the clock is ahead; it is mapped, so that a turn is seen at once. The monotonic
clock, which nothing can turn, stays as it is.
"""

from __future__ import annotations

import mmap
import struct
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

_SECONDS = struct.Struct("<d")


def turn(file: Path, seconds: float) -> None:
    """Sets the clock of the process that was started with this file, now or later."""
    with file.open("r+b" if file.exists() else "wb") as clock:
        clock.write(_SECONDS.pack(seconds))


def main() -> int:
    with open(sys.argv[1], "rb") as file:
        ahead = mmap.mmap(file.fileno(), _SECONDS.size, access=mmap.ACCESS_READ)
    real = time.time

    def turned() -> float:
        seconds: float = _SECONDS.unpack(ahead)[0]
        return real() + seconds

    def now(_: object) -> datetime:
        at = datetime.now(UTC) + timedelta(seconds=turned() - real())
        return at.replace(microsecond=at.microsecond // 1000 * 1000)

    time.time = turned
    from server.clock import SystemClock

    SystemClock.now = now  # type: ignore[assignment,method-assign]
    from server.__main__ import main as server

    return server(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
