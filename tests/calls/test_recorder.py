"""Frames out of packets, stills and recordings: what is written can be opened by others, and ends when it must."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import av
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.calls.wire import Track
from server.calls.worker import h264
from server.calls.worker.assembly import Assembler, Frame
from server.calls.worker.files import Files, Full, Shelf, Tapped
from server.calls.worker.recorder import Recording
from tests.calls.worker.footage import Rtp, encoded, shown, spoken
from tests.conftest import eventually

CODECS = pytest.mark.parametrize("codec", ["VP8", "H264"])


def assembled(codec: str, packets: list[Rtp]) -> tuple[list[Frame], Assembler]:
    assembler = Assembler(codec)
    return [frame for packet in packets for frame in assembler.put(*packet, 0.0)], assembler


@CODECS
def test_frames_come_out_as_they_went_in(codec: str) -> None:
    frames, assembler = assembled(codec, shown(codec, 40))
    assert [frame.data for frame in frames] == list(encoded(codec, 40)) or codec == "H264"
    assert [frame.ticks for frame in frames] == [3000 * number for number in range(40)]
    assert [frame.key for frame in frames] == [True] + [False] * 39
    assert assembler.lost == 0


@CODECS
def test_packets_out_of_order_are_put_in_order(codec: str) -> None:
    packets = shown(codec, 40, width=640, height=480)
    mixed = packets[:1] + [
        packet
        for start in range(1, len(packets), 8)
        for packet in random.Random(start).sample(packets[start : start + 8], len(packets[start : start + 8]))
    ]
    assert assembled(codec, mixed)[0] == assembled(codec, packets)[0]


@CODECS
def test_after_a_loss_nothing_is_written_until_a_keyframe(codec: str) -> None:
    packets = shown(codec, 120, key_every=100, width=64, height=64)
    assert len(packets) == 120
    assembler = Assembler(codec)
    frames = [
        frame for number, packet in enumerate(packets) if number != 20 for frame in assembler.put(*packet, number / 30)
    ]
    numbers = [frame.ticks // 3000 for frame in frames]
    assert assembler.lost > 0
    assert numbers == [*range(20), *range(100, 120)]
    assert frames[20].key
    assert frames[20].arrived == 100 / 30, "what has waited was given up before"


@pytest.mark.parametrize("frame", [b"", b"\x00"])
def test_nothing_is_no_frame(frame: bytes) -> None:
    assert assembled("OPUS", [Rtp(0, 0, False, b"")])[0] == []
    assert assembled("VP8", [Rtp(0, 0, True, frame)])[0] == []


def test_a_repeated_packet_is_taken_once() -> None:
    packets = spoken(10)
    frames, _ = assembled("OPUS", [packet for packet in packets for _ in range(2)])
    assert [frame.data for frame in frames] == [packet.payload for packet in packets]


@settings(deadline=None)
@given(
    st.sampled_from(("OPUS", "VP8", "H264")),
    st.lists(st.tuples(st.integers(0, 65_535), st.integers(0, 2**32 - 1), st.booleans(), st.binary(max_size=40))),
)
def test_anything_may_come(codec: str, packets: list[tuple[int, int, bool, bytes]]) -> None:
    frames, _ = assembled(codec, [Rtp(*packet) for packet in packets])
    assert all(frame.data for frame in frames)


# -- files


def tapped(
    packets: list[Rtp], track: Track, codec: str, *, rate: int, source: int = 1, start: float = 0
) -> list[Tapped]:
    first = packets[0].timestamp
    return [
        Tapped("us_a", track, codec, source, *packet, start + ((packet.timestamp - first) % 2**32) / rate)
        for packet in packets
    ]


def read(path: Path) -> tuple[int, float]:
    """Pictures, and seconds of sound."""
    with av.open(str(path)) as container:
        pictures = sum(1 for _ in container.decode(video=0)) if container.streams.video else 0
    with av.open(str(path)) as container:
        heard = container.decode(audio=0) if container.streams.audio else ()
        sound = sum(frame.samples / frame.sample_rate for frame in heard)
    return pictures, sound


@CODECS
def test_a_file_holds_voice_and_pictures(tmp_path: Path, codec: str) -> None:
    shelf = Shelf(tmp_path, 10_000_000, least_free=0)
    both = tapped(spoken(150), Track.VOICE, "OPUS", rate=48_000)
    both += tapped(shown(codec, 90), Track.CAMERA, codec, rate=90_000, start=0.1)
    assert not shelf.take(sorted(both, key=lambda packet: packet.arrived))
    assert [path.name for path in tmp_path.iterdir()] == ["us_a.mkv.part"]
    assert shelf.finish() == {"us_a.mkv": (tmp_path / "us_a.mkv").stat().st_size}
    assert [path.name for path in tmp_path.iterdir()] == ["us_a.mkv"]
    pictures, sound = read(tmp_path / "us_a.mkv")
    assert pictures == 90
    assert abs(sound - 3) < 0.1


def test_a_voice_alone_is_a_file(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, 10_000_000, least_free=0)
    shelf.take(tapped(spoken(20), Track.VOICE, "OPUS", rate=48_000))
    assert list(shelf.finish()) == ["us_a.mkv"]
    assert abs(read(tmp_path / "us_a.mkv")[1] - 0.4) < 0.05


def test_another_codec_and_a_new_track_go_into_another_file(tmp_path: Path) -> None:
    files = Files(tmp_path, "us_a")
    for packet in tapped(spoken(150), Track.VOICE, "OPUS", rate=48_000):
        files.take(packet)
    for packet in tapped(shown("VP8", 90), Track.CAMERA, "VP8", rate=90_000, start=3):
        files.take(packet)
    for packet in tapped(shown("H264", 90), Track.CAMERA, "H264", rate=90_000, source=2, start=6):
        files.take(packet)
    files.finish()
    assert sorted(files.written) == ["us_a-2.mkv", "us_a-3.mkv", "us_a.mkv"]
    assert [read(tmp_path / name)[0] for name in ("us_a-2.mkv", "us_a-3.mkv")] == [90, 90]


def test_who_changes_for_ever_fills_no_directory(tmp_path: Path) -> None:
    files = Files(tmp_path, "us_a")
    footage = {codec: shown(codec, 70, width=32, height=32) for codec in ("VP8", "H264")}

    def change() -> None:
        for source in range(100):
            codec = ("VP8", "H264")[source % 2]
            for packet in tapped(footage[codec], Track.CAMERA, codec, rate=90_000, source=source, start=3 * source):
                files.take(packet)

    with pytest.raises(Full):
        change()
    with pytest.raises(Full):
        files.finish()
    assert len(list(tmp_path.iterdir())) <= 16


def test_names_lead_nowhere_else(tmp_path: Path) -> None:
    for name in ("../us_a", "a/b", "", "."):
        with pytest.raises(ValueError, match="no name"):
            Files(tmp_path, name)


def test_a_shelf_is_full_at_its_bound_and_when_the_disk_is(tmp_path: Path) -> None:
    packets = tapped(spoken(100), Track.VOICE, "OPUS", rate=48_000)
    with pytest.raises(Full):
        Shelf(tmp_path, 100, least_free=0).take(packets)
    with pytest.raises(Full):
        Shelf(tmp_path, 10_000_000, least_free=2**62).take(packets)


def times(path: Path, kind: str) -> list[int]:
    """When each packet of the track is, in milliseconds."""
    with av.open(str(path)) as container:
        (stream,) = [stream for stream in container.streams if stream.type == kind]
        assert stream.time_base is not None
        return [
            round(1000 * packet.pts * stream.time_base) for packet in container.demux(stream) if packet.pts is not None
        ]


@CODECS
def test_voice_and_pictures_are_where_they_were_taken_however_they_came(tmp_path: Path, codec: str) -> None:
    """The voice takes 250 ms longer on its way, and more from time to time; publishers' reports say when it was."""
    packets = [
        msgspec.structs.replace(packet, arrived=packet.arrived + late, moment=packet.arrived)
        for number, packet in enumerate(tapped(spoken(150), Track.VOICE, "OPUS", rate=48_000))
        for late in (0.25 + 0.2 * (number % 50 > 45),)
    ]
    packets += [
        msgspec.structs.replace(packet, moment=packet.arrived)
        for packet in tapped(shown(codec, 90), Track.CAMERA, codec, rate=90_000)
    ]
    shelf = Shelf(tmp_path, 10_000_000, least_free=0)
    shelf.take(sorted(packets, key=lambda packet: packet.arrived))
    shelf.finish()
    voice, camera = (times(tmp_path / "us_a.mkv", kind) for kind in ("audio", "video"))
    assert max(abs(at - 20 * number) for number, at in enumerate(voice)) <= 25
    assert max(abs(at - 1000 * number / 30) for number, at in enumerate(camera)) <= 25
    assert abs(voice[-1] - 20 * 149) <= 2


