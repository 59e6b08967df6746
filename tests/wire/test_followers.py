"""What follows the log: in order, at least once, past crashes, faults and other nodes."""

from __future__ import annotations

import asyncio
import secrets
from collections import defaultdict
from collections.abc import Sequence

import pytest
import structlog

from server.realtime import follower_run
from server.realtime.channels import Draft
from server.realtime.followers import Followers
from server.realtime.protocol import Entry
from tests.conftest import RunningServer
from tests.wire.client import Crowd


class Reader:
    """Writes down what it sees; fails as often as it is told to."""

    kinds = frozenset({"conv"})

    def __init__(self, name: str = "reader", faults: int = 0) -> None:
        self.name = name
        self.faults = faults
        self.seen: dict[str, list[int]] = defaultdict(list)

    async def follow(self, ch: str, entries: Sequence[Entry]) -> None:
        await asyncio.sleep(0)
        if self.faults:
            self.faults -= 1
            raise RuntimeError("not now")
        self.seen[ch] += [entry.seq for entry in entries]


def following(server: RunningServer, *readers: Reader) -> Followers:
    followers = Followers(server.services.store, server.services._log)
    for reader in readers:
        followers.add(reader)
    followers.start()
    return followers


async def test_each_entry_is_followed_once_and_in_order(crowd: Crowd, server: RunningServer) -> None:
    lin, mei = await crowd.friends("lin", "mei")
    ch = await crowd.direct(lin, mei)
    early, late = Reader("early"), Reader("late")
    followers = following(server, early)
    hub = server.services.hub
    head = 0
    for number in range(30):
        accepted = await hub.append(Draft(ch, lin.id, f"m{number:031}", "message", {"text": "x"}))
        head = accepted.entry.seq
        followers.offer(ch, accepted.entry)
    await followers.settled()
    assert early.seen[ch] == list(range(1, head + 1))
    await followers.stop()

    # A second run of the same name goes on where the first was; a new one begins at the beginning.
    again = Reader("early")
    followers = following(server, again, late)
    followers.look(ch, head)
    await followers.settled()
    assert again.seen == {}
    assert late.seen[ch] == list(range(1, head + 1))
    await followers.stop()


async def test_what_nobody_offered_is_found_by_heads(crowd: Crowd, server: RunningServer) -> None:
    lin, mei = await crowd.friends("lin", "mei")
    ch = await crowd.direct(lin, mei)
    hub = server.services.hub
    for number in range(follower_run.STEP + 5):
        await hub.append(Draft(ch, lin.id, f"m{number:031}", "message", {"text": "x"}))
    await hub._appender._save_heads_once()
    reader = Reader()
    followers = following(server, reader)
    await followers.settled()
    assert reader.seen[ch] == list(range(1, (await hub.gates.log_head(ch)).seq + 1))
    await followers.stop()


async def test_a_follower_that_fails_is_asked_again_and_then_left_behind(
    crowd: Crowd, server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower_run, "RETRIES", (0.0, 0.0))
    lin, mei = await crowd.friends("lin", "mei")
    ch = await crowd.direct(lin, mei)
    head = (await server.services.hub.gates.log_head(ch)).seq
    patient, broken, fine = Reader("patient", faults=2), Reader("broken", faults=3), Reader("fine")
    followers = following(server, patient, broken, fine)
    followers.look(ch, head)
    assert followers.lag()["fine"].channels == 1
    with structlog.testing.capture_logs() as events:
        await followers.settled()
    assert [event["name"] for event in events if event["log_level"] == "error"] == ["broken"]
    assert patient.seen[ch] == fine.seen[ch] == list(range(1, head + 1))
    assert broken.seen == {}
    accepted = await server.services.hub.append(Draft(ch, lin.id, "m" * 32, "message", {"text": "x"}))
    followers.offer(ch, accepted.entry)
    await followers.settled()
    assert broken.seen[ch] == [accepted.entry.seq]
    assert followers.lag()["fine"].channels == 0
    await followers.stop()


async def test_of_two_nodes_neither_does_again_what_the_other_has_done(crowd: Crowd, server: RunningServer) -> None:
    lin, mei = await crowd.friends("lin", "mei")
    ch = await crowd.direct(lin, mei)
    here, there = Reader("same"), Reader("same")
    one, two = following(server, here), following(server, there)
    hub = server.services.hub
    last = 0
    for number in range(10):
        accepted = await hub.append(Draft(ch, lin.id, f"m{number:031}", "message", {"text": "x"}))
        last = accepted.entry.seq
        followers = (one, two)[number % 2]
        followers.offer(ch, accepted.entry)
        await followers.settled()
    assert sorted(here.seen[ch] + there.seen[ch]) == list(range(1, last + 1))
    await one.stop()
    await two.stop()


async def test_a_node_that_is_alone_sees_again_what_its_last_moment_brought(
    crowd: Crowd, server: RunningServer
) -> None:
    """It saves its marks now and then: stopped in order it forgets nothing, killed it may see entries twice."""
    lin, mei = await crowd.friends("lin", "mei")
    ch = await crowd.direct(lin, mei)
    hub = server.services.hub
    head = (await hub.gates.log_head(ch)).seq

    async def read(reader: Reader, *, killed: bool = False) -> list[int]:
        followers = Followers(server.services.store, server.services._log, lambda: True)
        followers.add(reader)
        followers.start()
        followers.look(ch, head)
        await followers.settled()
        accepted = await hub.append(Draft(ch, lin.id, secrets.token_hex(16), "message", {"text": "x"}))
        followers.offer(ch, accepted.entry)
        await followers.settled()
        if killed:
            for task in followers._tasks:
                task.cancel()
        else:
            await followers.stop()
        return reader.seen[ch]

    assert await read(Reader()) == list(range(1, head + 2))
    head += 1
    assert await read(Reader()) == [head + 1]
    head += 1
    assert await read(Reader(), killed=True) == [head + 1]
    head += 1
    again = await read(Reader())
    assert again in ([head, head + 1], [head + 1])


async def test_a_head_of_a_lost_log_does_not_hold_anything_up(crowd: Crowd, server: RunningServer) -> None:
    reader = Reader()
    followers = following(server, reader)
    followers.look("conv:c_00000000000000000000", 40)
    await followers.settled()
    assert reader.seen == {}
    await followers.stop()


def test_names_are_unique(server: RunningServer) -> None:
    followers = Followers(server.services.store, server.services._log)
    followers.add(Reader())
    with pytest.raises(ValueError, match="twice"):
        followers.add(Reader())
