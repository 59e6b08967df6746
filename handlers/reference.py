"""The readable page of the HTTP interface, made from the same records: no script, no foreign server, both themes."""

from __future__ import annotations

import re
from functools import cache
from html import escape
from typing import Any

import msgspec

from handlers import openapi
from handlers.edge import EdgeHandler
from handlers.operations import BASE, Operation
from server.errors import CODES

_STYLE = """\
:root { color-scheme: light dark; --paper: #FAF8F4; --card: #FFFFFF; --ink: #1F2A37; --ink-2: #5B6675;
  --line: #E4DFD6; --jade: #1F6F5C; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14181E; --card: #1C222B; --ink: #E8E6E1; --ink-2: #A3ADBA; --line: #2E3744; --jade: #6FD0B4; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.6 system-ui, sans-serif; }
main { max-width: 860px; margin: 0 auto; padding: 32px 20px 80px; }
h1 { font-size: 28px; } h2 { font-size: 22px; margin-top: 48px; }
h3 { font-size: 17px; margin: 0 0 4px; }
section.op, section.type { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 16px 20px; margin: 14px 0; overflow-x: auto; }
code { font: 14px/1.5 ui-monospace, monospace; overflow-wrap: anywhere; }
.call { color: var(--jade); } .quiet, th { color: var(--ink-2); }
a { color: inherit; } a:focus-visible { outline: 2px solid var(--jade); outline-offset: 2px; }
nav { columns: 2; column-gap: 40px; } @media (max-width: 560px) { nav { columns: 1; } }
nav ul { list-style: none; margin: 0 0 18px; padding: 0; } nav li { break-inside: avoid; }
nav a { text-decoration: none; line-height: 1.9; } nav a:hover { text-decoration: underline; }
table { border-collapse: collapse; width: 100%; font-size: 15px; }
td:first-child { width: 34%; } section.type td:nth-child(2) { width: 30%; }
th, td { text-align: left; vertical-align: top; padding: 5px 12px 5px 0; border-top: 1px solid var(--line); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 16px; margin: 10px 0 0; }
dt { color: var(--ink-2); } dd { margin: 0; overflow-wrap: anywhere; }
"""


class DocumentHandler(EdgeHandler):
    """GET /api/v1/openapi.json"""

    operation_id = "openapi"

    def get(self) -> None:
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "no-cache")
        self.finish(_document())


class StyleHandler(EdgeHandler):
    operation_id = "docs"

    def get(self) -> None:
        self.set_header("Content-Type", "text/css; charset=utf-8")
        self.set_header("Cache-Control", "no-cache")
        self.finish(_STYLE)


class PageHandler(EdgeHandler):
    """GET /docs"""

    operation_id = "docs"

    def get(self) -> None:
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Cache-Control", "no-cache")
        self.finish(page())


@cache
def _document() -> bytes:
    return msgspec.json.encode(openapi.document())


@cache
def page() -> str:
    """The whole page as HTML."""
    document = openapi.document()
    operations = openapi.all_operations()
    schemas: dict[str, Any] = document["components"]["schemas"]
    parts = [
        "<h1>The HTTP interface of Vouch</h1>",
        _prose(openapi.INTRODUCTION),
        f'<p>The same for machines: <a href="{BASE}/openapi.json">OpenAPI 3.1</a>.</p>',
        '<nav aria-label="Operations">',
    ]
    for tag in document["tags"]:
        parts.append(f'<ul><li class="quiet">{escape(tag["name"].capitalize())}</li>')
        parts += [f'<li><a href="#{op.id}">{_title(op)}</a></li>' for op in operations if op.tag == tag["name"]]
        parts.append("</ul>")
    parts.append("</nav>")
    for tag in document["tags"]:
        parts.append(f"<h2>{escape(tag['name'].capitalize())}</h2><p>{escape(tag['description'])}</p>")
        parts += [_operation(op, schemas) for op in operations if op.tag == tag["name"]]
    parts.append("<h2>Types</h2>")
    parts += [_type(name, schema, schemas) for name, schema in schemas.items()]
    parts.append("<h2>Errors</h2><table><tr><th>code<th>status<th>meaning</tr>")
    parts += [
        f"<tr><td><code>{code}</code><td>{status}<td>{escape(sentence)}</tr>"
        for code, (status, sentence) in CODES.items()
    ]
    parts.append("</table>")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>Vouch: HTTP interface</title>'
        '<link rel="icon" href="data:,">'
        '<link rel="stylesheet" href="/docs.css"></head><body><main>' + "\n".join(parts) + "</main></body></html>\n"
    )


def _operation(operation: Operation, schemas: dict[str, Any]) -> str:
    rest = operation.summary.partition(". ")[2]
    rest = rest and rest + "\n\n"
    rows = [("Who", escape(openapi.who(operation.allow)))]
    if operation.accepts:
        rows.append(("Request", escape(", ".join(operation.accepts))))
    elif operation.request is not None:
        rows.append(("Request", _linked(openapi.kind_name(operation.request), schemas)))
    for parameter in openapi.query_parameters(operation.query) if operation.query else ():
        kind = parameter["schema"]
        rows.append(
            (f"?{parameter['name']}", f"{_linked(openapi.type_name(kind), schemas)} {escape(openapi.bounds(kind))}")
        )
    answer = operation.produces or openapi.kind_name(operation.response)
    statuses = " or ".join(map(str, (operation.status, *operation.also)))
    rows.append(("Answer", f"{statuses} {_linked(answer, schemas)}"))
    rows.append(("Errors", " ".join(f"<code>{code}</code>" for code in openapi.errors_of(operation))))
    return (
        f'<section class="op" id="{operation.id}"><h3>{_title(operation)}</h3>'
        f'<code class="call">{operation.method} {escape(BASE + operation.path)}</code>'
        f"{_prose(rest + operation.description)}<dl>"
        + "".join(f"<dt>{escape(name)}</dt><dd>{value}</dd>" for name, value in rows)
        + "</dl></section>"
    )


def _title(operation: Operation) -> str:
    """The first sentence, without its stop."""
    return escape(operation.summary.partition(". ")[0].rstrip("."), quote=False)


def _type(name: str, schema: dict[str, Any], schemas: dict[str, Any]) -> str:
    head = f'<section class="type" id="type-{escape(name)}"><h3>{escape(name)}</h3>'
    head += _prose(schema.get("description", ""))
    if "properties" not in schema:
        return f"{head}<p>{escape(openapi.type_name(schema))}</p></section>"
    required = schema.get("required", [])
    rows = "".join(
        f"<tr><td><code>{escape(field)}</code>{'' if field in required else ' <span class=quiet>optional</span>'}"
        f"<td>{_linked(openapi.type_name(kind), schemas)}<td>{escape(openapi.bounds(kind))}</tr>"
        for field, kind in schema["properties"].items()
    )
    return f"{head}<table><tr><th>field<th>type<th></tr>{rows}</table></section>"


def _linked(text: str, schemas: dict[str, Any]) -> str:
    """Names of types become links to them."""
    return re.sub(
        r"\w+", lambda word: f'<a href="#type-{word[0]}">{word[0]}</a>' if word[0] in schemas else word[0], escape(text)
    )


def _prose(text: str) -> str:
    """Paragraphs of plain Markdown: code and bold are all that we write."""
    html = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))
    html = re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", html)
    return "".join(f"<p>{paragraph.strip()}</p>" for paragraph in html.split("\n\n") if paragraph.strip())
