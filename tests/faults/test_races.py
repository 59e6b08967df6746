"""Races that were met, one test each: what happened, and that it does not happen again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import msgspec
import pytest
import redis.asyncio as redis

from server.clock import SystemClock
from server.errors import Code, VouchError
from server.keys import Keys
from server.principals import Kind, Principal
from server.realtime import appender as appender_module
from server.realtime import bus as bus_module
from server.realtime import lane as lane_module
from server.realtime import protocol as p
from server.realtime.appender import Appender
from server.realtime.bus import RedisBus
from server.realtime.channels import Access, Draft, EntryKind
from server.realtime.entries import EntryLog, Head
from server.realtime.gate import Gate
from server.realtime.lane import Accepted
from server.realtime.presence import PresenceBoard
from server.realtime.protocol import Entry, Presence
from server.services import Services
from server.settings import Settings
from server.store import Document, Encoded, Store, StoreError
from tests.conftest import eventually

CH = "conv:c_00000000000000000000"
PERSON = Principal(Kind.PERSON, id="p_" + "0" * 20)
MESSAGE = EntryKind("message", msgspec.Struct, by_clients=True, countable=True)


def draft(n: int, ch: str = CH) -> Draft:
    return Draft(ch, "p_1", f"id{n:020}", "message", {"text": f"word {n}"})


def entry(seq: int) -> Entry:
    return Entry(seq, seq, 1_000 + seq, "p_1", f"id{seq:020}", "message", {"text": "word"})


class Peer:
    """A connection that keeps what it is told."""

    principal = PERSON

    def __init__(self) -> None:
        self.channels: set[str] = set()
        self.closing = False
        self.said: list[p.ServerFrame] = []
        self.frames: list[bytes] = []

    def say(self, frame: p.ServerFrame) -> None:
        self.said.append(frame)

    def send(self, frame: bytes) -> None:
        self.frames.append(frame)

    def transmit(self, frame: bytes) -> None:
        self.frames.append(frame)

    def beat(self) -> None: ...

    def close(self, code: p.Close, *, retry_after: float | None = None) -> None: ...

    async def drained(self) -> None: ...


async def welcome_everybody(principal: Principal, ch: str) -> Access:
    return Access(read=True, write=True, signal=True)


# ── The gate ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_subscriber_that_leaves_while_it_is_told_takes_nobody_with_it() -> None:
    """A slow connection is closed by the very frame that is too much for it, and leaves the set that is being gone
    through: the others missed the frame, and the entry was refused though it was durable."""

    class Leaving:
        def send(self, frame: bytes) -> None:
            gate.unsubscribe(self)

        def transmit(self, frame: bytes) -> None:
            gate.unsubscribe(self)

    async def nothing(ch: str, first: int, last: int) -> list[Entry]:
        return []

    gate = Gate(CH, nothing, lambda _, __: None, Gate.flush)
    gate.open_at(0, 0)
    others = [Peer() for _ in range(20)]
    gate.subscribers.update(others, [Leaving() for _ in range(5)])
    gate.offer(entry(1))
    gate.offer(entry(2))
    assert [len(other.frames) for other in others] == [2] * 20
    assert gate.subscribers == set(others)


async def test_what_was_announced_is_fetched_though_it_could_not_be_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a gate opens, entries wait up to a limit; those beyond it used to be missing until the next one came."""
    monkeypatch.setattr("server.realtime.gate._HELD", 3)

    async def read(ch: str, first: int, last: int) -> list[Entry]:
        return [entry(seq) for seq in range(first, last + 1)]

    passed: list[int] = []
    gate = Gate(CH, read, lambda _, e: passed.append(e.seq), Gate.flush)
    for seq in range(1, 11):
        gate.offer(entry(seq))
    gate.open_at(0, 0)
    await eventually(lambda: gate.delivered == 10)
    assert passed == list(range(1, 11))


async def test_a_number_that_never_comes_is_asked_for_ever_more_rarely() -> None:
    """Announced by a bus that another installation shares, say: the gate used to ask for it thirty times a second."""
    reads = 0

    async def read(ch: str, first: int, last: int) -> list[Entry]:
        nonlocal reads
        reads += 1
        return []

    gate = Gate(CH, read, lambda _, __: None, Gate.flush)
    gate.open_at(0, 0)
    gate.offer(entry(7))
    await asyncio.sleep(1.0)
    gate.close()
    assert 2 <= reads <= 6


