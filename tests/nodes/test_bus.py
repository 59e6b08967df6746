"""What every bus does, on one Redis and on a cluster: the same tests against real servers."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from server.errors import StartupError
from server.realtime import bus_line
from server.realtime.bus import RedisBus
from server.redis_url import RedisUrl
from tests.conftest import eventually
from tests.nodes.valkey import Cluster, Valkey, key_slot

CHANNELS = [f"conv:c_{number:020}" for number in range(60)]
CH = CHANNELS[0]


class Redis:
    """Where the buses meet, and the servers behind it."""

    def __init__(self, url: str, servers: list[Valkey]) -> None:
        self.url = url
        self.servers = servers

    def cut(self) -> None:
        """Ends every subscription."""
        for server in self.servers:
            with server.client as client:
                client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")


@pytest.fixture(params=["plain", "cluster"])
def shared(request: pytest.FixtureRequest) -> Redis:
    if request.param == "plain":
        server: Valkey = request.getfixturevalue("plain")
        return Redis(server.url, [server])
    cluster: Cluster = request.getfixturevalue("cluster")
    return Redis(cluster.url, cluster.servers)


class Node:
    """A bus and what it has brought."""

    def __init__(self, url: str, name: str) -> None:
        self.name = name
        self.bus = RedisBus(url, name)
        self.heard: list[tuple[str, str, bytes]] = []
        self.direct: list[tuple[str, bytes]] = []
        self.greeted: list[str] = []
        self.rejoined = 0

    async def start(self) -> None:
        def rejoined() -> None:
            self.rejoined += 1

        await self.bus.start(
            lambda ch, node, payload: self.heard.append((ch, node, payload)),
            rejoined,
            on_direct=lambda node, payload: self.direct.append((node, payload)),
            on_greeting=self.greeted.append,
        )

    async def hears(self, other: Node, ch: str = CH) -> None:
        """Waits until a word of the other gets through. What is published while it does not is lost, so it is
        published again."""
        word = f"word {len(self.heard)}".encode()

        def arrived() -> bool:
            other.bus.publish(ch, word)
            return (ch, other.name, word) in self.heard

        await eventually(arrived, 20)


@asynccontextmanager
async def nodes(url: str, *names: str) -> AsyncIterator[list[Node]]:
    made = [Node(url, name) for name in names]
    await asyncio.gather(*(node.start() for node in made))
    try:
        yield made
    finally:
        await asyncio.gather(*(node.bus.stop() for node in made))


def payloads(node: Node) -> list[bytes]:
    return [payload for _, _, payload in node.heard]


async def test_what_one_publishes_the_others_hear_and_it_does_not(shared: Redis) -> None:
    async with nodes(shared.url, "n_a", "n_b", "n_c") as (a, b, c):
        for node in (a, b, c):
            await node.bus.join(CH)
        a.bus.publish(CH, b"one")
        await eventually(lambda: b.heard == c.heard == [(CH, "n_a", b"one")])
        b.bus.publish(CH, b"two")
        await eventually(lambda: a.heard == [(CH, "n_b", b"two")])
        assert not a.rejoined + b.rejoined + c.rejoined


async def test_each_of_many_channels_is_heard_by_who_has_joined_it(shared: Redis) -> None:
    async with nodes(shared.url, "n_a", "n_b") as (a, b):
        await asyncio.gather(*(b.bus.join(ch) for ch in CHANNELS[::2]))
        for ch in CHANNELS:
            a.bus.publish(ch, ch.encode())
        await eventually(lambda: len(b.heard) == len(CHANNELS) // 2)
        assert sorted(ch for ch, _, _ in b.heard) == CHANNELS[::2]


async def test_what_is_said_in_one_moment_arrives_whole_and_in_order(
    shared: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus_line, "_FRAME_BYTES", 1_000)
    async with nodes(shared.url, "n_a", "n_b") as (a, b):
        await b.bus.join(CH)
        said = [b"%d %s" % (number, b"x" * (number * 37 % 900)) for number in range(100)]
        for word in [*said, b"y" * 5_000, b""]:  # one that is larger than a frame should be
            a.bus.publish(CH, word)
        await eventually(lambda: payloads(b) == [*said, b"y" * 5_000, b""])


async def test_who_has_left_hears_nothing_until_it_joins_again(shared: Redis) -> None:
    async with nodes(shared.url, "n_a", "n_b", "n_c") as (a, b, c):
        await b.bus.join(CH)
        await c.bus.join(CH)
        await b.bus.leave(CH)
        await b.bus.join(CH)  # changed its mind at once
        a.bus.publish(CH, b"one")
        await eventually(lambda: payloads(b) == payloads(c) == [b"one"])
        await b.bus.leave(CH)
        await b.bus.join(CHANNELS[1])  # one connection: what comes after the confirmation comes after the leaving
        await b.bus.join(CHANNELS[2])
        a.bus.publish(CH, b"two")
        await eventually(lambda: payloads(c) == [b"one", b"two"])
        await b.bus.join(CH)
        a.bus.publish(CH, b"three")
        await eventually(lambda: payloads(c) == [b"one", b"two", b"three"])
        await eventually(lambda: b"three" in payloads(b))


async def test_one_node_is_told_what_is_meant_for_it_alone(shared: Redis) -> None:
    async with nodes(shared.url, "n_a", "n_b", "n_c") as (a, b, c):
        b.bus.send("n_a", b"for a")
        c.bus.send("n_a", b"for a, too")
        a.bus.send("n_c", b"for c")
        await eventually(lambda: sorted(a.direct) == [("n_b", b"for a"), ("n_c", b"for a, too")])
        await eventually(lambda: c.direct == [("n_a", b"for c")])
        assert not b.direct
        assert not a.heard


async def test_a_newcomer_greets_everybody_else(shared: Redis) -> None:
    async with nodes(shared.url, "n_a", "n_b") as (a, b), nodes(shared.url, "n_c") as (c,):
        c.bus.announce()
        await eventually(lambda: a.greeted == b.greeted == ["n_c"])
        assert not c.greeted


async def test_a_loss_is_noticed_and_told_when_everything_is_heard_again(shared: Redis) -> None:
    async with nodes(shared.url, "n_a", "n_b") as (a, b):
        await asyncio.gather(*(b.bus.join(ch) for ch in CHANNELS))
        shared.cut()
        await eventually(lambda: b.rejoined > 0)
        for ch in CHANNELS:
            a.bus.publish(ch, b"after")
        await eventually(lambda: len(b.heard) == len(CHANNELS))
        a.bus.send("n_b", b"direct")
        await eventually(lambda: b.direct == [("n_a", b"direct")])


async def test_a_channel_left_during_an_outage_is_not_waited_for(shared: Redis) -> None:
    async with nodes(shared.url, "n_a", "n_b") as (a, b):
        await b.bus.join(CH)
        await b.bus.join(CHANNELS[1])
        shared.cut()
        await b.bus.leave(CH)
        await eventually(lambda: b.rejoined > 0)
        await b.hears(a, CHANNELS[1])


async def test_a_server_that_has_fallen_silent_is_given_up(shared: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half-open connections and stopped processes: nothing is refused, nothing comes."""
    monkeypatch.setattr(bus_line, "_PING_EVERY", 0.05)
    monkeypatch.setattr(bus_line, "_SILENCE", 0.4)
    async with nodes(shared.url, "n_a", "n_b") as (a, b):
        await asyncio.gather(*(b.bus.join(ch) for ch in CHANNELS))
        silent = shared.servers[0]
        os.kill(silent.pid, signal.SIGSTOP)
        try:
            await eventually(lambda: any(line.away for line in b.bus._lines.values()))
            await asyncio.wait_for(b.bus.join("conv:c_new"), 4)  # it does not wait for who is away
        finally:
            os.kill(silent.pid, signal.SIGCONT)
        await eventually(lambda: b.rejoined > 0, 20)
        for ch in CHANNELS:
            await b.hears(a, ch)


