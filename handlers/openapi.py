"""The HTTP interface described: OpenAPI 3.1 and docs/http.md, both from the operations and their types.

`document()` and `markdown()` need nothing that runs. `python -m handlers.openapi` prints the one, with `--markdown` the
other.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import msgspec

from handlers import (
    accounts,
    administration,
    call_recordings,
    calls,
    chat,
    factors,
    finance,
    guardians,
    media,
    moderation,
    notifications,
    payments,
    people,
    pledge_cases,
    pledge_evidence,
    pledge_seats,
    pledge_stakes,
    pledge_tasks,
    pledges,
    proofs,
    search,
    sessions,
    wallet,
)
from handlers.edge import SESSION_COOKIE, ErrorAnswer
from handlers.operations import BASE, Binary, Feed, Operation, Signed, Stream, Upload
from server import __version__
from server.errors import CODES, Code
from server.limits import LIMITS
from server.principals import Allow, Kind

_REF = "#/components/schemas/{name}"
#: Sent by every operation, and so not repeated in the records (`unauthenticated`: by a token that is not valid).
_ALWAYS = (Code.UNAUTHENTICATED, Code.UNAVAILABLE, Code.INTERNAL)
_TAGS = {
    "accounts": "Registering, one's own profile, leaving.",
    "sessions": "Signing in and out, where one is signed in, tokens for programs.",
    "people": "Finding people, friends, blocks.",
    "safety": "Second factors, and the proofs that are made with them.",
    "family": "Guardians of minors, and custody.",
    "payments": "What payment providers tell us.",
    "wallet": "What one has, topping up, paying out, paying people, statements and receipts.",
    "pledges": "Promises with a stake: drafting and publishing them, lists, one pledge.",
    "supervision": "Who supervises whom: applications, invitations, consent, cohorts.",
    "stakes": "Funding what is at stake, and chores.",
    "judging": "Reports, stamps, spot checks, meetings, and the outcome.",
    "evidence": "What both sides add as evidence, in a chain that nobody can change.",
    "proofs": "Live photos, places, and whether a picture was sealed here.",
    "cases": "Disputes and appeals, staff who supervise and review, records.",
    "notifications": "What one wants to hear of, quiet hours, read receipts, and pushes to browsers.",
    "conversations": "Direct and group conversations and their entries.",
    "calls": "Calls with sound and picture: ringing, seats, connections of media, recordings, snapshots.",
    "media": "Pictures, voices, videos and files: how they come in, and how they are read.",
    "search": "Finding what was said.",
    "finance": "For those who look after the money: approvals, disputes, adjustments, reconciliation, books, exports.",
    "moderation": "Reports, and what staff do about them.",
    "administration": "For those who run the whole system: people, roles, how the server is and was.",
}
INTRODUCTION = f"""\
JSON in and out. Times are integer milliseconds since 1970-01-01T00:00Z, ids are strings, unknown fields of a request
are refused. Every answer carries `X-Request-Id`; every status of 400 or more has the form of `ErrorAnswer`, and its
`code` never changes its meaning. Besides the errors named at an operation, each may answer `unauthenticated` (also
to a token that is not valid where anybody may call), `unavailable` and `internal`.

**Browsers** sign in and hold the cookie `{SESSION_COOKIE}` (HttpOnly, SameSite=Lax). Whatever changes something also
needs the value of the readable cookie `_xsrf` in the header `X-XSRFToken`; `GET {BASE}/me` sets that cookie, also when
it answers 401. **Programs** send `Authorization: Bearer …` with a token from `POST {BASE}/tokens`, and need neither.

