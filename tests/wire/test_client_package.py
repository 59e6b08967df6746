"""The TypeScript client package against the real server: chat, lost lines, lost servers, lost databases (R-02).

The rules of the client itself are tested in static/packages/realtime/test with a turned clock; here two programs meet.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from pymongo import MongoClient
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

from handlers.application import make_application
from scripts.hub_process import HubProcess
from server.keys import Keys
from server.services import Services
from server.settings import ROOT, Settings
from tests.conftest import Run, RunningServer
from tests.wire.client import Crowd, Person, conversation_of
from tests.wire.node_client import PACKAGE, Cable, NodeClients, Refused


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as programs get it: compiled to JavaScript."""
    target = tmp_path_factory.mktemp("realtime")
    (target / "package.json").write_text('{"type": "module"}')
    compiler = ROOT / "node_modules" / ".bin" / "tsc"
    config = PACKAGE / "tsconfig.build.json"
    subprocess.run([compiler, "-p", config, "--outDir", target], check=True, capture_output=True, text=True)
    return target


@pytest.fixture
def node(built: Path, run: Run[Any]) -> Iterator[NodeClients]:
    clients = run(NodeClients.start(built))
    yield clients
    run(clients.stop())


@pytest.fixture
def cable(server: RunningServer, run: Run[Any]) -> Iterator[Cable]:
    cable = run(Cable.to(server.port))
    yield cable
    run(cable.close())


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """No limits of sending: these tests send faster than people do."""
    return msgspec.structs.replace(settings, limits_factor=100.0)


async def program(
    node: NodeClients, person: Person, url: str, *, name: str = "", connect: bool = True, **more: Any
) -> str:
    """A client of the package with a token of this person; its name."""
    name = name or person.handle
    token = (await person.post("/tokens", {"name": "a program"}))["token"]
    await node.ask("make", name, url=url, token=token, **more)
    if connect:
        await node.ask("connect", name)
        await node.until(name, "state", lambda state: state == "online")
    return name


async def opened(node: NodeClients, name: str, ch: str, **fields: Any) -> Any:
    await node.ask("open", name, ch=ch, **fields)
    return await node.until(name, "info", ch=ch)


def text(words: str) -> dict[str, str]:
    return {"text": words}


async def texts_in_log(person: Person, ch: str) -> list[str]:
    """The messages of a conversation as the log has them, over HTTP."""
    found: list[str] = []
    after = 0
    while entries := (await person.get(f"{conversation_of(ch)}/entries?after={after}&limit=200"))["entries"]:
        found += [entry["body"]["text"] for entry in entries if entry["kind"] == "message"]
        after = entries[-1]["seq"]
    return found


async def test_two_programs_chat(node: NodeClients, crowd: Crowd, server: RunningServer) -> None:
    lin, mei = await crowd.friends("lin", "mei")
    ch = await crowd.direct(lin, mei)
    await program(node, lin, server.socket_url)
    await program(node, mei, server.socket_url)
    assert (await node.ask("look", "lin"))["who"] == lin.id
    info = await opened(node, "lin", ch)
    assert info["write"]
    assert info["signal"]
    await opened(node, "mei", ch)
    await node.until("lin", "presence", lambda online: set(online) == {lin.id, mei.id}, ch=ch)

    await node.ask("signal", "lin", ch=ch, kind="typing", body={"on": True})
    assert (await node.until("mei", "signal", ch=ch)) == {"by": lin.id, "kind": "typing", "body": {"on": True}}

    ack = await node.ask("append", "lin", ch=ch, kind="message", body=text("你好 👋🏽"))
    entry = await node.until("mei", "entry", ch=ch)
    assert (entry["seq"], entry["by"], entry["body"]) == (ack["seq"], lin.id, text("你好 👋🏽"))
    await node.until("lin", "pending", lambda pending: pending == [], ch=ch)
    states = [pending[0]["state"] for pending in node.values("lin", "pending", ch) if pending]
    assert states[:2] == ["waiting", "sending"]

    await node.ask("position", "mei", ch=ch, place={"read": ack["seq"]})
    moved = await node.until("lin", "position", lambda position: position["by"] == mei.id, ch=ch)
    assert (moved["read"], moved["read_n"], moved["delivered"]) == (ack["seq"], 1, ack["seq"])
    await node.until("mei", "info", lambda info: info["n"] == info["read_n"] == 1, ch=ch)

    edited = await node.ask("append", "lin", ch=ch, kind="edit", body=text("您好"), ref=ack["seq"])
    page = await node.ask("history", "mei", ch=ch, range={"before": edited["seq"], "limit": 1})
    assert [entry["seq"] for entry in page["entries"]] == [ack["seq"]]
    assert [(entry["kind"], entry["ref"]) for entry in page["modifiers"]] == [("edit", ack["seq"])]


