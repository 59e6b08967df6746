"""Two server processes on one database and one Redis: one order, one presence, one sign-in (DESIGN 2)."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
import redis

from server.settings import Settings
from tests.faults.accounts import call, circle, direct
from tests.faults.conftest import Play, Serve
from tests.faults.line import Line
from tests.faults.load import Crowd
from tests.faults.server_process import ServerProcess

SIGNED_OUT = 4502


@pytest.fixture
def nodes(serve: Serve, settings: Settings) -> tuple[ServerProcess, ServerProcess]:
    """Two servers, not yet started, that share database, Redis and secrets."""
    environ = {
        "VOUCH_MONGODB_URI": settings.mongodb_uri,
        "VOUCH_REDIS_URL": settings.redis_url,
        "VOUCH_DATABASE": settings.database,
        "VOUCH_SECRETS_DIR": str(settings.secrets_path),
    }
    return serve("a", environ), serve("b", environ)


@pytest.fixture
def bus(redis_url: str) -> Iterator[Any]:
    """The Redis behind the bus; Any, because its commands are made by name."""
    with redis.Redis.from_url(redis_url) as client:
        yield client
        inflict("hearing", client)


async def start(*nodes: ServerProcess) -> None:
    await asyncio.gather(*(node.start() for node in nodes))


def inflict(fault: str, bus: Any) -> None:
    match fault:
        case "listeners":
            bus.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        case "publishers":
            bus.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        case "emptied":
            bus.flushall()
        case "deaf":
            bus.execute_command("ACL", "SETUSER", "default", "-publish")
        case "hearing":
            bus.execute_command("ACL", "SETUSER", "default", "+publish")


@pytest.mark.slow
def test_order_is_the_same_everywhere_whichever_node_dies(
    nodes: tuple[ServerProcess, ServerProcess],
    bus: Any,
    play: Play,
    seed: int,
    minutes: float,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Six people on two nodes write the same channels; one node after the other is killed, its people resume on the
    other; meanwhile the bus loses its connections, its contents and its messages."""

    async def scene() -> None:
        random = Random(seed)
        await start(*nodes)
        crowd = await Crowd.gather(nodes[0].url, people=6, groups=2, seed=seed, rate=10.0)
        await crowd.begin(*(node.socket_url for node in nodes))
        until = time.monotonic() + minutes * 60
        killed = 0
        while killed < 2 or time.monotonic() < until:
            faults = ["listeners", "publishers", "emptied", "deaf"]
            random.shuffle(faults)
            for fault in faults:
                await asyncio.sleep(random.uniform(0.1, 0.5))
                inflict(fault, bus)
            victim = nodes[killed % 2]
            await victim.kill()
            await crowd.connected()
            inflict("hearing", bus)
            await victim.start()
            killed += 1
        verdict = await crowd.settle(nodes[0].url)
        with capsys.disabled():
            print(f"\nseed {seed}, {killed * 5} faults: {verdict}")  # noqa: T201 - what the run has shown
        assert not verdict.counts, f"seed {seed}: {verdict}"
        assert not crowd.surprises
        assert verdict.acknowledged == verdict.sent > 100
        for node in nodes:
            assert "Traceback" not in node.printed()
            assert await node.stop() == 0

    play(scene())


@pytest.mark.slow
def test_two_nodes_share_who_is_there_what_was_read_and_who_is_signed_in(
    nodes: tuple[ServerProcess, ServerProcess], bus: Any, play: Play
) -> None:
    async def scene() -> None:
        a, b = nodes
        await a.start()
        ann, bo = await circle(a.url, 2)
        ch = await direct(a.url, ann, bo)
        await b.start()  # so young that the other node has not seen its lease yet
        async with Line(b.socket_url, bo.token, ch) as there:
            await there.until("presence", joined=[bo.id])
            async with Line(a.socket_url, ann.token, ch) as here:
                if bo.id not in next(frame for frame in here.heard if frame["t"] == "presence")["online"]:
                    await here.until("presence", joined=[bo.id])
                await there.until("presence", joined=[ann.id])

                id = secrets.token_urlsafe(16)
                await here.say(t="append", id=id, ch=ch, kind="message", body={"text": "Are you there?"})
                seq = (await here.until("ack", id=id))["seq"]
                assert (await there.until("entry"))["entry"]["id"] == id
                await there.say(t="position", ch=ch, read=seq)
                assert (await here.until("position", by=bo.id))["read"] == seq
                await there.say(t="signal", ch=ch, kind="typing", body={"on": True})
                assert (await here.until("signal", by=bo.id))["kind"] == "typing"

                # Her program's sign-in is revoked on the other node.
                await call(b.url, "DELETE", f"/sessions/{ann.session}", cookies=ann.cookies)
                assert await here.closed() == SIGNED_OUT
            await there.until("presence", left=[ann.id])

    play(scene())


@pytest.mark.slow
def test_what_a_node_made_durable_before_it_died_is_found_without_the_bus(
    nodes: tuple[ServerProcess, ServerProcess], bus: Any, play: Play
) -> None:
    """The sweep: entries that were inserted, and whose node died before it could publish them."""

    async def scene() -> None:
        a, b = nodes
        await a.start()
        ann, bo = await circle(a.url, 2)
        ch = await direct(a.url, ann, bo)
        await b.start()
        async with Line(b.socket_url, bo.token, ch) as there:
            ids = [secrets.token_urlsafe(16) for _ in range(3)]
            async with Line(a.socket_url, ann.token, ch) as here:
                inflict("deaf", bus)
                for id in ids:
                    await here.say(t="append", id=id, ch=ch, kind="message", body={"text": "word"})
                    await here.until("ack", id=id)
                await a.kill()
            assert not [frame for frame in there.heard if frame["t"] == "entry" and frame["entry"]["id"] in ids]
            assert [(await there.until("entry"))["entry"]["id"] for _ in ids] == ids

    play(scene())
