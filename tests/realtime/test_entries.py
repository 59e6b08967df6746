"""Finding the head of a channel from any hint, and reading pages with their modifiers (DESIGN 2)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from server.realtime.entries import EntryLog, Head
from server.settings import Settings
from server.store import Document, Store
from tests.conftest import Run

AT = datetime(2026, 11, 22, 13, 0, tzinfo=UTC)
LENGTH = 700


def row(seq: int, **more: Any) -> Document:
    return {
        "_id": f"p_1:id{seq:020}",
        "ch": "conv:a",
        "seq": seq,
        "n": seq,
        "at": AT + timedelta(seconds=seq),
        "by": "p_1",
        "kind": "message",
        "body": {"text": f"word {seq}"},
        "digest": b"",
        "node": "n_1",
        **more,
    }


@pytest.fixture
def log(settings: Settings, run: Run[Any]) -> Iterator[EntryLog]:
    store = Store(settings.mongodb_uri, settings.database)
    log = EntryLog(store)
    run(log.ensure_indexes())
    run(log.insert([row(seq) for seq in range(1, LENGTH + 1)]))
    yield log
    store.close()


@pytest.mark.parametrize("hint", [0, 1, 63, 64, 65, 300, LENGTH - 65, LENGTH - 64, LENGTH - 63, LENGTH - 1, LENGTH])
async def test_the_head_is_found_from_any_hint_behind_it(log: EntryLog, hint: int) -> None:
    head = await log.head("conv:a", Head(hint, hint))
    assert (head.seq, head.n, head.at) == (LENGTH, LENGTH, AT + timedelta(seconds=LENGTH))


async def test_an_empty_channel_has_head_zero(log: EntryLog) -> None:
    assert await log.head("conv:none") == Head()


async def test_saved_heads_come_back_and_an_older_one_changes_nothing(log: EntryLog) -> None:
    await log.save_heads({"conv:a": Head(500, 500, AT)})
    await log.save_heads({"conv:a": Head(200, 200, AT)})
    assert (await log.saved_heads(["conv:a", "conv:b"])) == {"conv:a": Head(500, 500, AT)}
    assert (await log.head("conv:a")).seq == LENGTH


async def test_reads_are_in_order_and_bounded(log: EntryLog) -> None:
    assert [e.seq for e in await log.read("conv:a", 690, 705)] == list(range(690, LENGTH + 1))
    assert await log.read("conv:a", 5, 4) == []
    assert (await log.point("conv:a", 7)) is not None
    assert (await log.point("conv:a", LENGTH + 1)) is None


async def test_modifiers_are_found_by_what_they_refer_to(log: EntryLog) -> None:
    later = [
        row(LENGTH + 1, kind="edit", ref=10, mod="conv:a"),
        row(LENGTH + 2, kind="reaction", ref=600, mod="conv:a"),
        row(LENGTH + 3, kind="message", ref=10),  # an answer refers without modifying
    ]
    await log.insert(later)
    assert [e.seq for e in await log.modifiers("conv:a", 1, 50, 50)] == [LENGTH + 1]
    assert [e.seq for e in await log.modifiers("conv:a", 1, LENGTH, LENGTH)] == [LENGTH + 1, LENGTH + 2]
    assert [e.seq for e in await log.modifiers_of("conv:a", 10)] == [LENGTH + 1]


async def test_scrubbing_erases_words_and_keeps_numbers(log: EntryLog) -> None:
    await log.scrub("conv:a", {3, 4})
    found = await log.read("conv:a", 2, 5)
    assert [e.gone for e in found] == [False, True, True, False]
    assert [e.body for e in found][1] == {}
    assert [e.seq for e in found] == [2, 3, 4, 5]


async def test_a_window_tells_what_a_node_wrote(log: EntryLog) -> None:
    window = await log.written_by("n_1", AT + timedelta(seconds=10), AT + timedelta(seconds=13))
    assert sorted(window) == [("conv:a", 10), ("conv:a", 11), ("conv:a", 12)]
    assert await log.written_by("n_2", AT, AT + timedelta(hours=1)) == []
