"""Who was there through a node that was killed is struck off the lists in Redis; who lives never is."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from server.realtime import absentees
from server.realtime.absentees import PATIENCE, Absentees
from server.realtime.presence import PresenceBoard
from server.realtime.protocol import Presence
from server.redis_url import RedisUrl
from server.services import Services
from tests.conftest import eventually
from tests.nodes.valkey import Valkey

CH = "conv:c_00000000000000000000"


def test_it_takes_a_while_to_be_dead() -> None:
    gone = Absentees()
    assert gone.dead({"n_a", "n_b"}, {"n_b"}, 0.0) == set()
    assert gone.dead({"n_a", "n_b"}, {"n_b"}, PATIENCE) == set()
    assert gone.dead({"n_a", "n_b"}, {"n_b"}, PATIENCE + 1) == {"n_a"}


def test_who_comes_back_begins_anew() -> None:
    gone = Absentees()
    gone.dead({"n_a"}, set(), 0.0)
    gone.dead({"n_a"}, {"n_a"}, 20.0)
    assert gone.dead({"n_a"}, set(), PATIENCE + 1) == set()
    assert gone.dead({"n_a"}, set(), 2 * PATIENCE + 2) == {"n_a"}


def test_a_name_that_is_met_again_after_long_is_given_time() -> None:
    gone = Absentees()
    gone.dead({"n_a"}, set(), 0.0)
    assert gone.dead({"n_a"}, set(), 10_000.0) == set()


@pytest.fixture
def lists(redis_url: str) -> Iterator[Any]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


async def test_the_fields_of_a_killed_node_go_and_those_of_the_living_stay(
    redis_url: str, lists: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = RedisUrl(redis_url).client(2.0)
    board = PresenceBoard(client, "n_me", lambda: {"n_other"}, tell=lambda _: None, publish=lambda _: None)
    lists.hset(f"presence:{CH}", mapping={"n_dead|p_1": "1", "n_dead|p_2": "1", "n_other|p_1": "1", "n_me|p_3": "1"})
    await board.load(CH)
    assert board.online(CH) == ["p_1"]
    assert len(lists.hkeys(f"presence:{CH}")) == 4  # it may be young
    monkeypatch.setattr(absentees, "PATIENCE", -1.0)
    await board.load(CH)
    assert sorted(lists.hkeys(f"presence:{CH}")) == ["n_me|p_3", "n_other|p_1"]
    await client.aclose()


async def test_a_node_that_was_given_up_lists_its_people_again(nodes: tuple[Services, Services], lists: Any) -> None:
    a, _ = nodes
    a.hub.presence.enter(CH, "p_1")
    await eventually(lambda: lists.hkeys(f"presence:{CH}") == [f"{a.node}|p_1"])
    lists.delete(f"presence:{CH}")
    for tell in a._nodes.on_absence:
        tell()
    await eventually(lambda: lists.hkeys(f"presence:{CH}") == [f"{a.node}|p_1"])


async def test_lists_of_a_redis_that_hangs_are_waited_for_once(tmp_path: Path) -> None:
    server = Valkey(tmp_path)
    server.start()
    client = RedisUrl(server.url).client(2.0)
    board = PresenceBoard(client, "n_me", set, tell=lambda _: None, publish=lambda _: None)
    try:
        await board.load(CH)
        os.kill(server.pid, signal.SIGSTOP)
        began = time.monotonic()
        for number in range(20):
            assert await board.load(f"{CH}{number}") is None
        assert time.monotonic() - began < 10
    finally:
        os.kill(server.pid, signal.SIGCONT)
        await client.aclose()
        server.kill()


class _Wire:
    """Two boards on one Redis; what one tells the other reaches it only while `whole`."""

    def __init__(self, redis_url: str) -> None:
        self.whole = True
        self.clients = [RedisUrl(redis_url).client(2.0) for _ in range(2)]
        self.boards = [self._board(number) for number in range(2)]

    def _board(self, number: int) -> PresenceBoard:
        return PresenceBoard(
            self.clients[number],
            f"n_{number}",
            lambda: {f"n_{1 - number}"},
            tell=lambda _: None,
            publish=lambda change: self.pass_on(number, change),
        )

    def pass_on(self, number: int, change: Presence) -> None:
        if self.whole:
            self.boards[1 - number].heard(f"n_{number}", change)

    async def close(self) -> None:
        for board, client in zip(self.boards, self.clients, strict=True):
            await board.stop()
            await client.aclose()


async def test_what_the_bus_lost_is_found_on_the_next_round(redis_url: str, lists: Any) -> None:
    wire = _Wire(redis_url)
    one, two = wire.boards
    wire.whole = False
    one.enter(CH, "p_1")
    await eventually(lambda: lists.hkeys(f"presence:{CH}") == ["n_0|p_1"])
    assert two.online(CH) == []
    assert await two.tend([CH]) == [Presence(CH, joined=["p_1"])]
    one.leave(CH, "p_1")
    await eventually(lambda: lists.hkeys(f"presence:{CH}") == [])
    assert await two.tend([CH]) == [Presence(CH, left=["p_1"])]
    await wire.close()


async def test_who_fell_off_an_emptied_list_is_listed_and_told_again(redis_url: str, lists: Any) -> None:
    wire = _Wire(redis_url)
    one, two = wire.boards
    one.enter(CH, "p_1")
    await eventually(lambda: two.online(CH) == ["p_1"])
    lists.delete(f"presence:{CH}")
    lists.hset(f"presence:{CH}", "n_0|p_gone", "1")  # and somebody who left while Redis was away
    await two.tend([CH])
    assert two.online(CH) == ["p_gone"]
    await eventually(lambda: one._flushing is None)
    await one.tend([CH])
    assert two.online(CH) == ["p_1"]
    assert lists.hkeys(f"presence:{CH}") == ["n_0|p_1"]
    await wire.close()
