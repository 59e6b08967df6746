"""Stills: the picture that was shown, decoded where nothing but the picture can be lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.calls.worker.keyframe import MOST_PIXELS, Darkroom, Exposure, NoPicture, developed
from tests.calls.worker.footage import encoded, shown
from tests.conftest import eventually

CODECS = pytest.mark.parametrize("codec", ["VP8", "H264"])


@CODECS
async def test_a_still_is_the_picture_that_was_shown(codec: str) -> None:
    exposure = Exposure(codec)
    for packet in shown(codec, 3, width=322, height=242):
        exposure.tap(*packet)
    still = await exposure.still(Darkroom())
    assert (still.width, still.height, len(still.rgb)) == (322, 242, 322 * 242 * 3)
    row = still.rgb[3 * 322 * 120 : 3 * 322 * 121]
    assert row[3 * 40] > 180, "red on the left"
    assert row[3 * 40 + 2] < 80
    assert max(row[3 * 280 : 3 * 280 + 3]) < 60, "dark on the right"


async def test_without_a_keyframe_there_is_no_still() -> None:
    exposure = Exposure("VP8")
    for packet in shown("VP8", 5)[-2:]:
        exposure.tap(*packet)
    assert not await exposure.wait(0)
    with pytest.raises(NoPicture):
        await exposure.still(Darkroom())


@CODECS
def test_pictures_that_are_too_large_are_not_decoded(codec: str) -> None:
    assert MOST_PIXELS < 2048 * 2048
    (data,) = encoded(codec, 1, width=2048, height=2048)
    with pytest.raises(NoPicture):
        developed(codec, data, 0)


@CODECS
@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_damaged_keyframes_are_pictures_or_none(codec: str, data: st.DataObject) -> None:
    frame = bytearray(next(encoded(codec, 1, width=64, height=64)))
    for _ in range(data.draw(st.integers(1, 8))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    try:
        still = developed(codec, bytes(frame), 0)
    except NoPicture:
        return
    assert len(still.rgb) == still.width * still.height * 3


async def test_what_ends_its_decoder_ends_nothing_else(tmp_path: Path) -> None:
    """A keyframe that crashes the decoder, and one that it never ends with."""
    (frame,) = encoded("VP8", 1, width=64, height=64)
    for module, why in (("antigravity.nothing", "ended"), ("tests.calls.worker.stuck", "too long")):
        with pytest.raises(NoPicture, match=why):
            await Darkroom(seconds=60 if why == "ended" else 2, module=module).develop("VP8", frame, 0)


async def test_the_loop_goes_on_while_a_large_picture_is_decoded() -> None:
    (frame,) = encoded("H264", 1, width=1920, height=1080)
    turns, over = 0, False

    async def count() -> None:
        nonlocal turns
        while not over:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    still = await Darkroom().develop("H264", frame, 77)
    over = True
    await counting
    assert (still.width, still.height, still.at) == (1920, 1080, 77)
    assert turns > 100


def children() -> set[str]:
    """The processes of this one (nowhere but on Linux is that told so easily)."""
    return {process for told in Path("/proc/self/task").glob("*/children") for process in told.read_text().split()}


async def test_no_decoder_is_left_behind() -> None:
    before = children()
    room = Darkroom()
    with pytest.raises(NoPicture):
        await room.develop("VP8", b"nothing", 0)
    assert children() == before
    task = asyncio.create_task(Darkroom(module="tests.calls.worker.stuck").develop("VP8", b"nothing", 0))
    await eventually(lambda: children() != before)
    task.cancel()
    await asyncio.wait((task,))
    assert children() == before
