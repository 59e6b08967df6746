"""All calls of one worker: what the hub asks is carried out, in the order in which it was asked, and answered."""

from __future__ import annotations

import asyncio
import gc
import resource
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path

import msgspec
import structlog

from server.calls import wire
from server.calls.worker.keyframe import NoPicture
from server.calls.worker.peer import BadOffer, Busy, Endpoint
from server.calls.worker.room import Refusal, Room

_log = structlog.get_logger(__name__)

#: Seconds between two looks at what flows; lines are told of every fourth time.
_LOOK_SECONDS = 0.5
#: Looks between two times that what ended connections leave is thrown away.
_TIDY_LOOKS = 10
#: Pictures that are waited for at once: a keyframe is decoded for each.
_MOST_SLOW = 32


class Floor:
    """`tell` takes what goes to the hub."""

    def __init__(self, endpoint: Endpoint, tell: Callable[[msgspec.Struct], None]) -> None:
        self._endpoint = endpoint
        self._tell = tell
        self._rooms: dict[str, Room] = {}
        self._slow: set[asyncio.Task[None]] = set()
        self._tidied = 0
        self._looking = asyncio.create_task(self._look())

    def take(self, ask: wire.Asks) -> None:
        """Answers at once, or later what takes its time."""
        try:
            answer = self._quick(ask)
        except Exception as error:
            answer = self._refused(ask, error)
        if answer is not None:
            self._tell(answer)

    def _quick(self, ask: wire.Asks) -> wire.Reply | None:
        match ask:
            case wire.Open(call=call):
                if call not in self._rooms:
                    self._rooms[call] = Room(call, self._endpoint, self._tell)
            case wire.Close(call=call):
                room = self._rooms.pop(call, None)
                if room is not None:
                    self._later(ask, self._closed(ask, room))
                    return None
            case wire.Connect(id=number):
                sdp = self._room(ask.call).connect(ask.connection, ask.person, ask.direction, ask.offer)
                return wire.Answered(id=number, sdp=sdp)
            case wire.Disconnect():
                self._room(ask.call).disconnect(ask.connection)
            case wire.View():
                self._room(ask.call).view(ask.connection, ask.slots)
            case wire.Record():
                self._room(ask.call).record(
                    ask.recording, ask.people, Path(ask.directory), lease=ask.lease, max_bytes=ask.max_bytes
                )
            case wire.StopRecording():
                self._later(ask, self._recorded(ask, self._room(ask.call)))
                return None
            case wire.Snapshot():
                if len(self._slow) >= _MOST_SLOW:
                    raise Refusal("full", "too many pictures at once")
                self._later(ask, self._picture(ask, self._room(ask.call)))
                return None
            case wire.Measure(id=number):
                return self._measured(number)
        return wire.Done(id=ask.id)

    def _room(self, call: str) -> Room:
        room = self._rooms.get(call)
        if room is None:
            raise Refusal("unknown_call", "The call is not open here.")
        return room

    @staticmethod
    def _refused(ask: wire.Asks, error: Exception) -> wire.Refused:
        match error:
            case Refusal() | BadOffer() | Busy():
                return wire.Refused(id=ask.id, code=error.code, text=str(error))
            case NoPicture():
                return wire.Refused(id=ask.id, code="no_picture", text=str(error))
        _log.error("a question failed", ask=type(ask).__name__, exc_info=error)
        return wire.Refused(id=ask.id, code="failed", text=type(error).__name__)

    # -- what takes its time

    def _later(self, ask: wire.Asks, answering: Coroutine[None, None, wire.Reply]) -> None:
        async def answer() -> None:
            try:
                reply = await answering
            except Exception as error:
                reply = self._refused(ask, error)
            self._tell(reply)

        task = asyncio.create_task(answer())
        self._slow.add(task)
        task.add_done_callback(self._slow.discard)

    @staticmethod
    async def _closed(ask: wire.Close, room: Room) -> wire.Reply:
        await room.close()
        return wire.Done(id=ask.id)

    @staticmethod
    async def _recorded(ask: wire.StopRecording, room: Room) -> wire.Reply:
        return wire.Recorded(id=ask.id, files=await room.stop_recording(ask.recording))

    @staticmethod
    async def _picture(ask: wire.Snapshot, room: Room) -> wire.Reply:
        still = await room.snapshot(ask.person, ask.within)
        return wire.Picture(id=ask.id, width=still.width, height=still.height, rgb=still.rgb, at=still.at)

    # -- looking

    def _measured(self, number: int) -> wire.Measured:
        used = resource.getrusage(resource.RUSAGE_SELF)
        counters = self._endpoint.counters
        return wire.Measured(
            id=number,
            calls=len(self._rooms),
            publishing=sum(room.publishing for room in self._rooms.values()),
            watching=sum(room.watching for room in self._rooms.values()),
            packets_in=counters.packets_in,
            packets_out=counters.packets_out,
            bytes_in=counters.bytes_in,
            bytes_out=counters.bytes_out,
            cpu_seconds=used.ru_utime + used.ru_stime,
            resident=_resident(used.ru_maxrss),
        )

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        turn = 0
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            turn += 1
            for room in tuple(self._rooms.values()):
                try:
                    room.look(loop.time(), lines=turn % 4 == 0)
                except Exception:
                    _log.exception("a call was not looked at", call=room.call)
            if turn % _TIDY_LOOKS == 0:
                self.tidy()

    def tidy(self) -> None:
        """Frees what connections that have ended leave behind.

        A peer, its tracks with their packets, and their viewers know each other: megabytes in circles. Python looks for
        those when there are many more objects than before, which forwarding alone hardly ever brings about.
        """
        if self._endpoint.ended != self._tidied:
            self._tidied = self._endpoint.ended
            gc.collect()

    async def close(self) -> None:
        self._looking.cancel()
        for task in tuple(self._slow):
            task.cancel()
        rooms, self._rooms = self._rooms, {}
        await asyncio.gather(*(room.close() for room in rooms.values()), return_exceptions=True)


def _resident(most: int) -> int:
    """Bytes of memory now; where the system does not say, `most` (ru_maxrss) that it was."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return most if sys.platform == "darwin" else most * 1024
