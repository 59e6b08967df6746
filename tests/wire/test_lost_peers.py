"""Peers that are there no more, or never were quite: none of them keeps a socket for ever."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

from server.commands import hub
from server.principals import Principal
from server.realtime import protocol as p
from server.realtime import websocket
from tests.conftest import RunningServer, eventually
from tests.wire.client import Crowd, Raw, frame_bytes
from tests.wire.raw import PING, PONG, Wire, request
from tests.wire.storms.line import said


def hurry(server: RunningServer) -> float:
    """Makes heartbeats quick; their interval in seconds."""
    heartbeat = server.services.hub._heartbeat
    heartbeat._tick = 0.02
    return heartbeat.every


async def test_a_peer_that_has_vanished(crowd: Crowd, server: RunningServer) -> None:
    """Half-open TCP: nothing comes back, not even a FIN. Pings find out, within three heartbeats; others live on."""
    every = hurry(server)
    lin, mei = await crowd.friends("lin", "mei")
    ch = await crowd.direct(lin, mei)
    from_mei = await mei.socket()
    await from_mei.subscribe(ch)
    raw = await Raw.open(lin)
    await raw.say("hello", v=1)
    await raw.say("subscribe", rid=1, channels=[{"ch": ch}])
    await from_mei.until("presence", where=lambda frame: lin.id in frame.get("joined", []))
    began = time.monotonic()
    await from_mei.until("presence", where=lambda frame: lin.id in frame.get("left", []))
    assert every < time.monotonic() - began < 20 * every  # loose: the machine may be busy
    assert server.services.hub.roster.of(lin.id) == []
    assert await raw.close_code() in (p.Close.NO_HEARTBEAT, None)  # dropped at once, for nobody is expected to listen
    raw.close()
    await from_mei.fence()


async def test_any_sign_of_life_counts(crowd: Crowd, server: RunningServer) -> None:
    """One who never answers pings but sends some itself, or an unasked pong, is alive."""
    every = hurry(server)
    ada = await crowd.person("ada")
    for sign in (said("ping", rid=1), frame_bytes(b"", first=0x80 | PING), frame_bytes(b"", first=0x80 | PONG)):
        raw = await Raw.open(ada)
        await raw.say("hello", v=1)
        until = time.monotonic() + 5 * every
        while time.monotonic() < until:
            await raw.send(sign)
            await asyncio.sleep(every / 4)  # the passing of time is what this is about
        (connection,) = server.services.hub.roster.of(ada.id)
        assert not connection.closing
        raw.close()
        await eventually(lambda: server.services.hub.roster.of(ada.id) == [])


async def test_one_who_never_says_hello(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(p, "HELLO_WITHIN", 0.3)
    monkeypatch.setattr(websocket, "CLOSE_WITHIN", 0.3)  # it does not answer the close frame either
    ada = await crowd.person("ada")
    raw = await Raw.open(ada)
    assert await raw.close_code() == p.Close.UNAUTHENTICATED
    raw.close()


async def test_a_hello_that_the_server_answers_late(
    crowd: Crowd, server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Regression: of 5,000 that came back at once some were told never to come back, for the database was busy."""
    monkeypatch.setattr(p, "HELLO_WITHIN", 0.2)
    ada = await crowd.person("ada")
    token = (await ada.post("/tokens", {"name": "slow"}))["token"]
    people, answer = server.services.people, asyncio.Event()
    authenticate = people.authenticate_token

    async def busy(said: str) -> Principal | None:
        await answer.wait()
        return await authenticate(said)

    monkeypatch.setattr(people, "authenticate_token", busy)
    socket = await ada.socket(hello=False, headers={})
    asyncio.get_running_loop().call_later(1.0, answer.set)
    assert (await socket.hello(token=token))["who"] == ada.id


async def test_a_server_that_reads_late(crowd: Crowd, server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has said hello while the loop was held up is heard before it is called silent."""
    monkeypatch.setattr(p, "HELLO_WITHIN", 0.2)
    ada = await crowd.person("ada")
    socket = await ada.socket(hello=False)
    await socket.say("hello", v=1)
    time.sleep(0.6)  # nothing runs, as when the server has too much to do
    assert (await socket.until("welcome"))["who"] == ada.id


@pytest.mark.parametrize("beginning", [b"", b"GET / HTTP/1.1\r\n", None])
async def test_a_handshake_that_takes_for_ever(server: RunningServer, beginning: bytes | None) -> None:
    """Slow loris: a header that comes byte by byte is cut off when its time is over, however busily it comes."""
    assert 0 < hub.IDLE_SECONDS <= 75
    http = HTTPServer(server.application, idle_connection_timeout=0.5)
    listening, port = bind_unused_port()
    http.add_socket(listening)
    asked = request(port, "/api/v1/socket")[0][:-2]
    async with Wire.tcp(port) as wire:
        began = time.monotonic()
        if beginning is not None:
            await wire.send(beginning)
        else:
            with contextlib.suppress(OSError):  # cut off while we speak
                for at in range(len(asked)):
                    await wire.send(asked[at : at + 1])
                    await asyncio.sleep(0.05)
                    if wire.reader.at_eof():
                        break
        async with asyncio.timeout(10):
            with contextlib.suppress(OSError):
                assert await wire.reader.read() == b""
        assert time.monotonic() - began < 5
    http.stop()
    await http.close_all_connections()