async def test_the_inbox_tells_what_has_changed(node: NodeClients, crowd: Crowd, server: RunningServer) -> None:
    lin, mei = await crowd.friends("lin", "mei")
    await program(node, mei, server.socket_url)
    assert await node.until("mei", "stale") == "start"
    ch = await crowd.direct(lin, mei)
    entry = await node.until("mei", "inbox", lambda entry: entry["kind"] == "conversation_added")
    assert f"conv:{entry['body']['conversation']}" == ch


async def test_what_was_missed_during_a_cut_comes_once(node: NodeClients, crowd: Crowd, cable: Cable) -> None:
    lin, mei = await crowd.friends("lin", "mei")
    ch = await crowd.direct(lin, mei)
    await program(node, mei, cable.url)
    start = (await opened(node, "mei", ch))["head"]
    other = await lin.socket()
    for number in range(120):
        await other.write(ch, f"number {number}")
        if number % 17 == 11:
            cable.cut()
    head = start + 120
    await node.until("mei", "entry", lambda entry: entry["seq"] == head, ch=ch)
    assert cable.cuts == 7
    assert [entry["seq"] for entry in node.values("mei", "entry", ch)] == list(range(start + 1, head + 1))
    assert node.values("mei", "reset", ch) == []


async def test_a_lost_acknowledgement_does_not_double(node: NodeClients, crowd: Crowd, cable: Cable) -> None:
    """Durable, but the line breaks before the client knows: the same id is sent again and taken once."""
    lin, mei = await crowd.friends("lin", "mei")
    ch = await crowd.direct(lin, mei)
    await program(node, lin, cable.url)
    for number in range(5):
        cable.cut_before(b'"t":"ack"')
        await node.ask("append", "lin", ch=ch, kind="message", body=text(f"number {number}"))
    assert cable.cuts == 5
    assert await texts_in_log(mei, ch) == [f"number {number}" for number in range(5)]
    assert (await node.ask("look", "lin"))["pending"] == []


async def test_what_was_written_offline_is_sent_in_order_and_once(
    node: NodeClients, crowd: Crowd, cable: Cable
) -> None:
    lin, mei = await crowd.friends("lin", "mei")
    ch, group = await crowd.direct(lin, mei), await crowd.group(lin, mei)
    await program(node, lin, cable.url, connect=False)
    for number in range(20):
        pending = await node.ask("send", "lin", ch=ch, kind="message", body=text(f"number {number}"))
        assert pending["state"] == "waiting"
        await node.ask("send", "lin", ch=group, kind="message", body=text(f"group {number}"))
    assert (await node.ask("look", "lin"))["pendingCount"] == 40
    await node.ask("close", "lin")

    # As after a reload: another client, the same storage.
    await program(node, lin, cable.url, name="lin again", storage="lin")
    cable.cut()
    await node.until("lin again", "pending", lambda count: count == 0)
    assert await texts_in_log(mei, ch) == [f"number {number}" for number in range(20)]
    assert await texts_in_log(mei, group) == [f"group {number}" for number in range(20)]


