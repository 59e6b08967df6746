"""docs/protocol.md: the prose of protocol.md beside this module, with tables made from the types."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from scripts.generation.schemas import (
    CLIENT_FRAMES,
    SERVER_FRAMES,
    Schema,
    paragraphs,
    protocol_components,
    tag,
)
from scripts.generation.words import ABOUT, ANSWERS, CHANNELS, GAPS, MEANINGS
from server import limits
from server.commands.hub import IDLE_SECONDS
from server.errors import CODES, Code
from server.realtime import connection, heartbeat, positions, presence, roster, signals, websocket
from server.realtime import protocol as p
from server.realtime.channels import ChannelKind

PROSE = Path(__file__).with_name("protocol.md")
_TABLE = re.compile(r"^<!-- table: ([a-z ]+) -->$", re.MULTILINE)
#: What only HTTP answers.
_HTTP_ONLY = {
    Code.WRONG_CREDENTIALS,
    Code.XSRF,
    Code.METHOD_NOT_ALLOWED,
    Code.HANDLE_TAKEN,
    Code.PHONE_TAKEN,
    Code.STALE,
    Code.ALREADY,
}


def protocol_page(kinds: Iterable[ChannelKind]) -> str:
    """The whole page. Raises KeyError where words.py has no words for something."""
    known = list(kinds)
    schemas = protocol_components(known)
    tables: dict[str, Callable[[], str]] = {
        "client frames": lambda: _client_frames(schemas),
        "server frames": lambda: _frames(SERVER_FRAMES, schemas),
        "shapes": lambda: _shapes(schemas),
        "gaps": lambda: _table(["gap", "why"], [[f"`{gap.value}`", GAPS[gap]] for gap in p.Gap]),
        "close codes": _close_codes,
        "error codes": _error_codes,
        "channels": lambda: "\n\n".join(_channel(kind, schemas) for kind in known),
        "limits": _limits,
    }
    prose = PROSE.read_text(encoding="utf-8")
    return _TABLE.sub(lambda found: tables[found[1]](), prose)


def _client_frames(schemas: dict[str, Schema]) -> str:
    rows = [[f"`{tag(frame)}`", _first_sentence(frame), ANSWERS[tag(frame)]] for frame in CLIENT_FRAMES]
    return _table(["frame", "what it does", "answer"], rows) + "\n\n" + _frames(CLIENT_FRAMES, schemas)


def _frames(frames: tuple[type[msgspec.Struct], ...], schemas: dict[str, Schema]) -> str:
    described = [{"description": ABOUT.get(tag(frame)), **schemas[frame.__name__]} for frame in frames]
    return "\n\n".join(_struct(f"`{tag(frame)}`", schema) for frame, schema in zip(frames, described, strict=True))


def _shapes(schemas: dict[str, Schema]) -> str:
    return "\n\n".join(_struct(name, schemas[name]) for name in ("Want", "Entry", "Page"))


def _struct(heading: str, schema: Schema) -> str:
    parts = [f"#### {heading}", *paragraphs(schema.get("description"))]
    required = schema.get("required", [])
    rows = [
        [f"`{name}`", _type(field), "yes" if name in required else _default(field)]
        for name, field in schema["properties"].items()
        if name != "t"
    ]
    if rows:
        parts.append(_table(["field", "type", "always there"], rows))
    return "\n\n".join(parts)


def _default(field: Schema) -> str:
    default = field.get("default")
    return "no" if default is None else f"no: `{msgspec.json.encode(default).decode()}`"


def _type(field: Schema) -> str:
    """A schema in words: `integer ≥ 0`, `list of Want, 1 to 500`, `text like ^…$ or null`."""
    if "$ref" in field:
        return str(field["$ref"]).rpartition("/")[2]
    if "anyOf" in field:
        return " or ".join(_type(option) for option in field["anyOf"])
    if "description" in field:
        return str(field["description"])
    kind = field.get("type")
    if kind == "string":
        # `(?!\n)` makes Python's `$` mean what it means everywhere else; a reader takes it to mean that anyway.
        pattern = str(field.get("pattern", "")).removesuffix("(?!\\n)")
        return f"text like `{pattern}`" if pattern else "text" + _bounds(field, "Length")
    if kind in ("integer", "number"):
        return str(kind) + _bounds(field, "imum")
    if kind == "array":
        return f"list of {_type(field['items'])}" + _bounds(field, "Items")
    return {"boolean": "true or false", "object": "object", "null": "null"}.get(str(kind), "any JSON")


def _bounds(field: Schema, suffix: str) -> str:
    low, high = field.get(f"min{suffix}"), field.get(f"max{suffix}")
    if high is not None and high < 2**53 - 1:
        return f", {low or 0} to {high:,}"
    return "" if low is None else f" ≥ {low}"


def _channel(kind: ChannelKind, schemas: dict[str, Schema]) -> str:
    rows = []
    for entry in kind.entries:
        notes = [
            word
            for word, holds in (
                ("clients may append", entry.by_clients),
                ("counts as unread", entry.countable),
                ("needs `ref`", entry.modifies),
                ("replaces the body of `ref`", entry.replaces),
                ("erases the body of `ref`", entry.scrubs),
            )
            if holds
        ]
        rows.append([f"`{entry.name}`", _body(entry.body, schemas), MEANINGS[kind.name, entry.name], "; ".join(notes)])
    parts = [f"### {kind.name}", CHANNELS[kind.name], _table(["entry", "body", "meaning", ""], rows)]
    if kind.signals:
        told = [[f"`{name}`", _body(body, schemas), MEANINGS[kind.name, name]] for name, body in kind.signals.items()]
        parts.append(_table(["signal", "body", "meaning"], told))
    traits = [
        "Presence is shown." if kind.presence else "No presence.",
        "Positions are kept." if kind.positions else "No positions.",
        "What was missed is replayed." if kind.replays else "Nothing is replayed: every resume is a gap.",
    ]
    return "\n\n".join([*parts, " ".join(traits)])


def _body(body: type[msgspec.Struct], schemas: dict[str, Schema]) -> str:
    fields = [f"`{name}`: {_in_body(field, schemas)}" for name, field in schemas[body.__name__]["properties"].items()]
    return "; ".join(fields) or "empty"


def _in_body(field: Schema, schemas: dict[str, Schema]) -> str:
    target: Any = schemas.get(str(field.get("$ref", "")).rpartition("/")[2], field)
    if "enum" in target:
        return " or ".join(f"`{value}`" for value in target["enum"])
    return _type(target)


def _close_codes() -> str:
    rows = [
        [str(close.value), close.name.lower(), "yes" if close < 4500 else "no", reason]
        for close, reason in p.CLOSE_REASONS.items()
    ]
    return _table(["code", "name", "come back", "why"], rows)


def _error_codes() -> str:
    return _table(
        ["code", "meaning"],
        [[f"`{code.value}`", sentence] for code, (_, sentence) in CODES.items() if code not in _HTTP_ONLY],
    )


def _limits() -> str:
    """Read from the code that keeps them."""
    kib = 1024
    rows = [
        ["a client frame", f"{p.MAX_FRAME // kib} KiB", "the socket closes with 4504"],
        ["a WebSocket message", f"{2 * p.MAX_FRAME // kib} KiB", "1009 before it is read"],
        ["the body of an entry", f"{p.MAX_BODY // kib} KiB of JSON", "`too_large`"],
        ["numbers", "integers within ±(2^53 − 1)", "`bad_request` or `malformed`"],
        [
            "client frames of one connection",
            f"{connection.FRAMES_PER_SECOND:g}/s, bursts of {connection.FRAMES_BURST:g}",
            "`too_often` (the frame was ignored), in the end 4004",
        ],
        ["pings, pongs and fragments of messages", "count as client frames", "no answer, in the end 4004"],
        ["frames that are not understood", str(connection.STRIKES), "4500"],
        ["appends of one person", limits.LIMITS["send"].rate, "`too_often` with `retry_after`"],
        ["unanswered appends of one connection", str(connection.MAX_IN_FLIGHT), "the server reads no further"],
        ["connections of one person and node", str(roster.MAX_CONNECTIONS_EACH), "4006"],
        ["channels in one `subscribe`", str(p.MAX_CHANNELS_PER_FRAME), "`malformed`"],
        ["channels of one connection", f"{p.MAX_CHANNELS:,}", "`refused` with `limit_reached`"],
        ["entries in a page", str(p.MAX_PAGE), "`malformed`"],
        ["entries that a resume replays", f"{p.MAX_REPLAY:,}", "gap `behind`"],
        ["time for the header of the handshake", f"{IDLE_SECONDS:g} s", "the connection is dropped"],
        ["time until hello", f"{p.HELLO_WITHIN:g} s", "4501"],
        ["server heartbeat", f"{heartbeat.SLOTS * heartbeat.TICK:g} s", "4002 after two without a sign of life"],
        ["time to answer a close frame", f"{websocket.CLOSE_WITHIN:g} s", "the connection is dropped"],
        [
            "frames waiting for a slow client",
            f"{connection.MAX_BACKLOG // kib // kib} MiB or {connection.MAX_BACKLOG_SECONDS:g} s",
            "4001",
        ],
        ["signals of one kind and sender", f"one each {signals.GATHER * 1000:g} ms", "the last one counts"],
        ["presence", f"gathered for {presence.GATHER * 1000:g} ms", ""],
        ["people named by presence", str(p.PRESENCE_NAMED), "beyond it only `count` is told"],
        ["positions", f"gathered for {positions.GATHER * 1000:g} ms", "only the furthest counts"],
    ]
    return _table(["what", "limit", "beyond it"], rows)


def _first_sentence(frame: type[msgspec.Struct]) -> str:
    text = " ".join(paragraphs(frame.__doc__)[:1]) or ABOUT[tag(frame)]
    return text.partition(". ")[0].rstrip(".") + "."


def _table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |".replace("|  |", "| |") for line in lines)