async def test_the_last_words_of_a_node_are_heard(shared: Redis) -> None:
    async with nodes(shared.url, "n_b") as (b,):
        await b.bus.join(CH)
        async with nodes(shared.url, "n_a") as (a,):
            for ch in CHANNELS[1:]:
                a.bus.publish(ch, b"to nobody")
            a.bus.publish(CH, b"farewell")
        await eventually(lambda: payloads(b) == [b"farewell"])


async def test_a_server_that_hangs_is_waited_for_once(plain: Valkey) -> None:
    """Regression: each channel that was opened anew waited for its own confirmation."""
    async with nodes(plain.url, "n_a", "n_b") as (a, b):
        os.kill(plain.pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            for ch in CHANNELS[:20]:
                await b.bus.join(ch)
            assert time.monotonic() - began < 6  # and not twenty times the patience
            assert all(line.away for line in b.bus._lines.values())
        finally:
            os.kill(plain.pid, signal.SIGCONT)
        await eventually(lambda: b.rejoined > 0, 20)
        for ch in CHANNELS[:20]:
            await b.hears(a, ch)


async def test_what_is_no_frame_is_passed_over(shared: Redis) -> None:
    async with nodes(shared.url, "n_a", "n_b") as (a, b):
        await b.bus.join(CH)
        line = a.bus._line(b"v:" + CH.encode())
        assert line is not None
        for frame in (b"", b"\xc1", b"n_a\0{}", b"\x92\x01\x02"):
            await line._publish([(b"v:" + CH.encode(), frame)])
        a.bus.publish(CH, b"word")
        await eventually(lambda: payloads(b) == [b"word"])


async def test_what_waits_for_a_dead_server_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus_line, "_WAITING_BYTES", 10_000)
    async with nodes("redis://127.0.0.1:1", "n_a") as (a,):
        for _ in range(100):
            a.bus.publish(CH, b"x" * 1_000)
        (line,) = a.bus._lines.values()
        assert sum(map(len, line._outgoing[b"v:" + CH.encode()])) == 10_000