# ── Several nodes ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_resume_on_a_node_that_the_bus_kept_in_the_dark_is_no_gap(nodes: tuple[Services, Services]) -> None:
    """Who has seen more through a node that died than the bus has told the next one was told `gap: ahead`, and then
    shown the same entries again."""
    a, b = nodes
    b.hub.subscriptions._access = welcome_everybody
    gate = await b.hub.gates.open(CH)
    a.hub._bus.publish = lambda ch, payload: None  # type: ignore[method-assign]
    for n in range(1, 6):
        await a.hub.append(draft(n))
    assert gate.delivered == 0
    peer = Peer()
    await b.hub.subscriptions.subscribe(peer, 1, CH, 4, same_epoch=True)
    told = [frame for frame in peer.said if isinstance(frame, p.Subscribed)]
    assert [(frame.head, frame.gap) for frame in told] == [(5, None)]
    assert peer.frames == gate.since(4)
    assert len(peer.frames) == 1


async def test_a_number_beyond_the_log_is_still_a_gap(nodes: tuple[Services, Services]) -> None:
    a, _ = nodes
    a.hub.subscriptions._access = welcome_everybody
    await a.hub.append(draft(1))
    peer = Peer()
    await a.hub.subscriptions.subscribe(peer, 1, CH, 9, same_epoch=True)
    assert [frame.gap for frame in peer.said if isinstance(frame, p.Subscribed)] == [p.Gap.AHEAD]


