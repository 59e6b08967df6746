"""The JSON schemas of everything on the wire, as one set of named components."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any, get_args

import msgspec

from server.errors import Code
from server.realtime import protocol
from server.realtime.channels import ChannelKind

Schema = dict[str, Any]

CLIENT_FRAMES: tuple[type[msgspec.Struct], ...] = get_args(protocol.ClientFrame)
SERVER_FRAMES: tuple[type[msgspec.Struct], ...] = get_args(protocol.ServerFrame)


def components(types: Iterable[Any]) -> dict[str, Schema]:
    """The schemas of these types and of all they name, with references of the form `#/$defs/Name`."""
    return dict(msgspec.json.schema_components(list(types), ref_template="#/$defs/{name}")[1])


def protocol_components(kinds: Iterable[ChannelKind]) -> dict[str, Schema]:
    """The frames, what they hold, and the bodies of all entries and signals."""
    bodies: list[type[msgspec.Struct]] = []
    for kind in kinds:
        bodies += [entry.body for entry in kind.entries]
        bodies += kind.signals.values()
    return components([*CLIENT_FRAMES, *SERVER_FRAMES, Code, protocol.Gap, *dict.fromkeys(bodies)])


def tag(frame: type[msgspec.Struct]) -> str:
    """The value of `t` that names a frame on the wire."""
    return str(frame.__struct_config__.tag)


def paragraphs(text: str | None) -> list[str]:
    """A docstring without its indentation, a string per paragraph."""
    return [" ".join(part.split()) for part in inspect.cleandoc(text or "").split("\n\n") if part.strip()]