# ── What comes and goes ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_redis_that_comes_late_is_joined(tmp_path: Path) -> None:
    server = Valkey(tmp_path)
    try:
        async with nodes(server.url, "n_a", "n_b") as (a, b):
            await asyncio.wait_for(b.bus.join(CH), 4)
            a.bus.publish(CH, b"nobody hears this")
            server.start()
            await eventually(lambda: b.rejoined > 0)
            await b.hears(a)
            assert b"nobody hears this" not in payloads(b)
            server.kill()
            await eventually(lambda: all(line.away for line in b.bus._lines.values()))
            server.start()
            await eventually(lambda: b.rejoined > 1)
            await b.hears(a)
    finally:
        server.kill()


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster whose members may be killed."""
    cluster = Cluster(tmp_path)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.kill()


def on(cluster: Cluster, server: Valkey) -> list[str]:
    """The channels that live there."""
    return [ch for ch in CHANNELS if cluster.primary_of(key_slot(b"v:" + ch.encode())) is server]


@pytest.mark.gen_test(timeout=60)
async def test_a_dead_primary_is_replaced_by_its_replica_and_the_others_never_stop(mortal: Cluster) -> None:
    async with nodes(mortal.url, "n_a", "n_b") as (a, b):
        await asyncio.gather(*(b.bus.join(ch) for ch in CHANNELS))
        victim, other = mortal.servers[0], mortal.servers[1]
        lost, kept = on(mortal, victim), on(mortal, other)
        assert lost
        victim.kill()
        a.bus.publish(kept[0], b"meanwhile")
        await eventually(lambda: (kept[0], "n_a", b"meanwhile") in b.heard)
        await eventually(lambda: b.rejoined > 0, 30)
        for ch in lost:
            await b.hears(a, ch)
        victim.start()  # comes back as a replica, which changes nothing
        for ch in (*lost[:2], *kept[:2]):
            await b.hears(a, ch)


@pytest.mark.gen_test(timeout=60)
async def test_a_slot_that_moves_takes_its_channel_along(mortal: Cluster) -> None:
    async with nodes(mortal.url, "n_a", "n_b") as (a, b):
        await asyncio.gather(*(b.bus.join(ch) for ch in CHANNELS))
        moved = key_slot(b"v:" + CH.encode())
        target = next(server for server in mortal.servers[:3] if server is not mortal.primary_of(moved))
        mortal.move_slot(moved, target)
        await eventually(lambda: b.rejoined > 0, 20)
        await b.hears(a)
        line = b.bus._joined[b"v:" + CH.encode()]
        assert line is b.bus._lines[("127.0.0.1", target.port)]


@pytest.mark.gen_test(timeout=60)
async def test_a_cluster_that_is_wholly_away_is_found_again(mortal: Cluster) -> None:
    async with nodes(mortal.url, "n_a", "n_b") as (a, b):
        await b.bus.join(CH)
        mortal.kill()
        await eventually(lambda: any(line.away for line in b.bus._lines.values()))
        await asyncio.wait_for(b.bus.join(CHANNELS[1]), 4)
        for server in mortal.servers:
            server.start()
        await eventually(lambda: b.rejoined > 0, 40)
        await b.hears(a)
        await b.hears(a, CHANNELS[1])


# ── The URL ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("url", "seeds", "options", "tls"),
    [
        ("redis+cluster://one:7000,two:7001", [("one", 7000), ("two", 7001)], {}, False),
        ("redis+cluster://one", [("one", 6379)], {}, False),
        (
            "redis+cluster://:pass%2Fword@one:7000,two:7001/",
            [("one", 7000), ("two", 7001)],
            {"password": "pass/word"},
            False,
        ),
        (
            "rediss+cluster://me:secret@one:7000,two?ssl_cert_reqs=none",
            [("one", 7000), ("two", 6379)],
            {"username": "me", "password": "secret", "ssl_cert_reqs": "none", "ssl": True},
            True,
        ),
    ],
)
def test_a_cluster_is_named_by_some_of_its_nodes(
    url: str, seeds: list[tuple[str, int]], options: dict[str, object], tls: bool
) -> None:
    parsed = RedisUrl(url)
    assert parsed.cluster
    assert parsed.seeds == seeds
    assert parsed.cluster_options() == options
    assert parsed.tls is tls


@pytest.mark.parametrize("url", ["redis+cluster://", "redis+cluster://one:x", "http://one", "redis://one:x"])
def test_what_is_no_url_is_said_so(url: str) -> None:
    with pytest.raises(StartupError) as refused:
        RedisUrl(url)
    assert refused.value.code == "bad_redis_url"
