"""The records: what the decorator reads from a function, how requests are decoded."""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from handlers import openapi
from handlers.operations import Binary, Call, Operation, Signed, Upload, operation
from server.errors import CODES, Code, VouchError
from server.principals import ANYBODY, PEOPLE, Allow
from tests.attempts import attempt

#: requests that are bytes
RAW = (None, Upload, Signed)
Number = Annotated[int, Meta(ge=1, le=9)]
Letters = Annotated[str, Meta(pattern=r"^[a-z]+$")]


class Part(msgspec.Struct, forbid_unknown_fields=True):
    number: Number


class Order(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    parts: list[Part] = []
    notes: dict[str, Number] = {}


class Filter(msgspec.Struct, forbid_unknown_fields=True):
    limit: Number = 5
    after: str | None = None


@operation("POST", "/orders/{place}", allow=PEOPLE, tag="t", status=201, errors=(Code.CONFLICT,))
async def make_order(call: Call, place: Letters, body: Order, query: Filter) -> Part:
    """Make an order.

    At most nine parts.
    """
    return Part(query.limit)


def test_a_record_is_read_from_a_function() -> None:
    assert (make_order.id, make_order.summary, make_order.description) == (
        "make_order",
        "Make an order.",
        "At most nine parts.",
    )
    assert (make_order.request, make_order.query, make_order.response) == (Order, Filter, Part)
    assert dict(make_order.params) == {"place": Letters}
    assert (make_order.status, make_order.changes_state) == (201, True)
    assert re.match(make_order.pattern, "/api/v1/orders/x")
    assert not re.match(make_order.pattern, "/api/v1/orders/x/y")


def test_what_does_not_fit_is_told_when_the_module_is_loaded() -> None:
    async def undocumented(call: Call) -> None: ...

    async def forgetful(call: Call) -> None:
        """Forgets its part."""

    async def raw(call: Call, body: Upload) -> None:
        """Does not say what it takes."""

    async def picture(call: Call) -> Binary:
        """Does not say what it gives."""
        return Binary("image/png", b"")

    for function, path in ((undocumented, "/x"), (forgetful, "/x/{part}"), (raw, "/x"), (picture, "/x")):
        with pytest.raises(TypeError):
            operation("GET", path, allow=ANYBODY, tag="t")(function)
    with pytest.raises(TypeError):
        operation("GET", "/x", tag="t")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{}", "name"),
        (b'{"name":1}', "name"),
        (b'{"name":"x","extra":1}', "extra"),
        (b'{"name":"x","parts":[{"number":1},{"number":0}]}', "parts.1.number"),
        (b'{"name":"x","parts":[{"number":1,"colour":2}]}', "parts.0.colour"),
        (b'{"name":"x","parts":[{}]}', "parts.0.number"),
        (b'{"name":"x","notes":{"a":99}}', "notes"),
        (b"[]", None),
        (b"", None),
        (b'{"name":', None),
        (b"\xff\xfe", None),
        (b'{"name":"\xff"}', None),
        (b"[" * 100_000, None),
    ],
)
def test_a_wrong_request_names_its_field(body: bytes, field: str | None) -> None:
    with pytest.raises(VouchError) as caught:
        make_order.decode_request("application/json; charset=utf-8", body)
    assert (caught.value.code, caught.value.field) == (Code.BAD_REQUEST, field)
    assert "`$" not in caught.value.message


def test_a_signed_request_comes_with_its_headers_and_needs_no_page() -> None:
    @operation("POST", "/x", allow=ANYBODY, tag="t", accepts=("application/json",))
    async def hear(call: Call, body: Signed) -> None:
        """Hear of something."""

    assert (hear.signed, make_order.signed) == (True, False)
    headers = {"Content-Type": "application/json; charset=utf-8", "X-Signature": "A"}
    heard = hear.decode_request(headers["Content-Type"], b"{ }", headers)
    assert (heard.data, heard.headers["x-signature"]) == (b"{ }", "A")
    with pytest.raises(VouchError):
        hear.decode_request("text/plain", b"{ }", headers)
    assert Code.XSRF not in openapi.errors_of(hear)
    assert Code.FORBIDDEN in openapi.errors_of(hear)


