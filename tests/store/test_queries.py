"""No query that one of the two database engines answers slowly or wrongly (DESIGN 5, measured on 60,000 documents)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: method → what to do instead
CALLS = {
    "find_one_and_update": "update_one({_id, version})",
    "find_one_and_replace": "update_one({_id, version})",
    "find_one_and_delete": "delete_one({_id}) and look at deleted_count",
    "count_documents": "keep counts",
    "estimated_document_count": "keep counts",
    "hint": "an index that fits",
    "aggregate": "narrow finds; where it must be, add it here with its cost",
}
#: operators in query documents → what to do instead
OPERATORS = {"$or": "two queries", "$text": "own search terms", "$near": "$geoNear", "$where": "a rule"}


def sources() -> Iterator[Path]:
    for package in ("server", "handlers"):
        yield from (ROOT / package).rglob("*.py")


def faults(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CALLS:
            yield node.lineno, f"{node.func.attr}: use {CALLS[node.func.attr]}"
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if not isinstance(key, ast.Constant):
                    continue
                if key.value in OPERATORS:
                    yield node.lineno, f"{key.value}: use {OPERATORS[key.value]}"
                if key.value == "_id" and isinstance(value, ast.Dict):
                    ranges = {k.value for k in value.keys if isinstance(k, ast.Constant)} & {
                        "$gt",
                        "$gte",
                        "$lt",
                        "$lte",
                    }
                    if ranges:
                        yield node.lineno, "a range on _id: use another index"


def test_no_source_makes_a_call_that_is_slow_on_one_of_the_engines() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for path in sources()
        for line, text in faults(ast.parse(path.read_text()))
    ]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "await rows.find_one_and_update({}, {})",
        "await rows.count_documents({})",
        "rows.find({'$or': [{'a': 1}, {'b': 2}]})",
        "rows.find({'_id': {'$gte': 'a', '$lt': 'b'}})",
    ],
)
def test_the_test_finds_what_it_looks_for(source: str) -> None:
    assert list(faults(ast.parse(source, mode="exec") if "await" not in source else _wrapped(source)))


def _wrapped(source: str) -> ast.AST:
    return ast.parse(f"async def f():\n    {source}")
