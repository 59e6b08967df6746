"""Reading contents over HTTP: parts, what one has already, names, and that nothing large is ever held in memory."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.media import named
from handlers.ranges import ByteRange, NoSuchRange, requested_range
from server.errors import VouchError
from tests.attempts import attempt
from tests.conftest import RunningServer
from tests.media.conftest import Gather, Sender, direct, header

CONTENT = bytes(range(256)) * 3_000


@pytest.fixture
def sent(gather: Gather, run: Any) -> tuple[Sender, str]:
    """Somebody who may read a file that somebody else has sent, and its id."""

    async def send() -> tuple[Sender, str]:
        lin, emma = await gather("lin", "emma")
        room = await direct(lin, emma)
        facts = await lin.ready(room, "file", CONTENT, '读书 "笔记".bin')
        assert (await lin.send(room, facts)).status == 201
        return emma, facts["id"]

    made: tuple[Sender, str] = run(send())
    return made


async def test_parts_are_those_of_the_whole(sent: tuple[Sender, str]) -> None:
    emma, id = sent
    size = len(CONTENT)
    whole = await emma.read(id)
    assert (whole.status, whole.data) == (200, CONTENT)
    assert header(whole, "Accept-Ranges") == "bytes"
    for asked, first, last in (
        ("bytes=0-0", 0, 0),
        ("bytes=0-", 0, size - 1),
        ("bytes=1000-300000", 1000, 300_000),
        ("bytes=700000-99999999", 700_000, size - 1),
        ("bytes=-1", size - 1, size - 1),
        ("bytes=-99999999", 0, size - 1),
        ("BYTES = 5-6", 5, 6),
    ):
        part = await emma.read(id, Range=asked)
        assert (part.status, part.data) == (206, CONTENT[first : last + 1]), asked
        assert header(part, "Content-Range") == f"bytes {first}-{last}/{size}"
        assert header(part, "Content-Length") == str(last - first + 1)
    for asked in (f"bytes={size}-", "bytes=-0", "bytes=99999999-"):
        beyond = await emma.read(id, Range=asked)
        assert beyond.code == "range_not_satisfiable"
        assert header(beyond, "Content-Range") == f"bytes */{size}"
    for asked in (
        "bytes=5-3",
        "bytes=0-1,5-9",
        "lines=1-2",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "x",
        "bytes=" + "9" * 30,
    ):
        assert (await emma.read(id, Range=asked)).status == 200, asked


async def test_what_one_has_is_not_sent_again(sent: tuple[Sender, str]) -> None:
    emma, id = sent
    first = await emma.read(id)
    etag = header(first, "ETag")
    again = await emma.read(id, If_None_Match=etag)
    assert (again.status, again.data) == (304, b"")
    assert header(again, "ETag") == etag
    assert (await emma.read(id, If_None_Match='"other"')).status == 200
    assert (await emma.read(id, Range="bytes=0-9", If_Range=etag)).status == 206
    assert (await emma.read(id, Range="bytes=0-9", If_Range='"other"')).status == 200
    caching = header(first, "Cache-Control")
    assert "private" in caching
    assert "immutable" in caching


async def test_head_tells_everything_but_the_content(sent: tuple[Sender, str]) -> None:
    emma, id = sent
    whole = await emma.read(id)
    head = await emma.call("HEAD", f"/media/{id}/main")
    assert (head.status, head.data) == (200, b"")
    for name in ("Content-Length", "Content-Type", "ETag", "Content-Disposition", "Content-Security-Policy"):
        assert header(head, name) == header(whole, name)
    part = await emma.call("HEAD", f"/media/{id}/main", headers={"Range": "bytes=0-9"})
    assert (part.status, header(part, "Content-Length")) == (206, "10")
    assert (await emma.call("HEAD", "//api/v1/uploads/limits")).status == 405  # only where something large is read


async def test_the_name_is_told_to_old_and_new_browsers(sent: tuple[Sender, str]) -> None:
    emma, id = sent
    said = header(await emma.read(id), "Content-Disposition")
    assert said.isascii()
    assert said.startswith('attachment; filename="__ __')
    assert unquote(said.rpartition("UTF-8''")[2]) == '读书 "笔记".bin'


@given(st.text(max_size=60))
def test_no_name_leaves_its_header(name: str) -> None:
    said = named(name.encode("utf-8", "ignore").decode())
    plain, _, whole = said.partition("; filename*=UTF-8''")
    assert said.isascii()
    assert said.isprintable()
    assert '"' not in plain.removeprefix('filename="')[:-1]
    assert not set(whole) & set("\"'; \\")


@given(st.text("bytes=-0123456789, ", max_size=24), st.integers(0, 10_000))
def test_any_range_is_a_part_of_what_is_there(asked: str, size: int) -> None:
    found = attempt(lambda: requested_range({"Range": asked}, size, '"e"'))
    if isinstance(found, VouchError):
        assert isinstance(found, NoSuchRange)
        assert found.size == size
    elif found is not None:
        assert isinstance(found, ByteRange)
        assert 0 <= found.first < found.first + found.length <= size


async def test_a_slow_reader_holds_little_in_memory(sent: tuple[Sender, str], server: RunningServer) -> None:
    """Who does not read is not read for: the server fetches no more than what the socket takes."""
    emma, id = sent
    content = await _large(server, emma, id)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=4096)
    cookies = "; ".join(f"{name}={value}" for name, value in emma.cookies.items())
    writer.write(f"GET /api/v1/media/{id}/main HTTP/1.1\r\nHost: x\r\nCookie: {cookies}\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    asked = -1
    while asked != content.asked:  # until it stands still
        asked = content.asked
        await asyncio.sleep(0.3)
    assert 0 < asked < content.size // 2
    writer.close()  # and goes, which is no fault of anybody


class Endless:
    """A content that counts what was fetched of it."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.asked = 0

    async def read(self, key: str, first: int, length: int) -> Any:
        while self.asked < length:
            self.asked += 256 * 1024
            yield bytes(256 * 1024)


async def _large(server: RunningServer, emma: Sender, id: str) -> Endless:
    """Makes the file one of 200 MB."""
    content = Endless(200 * 1024 * 1024)
    rows = server.services.store.collection("media")
    await rows.update_one({"_id": id}, {"$set": {"parts.main.size": content.size}})
    server.services.media._blobs = content  # type: ignore[assignment]
    return content