def test_absurd_moments_are_not_believed(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, 10_000_000, least_free=0)
    shelf.take(
        [
            msgspec.structs.replace(packet, moment=packet.arrived + away)
            for packet, away in zip(
                tapped(spoken(60), Track.VOICE, "OPUS", rate=48_000), [0.0, 900.0, -900.0] * 20, strict=True
            )
        ]
    )
    shelf.finish()
    assert times(tmp_path / "us_a.mkv", "audio")[-1] < 1_300


@CODECS
def test_a_camera_that_was_off_and_comes_back_larger_leaves_a_pause(tmp_path: Path, codec: str) -> None:
    files = Files(tmp_path, "us_a")
    first, second = shown(codec, 30, width=160, height=120), shown(codec, 30, width=320, height=240)
    later = [packet._replace(sequence=(first[-1].sequence + 1 + n) % 2**16) for n, packet in enumerate(second)]
    for packet in tapped(first, Track.CAMERA, codec, rate=90_000):
        files.take(packet)
    for packet in tapped(later, Track.CAMERA, codec, rate=90_000, start=10):
        files.take(msgspec.structs.replace(packet, timestamp=(packet.timestamp + 900_000) % 2**32))
    files.finish()
    assert list(files.written) == ["us_a.mkv"]
    at = times(tmp_path / "us_a.mkv", "video")
    assert len(at) == 60
    assert 8_900 < at[30] - at[29] < 9_100
    with av.open(str(tmp_path / "us_a.mkv")) as container:
        sizes = [(frame.width, frame.height) for frame in container.decode(video=0)]
    assert sizes == [(160, 120)] * 30 + [(320, 240)] * 30