async def test_refusals_reach_whoever_has_written(node: NodeClients, crowd: Crowd, server: RunningServer) -> None:
    lin, mei = await crowd.friends("lin", "mei")
    ch = await crowd.direct(lin, mei)
    await program(node, lin, server.socket_url)
    await opened(node, "lin", ch)
    for words, code in (("   ", "bad_request"), ("x" * 16_001, "bad_request"), ("x" * 70_000, "too_large")):
        with pytest.raises(Refused, match=code):
            await node.ask("append", "lin", ch=ch, kind="message", body=text(words))
    with pytest.raises(Refused, match="bad_request"):
        await node.ask("append", "lin", ch=ch, kind="created", body={"title": "", "kind": "direct"})
    with pytest.raises(Refused, match="not_found"):
        await node.ask("append", "lin", ch="conv:c_00000000000000000000", kind="message", body=text("nobody"))
    with pytest.raises(Refused, match="not_found"):
        await node.ask("history", "lin", ch="conv:c_00000000000000000000", range={})
    await mei.put(f"/blocks/{lin.id}")
    await node.until("lin", "entry", lambda entry: entry["kind"] == "closed", ch=ch)
    with pytest.raises(Refused, match="closed"):
        await node.ask("append", "lin", ch=ch, kind="message", body=text("too late"))
    failed = (await node.ask("look", "lin"))["pending"]
    assert [pending["state"] for pending in failed] == ["failed"] * 6
    for pending in failed:
        assert await node.ask("discard", "lin", id=pending["id"])
    assert (await node.ask("look", "lin"))["pending"] == []


async def test_a_channel_that_is_not_for_one_is_refused(node: NodeClients, crowd: Crowd, server: RunningServer) -> None:
    lin, mei, wei = await crowd.friends("lin", "mei", "wei")
    ch = await crowd.group(lin, mei, wei)
    await program(node, wei, server.socket_url)
    await node.ask("open", "wei", ch=f"inbox:{lin.id}")
    assert await node.until("wei", "dropped", ch=f"inbox:{lin.id}") == "not_found"
    await opened(node, "wei", ch)
    await lin.delete(f"{conversation_of(ch)}/members/{wei.id}")
    assert await node.until("wei", "dropped", ch=ch) == "not_found"
    # Asked again, refused again; after a new invitation it opens.
    await lin.post(f"{conversation_of(ch)}/members", {"persons": [wei.id]})
    await node.until("wei", "inbox", lambda entry: entry["kind"] == "conversation_added")
    await opened(node, "wei", ch)


async def test_a_revoked_token_ends_it(node: NodeClients, crowd: Crowd, server: RunningServer) -> None:
    (lin,) = await crowd.people("lin")
    await program(node, lin, server.socket_url)
    sessions = (await lin.get("/sessions"))["sessions"]
    token = next(session for session in sessions if session["kind"] == "token")
    await lin.delete(f"/sessions/{token['id']}")
    await node.until("lin", "state", lambda state: state == "ended")
    assert (await node.ask("look", "lin"))["stateInfo"]["closeCode"] == 4502
    # By itself it stays away; told to come back it is turned away.
    await node.ask("connect", "lin")
    await node.until("lin", "state", lambda state: state == "ended")
    assert (await node.ask("look", "lin"))["stateInfo"]["closeCode"] == 4501


class Restarted(NamedTuple):
    services: Services
    http: HTTPServer


async def serve_again(settings: Settings, keys: Keys, cable: Cable) -> Restarted:
    """Another node on the same database, and the cable leads there."""
    services = Services(settings, keys, mongodb_uri=settings.mongodb_uri, redis_url=settings.redis_url)
    await services.start()
    http = HTTPServer(make_application(services))
    listening, cable.target = bind_unused_port()
    http.add_socket(listening)
    return Restarted(services, http)


async def stop_again(again: Restarted) -> None:
    again.http.stop()
    await again.services.stop()
    await again.http.close_all_connections()


async def test_a_restored_database_resets_the_channel(
    node: NodeClients, crowd: Crowd, server: RunningServer, cable: Cable, settings: Settings, keys: Keys
) -> None:
    lin, mei = await crowd.friends("lin", "mei")
    ch = await crowd.direct(lin, mei)
    await program(node, mei, cable.url)
    await opened(node, "mei", ch)
    await (await lin.socket()).write(ch, "before")
    await node.until("mei", "entry", ch=ch)
    with MongoClient[dict[str, object]](settings.mongodb_uri) as database:
        database[settings.database]["meta"].update_one({"_id": "epoch"}, {"$set": {"value": "another"}})
    again = await serve_again(settings, keys, cable)
    try:
        cable.cut()
        assert await node.until("mei", "reset", ch=ch) == "epoch"
        assert await node.until("mei", "stale", lambda reason: reason != "start") == "epoch"
        assert (await node.ask("look", "mei"))["epoch"] == "another"
        page = await node.ask("history", "mei", ch=ch, range={})
        assert page["entries"][-1]["body"] == text("before")
        # From the new place on all is as ever, also over a loss.
        await node.ask("append", "mei", ch=ch, kind="message", body=text("after"))
        cable.cut()
        await node.ask("append", "mei", ch=ch, kind="message", body=text("and again"))
        await node.until("mei", "entry", lambda entry: entry["body"] == text("and again"), ch=ch)
        assert len(node.values("mei", "reset", ch)) == 1
    finally:
        await stop_again(again)


