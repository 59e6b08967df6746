"""Entries that the database cannot hold are refused alone: whatever shares their batch is stored (DESIGN section 2)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from server.errors import Code, VouchError
from server.realtime.channels import Draft
from tests.conftest import RunningServer
from tests.wire.client import Crowd, client_id

POISON: dict[str, dict[str, Any]] = {
    "a number of 30 digits": {"text": "a", "amount": int("9" * 30)},
    "NUL in a key": {"text": "a", "a\0b": 1},
    "a lone surrogate": {"text": "\ud800"},
    "a lone surrogate as a key": {"\udfff": "a"},
    "seventeen megabytes": {"text": "x" * 17_000_000},
    "nested a thousand deep": {"text": "a"},
    "a number as a key": {"text": "a", "inner": {7: 1}},
}
deep: dict[str, Any] = POISON["nested a thousand deep"]
for _ in range(1_000):
    deep["a"] = deep = {}


async def test_poison_hurts_nobody_else(crowd: Crowd, server: RunningServer) -> None:
    """Even when a domain of ours hands it over, past all checks of what clients send."""
    lin, mei = await crowd.friends("lin", "mei")
    ch = await crowd.direct(lin, mei)
    from_lin, from_mei = await lin.socket(), await mei.socket()
    await from_mei.subscribe(ch)
    hub, head = server.services.hub, 1

    async def poison(what: str) -> None:
        with pytest.raises(VouchError) as refused:
            await hub.append(Draft(ch, lin.id, client_id(), "message", POISON[what]))
        assert refused.value.code in (Code.BAD_REQUEST, Code.TOO_LARGE), what

    for what in POISON:
        numbers = await asyncio.gather(
            from_lin.write(ch, "before"),
            poison(what),
            from_lin.write(ch, "beside"),
            poison(what),
            from_lin.write(ch, "behind"),
        )
        assert list(numbers[::2]) == [head + 1, head + 2, head + 3], what
        head += 3
        await from_mei.entry(ch, seq=head)
    assert from_mei.numbers(ch) == list(range(2, head + 1))
    assert await from_mei.write(ch, "and on") == head + 1


async def test_what_looks_like_poison_and_is_not(crowd: Crowd) -> None:
    """All of Unicode is welcome: NUL, joined emoji, right-to-left marks, the last code point."""
    lin, mei = await crowd.friends("lin", "mei")
    ch = await crowd.direct(lin, mei)
    from_lin, from_mei = await lin.socket(), await mei.socket()
    await from_mei.subscribe(ch)
    texts = [
        "a\0b",
        "👩‍👩‍👧‍👦",
        "\u202eabc",
        "\U0010ffff",
        "\ufeff.",
        "𝓗𝓮𝓵𝓵𝓸",
        "a" * 16_000,
        "文" * 16_000,
        "$where",
        "{}",
    ]
    for text in texts:
        seq = await from_lin.write(ch, text)
        assert (await from_mei.entry(ch, seq=seq))["body"] == {"text": text}
    page = await from_mei.page(ch, limit=len(texts))
    assert [entry["body"]["text"] for entry in page["entries"]] == texts
