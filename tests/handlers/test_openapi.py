"""The description fits what is described."""

from __future__ import annotations

import re

from openapi_spec_validator import OpenAPIV31SpecValidator

from handlers import openapi, reference
from handlers.operations import BASE
from server.errors import CODES, Code
from server.principals import ADMINS, Kind
from tests.conftest import RunningServer
from tests.handlers.conftest import Client


def test_the_document_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(openapi.document()).validate()


def test_every_operation_is_described() -> None:
    paths = openapi.document()["paths"]
    for operation in openapi.all_operations():
        described = paths[BASE + operation.path][operation.method.lower()]
        assert described["operationId"] == operation.id
        assert described["x-allow"] == sorted(operation.allow.kinds)
        assert str(operation.status) in described["responses"]
        for code in operation.errors:
            assert f"`{code}`" in described["responses"][str(CODES[code][0])]["description"]
        named = {p["name"] for p in described.get("parameters", []) if p["in"] == "path"}
        assert named == set(operation.params)
    assert sum(map(len, paths.values())) == len(openapi.all_operations())


def test_who_may_call_is_said_in_words() -> None:
    assert openapi.who(ADMINS) == "person with the role admin"
    by_id = {operation.id: operation for operation in openapi.all_operations()}
    assert openapi.who(by_id["register"].allow) == "anybody"
    assert openapi.who(by_id["get_me"].allow) == "person or program"
    assert Kind.PROGRAM not in by_id["change_password"].allow.kinds


def test_errors_follow_from_what_an_operation_does() -> None:
    by_id = {operation.id: operation for operation in openapi.all_operations()}
    assert Code.XSRF not in openapi.errors_of(by_id["get_me"])
    assert Code.UNAUTHENTICATED in openapi.errors_of(by_id["get_me"])
    assert Code.XSRF in openapi.errors_of(by_id["register"])
    assert Code.TOO_LARGE in openapi.errors_of(by_id["put_avatar"])


def test_the_markdown_names_everything() -> None:
    text = openapi.markdown()
    for operation in openapi.all_operations():
        assert f"`{operation.method} {BASE}{operation.path}` (`{operation.id}`)" in text
    for code in CODES:
        assert f"| `{code}` |" in text
    for name in ("Me", "PersonCard", "ErrorAnswer", "RegisterRequest"):
        assert f"\n### {name}\n" in text
    assert not re.search(r"[ \t]$", text, re.MULTILINE)


def test_the_page_has_every_operation_and_no_script() -> None:
    page = reference.page()
    assert all(f'id="{operation.id}"' in page for operation in openapi.all_operations())
    assert "<script" not in page
    assert "style=" not in page
    for target in re.findall(r'href="#([^"]+)"', page):
        assert f'id="{target}"' in page


def test_types_in_words() -> None:
    assert openapi.type_name({"type": "array", "items": {"$ref": "#/components/schemas/Me"}}) == "list of Me"
    assert openapi.type_name({"anyOf": [{"type": "string"}, {"type": "null"}]}) == "string or null"
    assert openapi.type_name({"enum": ["a", "b"]}) == '"a" or "b"'
    assert openapi.type_name({}) == "any"
    assert openapi.bounds({"minimum": 1, "maximum": 9, "default": 5}) == "≥ 1; ≤ 9; default 5"
    assert openapi.bounds({"maximum": 2**53 - 1}) == ""


async def test_document_page_and_style_are_served(server: RunningServer) -> None:
    client = Client(server.url)
    answer = await client.get("/openapi.json")
    assert answer.json["info"]["title"] == "Vouch"
    answer = await client.get("//docs")
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "'unsafe-inline'" not in answer.headers["Content-Security-Policy"]
    answer = await client.get("//docs.css")
    assert b"prefers-color-scheme: dark" in answer.data
