"""The TypeScript types of the clients, by json-schema-to-typescript.

Frames become unions that TypeScript narrows by `t`, entries unions that it narrows by `kind`.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from scripts.generation.schemas import (
    CLIENT_FRAMES,
    SERVER_FRAMES,
    Schema,
    paragraphs,
    protocol_components,
)
from server.errors import CODES
from server.realtime import protocol
from server.realtime.channels import ChannelKind

PACKAGE = Path(__file__).resolve().parents[2] / "static" / "packages" / "realtime"
#: Names that would hide one of the language's own.
RENAMED = {"Error": "ErrorFrame"}
_CONSTANTS = (
    "VERSION",
    "MAX_FRAME",
    "MAX_BODY",
    "MAX_PAGE",
    "MAX_REPLAY",
    "MAX_CHANNELS_PER_FRAME",
    "MAX_CHANNELS",
    "HELLO_WITHIN",
)
_BANNER = "// Written by `python -m scripts.generate` from the server's types. Change those, not this.\n"


class GenerationError(Exception):
    """Something that the generation needs is missing; the text says what to do."""


def protocol_module(kinds: Iterable[ChannelKind]) -> str:
    """src/generated/protocol.ts: frames, entries with their bodies, constants."""
    kinds = list(kinds)
    definitions = _renamed(protocol_components(kinds))
    client = [RENAMED.get(frame.__name__, frame.__name__) for frame in CLIENT_FRAMES]
    server = [RENAMED.get(frame.__name__, frame.__name__) for frame in SERVER_FRAMES]
    parts = [
        _BANNER,
        _compiled(definitions),
        _union("ClientFrame", "Every frame that a client may send.", client),
        _union("ServerFrame", "Every frame that the server sends.", server),
        _entries(kinds),
        _constants(),
    ]
    return "\n".join(parts)


def http_module(document: dict[str, Any], kinds: Iterable[ChannelKind]) -> str:
    """src/generated/http.ts: requests, answers and the table of operations of the HTTP API.

    `document` is the OpenAPI document. Types that the protocol has as well are imported from there.
    """
    shared = {RENAMED.get(name, name) for name in protocol_components(kinds)}
    text = json.dumps(document["components"]["schemas"]).replace("#/components/schemas/", "#/$defs/")
    definitions = _renamed(json.loads(text))
    imported = sorted(name for name in definitions if name in shared)
    own: dict[str, Schema] = {
        name: _with_imports(schema, shared) for name, schema in definitions.items() if name not in shared
    }
    compiled = _compiled(own)
    used = [name for name in imported if re.search(rf"\b{name}\b", compiled)]
    head = f"import type {{ {', '.join(used)} }} from './protocol.js'\n" if used else ""
    return "\n".join([_BANNER, head, compiled, _operations(document)])


def _with_imports(schema: Any, shared: set[str]) -> Any:
    if isinstance(schema, list):
        return [_with_imports(item, shared) for item in schema]
    if not isinstance(schema, dict):
        return schema
    name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    if name in shared:
        return {"tsType": name}
    return {key: _with_imports(value, shared) for key, value in schema.items()}


def _renamed(definitions: dict[str, Schema]) -> dict[str, Schema]:
    text = json.dumps(definitions)
    for old, new in RENAMED.items():
        text = text.replace(f'"#/$defs/{old}"', f'"#/$defs/{new}"')
    renamed: dict[str, Schema] = {}
    for name, schema in json.loads(text).items():
        name = RENAMED.get(name, name)
        if "description" in schema:
            wrapped = (textwrap.fill(part, 110) for part in paragraphs(schema["description"]))
            schema["description"] = "\n\n".join(wrapped)
        renamed[name] = {**_opened(schema), "title": name}
    return renamed


def _opened(schema: Any) -> Any:
    """Objects whose fields are not told become maps, as on the wire; limits of arrays say nothing in TypeScript."""
    if isinstance(schema, list):
        return [_opened(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") == "object" and not schema.keys() & {"properties", "additionalProperties"}:
        schema = {**schema, "tsType": "Record<string, unknown>"}
    return {key: _opened(value) for key, value in schema.items() if key not in ("minItems", "maxItems")}


def _compiled(definitions: dict[str, Schema]) -> str:
    node = shutil.which("node")
    if node is None:
        raise GenerationError("Node is missing: install Node 20.19 or later.")
    schema = {"$defs": definitions, "title": "Root", "type": "object"}
    done = subprocess.run(
        [node, str(PACKAGE / "build" / "types.mjs")],
        input=json.dumps(schema),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise GenerationError(f"json-schema-to-typescript failed; is `npm ci` done?\n{done.stderr.strip()}")
    return done.stdout


def _union(name: str, about: str, members: list[str]) -> str:
    lines = "".join(f"\n  | {member}" for member in members)
    return f"/** {about} */\nexport type {name} ={lines}\n"


def _entries(kinds: list[ChannelKind]) -> str:
    parts = [
        "/** An entry whose kind and body are known. The body of a scrubbed entry (`gone`) is empty. */\n"
        "export type EntryOf<K extends string, B> = Omit<Entry, 'kind' | 'body'> & { kind: K; body: B }\n"
    ]
    for kind in kinds:
        name = kind.name.capitalize()
        members = [f"EntryOf<'{entry.name}', {entry.body.__name__}>" for entry in kind.entries]
        parts.append(_union(f"{name}Entry", f"The entries of `{kind.name}:` channels.", members or ["never"]))
        for heading, about, chosen in (
            ("Append", "What clients may append", [entry for entry in kind.entries if entry.by_clients]),
            ("Countable", "What counts as unread", [entry for entry in kind.entries if entry.countable]),
        ):
            words = [f"'{entry.name}'" for entry in chosen]
            parts.append(_union(f"{name}{heading}", f"{about} in `{kind.name}:` channels.", words or ["never"]))
        fields = "".join(f"\n  {signal}: {body.__name__}" for signal, body in kind.signals.items())
        body = f"{{{fields}\n}}" if fields else "Record<string, never>"
        parts.append(
            f"/** The signals of `{kind.name}:` channels and their bodies. */\nexport type {name}Signals = {body}\n"
        )
    return "\n".join(parts)


def _constants() -> str:
    lines = [f"export const {name} = {getattr(protocol, name):g}" for name in _CONSTANTS]
    lines.append("\n/** Close codes: 4000–4499 come back and resume, 4500–4999 do not come back by themselves. */")
    lines.append("export const CLOSE = {")
    for close, reason in protocol.CLOSE_REASONS.items():
        lines += [f"  /** {reason} */", f"  {close.name}: {close.value},"]
    lines.append("} as const\n")
    lines.append("/** All error codes; the type `Code` is their union. */")
    lines.append("export const CODES = [")
    lines += [f"  '{code.value}'," for code in CODES]
    lines.append("] as const satisfies readonly Code[]\n")
    return "\n".join(lines)


def _operations(document: dict[str, Any]) -> str:
    lines = [
        "/** Every operation of the HTTP API: how it is called, what it takes, what it answers. */",
        "export interface Operations {",
    ]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if "operationId" not in operation:
                continue
            if summary := operation.get("summary"):
                lines.append(f"  /** {summary} */")
            lines += [
                f"  {operation['operationId']}: {{",
                f"    method: '{method.upper()}'",
                f"    path: '{path}'",
                f"    request: {_request(operation)}",
                f"    answer: {_answer(operation)}",
                "  }",
            ]
    lines.append("}\n")
    return "\n".join(lines)


def _request(operation: dict[str, Any]) -> str:
    content = operation.get("requestBody", {}).get("content", {})
    return _named(content) if content else "null"


def _answer(operation: dict[str, Any]) -> str:
    names = {
        _named(answer["content"]) if answer.get("content") else "null"
        for status, answer in operation["responses"].items()
        if str(status).startswith("2")
    }
    return " | ".join(sorted(names)) or "null"


def _named(content: dict[str, Any]) -> str:
    schema = content.get("application/json", {}).get("schema")
    if schema is None:
        return "Blob"
    name = str(schema.get("$ref", "")).rsplit("/", 1)[-1]
    if name:
        return RENAMED.get(name, name)
    options = schema.get("anyOf") or schema.get("oneOf") or []
    words = [str(option.get("$ref", "")).rsplit("/", 1)[-1] for option in options]
    return " | ".join(words) if words and all(words) else "unknown"
