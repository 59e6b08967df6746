from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.benchmarks.frames import CLOSE, NONE_OF_THEM, PING, TEXT, Frame, client_frame, json_frame, scan
from server.realtime.frames import text_frame

ENTRY = b'{"t":"entry"'


def test_client_frames_are_what_the_rfc_shows() -> None:
    # RFC 6455 §5.7, with a mask of zeros
    assert client_frame(b"Hello") == bytes.fromhex("818500000000") + b"Hello"
    assert client_frame(b"Hello", PING) == bytes.fromhex("898500000000") + b"Hello"
    assert client_frame(b"x" * 256)[:8] == bytes.fromhex("81fe010000000000")
    assert client_frame(b"x" * 65_536)[:14] == bytes.fromhex("81ff000000000001000000000000")


def test_json_frames_keep_their_letters() -> None:
    assert json_frame({"text": "守约"}).endswith('{"text":"守约"}'.encode())


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 70_000])
def test_frames_of_every_length_are_counted(size: int) -> None:
    frame = text_frame(ENTRY + b"x" * size)
    assert scan(frame * 3, ENTRY) == (3, 3 * len(frame), [])


def test_what_is_no_delivery_is_taken_out() -> None:
    ping, close = b"\x89\x02hi", b"\x88\x02\x0f\xa1"
    data = text_frame(ENTRY) + ping + text_frame(b'{"t":"ack"}') + text_frame(ENTRY) + close
    found = scan(data, ENTRY)
    assert found.wanted == 2
    assert found.end == len(data)
    assert found.others == [Frame(PING, b"hi"), Frame(TEXT, b'{"t":"ack"}'), Frame(CLOSE, b"\x0f\xa1")]


def test_several_beginnings_can_be_asked_for() -> None:
    assert scan(text_frame(b"a1") + text_frame(b"b1") + text_frame(b"c1"), (b"a", b"c")).wanted == 2


def test_a_delivery_must_be_text() -> None:
    assert scan(b"\x82\x01a", b"a") == (0, 3, [Frame(2, b"a")])


@given(st.lists(st.binary(max_size=200).map(lambda tail: b"a" + tail) | st.sampled_from([b"b" * 200, b""])), st.data())
def test_frames_may_arrive_in_any_pieces(payloads: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(map(text_frame, payloads))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    wanted, rest = 0, b""
    others: list[Frame] = []
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        rest += stream[begin:end]
        found = scan(rest, b"a")
        wanted += found.wanted
        others += found.others
        rest = rest[found.end :]
    assert rest == b""
    assert wanted == sum(payload.startswith(b"a") for payload in payloads)
    assert [frame.payload for frame in others] == [p for p in payloads if not p.startswith(b"a")]


def test_nothing_that_is_text_begins_with_none_of_them() -> None:
    with pytest.raises(UnicodeDecodeError):
        NONE_OF_THEM.decode()
