"""Finding the head of a channel from any hint, and reading pages with their modifiers (DESIGN 2)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from server.realtime.entries import DELETED_AT_ONCE, EntryLog, Head
from server.realtime.old_trails import OldTrails
from server.realtime.trail import KEPT, Trail
from server.settings import Settings
from server.store import Document, Store
from tests.chat.conftest import HandClock
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


async def test_a_trail_is_read_on_in_pieces_and_lies_in_no_channels_way(log: EntryLog) -> None:
    trail = Trail("n_1", 0)
    for seq in range(1, 101):
        await log.insert([row(LENGTH + seq), trail.row(AT, [("conv:a", LENGTH + seq), ("conv:b", 1)])])
        trail.written()
    assert trail.last == 100
    first = await log.trail(trail.ch, 1)
    assert [r["seq"] for r in first] == list(range(1, 65))
    assert first[0]["wrote"] == [["conv:a", LENGTH + 1], ["conv:b", 1]]
    assert [r["seq"] for r in await log.trail(trail.ch, 65)] == list(range(65, 101))
    assert await log.trail(trail.ch, 101) == []
    assert (await log.head("conv:a")).seq == LENGTH + 100


async def test_what_is_old_of_a_trail_is_deleted_and_nothing_else(log: EntryLog) -> None:
    clock, trail, count = HandClock(), Trail("n_1", 0), DELETED_AT_ONCE + 20
    old = OldTrails(log, clock)
    await old.once()
    rows = [row(LENGTH + 1)]
    for _ in range(count):
        rows.append(trail.row(clock.now(), [("conv:a", LENGTH + 1)]))
        trail.written()
    await log.insert(rows)
    clock.pass_by(hours=7)
    await log.insert([trail.row(clock.now(), [("conv:a", 1)])])
    clock.pass_by(seconds=KEPT.total_seconds() - 1)
    await old.once()
    assert await log.trail(trail.ch, 1) == []
    assert [r["seq"] for r in await log.trail(trail.ch, count)] == [count + 1]
    assert (await log.head("conv:a")).seq == LENGTH + 1
    clock.pass_by(seconds=2)
    await old.once()
    assert await log.trail(trail.ch, count) == []
    assert (await log.head("conv:a")).seq == LENGTH + 1


def test_a_row_of_a_trail_names_each_channel_once_with_its_newest_number() -> None:
    made = Trail("n_1", 2).row(AT, [("conv:a", 4), ("conv:b", 9), ("conv:a", 5)])
    assert made["wrote"] == [["conv:a", 5], ["conv:b", 9]]
    assert made["_id"] == "trail:n_1:2:1"