async def test_a_position_seen_through_another_node_is_not_beyond_the_newest_entry(
    nodes: tuple[Services, Services], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = nodes
    monkeypatch.setattr(b.hub, "access", welcome_everybody)
    await b.hub.gates.open(CH)
    a.hub._bus.publish = lambda ch, payload: None  # type: ignore[method-assign]
    await a.hub.append(draft(1))
    await b.hub.move_position(PERSON, CH, read=1)
    with pytest.raises(VouchError) as refusal:
        await b.hub.move_position(PERSON, CH, read=2)
    assert refusal.value.code is Code.BAD_REQUEST


async def test_the_first_publication_after_a_lost_connection_arrives(nodes: tuple[Services, Services]) -> None:
    """A connection to Redis that died while it was idle is noticed by the next batch, which used to be dropped: the
    other nodes heard of it five seconds later."""
    a, b = nodes
    gate = await b.hub.gates.open(CH)
    await a.hub.append(draft(1))
    await eventually(lambda: gate.delivered == 1)
    async with redis.Redis.from_url(a._redis_url) as client:
        await client.client_kill_filter(_type="normal", skipme=True)
    await a.hub.append(draft(2))
    await eventually(lambda: gate.delivered == 2, seconds=2.0)


async def test_a_join_after_an_unanswered_one_is_asked_for_again(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A join that Redis did not confirm, then a leave: the next join waited for an answer that nobody would give."""
    monkeypatch.setattr(bus_module, "_CONFIRM_WITHIN", 0.01)
    bus = RedisBus(redis_url, "n_1")
    await bus.join(CH)  # not started: nobody confirms
    await bus.leave(CH)
    monkeypatch.setattr(bus_module, "_CONFIRM_WITHIN", 30.0)
    await bus.start(lambda ch, node, payload: None, lambda: None)
    async with asyncio.timeout(5):
        await bus.join(CH)
    await bus.stop()


async def test_who_comes_while_the_list_is_read_is_not_forgotten(redis_url: str) -> None:
    """The list was asked for before somebody came to another node and answered after the bus had told so."""
    async with redis.Redis.from_url(redis_url) as client:
        board = PresenceBoard(client, "n_1", lambda: {"n_2"}, tell=lambda _: None, publish=lambda _: None)
        await client.hset(f"presence:{CH}", "n_2|p_early", "1")
        loading = asyncio.create_task(board.load(CH))
        await asyncio.sleep(0)
        board.heard("n_2", Presence(CH, joined=["p_late"]))
        await loading
        assert board.online(CH) == ["p_early", "p_late"]


async def test_a_reload_tells_what_was_missed(redis_url: str) -> None:
    """After the bus was lost: who came and went meanwhile used to stay wrong until their next change."""
    async with redis.Redis.from_url(redis_url) as client:
        board = PresenceBoard(client, "n_1", lambda: {"n_2"}, tell=lambda _: None, publish=lambda _: None)
        board.heard("n_2", Presence(CH, joined=["p_gone", "p_still"]))
        await client.hset(f"presence:{CH}", mapping={"n_2|p_still": "1", "n_2|p_new": "1"})
        assert await board.load(CH) == Presence(CH, joined=["p_new"], left=["p_gone"])
        assert await board.load(CH) is None


async def test_a_node_younger_than_the_last_look_at_the_leases_is_noticed(nodes: tuple[Services, Services]) -> None:
    """Its people stood in the list, but were taken for those of a dead node, and nobody looked again."""
    a, b = nodes
    b.hub.presence.enter(CH, "p_b")
    async with redis.Redis.from_url(a._redis_url) as client:
        async with asyncio.timeout(5):
            while not await client.hkeys(f"presence:{CH}"):
                await asyncio.sleep(0.01)
    a._nodes._live.clear()  # as if its last look was before the other's first lease
    await a.hub.gates.open(CH)
    assert a.hub.presence.online(CH) == []
    await a._nodes.renew()
    await eventually(lambda: a.hub.presence.online(CH) == ["p_b"])


# ── The appender ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_append_refused_in_doubt_is_shown_when_it_turns_out_durable(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database took the entry and then did not answer for longer than a sender is kept waiting. Only nodes other
    than this one used to look for it, and its own subscribers saw it with the next entry at the earliest."""
    monkeypatch.setattr(appender_module, "PATIENCE", 0.1)
    log = services.hub._log
    insert, by_ids = log.insert, log.by_ids

    async def unanswered(rows: Sequence[Document | Encoded]) -> None:
        await insert(rows)
        raise StoreError

    async def away(ids: Sequence[str]) -> dict[str, Document]:
        raise StoreError

    gate = await services.hub.gates.open(CH)
    monkeypatch.setattr(log, "insert", unanswered)
    monkeypatch.setattr(log, "by_ids", away)
    with pytest.raises(VouchError) as refusal:
        await services.hub.append(draft(1))
    assert refusal.value.code is Code.TRY_LATER
    monkeypatch.setattr(log, "insert", insert)
    monkeypatch.setattr(log, "by_ids", by_ids)
    assert gate.delivered == 0
    services.hub._sweep.hurry()
    await eventually(lambda: gate.delivered == 1)


async def test_a_head_in_use_makes_no_room_for_another(
    settings: Settings, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With more channels than heads are kept, reading the head of one threw out that of another in the same batch,
    and the whole batch was refused."""
    monkeypatch.setattr(lane_module, "_HEADS_KEPT", 4)
    monkeypatch.setattr(appender_module, "LANES", 1)
    store = Store(settings.mongodb_uri, settings.database)
    log = EntryLog(store)
    await log.ensure_indexes()
    durable: list[Accepted] = []
    appender = Appender(log, SystemClock(), "n_1", keys.digest, durable.append)
    appender.start()
    try:
        for n in range(4):
            await appender.submit(draft(n, f"conv:c_{n}"), MESSAGE)
        await asyncio.gather(*(appender.submit(draft(n + 10, f"conv:c_{n}"), MESSAGE) for n in (0, 4, 5)))
    finally:
        await appender.stop()
        store.close()
    assert len(durable) == 7


async def test_a_hint_beyond_the_log_does_not_begin_it_anew(settings: Settings) -> None:
    """Heads saved before a restore are ahead of the log that was restored: it was taken for empty."""
    store = Store(settings.mongodb_uri, settings.database)
    log = EntryLog(store)
    await log.ensure_indexes()
    row = {"_id": "p_1:a", "ch": CH, "seq": 1, "n": 1, "at": SystemClock().now()}
    await log.insert([row])
    try:
        assert (await log.head(CH, Head(900, 900))).seq == 1
    finally:
        store.close()


async def test_an_older_head_saved_last_does_not_win(settings: Settings) -> None:
    """Two savers at once: conversations were listed in the order of a while ago."""
    store = Store(settings.mongodb_uri, settings.database)
    log, now = EntryLog(store), SystemClock().now().replace(microsecond=0)
    await log.save_heads({CH: Head(5, 4, now)})
    await log.save_heads({CH: Head(3, 2, now - timedelta(minutes=1))})
    try:
        assert (await log.saved_heads([CH]))[CH] == Head(5, 4, now)
    finally:
        store.close()
