"""One call on a worker: who publishes what, who watches it, and what is taken from it (pictures, recordings).

A person's sources come and go with their publishing connection; viewers keep their slots meanwhile, and get the new
sources by themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec

from server.calls import wire
from server.calls.wire import Direction, Layer, Slot, Track
from server.calls.worker.feedback import Publisher
from server.calls.worker.keyframe import Darkroom, Exposure, NoPicture, Still
from server.calls.worker.peer import Endpoint, Media, Peer
from server.calls.worker.recorder import Recording, Tap
from server.calls.worker.sender import Viewer, Wanted
from server.calls.worker.source import Source

#: Connections of one call; people are bounded by the hub, this holds when it has a fault.
MOST_CONNECTIONS = 256
#: Slots of one view: more m-lines no offer has.
_MOST_SLOTS = 64
#: Seconds without a packet after which a track does not flow.
_SILENT_SECONDS = 2.0
#: Seconds between two requests for the keyframe of a picture: the first may have been lost.
_ASK_AGAIN_SECONDS = 1.0
#: Recordings that have ended by themselves and wait for somebody to ask for their files.
_MOST_RECORDINGS = 8
#: What is recorded of a person: everything but the camera's small picture.
_RECORDED = (Track.VOICE, Track.CAMERA, Track.SCREEN)
#: An offer's m-lines, in this order.
_ORDER = tuple(Track)


class Refusal(Exception):
    """`code` as in wire.Refused."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class _Publishing(msgspec.Struct, frozen=True):
    connection: str
    person: str
    peer: Peer
    publisher: Publisher
    flowing: set[Track]


class _Watching(msgspec.Struct):
    connection: str
    person: str
    peer: Peer
    viewer: Viewer
    slots: tuple[Slot, ...] = ()


class _Tapped(msgspec.Struct, frozen=True):
    source: Source
    tap: Tap