def test_what_waits_for_a_lost_packet_at_the_end_is_written(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, 10_000_000, least_free=0)
    packets = tapped(spoken(100), Track.VOICE, "OPUS", rate=48_000)
    shelf.take([packet for number, packet in enumerate(packets) if number != 60])
    shelf.finish()
    assert len(times(tmp_path / "us_a.mkv", "audio")) == 99


@pytest.mark.parametrize("bad", ["\x67\x42\xc0\x0d", "\x67" + "\xff" * 40])
def test_what_one_sends_that_cannot_be_written_ends_nobody_elses_recording(tmp_path: Path, bad: str) -> None:
    sets = b"\x18" + b"".join(
        len(unit).to_bytes(2, "big") + unit for unit in (bad.encode("latin-1"), b"\x68\xcb", b"\x65\xff\xff")
    )
    hostile = [Rtp(number, 3000 * number, True, sets) for number in range(120)]
    shelf = Shelf(tmp_path, 10_000_000, least_free=0)
    for packet in tapped(hostile, Track.CAMERA, "H264", rate=90_000):
        shelf.take([packet])
    shelf.take(
        [msgspec.structs.replace(p, person="us_b") for p in tapped(spoken(100), Track.VOICE, "OPUS", rate=48_000)]
    )
    assert "us_b.mkv" in shelf.finish()
    assert len(times(tmp_path / "us_b.mkv", "audio")) == 100


@pytest.mark.parametrize(("width", "height"), [(64, 64), (322, 242), (1280, 720), (1920, 1080)])
def test_the_size_of_a_keyframe_is_read_without_decoding(width: int, height: int) -> None:
    (frame,) = encoded("H264", 1, width=width, height=height)
    assert h264.size(frame) == (width, height)


