"""Uploads that are interrupted, repeated, abandoned, too many; and a server that is killed in the middle."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tornado.httpclient import HTTPClientError

from server.keys import Keys
from server.media.processing import UNSENT
from server.media.rules import CHUNK, LIMITS, MIB, OPEN_MOST, Tier
from server.media.uploads import ABANDONED
from server.principals import Grant, Role
from server.services import Services
from server.settings import Settings
from tests.conftest import Run, RunningServer, eventually
from tests.faults.server_process import ServerProcess
from tests.media import samples
from tests.media.conftest import Gather, Sender, direct, header, nothing_is_left
from tests.people.conftest import TurnedClock


async def test_an_upload_goes_on_where_it_stands(gather: Gather) -> None:
    lin, emma = await gather("lin", "emma")
    room = await direct(lin, emma)
    content = secrets.token_bytes(2 * CHUNK + 1000)
    begun = await lin.begin_upload(room, "file", len(content), "notes.bin")
    told = begun.json
    assert (told["offset"], told["size"], told["state"], told["chunk"]) == (0, len(content), "receiving", CHUNK)
    id = told["id"]
    assert (await lin.patch(id, 0, content[:CHUNK])).json["offset"] == CHUNK
    for offset in (0, CHUNK - 1, CHUNK + 1, 2 * CHUNK, 10**12):  # the answer was lost; or somebody miscounts
        assert (await lin.patch(id, offset, content[:CHUNK])).code == "conflict"
        assert (await lin.get(f"/uploads/{id}")).json["offset"] == CHUNK
    assert (await lin.patch(id, CHUNK, content[CHUNK : CHUNK + 100])).code == "bad_request"  # a crumb
    assert (await lin.patch(id, CHUNK, b"")).code == "bad_request"
    assert (await lin.patch(id, CHUNK, bytes(CHUNK + 1))).code == "too_large"
    assert (await lin.patch(id, CHUNK, content[CHUNK : 2 * CHUNK])).json["offset"] == 2 * CHUNK
    assert (await lin.patch(id, 2 * CHUNK, bytes(1001 + 65_536))).code == "too_large"
    last = (await lin.patch(id, 2 * CHUNK, content[2 * CHUNK :])).json
    assert (last["offset"], last["state"] in ("processing", "ready")) == (len(content), True)
    facts = (await lin.settled(id))["media"]
    assert (await lin.patch(id, len(content), b"more")).code == "conflict"
    assert (await lin.read(facts["id"])).data == content
    wrong = await lin.call("PATCH", f"/uploads/{id}?offset=0", data=b"x", headers={"Content-Type": "text/html"})
    assert wrong.code == "bad_request"


async def test_the_same_part_sent_twice_at_once_is_kept_once(gather: Gather, server: RunningServer) -> None:
    lin, emma = await gather("lin", "emma")
    room = await direct(lin, emma)
    content = secrets.token_bytes(2 * CHUNK)
    id = (await lin.begin_upload(room, "file", len(content))).json["id"]
    answers = await asyncio.gather(*(lin.patch(id, 0, content[:CHUNK]) for _ in range(4)))
    assert sorted(answer.status for answer in answers) == [200, 409, 409, 409]
    await lin.patch(id, CHUNK, content[CHUNK:])
    assert (await lin.read((await lin.settled(id))["media"]["id"])).data == content


async def test_half_a_request_changes_nothing(gather: Gather, server: RunningServer) -> None:
    lin, emma = await gather("lin", "emma")
    room = await direct(lin, emma)
    id = (await lin.begin_upload(room, "file", CHUNK)).json["id"]
    cookies = "; ".join(f"{name}={value}" for name, value in lin.cookies.items())
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    head = [
        f"PATCH /api/v1/uploads/{id}?offset=0 HTTP/1.1",
        "Host: x",
        f"Cookie: {cookies}",
        f"X-XSRFToken: {lin.cookies['_xsrf']}",
        "Content-Type: application/octet-stream",
        f"Content-Length: {CHUNK}",
    ]
    writer.write("\r\n".join([*head, "", ""]).encode() + bytes(CHUNK // 2))
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert await reader.read() == b""
    assert (await lin.get(f"/uploads/{id}")).json["offset"] == 0
    assert (await lin.patch(id, 0, bytes(CHUNK))).status == 200


async def test_giving_up_gives_the_room_back(gather: Gather, server: RunningServer) -> None:
    lin, emma = await gather("lin", "emma")
    room = await direct(lin, emma)
    id = (await lin.begin_upload(room, "file", 3 * MIB)).json["id"]
    await lin.patch(id, 0, bytes(CHUNK))
    limits = (await lin.get("/uploads/limits")).json
    assert (limits["used"], limits["open"]) == (3 * MIB, OPEN_MOST - 1)
    assert (await lin.call("DELETE", f"/uploads/{id}")).status == 204
    assert (await lin.call("DELETE", f"/uploads/{id}")).code == "not_found"
    await nothing_is_left(server, lin)


async def test_everybody_learns_their_own_limits(gather: Gather, server: RunningServer) -> None:
    lin, emma = await gather("lin", "emma")
    told = (await lin.get("/uploads/limits")).json
    assert {each["kind"]: (each["size"], each["seconds"]) for each in told["kinds"]} == LIMITS[Tier.PERSON]
    assert told["quota"] == server.services.settings.media_quota
    await server.services.people.grant(emma.id, Grant(Role.STAFF), "system")
    told = (await emma.get("/uploads/limits")).json
    assert {each["kind"]: (each["size"], each["seconds"]) for each in told["kinds"]} == LIMITS[Tier.STAFF]
    room = await direct(lin, emma)
    large = LIMITS[Tier.PERSON]["file"][0] + 1  # type: ignore[index]
    assert (await lin.begin_upload(room, "file", large)).code == "too_large"
    assert (await emma.begin_upload(room, "file", large)).status == 201


# ── Room ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class TestQuota:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return msgspec.structs.replace(settings, media_quota=10 * MIB)

    async def test_many_at_once_take_no_more_than_there_is(self, gather: Gather, server: RunningServer) -> None:
        lin, emma = await gather("lin", "emma")
        room = await direct(lin, emma)
        answers = await asyncio.gather(*(lin.begin_upload(room, "file", 3 * MIB) for _ in range(8)))
        assert sorted(answer.status for answer in answers) == [201] * 3 + [409] * 5
        assert {answer.code for answer in answers} == {"", "limit_reached"}
        assert (await lin.get("/uploads/limits")).json["used"] == 9 * MIB
        assert (await emma.begin_upload(room, "file", 3 * MIB)).status == 201  # everybody has their own
        for answer in answers:
            if answer.status == 201:
                await lin.call("DELETE", f"/uploads/{answer.json['id']}")
        await nothing_is_left(server, lin)

    async def test_what_is_kept_counts_and_so_do_copies(self, gather: Gather, server: RunningServer) -> None:
        lin, emma = await gather("lin", "emma")
        room = await direct(lin, emma)
        facts = await lin.ready(room, "file", bytes(6 * MIB))
        assert (await lin.get("/uploads/limits")).json["used"] == 6 * MIB
        await lin.send(room, facts)
        path = f"/media/{facts['id']}/copies"
        assert (await lin.post(path, {"conversation": room})).code == "limit_reached"
        assert (await emma.post(path, {"conversation": room})).status == 201
        assert (await emma.get("/uploads/limits")).json["used"] == 6 * MIB

    async def test_a_picture_counts_as_what_was_made_of_it(self, gather: Gather) -> None:
        lin, emma = await gather("lin", "emma")
        facts = await lin.ready(await direct(lin, emma), "picture", samples.jpeg(1000, 800))
        used = (await lin.get("/uploads/limits")).json["used"]
        answers = [await lin.read(facts["id"], variant) for variant in ("main", "preview", "thumb")]
        contents = {header(answer, "ETag"): len(answer.data) for answer in answers}  # variants may share one
        assert used == sum(contents.values())

    async def test_so_many_may_be_open_at_once(self, gather: Gather) -> None:
        lin, emma = await gather("lin", "emma")
        room = await direct(lin, emma)
        for _ in range(OPEN_MOST):
            assert (await lin.begin_upload(room, "file", 1)).status == 201
        assert (await lin.begin_upload(room, "file", 1)).code == "limit_reached"


# ── Time ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class TestTime:
    @pytest.fixture
    def clock(self) -> TurnedClock:
        return TurnedClock()

    @pytest.fixture
    def services(self, settings: Settings, keys: Keys, clock: TurnedClock, run: Run[Any]) -> Iterator[Services]:
        services = Services(settings, keys, clock, mongodb_uri=settings.mongodb_uri, redis_url=settings.redis_url)
        run(services.start())
        yield services
        run(services.stop())

    async def tidied(self, server: RunningServer) -> None:
        while await server.services.media.janitor.tidy():
            pass

    async def test_what_is_abandoned_goes_and_what_was_sent_stays(
        self, gather: Gather, server: RunningServer, clock: TurnedClock
    ) -> None:
        lin, emma = await gather("lin", "emma")
        room = await direct(lin, emma)
        sent = await lin.ready(room, "file", b"sent")
        unsent = await lin.ready(room, "file", b"never sent")
        half = (await lin.begin_upload(room, "file", 2 * MIB)).json["id"]
        await lin.patch(half, 0, bytes(CHUNK))
        await lin.send(room, sent)
        await server.services.followers.settled()

        clock.ahead += ABANDONED / 2
        await self.tidied(server)
        later = (await lin.begin_upload(room, "file", 2 * MIB)).json["id"]
        clock.ahead += ABANDONED * 0.6
        await self.tidied(server)
        assert (await lin.get(f"/uploads/{half}")).code == "not_found"
        assert (await lin.get(f"/uploads/{later}")).json["offset"] == 0
        assert (await lin.read(unsent["id"])).data == b"never sent"

        clock.ahead += UNSENT
        await self.tidied(server)
        assert (await lin.read(unsent["id"])).code == "not_found"
        assert (await lin.send(room, unsent)).code == "not_found"
        assert (await emma.read(sent["id"])).data == b"sent"
        assert (await lin.get("/uploads/limits")).json["used"] == len(b"sent")

    async def test_what_is_sent_is_not_taken_for_unsent_when_nobody_has_noted_it(
        self, gather: Gather, server: RunningServer, clock: TurnedClock
    ) -> None:
        lin, emma = await gather("lin", "emma")
        room = await direct(lin, emma)
        facts = await lin.ready(room, "file", b"sent")
        await lin.send(room, facts)
        await server.services.followers.settled()
        rows = server.services.store.collection("media")
        await rows.update_one({"_id": facts["id"]}, {"$unset": {"seq": ""}, "$set": {"due": clock.now()}})
        await self.tidied(server)
        assert (await emma.read(facts["id"])).data == b"sent"
        assert "due" not in (await rows.find_one({"_id": facts["id"]}) or {"due"})

    async def test_contents_that_a_crash_left_are_found(
        self, gather: Gather, server: RunningServer, clock: TurnedClock
    ) -> None:
        """It was about to be ready: the contents are there, and nothing refers to them."""
        lin, emma = await gather("lin", "emma")
        media, store = server.services.media, server.services.store
        room = await direct(lin, emma)

        async def dying(*arguments: Any, **options: Any) -> bool:
            raise asyncio.CancelledError

        keep = media._repo.keep
        media._repo.keep = dying  # type: ignore[method-assign]
        begun = (await lin.begin_upload(room, "file", 5)).json["id"]
        await lin.patch(begun, 0, b"12345")
        contents = store.collection("blobs.files")
        async with asyncio.timeout(10):
            while await contents.find_one({}) is None or media.processing.busy:
                await asyncio.sleep(0.01)
        media._repo.keep = keep  # type: ignore[method-assign]
        await self.tidied(server)
        assert await contents.find_one({}) is not None  # not yet: it may still become ready
        media.processing.hurry()
        facts = (await lin.settled(begun))["media"]
        clock.ahead += ABANDONED
        await self.tidied(server)
        assert len(await contents.find({}).to_list(None)) == 1
        assert (await lin.read(facts["id"])).data == b"12345"


# ── Other lives of the server ───────────────────────────────────────────────────────────────────────────────────────


async def test_a_restart_goes_on_with_what_was_being_made(
    gather: Gather, server: RunningServer, settings: Settings, keys: Keys
) -> None:
    lin, emma = await gather("lin", "emma")
    room = await direct(lin, emma)
    film = samples.film(3.0, (1280, 720), rate=30)
    begun = (await lin.begin_upload(room, "video", len(film))).json["id"]
    await lin.patch(begun, 0, film)
    media = server.services.media
    await eventually(lambda: bool(media.workshop.running), 30.0)
    await media.stop()
    assert media.workshop.running == {}
    assert (await lin.get(f"/uploads/{begun}")).json["state"] == "processing"
    next_life = Services(settings, keys, mongodb_uri=settings.mongodb_uri, redis_url=settings.redis_url)
    await next_life.start()
    try:
        assert (await lin.settled(begun))["state"] == "ready"
    finally:
        await next_life.stop()


@pytest.mark.gen_test(timeout=120)
async def test_kill_9_between_parts_loses_none_that_was_answered(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data")
    try:
        await server.start()
        lin, emma = Sender(server.url), Sender(server.url)
        for sender, handle in ((lin, "lin"), (emma, "emma")):
            sender.id = (await sender.register(handle))["id"]
        await lin.post("/friends/requests", {"person": emma.id})
        await emma.post(f"/friends/requests/{lin.id}/accept")
        room = await direct(lin, emma)
        content = secrets.token_bytes(4 * CHUNK + 17)
        id = (await lin.begin_upload(room, "file", len(content))).json["id"]
        sending = asyncio.create_task(_stream(lin, id, 0, content))
        await _reached(lin, id, CHUNK)
        await server.kill()
        answered = await sending
        await server.start(again=True)
        stands = (await lin.get(f"/uploads/{id}")).json["offset"]
        assert max(CHUNK, answered) <= stands < len(content)  # a part may be safe, and its answer lost
        await _stream(lin, id, stands, content)
        facts = (await lin.settled(id))["media"]
        assert (await lin.send(room, facts)).status == 201
        assert (await emma.read(facts["id"])).data == content
        left = [name for name in os.listdir(server.directory / "scratch") if not name.startswith(f"{server.pid}-")]
        assert left == []  # what the killed ones have left
        assert "Traceback" not in server.printed()
    finally:
        server.end()


async def _stream(lin: Sender, id: str, offset: int, content: bytes) -> int:
    """Sends parts until there is no more, or no server; how far was answered."""
    try:
        while offset < len(content):
            answer = await lin.patch(id, offset, content[offset : offset + CHUNK // 2])
            if answer.status != 200:
                break
            offset = answer.json["offset"]
    except (OSError, HTTPClientError):
        pass
    return offset


async def _reached(lin: Sender, id: str, offset: int) -> None:
    async with asyncio.timeout(20):
        while (await lin.get(f"/uploads/{id}")).json["offset"] < offset:
            await asyncio.sleep(0.005)
