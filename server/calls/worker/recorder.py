"""A recording of a call: packets are collected on the loop and written in a thread. A lease ends it by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import structlog

from server.calls.wire import Track
from server.calls.worker.files import LEAST_FREE_BYTES, Full, Shelf, Tapped
from server.calls.worker.sync import Timeline

_log = structlog.get_logger(__name__)

#: Seconds between two writes, and bytes that may wait for a slow disk; beyond it they are dropped until a keyframe.
_WRITE_SECONDS = 0.25
_MOST_WAITING_BYTES = 16 * 1024 * 1024
#: What a packet takes beside its payload.
_OF_A_PACKET = 256

Tap = Callable[[int, int, bool, bytes], None]


class Recording:
    """From its making to `stop`, or to the call of `on_end` with lease, full or failed (then the files are whole too).

    `ask_keyframe` is called for tracks that cannot be written without one.
    """

    def __init__(
        self,
        directory: Path,
        people: tuple[str, ...],
        *,
        lease: float,
        max_bytes: int,
        ask_keyframe: Callable[[str, Track], None],
        on_end: Callable[[str], None],
        least_free: int = LEAST_FREE_BYTES,
    ) -> None:
        self.people = people
        self._ask_keyframe = ask_keyframe
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._shelf = Shelf(directory, max_bytes, least_free=least_free)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="recording")
        self._batch: list[Tapped] = []
        self._waiting_bytes = 0
        self._dropping = False
        self._sources: dict[tuple[str, Track], int] = {}
        self._over: str | None = None
        self._files: dict[str, int] = {}
        self._lease = self._loop.call_later(lease, self._end, "lease")
        self._writing = asyncio.create_task(self._write())

    @property
    def over(self) -> bool:
        return self._over is not None

    def renew(self, people: tuple[str, ...], lease: float) -> None:
        """From now on these people, for so many seconds more."""
        if self._over is None:
            self.people = people
            self._lease.cancel()
            self._lease = self._loop.call_later(lease, self._end, "lease")

    def tap(self, person: str, track: Track, codec: str, timeline: Timeline | None = None) -> Tap:
        """Takes the packets of a source of this person; `timeline` says when they were taken."""
        source = self._sources.get((person, track), 0) + 1
        self._sources[person, track] = source

        def take(sequence: int, timestamp: int, marker: bool, payload: bytes) -> None:
            if self._over is not None or person not in self.people:
                return
            if self._waiting_bytes > _MOST_WAITING_BYTES:
                self._dropping = True
                return
            self._waiting_bytes += len(payload) + _OF_A_PACKET
            arrived = self._loop.time() - self._began
            taken = timeline.moment(timestamp) if timeline is not None else None
            moment = taken - self._began if taken is not None else None
            self._batch.append(
                Tapped(person, track, codec, source, sequence, timestamp, marker, bytes(payload), arrived, moment)
            )

        return take

    async def stop(self) -> dict[str, int]:
        """Ends it and waits until the files are whole: name → bytes. Again is the same."""
        self._end("stopped")
        await asyncio.shield(self._writing)
        return self._files

    def _end(self, reason: str) -> None:
        """Nothing that comes after this is in the files."""
        if self._over is None:
            self._over = reason
            self._lease.cancel()

    async def _write(self) -> None:
        try:
            while self._over is None:
                await asyncio.sleep(_WRITE_SECONDS)
                await self._flush()
            await self._flush()
        except Full as full:
            _log.warning("recording full", what=str(full))
            self._end("full")
        except (OSError, ValueError, av.FFmpegError) as error:
            _log.error("recording failed", error=str(error))
            self._end("failed")
        try:
            self._files = await self._loop.run_in_executor(self._thread, self._shelf.finish)
        finally:
            self._batch.clear()
            self._thread.shutdown(wait=False)
        if self._over not in (None, "stopped"):
            self._on_end(str(self._over))

    async def _flush(self) -> None:
        batch, self._batch = self._batch, []
        self._waiting_bytes = 0
        wanting = await self._loop.run_in_executor(self._thread, self._shelf.take, batch)
        if self._dropping:
            self._dropping = False
            wanting |= {key for key in self._sources if key[1] is not Track.VOICE}
        for person, track in wanting:
            self._ask_keyframe(person, track)