@given(st.binary(max_size=60))
def test_parameter_sets_may_be_anything(rubbish: bytes) -> None:
    frame = b"\0\0\0\1\x67" + rubbish + b"\0\0\0\1\x68\xcb"
    with suppress(ValueError):
        width, height = h264.size(frame)
        assert 0 < width <= 16 * 1024
        assert 0 < height <= 32 * 1024
    with suppress(ValueError):
        h264.parameter_sets(rubbish)


# -- recordings


class Studio:
    """A recording of one person and what it says."""

    def __init__(self, directory: Path, *, lease: float = 60.0, max_bytes: int = 10_000_000) -> None:
        self.asked: list[tuple[str, Track]] = []
        self.ended: list[str] = []
        self.recording = Recording(
            directory,
            ("us_a",),
            lease=lease,
            max_bytes=max_bytes,
            ask_keyframe=lambda person, track: self.asked.append((person, track)),
            on_end=self.ended.append,
            least_free=0,
        )

    def play(self, packets: list[Rtp], tap: Callable[[int, int, bool, bytes], None]) -> None:
        for packet in packets:
            tap(*packet)


async def test_a_recording_is_whole_when_it_is_stopped(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    studio.play(spoken(50), studio.recording.tap("us_a", Track.VOICE, "OPUS"))
    studio.play(shown("VP8", 30), studio.recording.tap("us_a", Track.CAMERA, "VP8"))
    files = await studio.recording.stop()
    assert files == await studio.recording.stop()
    assert files == {"us_a.mkv": (tmp_path / "us_a.mkv").stat().st_size}
    assert read(tmp_path / "us_a.mkv")[0] == 30
    assert studio.ended == []


async def test_it_ends_with_its_lease(tmp_path: Path) -> None:
    studio = Studio(tmp_path, lease=0.05)
    tap = studio.recording.tap("us_a", Track.VOICE, "OPUS")
    studio.play(spoken(10), tap)
    await eventually(lambda: studio.ended == ["lease"])
    size = (tmp_path / "us_a.mkv").stat().st_size
    studio.play(spoken(10), tap)
    assert await studio.recording.stop() == {"us_a.mkv": size}


async def test_a_renewed_lease_lasts(tmp_path: Path) -> None:
    studio = Studio(tmp_path, lease=0.05)
    studio.recording.renew(("us_a",), 60.0)
    later = asyncio.Event()
    asyncio.get_running_loop().call_later(0.06, later.set)  # timers go off in their order: the first lease before it
    await later.wait()
    assert not studio.recording.over
    await studio.recording.stop()


async def test_who_has_withdrawn_is_not_in_it(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    tap = studio.recording.tap("us_a", Track.VOICE, "OPUS")
    studio.recording.renew(("us_b",), 60.0)
    studio.play(spoken(50), tap)
    assert await studio.recording.stop() == {}
    assert not list(tmp_path.iterdir())


async def test_a_full_recording_says_so_and_keeps_what_it_has(tmp_path: Path) -> None:
    studio = Studio(tmp_path, max_bytes=2_000)
    tap = studio.recording.tap("us_a", Track.CAMERA, "VP8")
    studio.play(shown("VP8", 300, key_every=5), tap)
    await eventually(lambda: studio.ended == ["full"])
    assert (tmp_path / "us_a.mkv").stat().st_size > 1_000


async def test_a_directory_that_goes_fails_it(tmp_path: Path) -> None:
    directory = tmp_path / "gone"
    directory.mkdir()
    studio = Studio(directory)
    directory.rmdir()
    studio.play(spoken(50), studio.recording.tap("us_a", Track.VOICE, "OPUS"))
    await eventually(lambda: studio.ended == ["failed"])


async def test_what_comes_before_a_keyframe_is_left_out(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    packets = shown("VP8", 30, key_every=15)
    begun = [packet for packet in packets if packet.timestamp != packets[0].timestamp]
    studio.play(begun, studio.recording.tap("us_a", Track.CAMERA, "VP8"))
    await studio.recording.stop()
    with av.open(str(tmp_path / "us_a.mkv")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 15


async def test_what_cannot_be_written_without_a_keyframe_asks_for_one(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    studio.play(shown("VP8", 30)[5:], studio.recording.tap("us_a", Track.CAMERA, "VP8"))
    await studio.recording.stop()
    assert studio.asked == [("us_a", Track.CAMERA)]