async def test_a_planned_restart_is_survived_by_resuming_elsewhere(
    node: NodeClients, crowd: Crowd, server: RunningServer, cable: Cable, settings: Settings, keys: Keys
) -> None:
    lin, mei = await crowd.friends("lin", "mei")
    ch = await crowd.direct(lin, mei)
    await program(node, lin, cable.url)
    await program(node, mei, cable.url)
    start = (await opened(node, "mei", ch))["head"]
    acks = [node.command("append", "lin", ch=ch, kind="message", body=text(f"number {n}")) for n in range(60)]
    await acks[9]
    again = await serve_again(settings, keys, cable)
    try:
        await server.services.hub.drain()
        async with asyncio.timeout(30):
            told = await asyncio.gather(*acks)
        await node.until("mei", "entry", lambda entry: entry["seq"] == start + 60, ch=ch)
        assert [ack["seq"] for ack in told] == list(range(start + 1, start + 61))
        assert [entry["body"]["text"] for entry in node.values("mei", "entry", ch)] == [
            f"number {n}" for n in range(60)
        ]
        assert node.values("mei", "state")[:5] == [
            "connecting", "online", "offline", "connecting", "online",
        ]  # fmt: skip
    finally:
        await stop_again(again)


class Away(NamedTuple):
    """As much of a RunningServer as a Person needs, for a server in another process."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def socket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/api/v1/socket"


async def hub_on(data_dir: Path) -> HubProcess:
    """The hub as a process of its own, started."""
    hub = HubProcess(data_dir, environ={"VOUCH_LIMITS_FACTOR": "100"})
    await asyncio.to_thread(hub.start)
    return hub


def port_of(hub: HubProcess) -> int:
    return int(hub.url.strip("/").rpartition(":")[2])


@pytest.mark.gen_test(timeout=120)
async def test_nothing_is_lost_or_doubled_when_the_server_is_killed(node: NodeClients, tmp_path: Path) -> None:
    """kill -9 while both write, twice; the same data directory starts again on another port."""
    hub = await hub_on(tmp_path / "data")
    cable = await Cable.to(port_of(hub))
    try:
        crowd = Crowd(Away(port_of(hub)))  # type: ignore[arg-type]
        lin, mei = await crowd.friends("lin", "mei")
        ch = await crowd.direct(lin, mei)
        head = 0
        for person in (lin, mei):
            await program(node, person, cable.url)
            head = (await opened(node, person.handle, ch))["head"]
        appends: list[asyncio.Future[Any]] = []
        for life in range(3):
            for number in range(50):
                for name in ("lin", "mei"):
                    words = text(f"{name} {life * 50 + number}")
                    appends.append(node.command("append", name, ch=ch, kind="message", body=words))
            await appends[life * 100 + 30]
            if life < 2:
                hub.send(signal.SIGKILL)
                await asyncio.to_thread(hub.end)
                hub = await hub_on(tmp_path / "data")
                cable.target = port_of(hub)
        async with asyncio.timeout(60):
            acks = await asyncio.gather(*appends)
        assert sorted(ack["seq"] for ack in acks) == list(range(head + 1, head + 301))
        for name in ("lin", "mei"):
            await node.until(name, "entry", lambda entry: entry["seq"] == head + 300, ch=ch)
            entries = node.values(name, "entry", ch)
            assert [entry["seq"] for entry in entries] == list(range(head + 1, head + 301))
            for sender in ("lin", "mei"):
                said = [e["body"]["text"] for e in entries if e["body"]["text"].startswith(sender)]
                assert said == [f"{sender} {number}" for number in range(150)]
            assert node.values(name, "reset", ch) == []
    finally:
        await cable.close()
        await asyncio.to_thread(hub.__exit__, None, None, None)
