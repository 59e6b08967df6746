"""Any bytes in any frames and fragments, in any order, on the real wire (the parser alone: tests/fuzz).

A connection answers, or closes with a documented code; a second one is unharmed; nothing is left of the first. The
watch over the log (conftest.py) sees to it that no fault is hidden.
"""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import HealthCheck, given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from server.realtime.connection import Connection
from server.realtime.protocol import Close
from tests.conftest import Run, RunningServer, eventually
from tests.fuzz.parser import examples
from tests.wire.client import Crowd, Person
from tests.wire.raw import BINARY, CLOSE, CONTINUATION, MAY_BE_SENT, PING, PONG, TEXT, Wire, close_frame, frame
from tests.wire.storms.line import said
from tests.wire.test_leaks import Remains

SOCKET = "/api/v1/socket"
FENCE = b"is anybody there"
#: what the server closes with: its own codes, those of RFC 6455 for what breaks it, and what the client closed with
DOCUMENTED = {*map(int, Close), 1002, 1007, 1009, *MAY_BE_SENT, None}

_LINES = sorted({line for data in examples() for line in data[1:].split(b"\n") if line.startswith(b"{")})


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """A frame of the protocol in which some bytes may have changed."""
    data = bytearray(draw(st.sampled_from(_LINES)))
    for at in draw(st.lists(st.integers(0, len(data) - 1), max_size=2)):
        data[at] = draw(st.integers(0, 255))
    return bytes(data)


@st.composite
def fragmented(draw: st.DrawFn, messages: st.SearchStrategy[bytes]) -> bytes:
    """A message in one to four frames, with control frames between them."""
    data, opcode, sent = draw(messages), draw(st.sampled_from([TEXT, BINARY])), b""
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=3)))
    edges = [0, *cuts, len(data)]
    for number, start in enumerate(edges[:-1]):
        final = number == len(edges) - 2
        sent += frame(CONTINUATION if number else opcode, data[start : edges[number + 1]], final=final)
        sent += frame(draw(st.sampled_from([PING, PONG])), b"between") if draw(st.booleans()) else b""
    return sent


_BROKEN = st.builds(frame, st.integers(0, 15), st.binary(max_size=30), final=st.booleans(), reserved=st.integers(0, 7))
_CLOSES = st.builds(close_frame, st.integers(0, 65_535), st.binary(max_size=20))
_SAID = fragmented(mangled() | st.sampled_from(_LINES) | st.binary(max_size=60))
_STREAMS = st.lists(_SAID | _BROKEN | _CLOSES | st.binary(max_size=30), max_size=8).map(b"".join)


async def talk(person: Person, data: bytes, *, hello: bool, piece: int) -> int | None:
    """What the server closed with; None when it closed with nothing, or answered to the end."""
    async with Wire.open(person.server.port, SOCKET, {"Cookie": person.cookie}) as wire:
        first = said("hello", v=1) if hello else b""
        await wire.send(first, data, piece=piece)
        wire.writer.write(frame(PING, FENCE))
        while True:
            try:
                received = await wire.receive()
            except asyncio.IncompleteReadError as end:
                raise AssertionError(f"the connection ended without a word after {data!r}") from end
            if received.opcode == CLOSE:
                wire.writer.write(close_frame())  # else the server would wait for it a while
                assert await wire.rest() == []
                return received.code
            if received == (PONG, FENCE, True):
                return None


def test_any_frames(crowd: Crowd, server: RunningServer, run: Run[Any]) -> None:
    remains = Remains()
    ada, lin = run(crowd.people("ada", "lin"))
    second = run(lin.socket())

    @settings_of_hypothesis(
        max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
    )
    @given(data=_STREAMS, hello=st.booleans(), piece=st.integers(1, 300))
    def check(data: bytes, hello: bool, piece: int) -> None:
        assert run(talk(ada, data, hello=hello, piece=piece)) in DOCUMENTED

    check()
    run(second.fence())
    second.close()
    run(second.end())
    run(eventually(lambda: server.services.hub.roster.of(ada.id) == []))
    run(eventually(lambda: not remains.alive()[Connection.__name__], 20.0))
    assert set(server.services.hub.gates._gates) <= {ada.inbox, lin.inbox}
