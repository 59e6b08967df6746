"""Voices: AAC in MP4, which every browser plays, and how loud they are over time."""

from __future__ import annotations

from pathlib import Path

from av.audio.frame import AudioFrame

from server.media.model import FaultCode, Variant
from server.media.orders import Made, Order, Piece, Refusal
from server.media.worker import streams

#: how many levels are told of one voice
LEVELS = 64
_LOUDEST = 99
_BIT_RATE = 64_000
#: every so many samples one is looked at: 8,000 a second tell how loud a voice is
_STRIDE = 6
#: what is softer than this (root mean square) all the way is shown as soft, not blown up
_SOFT = 0.02
#: loudness is felt less than in proportion to the amplitude
_FELT = 0.6


def make(order: Order) -> Made:
    """Raises Refusal."""
    path = Path(order.into) / "main"
    powers: list[float] = []
    with streams.opened(Path(order.source)) as container:
        sound = streams.sound_of(container)
        if sound is None:
            raise Refusal(FaultCode.NO_SOUND)
        promised = streams.check_announced(container, order.seconds)
        with streams.output(path) as into:
            track = streams.SoundTrack(into, layout="mono", bit_rate=_BIT_RATE)
            for frame in streams.decoded(container, sound):
                assert isinstance(frame, AudioFrame)
                powers += [power(each) for each in track.add(frame, 0.0)]
                if track.seconds > order.seconds + streams.GRACE:
                    raise Refusal(FaultCode.TOO_LONG)
            powers += [power(each) for each in track.end()]
        seconds = track.seconds
    if not powers:
        raise Refusal(FaultCode.NO_SOUND)
    streams.check_whole(seconds, promised)
    return Made([Piece(Variant.MAIN, path.name, "audio/mp4")], seconds=round(seconds, 2), levels=levels(powers))


def power(frame: AudioFrame) -> float:
    """The mean square of its samples (−1 to 1)."""
    samples = memoryview(frame.planes[0]).cast("B").cast("f")[: frame.samples : _STRIDE]
    return sum(value * value for value in samples) / max(1, len(samples))


def levels(powers: list[float]) -> list[int]:
    """Loudness from 0 to 99 at equal distances; the loudest place is 99 unless all of it is soft."""
    means = []
    for index in range(LEVELS):
        first = index * len(powers) // LEVELS
        some = powers[first : max(first + 1, (index + 1) * len(powers) // LEVELS)]
        means.append((sum(some) / len(some)) ** 0.5)
    top = max(max(means), _SOFT)
    return [min(_LOUDEST, round(_LOUDEST * (mean / top) ** _FELT)) for mean in means]
