"""Calls whole: browsers' HTTP and sockets, a real worker, stock peers that publish and watch."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aioice.ice
import msgspec
import pytest
from aiortc import (
    AudioStreamTrack,
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError

from server.errors import Code
from server.settings import Settings
from tests.calls.test_plane import Scene, drained, seen
from tests.calls.worker.stock import as_stock_reads
from tests.conftest import RunningServer, eventually
from tests.handlers.conftest import Client
from tests.people.conftest import CHEAP
from tests.wire.client import Socket, client_id


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return msgspec.structs.replace(
        settings, limits_factor=1000.0, calls_workers=1, calls_spare=False, calls_addresses=("127.0.0.1",)
    )


class Person(Client):
    """Somebody at a browser: HTTP, a socket that is subscribed to the call, and peer connections."""

    def __init__(self, server: RunningServer, handle: str) -> None:
        super().__init__(server.url)
        self.server = server
        self.handle = handle
        self.id = ""
        self.socket = Socket(handle)
        self.peers: list[RTCPeerConnection] = []
        self.tracks: list[MediaStreamTrack] = []
        self.watching = ""

    async def arrive(self) -> Person:
        self.id = (await self.register(self.handle))["id"]
        return self

    async def listen(self, ch: str) -> None:
        self.socket = Socket(self.handle)
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        await self.socket.open(self.server.socket_url, {"Cookie": cookies})
        await self.socket.hello()
        await self.socket.subscribe(ch)

    async def join(self, path: str) -> None:
        answer = await self.post(f"{path}/accept")
        assert answer.status == 200, answer.data
        await self.listen(f"call:{path.rpartition('/')[2]}")

    async def connect(self, path: str, peer: RTCPeerConnection, direction: str) -> str:
        self.peers.append(peer)
        await peer.setLocalDescription(await peer.createOffer())
        answer = await self.post(f"{path}/connections", {"direction": direction, "offer": peer.localDescription.sdp})
        assert answer.status == 201, answer.data
        await peer.setRemoteDescription(RTCSessionDescription(as_stock_reads(answer.json["answer"]), "answer"))
        return str(answer.json["id"])

    async def publish(self, path: str) -> None:
        peer = fresh()
        for track in (AudioStreamTrack(), Scene()):
            peer.addTransceiver(track, direction="sendonly")
        await self.connect(path, peer, "publish")
        await self.call("PATCH", f"{path}/seat", {"voice": True, "camera": True})

    async def watch(self, path: str, *people: Person) -> None:
        """One slot of sound (0), and one of pictures for each (1, 2 …)."""
        peer = fresh()
        peer.addTransceiver("audio", direction="recvonly")
        slots = [peer.addTransceiver("video", direction="recvonly") for _ in people]
        self.watching = await self.connect(path, peer, "watch")
        self.tracks = [slot.receiver.track for slot in slots]
        wanted = [{"index": n, "person": person.id, "track": "camera"} for n, person in enumerate(people, 1)]
        answer = await self.call("PUT", f"{path}/connections/{self.watching}/view", {"slots": wanted})
        assert answer.status == 204, answer.data
        answer = await self.call("PATCH", f"{path}/seat", {"watching": [person.id for person in people]})
        assert answer.status == 200, answer.data

    async def sees(self) -> None:
        await asyncio.gather(*(seen(track) for track in self.tracks))

    async def hang_up(self) -> None:
        peers, self.peers = self.peers, []
        await asyncio.gather(*(peer.close() for peer in peers))

    async def state(self, path: str) -> Any:
        return (await self.get(path)).json


def fresh() -> RTCPeerConnection:
    return RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))


@asynccontextmanager
async def people(server: RunningServer, monkeypatch: pytest.MonkeyPatch, *handles: str) -> AsyncIterator[list[Person]]:
    """The first is a friend of all others, and has a group with them."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])
    monkeypatch.setattr(server.services.people._passwords, "_hasher", CHEAP)
    made = [await Person(server, handle).arrive() for handle in handles]
    friends = server.services.people.friends
    for other in made[1:]:
        await friends.request(made[0].id, other.id, "")
        await friends.accept(other.id, made[0].id)
    try:
        yield made
    finally:
        await asyncio.gather(*(person.hang_up() for person in made))
        for person in made:
            person.socket.close()