@given(st.binary(max_size=300))
def test_any_bytes_are_an_order_or_refused(data: bytes) -> None:
    order = attempt(lambda: make_order.decode_request("application/json", data))
    assert isinstance(order, Order) or order.code is Code.BAD_REQUEST


@given(st.dictionaries(st.text(max_size=8), st.lists(st.binary(max_size=8), max_size=3), max_size=4))
def test_any_query_is_a_filter_or_refused(arguments: dict[str, list[bytes]]) -> None:
    query = attempt(lambda: make_order.decode_query(arguments))
    assert isinstance(query, Filter) or query.code is Code.BAD_REQUEST


def test_queries() -> None:
    assert make_order.decode_query({"limit": [b"3"], "after": [b"x"]}) == Filter(3, "x")
    for arguments, field in (
        ({"limit": [b"0"]}, "limit"),
        ({"limit": [b"many"]}, "limit"),
        ({"limit": [b"1", b"2"]}, "limit"),
        ({"after": [b"\xff"]}, "after"),
        ({"colour": [b"red"]}, "colour"),
    ):
        with pytest.raises(VouchError) as caught:
            make_order.decode_query(arguments)
        assert caught.value.field == field


def test_an_id_of_another_form_names_nothing() -> None:
    assert make_order.decode_params({"place": "abc"}) == {"place": "abc"}
    with pytest.raises(VouchError, match="not_found"):
        make_order.decode_params({"place": "ABC"})


def test_other_content_types_are_refused() -> None:
    for content_type in ("", "text/plain", "application/x-www-form-urlencoded"):
        with pytest.raises(VouchError, match="application/json"):
            make_order.decode_request(content_type, b"{}")


# ── All operations ──────────────────────────────────────────────────────────────────────────────────────────────────


ALL = openapi.all_operations()


def ids(operations: list[Operation]) -> list[str]:
    return [one.id for one in operations]


def test_ids_and_addresses_are_unique() -> None:
    assert len(set(ids(ALL))) == len(ALL)
    assert len({(one.method, one.path) for one in ALL}) == len(ALL)


@pytest.mark.parametrize("one", ALL, ids=ids(ALL))
def test_every_operation_says_what_it_must(one: Operation) -> None:
    assert isinstance(one.allow, Allow)
    assert one.allow.kinds
    assert one.summary.endswith(".")
    assert one.tag in {tag["name"] for tag in openapi.document()["tags"]}
    assert set(one.errors) <= set(CODES)
    assert (one.response is None) == (one.status == 204)
    assert 0 < one.body_limit <= 4 * 1024 * 1024


def structs_in(kind: Any) -> set[type[msgspec.Struct]]:
    """Every Struct that a type is made of."""
    found: set[type[msgspec.Struct]] = set()

    def walk(info: Any) -> None:
        if isinstance(info, msgspec.inspect.StructType):
            if info.cls in found:
                return
            found.add(info.cls)
            for field in info.fields:
                walk(field.type)
        for name in ("types", "item_types"):
            for part in getattr(info, name, ()):
                walk(part)
        for name in ("item_type", "key_type", "value_type", "type"):
            if (part := getattr(info, name, None)) is not None:
                walk(part)

    walk(msgspec.inspect.type_info(kind))
    return found


@pytest.mark.parametrize("one", [op for op in ALL if op.request not in RAW], ids=lambda one: one.id)
def test_requests_refuse_fields_that_they_do_not_know(one: Operation) -> None:
    structs = structs_in(one.request)
    assert structs
    for struct in structs:
        assert struct.__struct_config__.forbid_unknown_fields, struct


def test_requests_bound_their_numbers() -> None:
    """msgspec would take an integer of any length; a database would not."""
    schemas = openapi.document()["components"]["schemas"]

    def unbounded(schema: Any) -> bool:
        if isinstance(schema, dict):
            if schema.get("type") == "integer" and "maximum" not in schema and "enum" not in schema:
                return True
            return any(unbounded(part) for part in schema.values())
        return isinstance(schema, list) and any(unbounded(part) for part in schema)

    asked = {struct.__name__ for op in ALL if op.request not in RAW for struct in structs_in(op.request)}
    assert {name for name in asked if unbounded(schemas[name])} == set()
