"""The reader of clients' frames without a socket: any bytes in any pieces, every close code."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.realtime.frame_reader import BINARY, CLOSE, TEXT, Failure, FrameReader, Goodbye, Message, Violation, goodbye
from tests.wire.raw import MAY_BE_SENT, PING, PONG, frame

MAX = 1_000

_FRAMES = st.builds(
    frame,
    st.integers(0, 15),
    st.binary(max_size=200),
    final=st.booleans(),
    reserved=st.sampled_from([0, 0, 0, 1, 4]),
    mask=st.binary(min_size=4, max_size=4) | st.none(),
    form=st.sampled_from([None, None, 64]),
)


def read_all(data: bytes, cuts: list[int]) -> tuple[list[Message], Violation | None]:
    """What comes out when the bytes come in pieces that end at `cuts`."""
    reader, messages = FrameReader(MAX), []
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    try:
        for start, end in itertools.pairwise(edges):
            reader.feed(data[start:end])
            while (message := reader.read()) is not None:
                messages.append(message)
    except Violation as violation:
        return messages, violation
    return messages, None


@given(data=st.binary(max_size=300) | st.lists(_FRAMES, max_size=8).map(b"".join), cuts=st.lists(st.integers(0, 2_000)))
def test_any_bytes_mean_the_same_in_any_pieces(data: bytes, cuts: list[int]) -> None:
    """Messages are whole and within the limit, the end is a Violation or nothing; TCP's pieces do not matter."""
    messages, violation = read_all(data, cuts)
    whole, violation_of_whole = read_all(data, [])
    assert messages == whole
    assert (violation and violation.code) == (violation_of_whole and violation_of_whole.code)
    for opcode, said in messages:
        assert opcode in (TEXT, BINARY, CLOSE, PING, PONG)
        assert isinstance(said, str) == (opcode == TEXT)
        assert len(said) <= (MAX if opcode in (TEXT, BINARY) else 125)


def test_every_close_code() -> None:
    """Section 7.4: all 65,536 of them."""
    for code in range(65_536):
        data = code.to_bytes(2, "big") + b"so long"
        if code in MAY_BE_SENT:
            assert goodbye(data) == Goodbye(code, "so long")
        else:
            with pytest.raises(Violation) as caught:
                goodbye(data)
            assert caught.value.code == Failure.PROTOCOL
    assert goodbye(b"") == Goodbye(None, "")


def test_what_is_held_is_bounded() -> None:
    """However a client cuts its frames: a header, a control frame, a message up to the limit; then it is too much."""
    reader = FrameReader(MAX)
    for _ in range(MAX):
        reader.feed(frame(BINARY if not reader.frames else 0, b"x", final=False) + frame(0, b"", final=False))
        assert reader.read() is None
    reader.feed(frame(0, b"x", final=False))
    with pytest.raises(Violation) as caught:
        reader.read()
    assert caught.value.code == Failure.TOO_BIG


def test_frames_are_counted_whether_they_bring_a_message_or_not() -> None:
    reader = FrameReader(MAX)
    reader.feed(frame(TEXT, b"a", final=False) + frame(PING) + frame(0, b"b") + frame(PONG) + frame(TEXT)[:3])
    assert reader.read() == Message(PING, b"")
    assert reader.read() == Message(TEXT, "ab")
    assert reader.read() == Message(PONG, b"")
    assert reader.read() is None
    assert reader.frames == 4
