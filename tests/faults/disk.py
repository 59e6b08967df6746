"""A disk that is full, for one program, without a disk or a privilege for it."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

#: Bytes of a file beyond which there is no room: less than the database's journal has.
_FULL = 64 * 1024
_AGAIN_SECONDS = 0.02


@asynccontextmanager
async def full_disk(pid: Callable[[], int]) -> AsyncIterator[None]:
    """While it lasts, the program that `pid` tells finds no room for what it writes; nor does its successor.

    The kernel refuses its writes beyond a size, and those of its parent, from whom a successor has that limit from its
    first moment. For the embedded database that ends as a full file system does (both
    were tried): its storage engine gives up, and all it says from then on is that it has an internal error.
    """

    parent = _parent(pid())

    def limit(most: int) -> None:
        for program in (parent, None):
            with suppress(ProcessLookupError, FileNotFoundError):
                number = pid() if program is None else program
                hard = resource.prlimit(number, resource.RLIMIT_FSIZE)[1]
                resource.prlimit(number, resource.RLIMIT_FSIZE, (most, hard))

    async def fill() -> None:
        while True:
            limit(_FULL)
            await asyncio.sleep(_AGAIN_SECONDS)

    filling = asyncio.create_task(fill())
    try:
        yield
    finally:
        filling.cancel()
        await asyncio.gather(filling, return_exceptions=True)
        limit(resource.RLIM_INFINITY)


def _parent(pid: int) -> int:
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
    return int(after_name.split()[1])
