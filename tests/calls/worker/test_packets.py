"""RTP headers and payload descriptors: against packets written by another hand, and against rubbish."""

from __future__ import annotations

import struct

from aiortc.rtp import RtpPacket
from hypothesis import given
from hypothesis import strategies as st

from server.calls.worker import packets
from server.calls.worker.packets import Head, extension, nearest, read
from tests.calls.worker.forwarding import rtp, vp8

U16, U32 = st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)


@given(U32, st.integers(0, 127), U16, U32, st.binary(max_size=50), st.booleans(), st.integers(0, 20))
def test_a_header_is_read(
    ssrc: int, payload_type: int, sequence: int, timestamp: int, payload: bytes, marker: bool, padding: int
) -> None:
    packet = rtp(
        ssrc,
        payload_type,
        sequence,
        timestamp,
        payload,
        marker=marker,
        extensions={4: b"mid", 2: b"abc"},
        padding=padding,
    )
    header = read(packet)
    assert header is not None
    start, stop, at, end = header[5:]
    assert header[:5] == (sequence, timestamp, ssrc, payload_type, marker)
    assert packet[at:end] == payload
    assert extension(packet, start, stop, 4) == b"mid"
    assert extension(packet, start, stop, 2) == b"abc"
    assert extension(packet, start, stop, 9) is None


@given(st.binary(max_size=60) | st.binary(max_size=60).map(lambda rest: b"\xb2" + rest))
def test_rubbish_is_no_packet_and_raises_nothing(data: bytes) -> None:
    header = read(data)
    if header is not None:
        start, stop, at, end = header[5:]
        assert 12 <= start <= stop <= at <= end <= len(data)
        for id in range(1, 15):
            extension(data, start, stop, id)


def test_what_contradicts_itself_is_no_packet() -> None:
    whole = rtp(1, 96, 1, 1, b"", extensions={4: b"mid"})
    assert read(whole) is not None
    assert read(whole[:-1]) is None
    assert read(b"\x00" + whole[1:]) is None, "another version"
    assert read(rtp(1, 96, 1, 1, b"")[:11]) is None
    assert read(b"\xa0" + rtp(1, 96, 1, 1, b"\x00")[1:]) is None, "padding of no length"
    assert read(b"\xa0" + rtp(1, 96, 1, 1, b"\x09")[1:]) is None, "more padding than there is"
    assert read(b"\x8f" + rtp(1, 96, 1, 1, b"")[1:]) is None, "fifteen sources that are not there"


@given(U32, st.integers(0, 127), st.booleans(), st.integers(), st.integers(), st.integers(0, 14), st.integers(0, 14))
def test_a_head_is_what_another_reader_reads(
    ssrc: int, payload_type: int, marker: bool, sequence: int, timestamp: int, mid: int, time: int
) -> None:
    head = Head(ssrc, payload_type, "17", mid, 0 if time == mid else time)
    written = head.write(marker, sequence, timestamp, b"abc") + b"payload"
    packet = RtpPacket.parse(written)
    assert (packet.ssrc, packet.payload_type, packet.marker) == (ssrc, payload_type, marker)
    assert (packet.sequence_number, packet.timestamp) == (sequence & 0xFFFF, timestamp & 0xFFFFFFFF)
    assert packet.payload == b"payload"
    header = read(written)
    assert header is not None
    if mid:
        assert extension(written, header[5], header[6], mid) == b"17"
    if time and time != mid:
        assert extension(written, header[5], header[6], time) == b"abc"


@given(st.integers(0, 14), st.integers(0, 14), st.integers(0, 255))
def test_how_loud_it_is_stands_in_the_head_as_well(mid: int, time: int, level: int) -> None:
    ids = [id for id in range(1, 15) if id not in (mid, time)]
    head = Head(7, 111, "17", mid, 0 if time == mid else time, ids[0])
    for written in (head.write_level(1, 70_000, 5, b"abc", level) + b"x", head.write(1, 70_000, 5, b"abc") + b"x"):
        packet = RtpPacket.parse(written)
        assert (packet.sequence_number, packet.timestamp, packet.payload) == (70_000 & 0xFFFF, 5, b"x")
        header = read(written)
        assert header is not None
        if mid:
            assert extension(written, header[5], header[6], mid) == b"17"
        if time and time != mid:
            assert extension(written, header[5], header[6], time) == b"abc"
    written = head.write_level(1, 70_000, 5, b"abc", level)
    assert extension(written, 16, len(written), ids[0]) == bytes([level])


def test_the_time_of_sending_is_in_six_bits_of_seconds() -> None:
    assert packets.send_stamp(0.5) == b"\x02\x00\x00"
    assert packets.send_stamp(64.5) == b"\x02\x00\x00"


@given(st.integers(0, 1 << 40), st.integers(-0x7FFF, 0x7FFF))
def test_numbers_that_turn_are_taken_nearest(reference: int, apart: int) -> None:
    assert nearest((reference + apart) & 0xFFFF, reference) == reference + apart


@given(st.integers(0, 0x7FFF), st.integers(0, 0xFF), st.integers(), st.integers(), st.booleans(), st.booleans())
def test_vp8_is_rewritten(picture: int, level: int, pictures: int, levels: int, key: bool, begins: bool) -> None:
    shape = packets.vp8_shape(vp8(picture, level=level, key=key, begins=begins))
    assert shape is not None
    assert packets.vp8_begins_key(shape) == (key and begins)
    assert packets.vp8_rewritten(shape, pictures, levels) + shape[4] == vp8(
        picture + pictures, level=level + levels, key=key, begins=begins
    )


def test_short_picture_ids_stay_short() -> None:
    shape = packets.vp8_shape(b"\x90\x80\x7f" + b"\x00frame")
    assert shape is not None
    assert packets.vp8_rewritten(shape, 2, 5) == b"\x90\x80\x01"
    level_only = packets.vp8_shape(b"\x90\x60\xff\x00" + b"\x00frame")
    assert level_only is not None
    assert packets.vp8_rewritten(level_only, 9, 1) == b"\x90\x60\x00\x00"
    plain = packets.vp8_shape(b"\x10\x00frame")
    assert plain is not None
    assert packets.vp8_begins_key(plain)
    assert packets.vp8_rewritten(plain, 9, 1) == b"\x10"


@given(st.binary(max_size=12))
def test_rubbish_is_no_frame_and_raises_nothing(data: bytes) -> None:
    shape = packets.vp8_shape(data)
    if shape is not None:
        assert shape[3] + shape[4] == data
        assert shape[4]
        packets.vp8_begins_key(shape)
        assert len(packets.vp8_rewritten(shape, 77, 77)) == len(shape[3])
    packets.h264_begins_key(data)
    packets.h264_begins_key(b"\x18" + data)


def test_h264_begins_with_its_parameter_sets() -> None:
    def unit(kind: int) -> bytes:
        return bytes([kind, 1, 2])

    def together(*kinds: int) -> bytes:
        return b"\x18" + b"".join(struct.pack("!H", 3) + unit(kind) for kind in kinds)

    assert packets.h264_begins_key(unit(0x67))
    assert packets.h264_begins_key(together(9, 0x67, 0x68))
    assert packets.h264_begins_key(together(0x67, 0x68, 0x65))
    assert not packets.h264_begins_key(together(0x68, 0x65)), "half of its parameters"
    assert not packets.h264_begins_key(unit(0x65)), "a picture without its parameters"
    assert not packets.h264_begins_key(b"\x7c\x85abc"), "a fragment of a picture"
    assert not packets.h264_begins_key(b"")
