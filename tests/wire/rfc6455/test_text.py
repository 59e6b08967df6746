"""Section 8.1: text is UTF-8."""

from __future__ import annotations

import struct

from hypothesis import example, given
from hypothesis import strategies as st

from tests.conftest import Run
from tests.wire.raw import (
    BINARY,
    CLOSE,
    CONTINUATION,
    TEXT,
    Received,
    Wire,
    close_frame,
    frame,
)
from tests.wire.rfc6455.samples import HYPOTHESIS, SOME

_GOOD = [
    SOME,
    "κόσμε".encode(),
    b"\x00\x7f",
    "\x80\u07ff\u0800\uffff\U00010000\U0010ffff".encode(),
    "\ud7ff\ue000\ufffd\ufeff\ufffe\uffff\U0001fffe\U0008ffff\U0010fffe".encode(),
]
_BAD = [
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",  # a surrogate
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80edited",  # beyond U+10FFFF
    b"\xf8\x88\x80\x80\x80",
    b"\xfc\x84\x80\x80\x80\x80",
    b"\xf7\xbf\xbf\xbf",
    b"\xfe",
    b"\xff",
    b"\x80",
    b"\xbf",
    b"\x80\xbf\x80",
    b"\xc0\xaf",  # a slash in too many bytes
    b"\xe0\x80\xaf",
    b"\xf0\x80\x80\xaf",
    b"\xc1\xbf",
    b"\xe0\x9f\xbf",
    b"\xf0\x8f\xbf\xbf",
    b"\xc0\x80",
    b"\xed\xad\xbf\xed\xbf\xbf",
    b"\xe4\xbd\x20",
    b"\xc3(",
]
_CUT = [b"\xc3", b"\xe4\xbd", b"\xf0\x9f\x99", b"fine\xce"]


async def test_8_1_text_comes_back(port: int) -> None:
    """Whole, in pieces of one byte, and in fragments cut within a letter."""
    async with Wire.open(port) as wire:
        for text in _GOOD:
            await wire.echoes(TEXT, text)
            await wire.send(frame(TEXT, text), piece=1)
            assert await wire.receive() == Received(TEXT, text)
            letters = [frame(CONTINUATION, text[at : at + 1], final=False) for at in range(1, len(text))]
            await wire.send(frame(TEXT, text[:1], final=False), *letters, frame(CONTINUATION))
            assert await wire.receive() == Received(TEXT, text)


async def test_8_1_what_is_no_utf_8_ends_in_1007(port: int) -> None:
    for text in (*_BAD, *_CUT):
        for data in (
            frame(TEXT, text),
            frame(TEXT, b"good ", final=False) + frame(CONTINUATION, text),
            frame(TEXT, text, final=False) + frame(CONTINUATION),
        ):
            async with Wire.open(port) as wire:
                await wire.send(data)
                assert (text, (await wire.end()).code) == (text, 1007)
        async with Wire.open(port) as wire:
            await wire.echoes(BINARY, text)  # bytes may be anything


async def test_8_1_it_ends_at_the_first_wrong_byte(port: int) -> None:
    """Autobahn's 6.4: at the fragment, and at the byte, that cannot be mended by what follows."""
    for text in _BAD:
        for data in (frame(TEXT, text + b"more", final=False), frame(TEXT, text + b"x" * 1_000)[: 8 + len(text)]):
            async with Wire.open(port) as wire:
                await wire.send(data)
                assert (text, (await wire.end()).code) == (text, 1007)


def test_any_text_comes_back_or_is_refused(port: int, run: Run[None]) -> None:
    async def say(data: bytes, cut: int) -> None:
        async with Wire.open(port) as wire:
            await wire.send(frame(TEXT, data[:cut], final=False), frame(CONTINUATION, data[cut:]), close_frame(1000))
            frames = await wire.rest()
            try:
                data.decode()
            except UnicodeDecodeError:
                assert [received.code for received in frames] == [1007]
            else:
                assert frames == [Received(TEXT, data), Received(CLOSE, struct.pack("!H", 1000))]

    @HYPOTHESIS
    @given(data=st.binary(max_size=12) | st.text(max_size=12).map(str.encode), cut=st.integers(0, 12))
    @example(data="é".encode(), cut=1)
    def check(data: bytes, cut: int) -> None:
        run(say(data, cut))

    check()
