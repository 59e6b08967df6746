"""One picture of a camera: a whole keyframe, decoded in a process of its own (develop.py)."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

import structlog

from server.calls.worker.assembly import Assembler, Frame
from server.calls.worker.develop import ANSWER, CODECS, MOST_PIXELS, ORDER, NoPicture, Still, developed

__all__ = ["MOST_PIXELS", "Darkroom", "Exposure", "NoPicture", "Still", "developed"]

#: Seconds that a missing packet is waited for; then the next keyframe is as good.
_PATIENCE = 0.5
#: Pictures of one call that are decoded at once, and seconds for one, with the start of its process.
_AT_ONCE = 2
_SECONDS = 8.0
_ROOT = Path(__file__).resolve().parents[3]

_log = structlog.get_logger(__name__)


class Darkroom:
    """Decodes keyframes, each in a new process that sees nothing else and is ended when it takes too long."""

    def __init__(self, *, seconds: float = _SECONDS, module: str = "server.calls.worker.develop") -> None:
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self._seconds = seconds
        self._module = module

    async def develop(self, codec: str, data: bytes, at: int) -> Still:
        """Raises NoPicture."""
        async with self._turn:
            # in the worker's process group and session: with it, it dies
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                "-m",
                self._module,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                cwd=_ROOT,
                env={**os.environ, "PYTHONPATH": str(_ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
            )
            try:
                async with asyncio.timeout(self._seconds):
                    return await _asked(process, codec, data, at)
            except TimeoutError:
                raise NoPicture("it took too long") from None
            except (asyncio.IncompleteReadError, ConnectionError):
                _log.warning("a picture ended its decoder", codec=codec, size=len(data))
                raise NoPicture("the decoder ended") from None
            finally:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()


async def _asked(process: asyncio.subprocess.Process, codec: str, data: bytes, at: int) -> Still:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(ORDER.pack(CODECS.index(codec), at, len(data)) + data)
    process.stdin.close()
    there, width, height = ANSWER.unpack(await process.stdout.readexactly(ANSWER.size))
    if not there:
        raise NoPicture((await process.stdout.read(200)).decode(errors="replace"))
    if not 0 < width * height <= MOST_PIXELS:
        raise NoPicture("too large")
    return Still(width, height, await process.stdout.readexactly(3 * width * height), at)


class Exposure:
    """Waits for the first whole keyframe among the packets of a track: `tap` them, then `wait`."""

    def __init__(self, codec: str) -> None:
        self._codec = codec
        self._loop = asyncio.get_running_loop()
        self._assembler = Assembler(codec, patience=_PATIENCE)
        self._frame: asyncio.Future[tuple[Frame, int]] = self._loop.create_future()

    def tap(self, sequence: int, timestamp: int, marker: bool, payload: bytes) -> None:
        if self._frame.done():
            return
        for frame in self._assembler.put(sequence, timestamp, marker, payload, self._loop.time()):
            if frame.key and not self._frame.done():
                self._frame.set_result((frame, time.time_ns() // 1_000_000))

    @property
    def done(self) -> bool:
        return self._frame.done()

    async def wait(self, seconds: float) -> bool:
        """Whether the keyframe has come within so many seconds."""
        await asyncio.wait((self._frame,), timeout=seconds)
        return self._frame.done()

    async def still(self, darkroom: Darkroom) -> Still:
        """Raises NoPicture."""
        if not self._frame.done():
            raise NoPicture("no keyframe came")
        frame, at = self._frame.result()
        return await darkroom.develop(self._codec, frame.data, at)
