"""An orderly stop: clients are told to come back, and what was acknowledged is there when they do (DESIGN 2)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

from handlers.application import make_application
from server.clock import SystemClock
from server.keys import Keys
from server.realtime.protocol import Close
from server.services import Services
from server.settings import Settings
from tests.conftest import RunningServer
from tests.wire.client import Crowd


@contextlib.asynccontextmanager
async def running(settings: Settings, keys: Keys) -> AsyncIterator[RunningServer]:
    """A server like the fixture's, to be stopped within the test; several may run on one database."""
    services = Services(settings, keys, SystemClock(), mongodb_uri=settings.mongodb_uri, redis_url=settings.redis_url)
    await services.start()
    application = make_application(services)
    http = HTTPServer(application)
    listening, port = bind_unused_port()
    http.add_socket(listening)
    try:
        yield RunningServer(port, services, application)
    finally:
        http.stop()
        await services.stop()
        await http.close_all_connections()


async def test_a_stop_loses_nothing_that_was_acknowledged(settings: Settings, keys: Keys) -> None:
    """Stopped in the middle of a burst: each message is acknowledged and kept, or repeated and kept once."""
    async with running(settings, keys) as server:
        crowd = Crowd(server)
        lin, mei = await crowd.friends("lin", "mei")
        ch = await crowd.direct(lin, mei)
        from_lin, from_mei, unknown = await lin.socket(), await mei.socket(), await mei.socket(hello=False)
        await from_mei.subscribe(ch)
        ids = [f"said-while-stopping-{number:03}" for number in range(150)]
        for number, id in enumerate(ids):
            await from_lin.say("append", id=id, ch=ch, kind="message", body={"text": f"number {number}"})
        await from_lin.until("ack", id=ids[0])
        stopping = asyncio.create_task(server.services.stop())
        for socket in (from_lin, from_mei):
            bye = await socket.until("bye")
            assert (bye["close"], bye["retry_after"]) == (Close.GOING_AWAY, 0.5)
            assert await socket.end() == Close.GOING_AWAY
        # Whoever comes while we stop is sent away with the same code.
        await unknown.say("hello", v=1)
        assert await unknown.end() in (Close.GOING_AWAY, Close.TRY_LATER)
        await stopping
    acked = {frame["id"]: frame["seq"] for frame in from_lin.heard("ack")}
    assert acked

    async with running(settings, keys) as server:
        lin.server = mei.server = server
        back, reader = await lin.socket(), await mei.socket()
        await reader.subscribe(ch, after=0)
        for number, id in enumerate(ids):  # the client's outbox repeats what it has no acknowledgement for
            if id not in acked:
                answer = await back.append(ch, "message", {"text": f"number {number}"}, id=id)
                acked[id] = answer["seq"]
        await reader.entry(ch, seq=max(acked.values()))
        kept = {entry["id"]: entry["seq"] for entry in reader.entries(ch) if entry["kind"] == "message"}
        assert kept == acked
        assert sorted(kept.values()) == list(range(2, len(ids) + 2))
        await crowd.leave()


async def test_a_change_that_was_committed_is_told_after_a_restart(settings: Settings, keys: Keys) -> None:
    """The outbox is part of the change's transaction: a stop in between only delays its entries (DESIGN section 2)."""
    async with running(settings, keys) as server:
        crowd = Crowd(server)
        lin, mei = await crowd.friends("lin", "mei")
        ch = await crowd.direct(lin, mei)
        await server.services.outbox.stop()  # as if we had died between commit and relay
        await lin.put(f"/blocks/{mei.id}")
        assert (await (await mei.socket()).page(ch))["head"] == 1

    async with running(settings, keys) as server:
        mei.server = server
        socket = await mei.socket()
        assert [entry["kind"] for entry in (await socket.page(ch))["entries"]] == ["created", "closed"]
        await server.services.outbox.drained()
        await crowd.leave()


async def test_a_stop_with_nobody_there(settings: Settings, keys: Keys) -> None:
    async with running(settings, keys) as server:
        assert server.services.hub.epoch
