"""The wire's words: whatever bytes come, decoding ends in a frame or in a named error (DESIGN 2)."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import VouchError
from server.realtime import protocol as p
from server.realtime.channels import EntryKind, checked_body
from server.realtime.connection import COMMANDS
from server.services import channel_kinds

CLIENT_FRAMES = get_args(p.ClientFrame)
SERVER_FRAMES = get_args(p.ServerFrame)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.binary(max_size=400))
def test_any_bytes_decode_to_a_frame_or_a_decode_error(data: bytes) -> None:
    try:
        frame = p.decode(data)
    except msgspec.DecodeError:
        return
    assert isinstance(frame, CLIENT_FRAMES)


@given(
    st.sampled_from([t.__struct_config__.tag for t in CLIENT_FRAMES]), st.dictionaries(st.text(max_size=8), json_values)
)
def test_any_object_with_a_known_type_decodes_or_is_refused(tag: str, fields: dict[str, object]) -> None:
    try:
        frame = p.decode(msgspec.json.encode({**fields, "t": tag}))
    except msgspec.DecodeError:
        return
    assert type(frame).__struct_config__.tag == tag


def test_every_client_frame_has_a_command_with_its_principals() -> None:
    assert set(COMMANDS) == set(CLIENT_FRAMES)


def test_types_of_frames_are_told_apart_by_their_tag() -> None:
    for frames in (CLIENT_FRAMES, SERVER_FRAMES):
        tags = [t.__struct_config__.tag for t in frames]
        assert len(set(tags)) == len(tags)


def test_close_codes_that_come_back_and_those_that_do_not_are_all_explained() -> None:
    assert set(p.CLOSE_REASONS) == set(p.Close)
    assert all(4000 <= code <= 4999 for code in p.Close)


@pytest.mark.parametrize("number", [2**53, -(2**53), 10**30])
def test_numbers_beyond_javascript_are_refused(number: int) -> None:
    with pytest.raises(msgspec.ValidationError):
        p.decode(b'{"t":"ping","rid":%d}' % number)


def test_schemas_exist_for_everything_on_the_wire() -> None:
    bodies = [entry.body for kind in channel_kinds() for entry in kind.entries]
    _, components = msgspec.json.schema_components([p.ClientFrame, p.ServerFrame, *bodies])
    assert {t.__name__ for t in (*CLIENT_FRAMES, *SERVER_FRAMES, *bodies)} <= set(components)


@given(st.sampled_from([e for kind in channel_kinds() for e in kind.entries if e.by_clients]), st.binary(max_size=200))
def test_any_body_is_checked_or_refused_with_a_code(entry: object, body: bytes) -> None:
    assert isinstance(entry, EntryKind)
    try:
        checked = checked_body(entry.body, body)
    except VouchError as fault:
        assert fault.field == "body"  # noqa: PT017  (most bodies are refused, some are not)
    else:
        assert isinstance(checked, dict)