async def started(first: Person, *others: Person) -> str:
    """The path of a running call of them all."""
    body = {"kind": "group", "title": "Watch", "members": [person.id for person in others], "key": client_id()}
    room = (await first.post("/conversations", body)).json["id"]
    answer = await first.post("/calls", {"conversation": room, "key": client_id()})
    assert answer.status == 201, answer.data
    path = f"/calls/{answer.json['id']}"
    for person in (first, *others):
        await person.join(path)
    return path


async def test_two_who_see_each_other(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async with people(server, monkeypatch, "ann", "tom") as (ann, tom):
        path = await started(ann, tom)
        await ann.publish(path)
        await tom.publish(path)
        await ann.watch(path, tom)
        await tom.watch(path, ann)
        await asyncio.gather(ann.sees(), tom.sees())
        assert (await ann.state(path))["watched_by"] == [tom.id]


async def test_one_watched_by_three(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async with people(server, monkeypatch, "ann", "tom", "max", "lin") as (ann, *others):
        path = await started(ann, *others)
        await ann.publish(path)
        for person in others:
            await person.watch(path, ann)
        await asyncio.gather(*(person.sees() for person in others))
        assert sorted((await ann.state(path))["watched_by"]) == sorted(person.id for person in others)


async def test_three_watched_by_one(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async with people(server, monkeypatch, "ann", "tom", "max", "lin") as (ann, *others):
        path = await started(ann, *others)
        for person in others:
            await person.publish(path)
        await ann.watch(path, *others)
        await ann.sees()


async def test_a_worker_that_is_killed_is_told_and_everybody_sees_again(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with people(server, monkeypatch, "ann", "tom") as (ann, tom):
        path = await started(ann, tom)
        await ann.publish(path)
        await tom.watch(path, ann)
        await tom.sees()
        (pid,) = server.services.calls.media._plane.pids  # type: ignore[attr-defined]
        os.kill(pid, signal.SIGKILL)
        await tom.socket.until("entry", where=lambda frame: frame["entry"]["body"].get("epoch") == 2)
        for person in (ann, tom):
            await person.hang_up()
        await ann.publish(path)
        await tom.watch(path, ann)
        await tom.sees()
        assert (await tom.state(path))["state"] == "running"


async def test_a_socket_that_drops_ends_nothing(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async with people(server, monkeypatch, "ann", "tom") as (ann, tom):
        path = await started(ann, tom)
        await ann.publish(path)
        await tom.watch(path, ann)
        await tom.sees()
        for peer in server.services.hub.roster.of(tom.id):
            peer._transport.abort()  # type: ignore[attr-defined]
        await eventually(lambda: not server.services.hub.roster.of(tom.id))
        await tom.sees()
        await tom.listen(f"call:{path.rpartition('/')[2]}")
        await server.services.calls.keeper.look()
        state = await tom.state(path)
        assert [(seat["state"], seat["here"]) for seat in state["seats"] if seat["person"] == tom.id] == [
            ("joined", True)
        ]
        await tom.sees()


async def test_who_has_no_right_gets_no_media(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async with people(server, monkeypatch, "ann", "tom", "max") as (ann, tom, max_):
        eve = await Person(server, "eve").arrive()
        path = await started(ann, tom, max_)
        await ann.publish(path)
        peer = fresh()
        eve.peers.append(peer)
        peer.addTransceiver("video", direction="recvonly")
        await peer.setLocalDescription(await peer.createOffer())
        offer = {"direction": "watch", "offer": peer.localDescription.sdp}
        assert (await eve.post(f"{path}/accept")).code == Code.NOT_FOUND
        assert (await eve.post(f"{path}/connections", offer)).code == Code.NOT_FOUND
        await tom.watch(path, ann)
        await tom.sees()
        theirs = f"{path}/connections/{tom.watching}"
        assert (await max_.call("PUT", f"{theirs}/view", {"slots": []})).code == Code.NOT_FOUND
        assert (await max_.call("DELETE", theirs)).code == Code.NOT_FOUND
        assert (await ann.post(f"{path}/remove", {"person": tom.id})).status == 200
        with pytest.raises(MediaStreamError):  # the server closes the transport at once
            await drained(tom.tracks[0])
        assert (await tom.post(f"{path}/connections", offer)).code == Code.CONFLICT
        assert (await tom.post(f"{path}/accept")).code == Code.CONFLICT
        await eve.hang_up()
