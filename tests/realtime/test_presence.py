"""Presence in large channels tells a number, not names: else all names would go to everybody each time (DESIGN 2)."""

from __future__ import annotations

import pytest

from server.realtime import presence as presence_module
from server.realtime.presence import PresenceBoard
from server.realtime.protocol import Presence

CH = "conv:c_00000000000000000000"


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> PresenceBoard:
    """Without Redis; more than three people are told as a number."""
    monkeypatch.setattr(presence_module, "PRESENCE_NAMED", 3)
    return PresenceBoard(None, "n_1", lambda: {"n_2"}, tell=lambda change: None, publish=lambda change: None)


async def test_few_are_named_and_many_are_counted(board: PresenceBoard) -> None:
    for person in ("p_1", "p_2", "p_3"):
        board.enter(CH, person)
    assert board.snapshot(CH) == Presence(CH, online=["p_1", "p_2", "p_3"])
    assert board.shown(Presence(CH, joined=["p_3"])) == Presence(CH, joined=["p_3"])
    board.enter(CH, "p_4")
    assert board.snapshot(CH) == Presence(CH, count=4)
    assert board.shown(Presence(CH, joined=["p_4"])) == Presence(CH, count=4)
    await board.stop()


async def test_when_there_are_few_again_all_are_named(board: PresenceBoard) -> None:
    for person in ("p_1", "p_2", "p_3", "p_4"):
        board.enter(CH, person)
    board.leave(CH, "p_2")
    assert board.shown(Presence(CH, left=["p_2"])) == Presence(CH, online=["p_1", "p_3", "p_4"])
    board.leave(CH, "p_1")
    assert board.shown(Presence(CH, left=["p_1"])) == Presence(CH, left=["p_1"])
    await board.stop()


async def test_a_person_on_two_nodes_counts_once(board: PresenceBoard) -> None:
    board.enter(CH, "p_1")
    board.heard("n_2", Presence(CH, joined=["p_1", "p_2"]))
    assert board.count(CH) == 2
    board.leave(CH, "p_1")
    assert board.online(CH) == ["p_1", "p_2"]
    await board.stop()
