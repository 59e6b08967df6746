"""Sections 5.2 to 5.5.3: sizes, masks, fragments, pings; and any conversation made of them."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import struct
import sys
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.settings import ROOT
from tests.conftest import Run
from tests.wire.raw import (
    BINARY,
    CLOSE,
    CONTINUATION,
    MAY_BE_SENT,
    PING,
    PONG,
    TEXT,
    Received,
    Wire,
    close_frame,
    frame,
)
from tests.wire.rfc6455.samples import HYPOTHESIS, SOME


@pytest.mark.parametrize("size", [0, 1, 4, 124, 125, 126, 127, 128, 65_534, 65_535, 65_536, 65_537, 1_048_576])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
async def test_5_2_messages_of_every_size(port: int, opcode: int, size: int) -> None:
    payload = (b"*" if opcode == TEXT else b"\xfe") * size
    async with Wire.open(port) as wire:
        await wire.echoes(opcode, payload)
        await wire.send(frame(opcode, payload), piece=997 if size > 200 else 1)
        assert await wire.receive() == Received(opcode, payload)
        await wire.send(close_frame(1000))
        assert (await wire.end()).code == 1000


async def test_5_3_any_mask(port: int) -> None:
    async with Wire.open(port) as wire:
        for mask in (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x00\x00\x00\x01", b"\x80\x00\xff\x7f"):
            for size in (0, 1, 3, 4, 5, 1_001):
                await wire.send(frame(BINARY, bytes(index % 256 for index in range(size)), mask=mask), piece=3)
                assert await wire.receive() == Received(BINARY, bytes(index % 256 for index in range(size)))


async def test_5_4_fragments_become_one_message(port: int) -> None:
    async with Wire.open(port) as wire:
        for opcode in (TEXT, BINARY):
            for pieces in ([b"", b""], [b"", b"a", b""], [b"a", b"b"], [b"", b"", b""], [b"x" * 70_000, b"y" * 70_000]):
                opcodes = [opcode, *[CONTINUATION] * (len(pieces) - 1)]
                last = len(pieces) - 1
                await wire.send(*(frame(opcodes[n], piece, final=n == last) for n, piece in enumerate(pieces)))
                assert await wire.receive() == Received(opcode, b"".join(pieces))


async def test_5_4_a_message_ends_once(port: int) -> None:
    async with Wire.open(port) as wire:
        await wire.send(frame(TEXT, b"a", final=False), frame(CONTINUATION, b"b"), frame(CONTINUATION, b"c"))
        assert await wire.receive() == Received(TEXT, b"ab")
        assert (await wire.end()).code == 1002


async def test_5_4_control_frames_come_between_fragments(port: int) -> None:
    """Pings are answered while a message is incomplete; a close ends it."""
    async with Wire.open(port) as wire:
        await wire.send(frame(TEXT, b"one", final=False), frame(PING, b"first"))
        assert await wire.receive() == Received(PONG, b"first")
        await wire.send(frame(PONG, b"nobody asked"), frame(CONTINUATION, b"two", final=False), frame(PING, b"second"))
        assert await wire.receive() == Received(PONG, b"second")
        await wire.send(frame(CONTINUATION, b"three"))
        assert await wire.receive() == Received(TEXT, b"onetwothree")
        await wire.send(frame(TEXT, b"never to", final=False), close_frame(1001))
        assert (await wire.end()).code == 1001


@pytest.mark.parametrize("piece", [None, 1])
async def test_5_5_pings_are_answered_with_their_own_words(port: int, piece: int | None) -> None:
    async with Wire.open(port) as wire:
        for payload in (b"", b"hello", b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff", b"\xfe" * 125, SOME):
            await wire.send(frame(PING, payload), piece=piece)
            assert await wire.receive() == Received(PONG, payload)
        await wire.send(*(frame(PING, b"ping %d" % n) for n in range(10)), piece=piece)
        assert [await wire.receive() for _ in range(10)] == [Received(PONG, b"ping %d" % n) for n in range(10)]


async def test_5_5_pongs_that_nobody_asked_for_mean_nothing(port: int) -> None:
    async with Wire.open(port) as wire:
        await wire.send(frame(PONG), frame(PONG, b"unsolicited"), frame(PING, b"asked"), frame(PONG, b"x" * 125))
        assert await wire.receive() == Received(PONG, b"asked")
        await wire.echoes()


_PIECES = st.lists(st.binary(max_size=300), min_size=1, max_size=4)
_OPCODES = st.integers(0, 15)
_CONTROL = st.tuples(st.sampled_from([PING, PONG]), st.binary(max_size=125))


def test_any_conversation_comes_back(port: int, run: Run[None]) -> None:
    """Any messages in any fragments, with control frames anywhere between, over any pieces of TCP."""

    async def converse(messages: list[tuple[list[bytes], list[tuple[int, bytes]]]], piece: int, mask: bytes) -> None:
        said, expected = b"", []
        for fragments, controls in messages:
            for number, fragment in enumerate(fragments):
                opcode = CONTINUATION if number else BINARY
                said += frame(opcode, fragment, final=number == len(fragments) - 1, mask=mask)
                if number == len(fragments) - 1:
                    expected.append(Received(BINARY, b"".join(fragments)))
                for control, payload in controls:
                    said += frame(control, payload, mask=mask)
                    if control == PING:
                        expected.append(Received(PONG, payload))
        async with Wire.open(port) as wire:
            await wire.send(said, close_frame(1000), piece=piece)
            *heard, last = await wire.rest()
            assert heard == expected
            assert last == Received(CLOSE, struct.pack("!H", 1000))

    @HYPOTHESIS
    @given(
        messages=st.lists(st.tuples(_PIECES, st.lists(_CONTROL, max_size=2)), max_size=5),
        piece=st.integers(1, 2_000),
        mask=st.binary(min_size=4, max_size=4),
    )
    def check(messages: list[tuple[list[bytes], list[tuple[int, bytes]]]], piece: int, mask: bytes) -> None:
        run(converse(messages, piece, mask))

    check()


def test_any_bytes_end_in_an_orderly_way(port: int, run: Run[None]) -> None:
    async def say(data: bytes) -> None:
        async with Wire.open(port) as wire:
            await wire.send(data)
            wire.writer.write_eof()
            frames = await wire.rest()
            assert all(received.final for received in frames)
            closes = [received for received in frames if received.opcode == CLOSE]
            assert len(closes) <= 1
            if closes:
                assert frames[-1] is closes[0]
                assert closes[0].code in {None, 1002, 1007, 1009} | MAY_BE_SENT

    @HYPOTHESIS
    @given(
        st.lists(st.binary(max_size=40) | st.builds(frame, st.integers(0, 15), st.binary(max_size=40))).map(b"".join)
    )
    def check(data: bytes) -> None:
        run(say(data))

    check()


async def test_the_echo_program_is_one() -> None:
    """`python -m tests.wire.echo --port 0` prints its address, answers, and stops by Ctrl-C."""
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.wire.echo", "--port", "0"),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env=os.environ,
        # Tests that run in a shell's background ignore Ctrl-C, and so would what they start.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    assert program.stdout is not None
    try:
        async with asyncio.timeout(80):
            address = re.search(rb"ws://127\.0\.0\.1:(\d+)/", await program.stdout.readline())
            assert address is not None
            async with Wire.open(int(address[1])) as wire:
                await wire.echoes(BINARY, bytes(300_000))
            program.send_signal(signal.SIGINT)
            assert await program.wait() == 0
    finally:
        if program.returncode is None:
            program.kill()
            await program.wait()