class Room:
    """`tell` takes wire.News."""

    def __init__(self, call: str, endpoint: Endpoint, tell: Callable[[wire.News], None]) -> None:
        self.call = call
        self._endpoint = endpoint
        self._tell = tell
        self._publishing: dict[str, _Publishing] = {}  # by person
        self._watching: dict[str, _Watching] = {}  # by person
        self._recordings: dict[str, Recording] = {}
        self._darkroom = Darkroom()
        self._taps: dict[tuple[str, str, Track], _Tapped] = {}

    @property
    def publishing(self) -> int:
        return len(self._publishing)

    @property
    def watching(self) -> int:
        return len(self._watching)

    # -- connections

    def connect(self, connection: str, person: str, direction: Direction, offer: str) -> str:
        """The answer to an offer. Raises BadOffer, Refusal or Busy `full`."""
        if self.publishing + self.watching >= MOST_CONNECTIONS:
            raise Refusal("full", "too many connections")
        peer = self._endpoint.accept(offer, direction)
        if direction is Direction.PUBLISH:
            self._publish(connection, person, peer)
        else:
            self._watch(connection, person, peer)
        peer.on_up = lambda: self._tell(wire.Up(call=self.call, connection=connection))
        peer.on_down = lambda reason: self._went_down(connection, reason)
        return peer.answer()

    def _publish(self, connection: str, person: str, peer: Peer) -> None:
        if (old := self._publishing.get(person)) is not None:
            self._end_publishing(old)
        publisher = Publisher(peer, _tracks(peer.media))
        self._publishing[person] = _Publishing(connection, person, peer, publisher, set())
        self._refresh(person)

    def _watch(self, connection: str, person: str, peer: Peer) -> None:
        if (old := self._watching.get(person)) is not None:
            self._end_watching(old)
        self._watching[person] = _Watching(connection, person, peer, Viewer(peer))

    def _went_down(self, connection: str, reason: str) -> None:
        self.disconnect(connection)
        self._tell(wire.Down(call=self.call, connection=connection, reason=reason))

    def disconnect(self, connection: str) -> None:
        """Once more is the same."""
        for publishing in tuple(self._publishing.values()):
            if publishing.connection == connection:
                self._end_publishing(publishing)
                self._refresh(publishing.person)
        for watching in tuple(self._watching.values()):
            if watching.connection == connection:
                self._end_watching(watching)

    def _end_publishing(self, publishing: _Publishing) -> None:
        del self._publishing[publishing.person]
        for track in publishing.flowing:
            self._tell(wire.Flowing(call=self.call, person=publishing.person, track=track, on=False))
        publishing.publisher.close()
        publishing.peer.close()

    def _end_watching(self, watching: _Watching) -> None:
        del self._watching[watching.person]
        watching.viewer.close()
        watching.peer.close()

    # -- who sees whom

    def view(self, connection: str, slots: tuple[Slot, ...]) -> None:
        """Raises Refusal `unknown_connection`, `full`."""
        if len(slots) > _MOST_SLOTS:
            raise Refusal("full", "too many slots")
        for watching in self._watching.values():
            if watching.connection == connection:
                watching.slots = slots
                self._show(watching)
                return
        raise Refusal("unknown_connection", "No connection that watches has this id.")

    def _show(self, watching: _Watching) -> None:
        wanted: dict[int, Wanted] = {}
        for slot in watching.slots:
            publishing = self._publishing.get(slot.person)
            if publishing is not None:
                wanted[slot.index] = _wanted(publishing, slot)
        watching.viewer.view(wanted)

    def _refresh(self, person: str) -> None:
        """This person's sources are others than before, or gone."""
        for watching in self._watching.values():
            if any(slot.person == person for slot in watching.slots):
                self._show(watching)
        self._tap()

    # -- pictures

    async def snapshot(self, person: str, within: float) -> Still:
        """Raises NoPicture."""
        publishing = self._publishing.get(person)
        source = publishing.publisher.sources.get(Track.CAMERA) if publishing is not None else None
        if source is None:
            raise NoPicture("no camera")
        exposure = Exposure(source.codec)
        source.taps.add(exposure.tap)
        try:
            left = within
            while left > 0 and not exposure.done:
                source.request_keyframe()
                await exposure.wait(min(left, _ASK_AGAIN_SECONDS))
                left -= _ASK_AGAIN_SECONDS
        finally:
            source.taps.discard(exposure.tap)
        return await exposure.still(self._darkroom)

    # -- recordings

    def record(self, recording: str, people: tuple[str, ...], directory: Path, *, lease: float, max_bytes: int) -> None:
        """Begins, or renews. Raises Refusal `full`; `failed` for one that has ended."""
        running = self._recordings.get(recording)
        if running is not None:
            if running.over:
                raise Refusal("failed", "The recording has ended.")
            running.renew(people, lease)
        else:
            if len(self._recordings) >= _MOST_RECORDINGS:
                raise Refusal("full", "too many recordings")
            if not directory.is_dir():
                raise Refusal("failed", "There is no such directory.")
            self._recordings[recording] = Recording(
                directory,
                people,
                lease=lease,
                max_bytes=max_bytes,
                ask_keyframe=self._ask_keyframe,
                on_end=lambda reason: self._recording_ended(recording, reason),
            )
        self._tap()

    async def stop_recording(self, recording: str) -> dict[str, int]:
        """Name → bytes of its files; of one that is not known, none."""
        running = self._recordings.get(recording)
        if running is None:
            return {}
        files = await running.stop()
        self._recordings.pop(recording, None)
        self._tap()
        return files

    def _recording_ended(self, recording: str, reason: str) -> None:
        self._tap()
        self._tell(wire.RecordingEnded(call=self.call, recording=recording, reason=reason))

    def _ask_keyframe(self, person: str, track: Track) -> None:
        publishing = self._publishing.get(person)
        source = publishing.publisher.sources.get(track) if publishing is not None else None
        if source is not None:
            source.request_keyframe()

    def _tap(self) -> None:
        """Has every recording take exactly the sources that its people publish now."""
        wanted: dict[tuple[str, str, Track], tuple[Recording, Source]] = {}
        for name, recording in self._recordings.items():
            for person in () if recording.over else recording.people:
                publishing = self._publishing.get(person)
                for track in _RECORDED if publishing is not None else ():
                    source = publishing.publisher.sources.get(track) if publishing is not None else None
                    if source is not None:
                        wanted[name, person, track] = (recording, source)
        for key, tapped in tuple(self._taps.items()):
            if key not in wanted or wanted[key][1] is not tapped.source:
                tapped.source.taps.discard(tapped.tap)
                del self._taps[key]
        for key, (recording, source) in wanted.items():
            if key not in self._taps:
                tap = recording.tap(key[1], key[2], source.codec, source.timeline)
                source.taps.add(tap)
                self._taps[key] = _Tapped(source, tap)
                source.request_keyframe()

    # -- looking

    def look(self, now: float, *, lines: bool) -> None:
        """Tells what has begun or ended to flow, and of everybody's line when `lines`. `now` of the loop."""
        for publishing in tuple(self._publishing.values()):
            small = Track.SMALL in publishing.flowing
            for track, source in publishing.publisher.sources.items():
                on = now - source.heard < _SILENT_SECONDS
                if on != (track in publishing.flowing):
                    (publishing.flowing.add if on else publishing.flowing.discard)(track)
                    self._tell(wire.Flowing(call=self.call, person=publishing.person, track=track, on=on))
            if small != (Track.SMALL in publishing.flowing):
                self._refresh(publishing.person)
        if lines:
            for watching in self._watching.values():
                if watching.peer.up:
                    self._tell(
                        wire.Line(
                            call=self.call,
                            person=watching.person,
                            loss=round(watching.viewer.loss, 1),
                            bitrate=round(watching.viewer.bitrate),
                        )
                    )

    async def close(self) -> None:
        """Ends everything; recordings are whole when this returns."""
        for watching in tuple(self._watching.values()):
            self._end_watching(watching)
        for publishing in tuple(self._publishing.values()):
            self._end_publishing(publishing)
        self._tap()
        recordings = tuple(self._recordings.values())
        self._recordings.clear()
        await asyncio.gather(*(recording.stop() for recording in recordings))


def _tracks(media: tuple[Media, ...]) -> dict[str, Track]:
    """mid → what flows there: by the place of the m-line among those of an offer, if it is of this kind."""
    tracks = {}
    for line in media:
        if line.index < len(_ORDER):
            track = _ORDER[line.index]
            if (track is Track.VOICE) == (line.kind == "audio"):
                tracks[line.mid] = track
    return tracks


def _wanted(publishing: _Publishing, slot: Slot) -> Wanted:
    sources = publishing.publisher.sources
    source, small = sources.get(slot.track), None
    if slot.track is Track.CAMERA and Track.SMALL in publishing.flowing:  # not everybody sends a small picture
        if slot.layer is Layer.SMALL:
            source = sources.get(Track.SMALL)
        elif slot.layer is Layer.AUTO:
            small = sources.get(Track.SMALL)
    return Wanted(source, small)