What happens live (messages, typing, presence) comes over the WebSocket at `{BASE}/socket`: docs/protocol.md.
"""


def all_operations() -> list[Operation]:
    """Every operation, in the order in which people read about them."""
    return [
        *accounts.OPERATIONS,
        *sessions.OPERATIONS,
        *people.OPERATIONS,
        *factors.OPERATIONS,
        *guardians.OPERATIONS,
        *chat.OPERATIONS,
        *calls.OPERATIONS,
        *call_recordings.OPERATIONS,
        *media.OPERATIONS,
        *notifications.OPERATIONS,
        *payments.OPERATIONS,
        *wallet.OPERATIONS,
        *pledges.OPERATIONS,
        *pledge_seats.OPERATIONS,
        *pledge_stakes.OPERATIONS,
        *pledge_tasks.OPERATIONS,
        *pledge_evidence.OPERATIONS,
        *proofs.OPERATIONS,
        *pledge_cases.OPERATIONS,
        *search.OPERATIONS,
        *finance.OPERATIONS,
        *moderation.OPERATIONS,
        *administration.OPERATIONS,
    ]


def types() -> list[Any]:
    """Every type that a request or an answer has, each once."""
    found: dict[Any, None] = {}
    for operation in all_operations():
        for kind in (operation.request, operation.response):
            if kind not in (None, Upload, Signed, Binary, Stream, Feed):
                found[kind] = None
    return [*found, ErrorAnswer]


def errors_of(operation: Operation) -> list[Code]:
    """Every code that an operation may send, by status."""
    codes = {*operation.errors, *_ALWAYS}
    if operation.request is not None or operation.query is not None:
        codes.add(Code.BAD_REQUEST)
    if operation.request is not None:
        codes.add(Code.TOO_LARGE)
    if operation.signed:
        codes.discard(Code.UNAUTHENTICATED)
        codes.add(Code.FORBIDDEN)
    elif operation.changes_state:
        codes |= {Code.XSRF, Code.FORBIDDEN}
    if Kind.ANONYMOUS not in operation.allow.kinds:
        codes.add(Code.FORBIDDEN)
    return sorted(codes, key=lambda code: (CODES[code][0], code))


def who(allow: Allow) -> str:
    """Who may call, in words."""
    if allow.kinds == frozenset(Kind):
        return "anybody"
    kinds = " or ".join(kind.value for kind in Kind if kind in allow.kinds)
    return f"{kinds} with the role {allow.role.value}" if allow.role else kinds


def document() -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    kinds = types()
    references, schemas = msgspec.json.schema_components(kinds, ref_template=_REF)
    schema_of = dict(zip(kinds, references, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in all_operations():
        paths.setdefault(BASE + operation.path, {})[operation.method.lower()] = _described(operation, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Vouch", "version": __version__, "description": INTRODUCTION},
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "session": {"type": "apiKey", "in": "cookie", "name": SESSION_COOKIE},
                "xsrf": {"type": "apiKey", "in": "header", "name": "X-XSRFToken"},
                "token": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _described(operation: Operation, schema_of: dict[Any, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": f"{operation.description}\n\nWho: {who(operation.allow)}.".strip(),
        "x-allow": sorted(operation.allow.kinds),
        "security": _security(operation),
        "responses": _responses(operation, schema_of),
    }
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": _whole(kind)}
        for name, kind in operation.params.items()
    ]
    if operation.query is not None:
        _, components = msgspec.json.schema_components([operation.query], ref_template=_REF)
        parameters += [
            {**parameter, "schema": _resolved(parameter["schema"], components)}
            for parameter in query_parameters(operation.query)
        ]
    if parameters:
        described["parameters"] = parameters
    if operation.request is not None:
        types_ = operation.accepts or ("application/json",)
        raw = {"schema": {"type": "string", "format": "binary"}}
        content = raw if operation.accepts else {"schema": schema_of[operation.request]}
        described["requestBody"] = {"required": True, "content": dict.fromkeys(types_, content)}
    return described


def _whole(kind: Any) -> dict[str, Any]:
    """The schema of a plain type or an enumeration, without references to elsewhere."""
    (schema,), components = msgspec.json.schema_components([kind], ref_template=_REF)
    return dict(_resolved(schema, components))


def _resolved(schema: Any, components: dict[str, Any]) -> Any:
    """The schema with everything that it refers to in its place: parameters have no other way to name a type."""
    if isinstance(schema, list):
        return [_resolved(part, components) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _resolved(components[schema["$ref"].rpartition("/")[2]], components)
    return {name: _resolved(part, components) for name, part in schema.items()}


def _security(operation: Operation) -> list[dict[str, list[str]]]:
    browser: dict[str, list[str]] = {"session": [], **({"xsrf": []} if operation.changes_state else {})}
    if operation.signed:
        return [{}]
    if Kind.ANONYMOUS in operation.allow.kinds:
        return [{"xsrf": []}] if operation.changes_state else [{}]
    programs: list[dict[str, list[str]]] = [{"token": []}] if Kind.PROGRAM in operation.allow.kinds else []
    return [browser, *programs]


def _responses(operation: Operation, schema_of: dict[Any, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if operation.produces:
        content = {"content": {operation.produces: {"schema": {"type": "string", "format": "binary"}}}}
    elif operation.response is not None:
        content = {"content": {"application/json": {"schema": schema_of[operation.response]}}}
    responses: dict[str, Any] = {str(operation.status): {"description": "Done.", **content}}
    for status, meaning in operation.also.items():
        responses[str(status)] = {"description": meaning, **content}
    refused: dict[int, list[Code]] = {}
    for code in errors_of(operation):
        refused.setdefault(CODES[code][0], []).append(code)
    for status, codes in refused.items():
        responses[str(status)] = {
            "description": " ".join(f"`{code}`: {CODES[code][1]}" for code in codes),
            "content": {"application/json": {"schema": schema_of[ErrorAnswer]}},
        }
    return responses


def query_parameters(query: type[msgspec.Struct]) -> list[dict[str, Any]]:
    (reference,), components = msgspec.json.schema_components([query], ref_template=_REF)
    schema = components[reference["$ref"].rpartition("/")[2]]
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": kind}
        for name, kind in schema["properties"].items()
    ]


# ── For people ──────────────────────────────────────────────────────────────────────────────────────────────────────


def type_name(schema: dict[str, Any]) -> str:
    """A schema in a few words: `string`, `PersonCard`, `list of string`, `integer or null`."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(type_name(option) for option in schema["anyOf"]))
    if "enum" in schema:
        return " or ".join(f'"{value}"' for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {type_name(schema.get('items') or {})}"
    return str(schema.get("type", "any"))


def bounds(schema: dict[str, Any]) -> str:
    """What a value must keep to, in words."""
    names = {"minLength": "at least", "maxLength": "at most", "minimum": "≥", "maximum": "≤", "maxItems": "at most"}
    said = [
        f"{words} {schema[name]}" for name, words in names.items() if name in schema and abs(schema[name]) < 2**53 - 1
    ]
    if schema.get("default", msgspec.UNSET) not in (msgspec.UNSET, None, ""):
        said.append(f"default {json.dumps(schema['default'], ensure_ascii=False)}")
    described = [schema["description"]] if "description" in schema else []
    return "; ".join(described or said)


def markdown() -> str:
    """docs/http.md."""
    described = document()
    lines = [
        "# The HTTP interface",
        "",
        "Generated from the operations in `handlers/` by `python -m scripts.generate`; do not edit.",
        "",
        INTRODUCTION,
        f"The same as OpenAPI 3.1: `GET {BASE}/openapi.json`.",
    ]
    operations = {operation.id: operation for operation in all_operations()}
    for tag, about in _TAGS.items():
        lines += ["", f"## {tag.capitalize()}", "", about]
        for operation in operations.values():
            if operation.tag == tag:
                lines += ["", *_operation_lines(operation)]
    lines += ["", "## Types"]
    for name, schema in described["components"]["schemas"].items():
        if "properties" in schema or "enum" in schema:
            lines += ["", *_type_lines(name, schema)]
    lines += ["", "## Errors", "", "| code | status | meaning |", "|---|---|---|"]
    lines += [f"| `{code}` | {status} | {sentence} |" for code, (status, sentence) in CODES.items()]
    lines += ["", "## Limits", "", "Beyond them the answer is `too_often` with the seconds to wait.", ""]
    lines += ["| limit | how often | counted by |", "|---|---|---|"]
    lines += [f"| `{name}` | {limit.rate} | {limit.by} |" for name, limit in LIMITS.items()]
    return "\n".join(lines) + "\n"


def _operation_lines(operation: Operation) -> list[str]:
    lines = [
        f"### {operation.summary.rstrip('.')}",
        "",
        f"`{operation.method} {BASE}{operation.path}` (`{operation.id}`)",
    ]
    if operation.description:
        lines += ["", operation.description]
    request = ", ".join(operation.accepts) if operation.accepts else kind_name(operation.request)
    answer = operation.produces or kind_name(operation.response)
    statuses = " or ".join(str(status) for status in (operation.status, *operation.also))
    codes = ", ".join(f"`{code}`" for code in errors_of(operation) if code not in _ALWAYS)
    lines += ["", f"- Who: {who(operation.allow)}"]
    if operation.request is not None:
        lines.append(f"- Request: {request}, at most {operation.body_limit // 1024} KiB")
    for parameter in query_parameters(operation.query) if operation.query is not None else ():
        said = bounds(parameter["schema"])
        tail = f" ({said})" if said else ""
        lines.append(f"- `?{parameter['name']}`: {type_name(parameter['schema'])}{tail}")
    lines.append(f"- Answer: {statuses}{f', {answer}' if answer else ''}")
    if codes:
        lines.append(f"- Errors: {codes}")
    return lines


def _type_lines(name: str, schema: dict[str, Any]) -> list[str]:
    lines = [f"### {name}"]
    if "description" in schema:
        lines += ["", schema["description"]]
    if "enum" in schema:
        return [*lines, "", type_name(schema)]
    lines += ["", "| field | type | |", "|---|---|---|"]
    required = schema.get("required", [])
    for field, kind in schema["properties"].items():
        note = bounds(kind)
        optional = "" if field in required else "optional"
        lines.append(
            f"| `{field}` | {type_name(kind)} | {'; '.join(filter(None, (optional, note)))} |".replace("  |", " |")
        )
    return lines


def kind_name(kind: Any) -> str:
    """A request's or answer's type in words; empty for none."""
    if kind is None:
        return ""
    (schema,), _ = msgspec.json.schema_components([kind], ref_template=_REF)
    return type_name(schema)


if __name__ == "__main__":
    sys.stdout.write(markdown() if "--markdown" in sys.argv[1:] else json.dumps(document(), indent=2) + "\n")
