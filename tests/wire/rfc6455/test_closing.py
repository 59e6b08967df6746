"""Sections 5.5.1 and 7: how connections end."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import Run
from tests.wire.raw import (
    BINARY,
    CLOSE,
    MAY_BE_SENT,
    PING,
    PONG,
    TEXT,
    Received,
    Wire,
    close_frame,
    frame,
)
from tests.wire.rfc6455.samples import HYPOTHESIS

_EDGES = sorted({edge + step for edge in (0, 1000, 1004, 1007, 1015, 2000, 3000, 5000, 65_534) for step in (-1, 0, 1)})


async def closes_with(port: int, code: int, reason: bytes = b"") -> int | None:
    async with Wire.open(port) as wire:
        await wire.send(close_frame(code, reason))
        return (await wire.end()).code


@pytest.mark.parametrize("code", [code for code in _EDGES if 0 <= code <= 65_535] + [1005, 1006, 1100, 3999, 4000])
async def test_7_4_close_codes(port: int, code: int) -> None:
    """Autobahn's 7.7 and 7.9: codes that may be sent come back, others are a protocol error."""
    assert await closes_with(port, code) == (code if code in MAY_BE_SENT else 1002)


def test_7_4_any_close_code(port: int, run: Run[int | None]) -> None:
    @HYPOTHESIS
    @given(code=st.integers(0, 65_535), reason=st.text(max_size=30))
    def check(code: int, reason: str) -> None:
        assert run(closes_with(port, code, reason.encode())) == (code if code in MAY_BE_SENT else 1002)

    check()


async def test_7_a_close_is_answered_once_and_ends_the_connection(port: int) -> None:
    """Empty by empty, a code by the same; what comes behind it is not looked at; the server ends TCP first (7.1.1)."""
    after = [
        b"",
        frame(TEXT, b"late"),
        frame(PING, b"late"),
        close_frame(1000) * 2,
        frame(3, b"late"),
        b"\xff" * 300_000,
    ]
    for data in after:
        async with Wire.open(port) as wire:
            await wire.send(close_frame(), data)
            assert await wire.rest() == [Received(CLOSE, b"")]
        async with Wire.open(port) as wire:
            await wire.send(frame(TEXT, b"last"), close_frame(4321, b"x" * 123), data)
            assert await wire.rest() == [Received(TEXT, b"last"), Received(CLOSE, struct.pack("!H", 4321))]


async def test_7_the_close_arrives_behind_all_that_was_said(port: int) -> None:
    """Also when the client reads only then, and much is waiting for it."""
    async with Wire.open(port) as wire:
        await wire.send(*(frame(BINARY, bytes(100_000)) for _ in range(20)), close_frame(1000))
        frames = await wire.rest()
        assert [received.opcode for received in frames] == [BINARY] * 20 + [CLOSE]


async def test_7_2_connections_that_just_end(port: int) -> None:
    """No close frame, in the middle of a frame, of a message, or by a reset: nobody else notices."""
    async with Wire.open(port) as other:
        for data in (b"", b"\x81", frame(TEXT, b"x" * 100)[:20], frame(TEXT, b"x", final=False), frame(PING, b"x")):
            async with Wire.open(port) as wire:
                await wire.send(data)
                wire.writer.write_eof()
                assert all(received.opcode == PONG for received in await wire.rest())
            async with Wire.open(port) as wire:
                await wire.send(data)
                wire.writer.transport.abort()
        await other.echoes()
