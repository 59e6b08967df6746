"""Two server processes on one database and one Redis: one presence, one sign-in, one log (DESIGN 2)."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from server.settings import Settings
from tests.faults.accounts import call, circle, direct
from tests.faults.conftest import Play, Serve, shared
from tests.faults.line import Line
from tests.faults.server_process import ServerProcess

SIGNED_OUT = 4502


@pytest.fixture
def nodes(serve: Serve, settings: Settings) -> tuple[ServerProcess, ServerProcess]:
    """Two servers, not yet started, that share database, Redis and secrets."""
    return serve("a", shared(settings)), serve("b", shared(settings))


@pytest.fixture
def bus(redis_url: str) -> Iterator[Any]:
    """The Redis behind the bus; Any, because its commands are made by name."""
    with redis.Redis.from_url(redis_url) as client:
        yield client
        deafen(client, off=True)


def deafen(bus: Any, *, off: bool = False) -> None:
    """Redis refuses every publication."""
    bus.execute_command("ACL", "SETUSER", "default", "+publish" if off else "-publish")


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
                deafen(bus)
                for id in ids:
                    await here.say(t="append", id=id, ch=ch, kind="message", body={"text": "word"})
                    await here.until("ack", id=id)
                await a.kill()
            assert not [frame for frame in there.heard if frame["t"] == "entry" and frame["entry"]["id"] in ids]
            assert [(await there.until("entry"))["entry"]["id"] for _ in ids] == ids

    play(scene())
