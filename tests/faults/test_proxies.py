"""The proxies do to the lines what their names say, and nothing else."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Awaitable, Callable, Iterable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.faults.proxies import Bus, Database, Framer, Manner, is_published

REPLIES = (b"+OK\r\n", b":1000\r\n", b"$-1\r\n", b"$5\r\na\r\nbc\r\n", b"*-1\r\n", b"_\r\n", b"#t\r\n", b"*0\r\n")


def bulk(text: bytes) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(text), text)


def published(number: int, mark: bytes = b"*") -> bytes:
    return mark + b"3\r\n" + bulk(b"message") + bulk(b"v:conv:c_1") + bulk(b"n_1\0\r\nno. %d" % number)


def values() -> st.SearchStrategy[bytes]:
    simple = st.sampled_from(REPLIES) | st.binary(max_size=40).map(bulk)
    return st.recursive(
        simple,
        lambda inner: (
            st.lists(inner, max_size=4).map(lambda parts: b"*%d\r\n" % len(parts) + b"".join(parts))
            | st.tuples(inner, inner).map(lambda pair: b"%1\r\n" + b"".join(pair))
            | st.tuples(inner, inner, inner).map(lambda three: b"|1\r\n" + b"".join(three))
        ),
        max_leaves=12,
    )


@settings(deadline=None)
@given(st.lists(values(), max_size=8), st.lists(st.integers(1, 30), min_size=1))
def test_answers_are_cut_into_values_wherever_the_pieces_end(answers: list[bytes], pieces: list[int]) -> None:
    stream, framer, cut, turn = b"".join(answers), Framer(), [], 0
    while stream:
        size = pieces[turn % len(pieces)]
        cut += list(framer.feed(stream[:size]))
        stream, turn = stream[size:], turn + 1
    assert cut == answers


def test_what_is_no_answer_of_redis_is_refused() -> None:
    with pytest.raises(ValueError, match="'H'"):
        list(Framer().feed(b"HTTP/1.1 200 OK\r\n"))


def test_only_what_was_published_counts_as_a_message() -> None:
    assert is_published(published(1))
    assert is_published(published(1, b">"))
    assert is_published(b"*3\r\n" + bulk(b"smessage") + bulk(b"v:x") + bulk(b"word"))
    assert not is_published(b"*3\r\n" + bulk(b"subscribe") + bulk(b"v:x") + b":1\r\n")
    assert not any(map(is_published, REPLIES))


def play(proxy: Bus | Database, says: Iterable[bytes], scene: Callable[[int], Awaitable[None]]) -> None:
    """Runs the scene with the proxy's port; upstream says all this to whoever connects, then echoes."""

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.writelines(says)
        while data := await reader.read(1000):
            writer.write(data)
        writer.close()

    async def run() -> None:
        async with await asyncio.start_server(upstream, "127.0.0.1", 0) as server:
            proxy._upstream = server.sockets[0].getsockname()[1]
            await proxy.start()
            async with asyncio.timeout(20):
                await scene(proxy.port)
            await proxy.stop()

    asyncio.run(run())


@pytest.mark.parametrize("manner", Manner)
def test_a_bus_treats_its_messages_in_its_manner_and_leaves_replies_alone(manner: Manner) -> None:
    bus = Bus(0, Random(1))
    bus.manner = manner
    messages = [published(number) for number in range(40)]
    replies = [b":%d\r\n" % number for number in range(40)]
    heard: list[bytes] = []

    async def scene(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        framer = Framer()
        writer.write(b"+last\r\n")  # when this comes back, the fate of everything before it is decided
        more = {Manner.DROPPED: -1, Manner.SILENT: -1, Manner.DOUBLED: 1}.get(manner, 0)
        while b"+last\r\n" not in heard or len(heard) < 81 + more * bus.treated[manner]:
            heard.extend(framer.feed(await reader.read(1000)))
        writer.close()

    play(bus, (part for pair in zip(messages, replies, strict=True) for part in pair), scene)
    got = [value for value in heard if is_published(value)]
    assert [value for value in heard if not is_published(value)] == [*replies, b"+last\r\n"]
    treated = bus.treated[manner]
    assert treated in {Manner.FAITHFUL: [0], Manner.SILENT: [40]}.get(manner, range(10, 30))
    match manner:
        case Manner.FAITHFUL:
            assert got == messages
        case Manner.DROPPED:
            assert len(got) == 40 - treated
            assert got == [message for message in messages if message in got]
        case Manner.SILENT:
            assert not got
        case Manner.DOUBLED:
            assert len(got) == 40 + treated
            assert set(got) == set(messages)
        case Manner.REORDERED | Manner.DELAYED:
            assert got != messages
            assert sorted(got) == sorted(messages)


def answer(size: int) -> bytes:
    return struct.pack("<i", size) + b"x" * (size - 4)


def test_a_slow_database_keeps_each_answer_back_and_whole() -> None:
    database = Database(0, Random(1))
    database.slow = 0.2

    async def scene(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        began = time.monotonic()
        assert await reader.readexactly(5_000 + 16) == answer(5_000) + answer(16)
        assert time.monotonic() - began > 0.1
        writer.close()

    play(database, [answer(5_000), answer(16)], scene)


def test_a_line_that_refuses_resets_what_is_open_and_comes_back_on_its_port() -> None:
    database = Database(0, Random(1))

    async def scene(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.readexactly(16) == answer(16)
        database.refuse()
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        await database.start()
        again, writer_again = await asyncio.open_connection("127.0.0.1", port)
        assert await again.readexactly(16) == answer(16)
        for end in (writer, writer_again):
            end.close()

    play(database, [answer(16)], scene)
