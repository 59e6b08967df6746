"""What breaks the protocol ends the connection, with the code that section 7.4.1 names (7.1.7)."""

from __future__ import annotations

import struct

import pytest

from tests.conftest import RunningServer
from tests.wire.raw import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Received,
    Wire,
    close_frame,
    frame,
)

SOCKET = "/api/v1/socket"


#: what is sent → the code that the server closes with
BROKEN: dict[str, tuple[bytes, int]] = {
    # 5.1, 5.2
    "not masked": (frame(TEXT, b"{}", mask=None), 1002),
    "not masked, empty": (frame(TEXT, mask=None), 1002),
    "a ping that is not masked": (frame(PING, mask=None), 1002),
    "a close that is not masked": (frame(CLOSE, struct.pack("!H", 1000), mask=None), 1002),
    "a short size in 16 bits": (frame(TEXT, b"x" * 125, form=16), 1002),
    "a short size in 64 bits": (frame(TEXT, b"x" * 125, form=64), 1002),
    "a middle size in 64 bits": (frame(BINARY, b"x" * 65_535, form=64), 1002),
    "the highest bit of 64": (frame(BINARY, b"x", size=2**63, form=64), 1002),
    "all bits of 64": (frame(BINARY, b"x", size=2**64 - 1, form=64), 1002),
    "too big": (frame(BINARY, b"x", size=2 * 1024 * 1024 + 1), 1009),
    "far too big": (frame(TEXT, b"x", size=2**63 - 1), 1009),
    "too big in fragments": (
        frame(BINARY, b"x" * 1_048_576, final=False) + frame(CONTINUATION, b"x", size=1_048_577),
        1009,
    ),
    **{
        f"reserved bits {bits:03b} of opcode {opcode}": (frame(opcode, b"", reserved=bits), 1002)
        for bits in range(1, 8)
        for opcode in (TEXT, BINARY, CLOSE, PING, PONG)
    },
    "a reserved bit within a message": (
        frame(TEXT, b"a", final=False) + frame(CONTINUATION, b"b", reserved=4),
        1002,
    ),
    **{
        f"opcode {opcode}{' with data' if payload else ''}": (frame(opcode, payload), 1002)
        for opcode in (*range(3, 8), *range(11, 16))
        for payload in (b"", b"x" * 100)
    },
    "opcode 3 as a fragment": (frame(3, b"x", final=False), 1002),
    "opcode 4 within a message": (frame(TEXT, b"a", final=False) + frame(4, b"b"), 1002),
    # 5.4
    "the end of nothing": (frame(CONTINUATION, b"x"), 1002),
    "more of nothing": (frame(CONTINUATION, b"x", final=False), 1002),
    "nothing to continue, empty": (frame(CONTINUATION), 1002),
    "text within text": (frame(TEXT, b"a", final=False) + frame(TEXT, b"b"), 1002),
    "bytes within text": (frame(TEXT, b"a", final=False) + frame(BINARY, b"b"), 1002),
    "text within bytes": (frame(BINARY, b"a", final=False) + frame(TEXT, b"b", final=False), 1002),
    # 5.5
    "a ping too long": (frame(PING, b"x" * 126), 1002),
    "a pong too long": (frame(PONG, b"x" * 126), 1002),
    "a close too long": (frame(CLOSE, struct.pack("!H", 1000) + b"x" * 124), 1002),
    "a ping much too long": (frame(PING, b"x" * 65_536), 1002),
    "a ping in fragments": (frame(PING, b"x", final=False) + frame(CONTINUATION, b"x"), 1002),
    "a pong in fragments": (frame(PONG, b"x", final=False), 1002),
    "a close in fragments": (frame(CLOSE, struct.pack("!H", 1000), final=False), 1002),
    # 5.5.1
    "half of a close code": (frame(CLOSE, b"\x03"), 1002),
    "a reason that is no UTF-8": (close_frame(1000, b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80"), 1007),
    "a reason that is cut": (close_frame(1000, b"\xe4\xbd"), 1007),
    # what is not WebSocket at all
    "HTTP": (b"GET / HTTP/1.1\r\n\r\n", 1002),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 1002),
}


@pytest.mark.parametrize(("data", "code"), BROKEN.values(), ids=BROKEN)
async def test_7_1_7_what_is_broken_ends_in_its_code(port: int, data: bytes, code: int) -> None:
    """After a good message, which is answered; nothing that follows is."""
    async with Wire.open(port) as wire:
        await wire.send(frame(TEXT, b"good"), data, frame(TEXT, b"late"), frame(PING, b"late"))
        frames = await wire.rest()
        assert [(received.opcode, received.code) for received in frames[1:]] == [(CLOSE, code)]
        assert frames[0] == Received(TEXT, b"good")
        assert len(frames[1].payload) <= 125
        assert frames[1].payload[2:].decode()  # says why


async def test_7_1_7_the_hub_ends_alike(server: RunningServer) -> None:
    for what, (data, code) in BROKEN.items():
        async with Wire.open(server.port, SOCKET) as wire:
            await wire.send(data)
            # The hub's limit is lower than the echo program's.
            assert (what, (await wire.end()).code) == (what, 1009 if "in fragments" in what and code == 1009 else code)


async def test_7_1_7_it_ends_at_once(port: int) -> None:
    """As soon as the bytes tell, not when the frame is complete: the rest is never sent."""
    for data, code in (
        (frame(TEXT, reserved=1)[:2], 1002),
        (frame(PING, b"x" * 126)[:2], 1002),
        (frame(TEXT, b"x", mask=None)[:2], 1002),
        (frame(BINARY, size=2 * 1024 * 1024 + 1)[:14], 1009),
        (frame(TEXT, b"a", final=False) + frame(BINARY, b"b" * 1_000)[:2], 1002),
        (frame(TEXT, b"fine until \xff here" + b"x" * 100_000)[:30], 1007),
    ):
        async with Wire.open(port) as wire:
            await wire.send(data)
            assert (await wire.end()).code == code
