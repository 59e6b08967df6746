"""Where pictures are read, sealed and checked: in processes of their own, bounded in number and time.

What somebody has sent is read by a process that has no key; the one that has the key gets bare pixels (ARCHITECTURE,
what must always hold: nothing slow on the event loop, media in processes of their own).
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from datetime import datetime
from typing import TypeVar

import msgspec
import structlog

from server.errors import Code, VouchError
from server.keys import Keys
from server.media.model import Variant
from server.proofs import metrics
from server.proofs.model import Looks
from server.proofs.orders import (
    GREYS,
    GRIDS,
    Answer,
    Broken,
    Check,
    Checked,
    Order,
    Pixels,
    Read,
    Refused,
    Seal,
    Sealed,
    Why,
    blobs,
)
from server.proofs.workers import Trade, Workers

A = TypeVar("A", Pixels, Sealed, Checked)

#: seconds that one order may take, its wait for a turn included
SECONDS = 30.0
#: at once: to be read or sealed; to be checked for strangers
_MAKING, _CHECKING = 2, 1
_REFUSALS = {Why.BAD_PICTURE: Code.BAD_PICTURE, Why.NOT_LIVE: Code.NOT_LIVE}

log = structlog.get_logger(__name__)


class Bare(msgspec.Struct, frozen=True):
    """A picture of which nothing is left but its pixels: RGB, three bytes each."""

    width: int
    height: int
    rgb: bytes
    looks: Looks


class Print(msgspec.Struct, frozen=True):
    """A sealed picture: (type, content) by variant; the main one is signed."""

    width: int
    height: int
    blur: str
    looks: tuple[Looks, ...]
    pieces: dict[Variant, tuple[str, bytes]]


class Glance(msgspec.Struct, frozen=True):
    """What a file says of itself (Checked), and what it looks like; None where that cannot be seen."""

    valid: bool
    proof: str
    looks: Looks | None


class Studio:
    def __init__(self, keys: Keys) -> None:
        self._key = keys.picture_key.decode()
        self._chain = (keys.picture_cert + keys.ca_cert).decode()
        self._authorities = (keys.ca_cert + keys.former_authorities).decode()
        self._making = asyncio.Semaphore(_MAKING)
        self._checking = asyncio.Semaphore(_CHECKING)
        self.workers = Workers()

    async def stop(self) -> None:
        await self.workers.stop()

    async def read(self, data: bytes) -> Bare:
        """The pixels of a live picture. Raises `bad_picture`, `not_live`, `unavailable`."""
        answer, (grid, rgb) = await self._do(self._making, Read(len(data)), data, Pixels)
        return Bare(answer.width, answer.height, rgb, Looks(answer.hash, grid))

    async def seal(
        self, width: int, height: int, rgb: bytes, lines: tuple[str, str, str], at: datetime, facts: dict[str, str]
    ) -> Print:
        """Drawn on and signed. `facts` stand in the signature, for everybody to read. Raises `unavailable`."""
        order = Seal(
            length=len(rgb),
            width=width,
            height=height,
            lines=lines,
            at=f"{at:%Y-%m-%dT%H:%M:%SZ}",
            facts=facts,
            key=self._key,
            chain=self._chain,
        )
        answer, (grids, signed, preview, thumb) = await self._do(self._making, order, rgb, Sealed)
        pieces = {
            Variant.MAIN: ("image/jpeg", signed),
            Variant.PREVIEW: ("image/webp", preview),
            Variant.THUMB: ("image/webp", thumb),
        }
        looks = tuple(
            Looks(hash, grids[n * GREYS : (n + 1) * GREYS] if n < GRIDS else b"")
            for n, hash in enumerate(answer.hashes)
        )
        return Print(answer.width, answer.height, answer.blur, looks, pieces)

    async def check(self, data: bytes) -> Glance:
        """What the signature in a file says, and what else may tell where it is from. Raises `unavailable`."""
        answer, pieces = await self._do(self._checking, Check(len(data), self._authorities), data, Checked)
        return Glance(answer.valid, answer.proof, Looks(answer.hash, pieces[0]) if pieces else None)

    async def _do(self, turn: asyncio.Semaphore, order: Order, data: bytes, wanted: type[A]) -> tuple[A, list[bytes]]:
        step = type(order).__name__.lower()
        begun = time.monotonic()
        try:
            async with asyncio.timeout(SECONDS), turn:
                answer, pieces = await self._carried_out(order, data)
        except TimeoutError:
            metrics.FAULTS.labels(step, "late").inc()
            raise VouchError(Code.UNAVAILABLE, "Pictures take too long at the moment.", retry_after=5.0) from None
        except (OSError, asyncio.IncompleteReadError) as fault:
            # A library that crashes at a picture: for whoever has sent it that is the picture's fault.
            metrics.FAULTS.labels(step, "lost").inc()
            log.warning("picture worker was lost", step=step, fault=type(fault).__name__)
            raise VouchError(Code.BAD_PICTURE if isinstance(order, Read) else Code.UNAVAILABLE) from None
        metrics.STEP_SECONDS.labels(step).observe(time.monotonic() - begun)
        if isinstance(answer, Refused):
            raise VouchError(_REFUSALS[answer.why])
        if isinstance(answer, Broken) or not isinstance(answer, wanted):
            metrics.FAULTS.labels(step, "broken").inc()
            log.error("picture worker has a fault", fault=getattr(answer, "what", type(answer).__name__))
            raise VouchError(Code.UNAVAILABLE)
        return answer, pieces

    async def _carried_out(self, order: Order, data: bytes) -> tuple[Answer, list[bytes]]:
        """One that has waited may have died meanwhile; then a new one does it, once. Raises OSError,
        IncompleteReadError."""
        while True:
            worker = await self.workers.take(Trade.SEAL if isinstance(order, Seal) else Trade.LOOK)
            try:
                answer, pieces = await _carry_out(worker.process, order, data)
            except asyncio.IncompleteReadError:
                await self.workers.end(worker)
                if not worker.waited:
                    raise
            except BaseException:  # it took too long, or nobody waits for it any more
                await self.workers.end(worker)
                raise
            else:
                await self.workers.put_back(worker)
                return answer, pieces


async def _carry_out(process: asyncio.subprocess.Process, order: Order, data: bytes) -> tuple[Answer, list[bytes]]:
    """Raises IncompleteReadError when it ended before it had answered."""
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(ConnectionError):  # it is dead already: the missing answer tells
        process.stdin.write(msgspec.json.encode(order) + b"\n")
        process.stdin.write(data)
        await process.stdin.drain()
    line = await process.stdout.readuntil(b"\n")
    answer: Answer = msgspec.json.decode(line, type=Answer)
    return answer, [await process.stdout.readexactly(length) for length in blobs(answer)]
