"""A connection under any input: errors have names, floods and slow readers are closed, nothing raises (DESIGN 2)."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
import structlog
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from server.errors import Code
from server.principals import Kind, Principal
from server.realtime import connection as connection_module
from server.realtime import protocol as p
from server.realtime.connection import MAX_BACKLOG, Connection
from server.services import Services
from tests.conftest import Run

PERSON = Principal(Kind.PERSON, id="p_" + "0" * 20, session="")
HELLO = '{"t":"hello","v":1}'


class FakeSocket:
    """A transport that keeps what is written, and can stop taking it."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.backlog = 0
        self.stuck = False
        self.closed: tuple[int, str] | None = None
        self.aborted = False

    def write(self, data: bytes) -> bool:
        if self.stuck:
            self.backlog += len(data)
        else:
            self.data += data
        return self.backlog == 0

    async def drained(self) -> None:
        return

    def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)

    def abort(self) -> None:
        self.aborted = True

    def frames(self) -> list[dict[str, Any]]:
        """The text frames written so far, decoded (RFC 6455 §5.2)."""
        data, found = bytes(self.data), []
        while data:
            size, start = data[1], 2
            if size == 126:
                size, start = int.from_bytes(data[2:4]), 4
            elif size == 127:
                size, start = int.from_bytes(data[2:10]), 10
            if data[0] == 0x81:
                found.append(msgspec.json.decode(data[start : start + size]))
            data = data[start + size :]
        return found


def connect(services: Services, principal: Principal | None = PERSON) -> tuple[Connection, FakeSocket]:
    socket = FakeSocket()
    return Connection(services.hub, socket, principal, "127.0.0.1"), socket


async def signed_in(services: Services) -> tuple[Connection, FakeSocket]:
    connection, socket = connect(services)
    await connection.on_frame(HELLO)
    return connection, socket


async def test_hello_is_answered_by_welcome(services: Services) -> None:
    connection, socket = await signed_in(services)
    connection.flush()
    (welcome,) = socket.frames()
    assert welcome["t"] == "welcome"
    assert (welcome["v"], welcome["who"], welcome["kind"]) == (1, PERSON.id, "person")
    assert welcome["epoch"] == services.hub.epoch
    connection.closed()


@pytest.mark.parametrize(
    ("frame", "principal", "close"),
    [
        (HELLO, None, p.Close.UNAUTHENTICATED),
        ('{"t":"hello","v":1,"token":"nobody"}', PERSON, p.Close.UNAUTHENTICATED),
        ('{"t":"hello","v":2}', PERSON, p.Close.UNSUPPORTED_VERSION),
        ('{"t":"ping","rid":1}', PERSON, p.Close.OUT_OF_ORDER),
        ('{"t":"subscribe","rid":1,"channels":[{"ch":"inbox:x"}]}', PERSON, p.Close.OUT_OF_ORDER),
        ("x" * (p.MAX_FRAME + 1), PERSON, p.Close.TOO_LARGE),
    ],
)
async def test_a_wrong_beginning_ends_in_its_close_code(
    services: Services, frame: str, principal: Principal | None, close: p.Close
) -> None:
    connection, socket = connect(services, principal)
    await connection.on_frame(frame)
    assert socket.closed == (close, close.name.lower())
    assert socket.frames()[-1] == {"t": "bye", "close": int(close), "reason": close.name.lower()}


async def test_who_goes_while_signing_in_is_not_counted(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: such sockets stayed on the roster for ever, and 50 of them locked their person out."""
    connection, socket = connect(services, None)

    async def slow(token: str) -> Principal:
        connection.closed()
        return PERSON

    monkeypatch.setattr(services.people, "authenticate_token", slow)
    await connection.on_frame('{"t":"hello","v":1,"token":"vouch_token"}')
    assert services.hub.roster.of(PERSON.id) == []
    assert not socket.data


async def test_replays_that_wait_together_do_not_look_like_a_slow_reader(services: Services) -> None:
    """Regression: all went on at once when the reader had caught up, and together sent more than is allowed."""
    connection, socket = connect(services)
    socket.stuck, socket.backlog = True, MAX_BACKLOG
    taken = asyncio.Event()

    async def drained() -> None:
        await taken.wait()

    async def replay() -> None:
        await connection.drained()
        connection.send(b"x" * (MAX_BACKLOG // 5))

    socket.drained = drained  # type: ignore[method-assign]
    replays = asyncio.gather(*(replay() for _ in range(16)))
    while not replays.done():
        await asyncio.sleep(0.01)
        socket.backlog, before, taken = 0, taken, asyncio.Event()
        before.set()
    assert socket.closed is None
    connection.closed()


async def test_a_backlog_that_has_gone_is_forgotten(services: Services) -> None:
    """Regression: two short backlogs, far apart, looked like one that had lasted."""
    connection, socket = connect(services)
    socket.stuck = True
    connection.send(b"x")
    connection.flush()
    socket.backlog = 0
    connection._backlog_since -= 60
    connection.send(b"x")
    connection.flush()
    connection.beat()
    assert socket.closed is None
    connection.closed()


async def test_a_second_hello_is_out_of_order(services: Services) -> None:
    connection, socket = await signed_in(services)
    await connection.on_frame(HELLO)
    assert socket.closed == (p.Close.OUT_OF_ORDER, "out_of_order")


async def test_whoever_never_says_hello_is_closed(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(p, "HELLO_WITHIN", 0.02)
    _, socket = connect(services)
    async with asyncio.timeout(5):
        while socket.closed is None:
            await asyncio.sleep(0.01)
    assert socket.closed == (p.Close.UNAUTHENTICATED, "unauthenticated")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
channels = st.sampled_from(
    ["conv:c_" + "0" * 20, "inbox:p_" + "0" * 20, "inbox:p_other", "nope:x", "conv:", "", "a" * 90]
)
tags = [msgspec.inspect.type_info(frame).tag for frame in connection_module.COMMANDS]  # type: ignore[attr-defined]
plausible: st.SearchStrategy[bytes] = st.fixed_dictionaries(
    {"t": st.sampled_from([*tags, "nope"])},
    optional={
        "rid": st.integers(-1, 2**60),
        "id": st.text(max_size=30) | st.just("a" * 22),
        "ch": channels,
        "kind": st.sampled_from(["message", "edit", "joined", "typing", "MESSAGE", ""]),
        "body": json_values | st.just({"text": "hello"}) | st.just({"on": True}),
        "ref": st.integers(-1, 5),
        "channels": st.lists(channels.map(lambda ch: {"ch": ch, "after": 3}) | channels, max_size=3),
        "read": st.integers(-1, 2**54),
        "before": st.integers(-1, 10),
        "after": st.integers(-1, 10),
        "limit": st.integers(-1, 500),
        "v": st.integers(0, 3),
        "token": st.none() | st.text(max_size=5),
    },
).map(lambda frame: msgspec.json.encode(frame))


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.binary(max_size=100) | plausible, max_size=12), st.booleans())
def test_any_frames_in_any_order_never_raise(
    run: Run[Any], services: Services, frames: list[bytes], hello: bool
) -> None:
    async def body() -> None:
        connection, socket = connect(services)
        with structlog.testing.capture_logs() as logs:
            if hello:
                await connection.on_frame(HELLO)
            for frame in frames:
                await connection.on_frame(frame)
            connection.flush()
        assert not [line for line in logs if line["log_level"] in ("error", "critical")]
        codes = [answer["code"] for answer in socket.frames() if answer["t"] == "error"]
        assert set(codes) <= set(Code) - {Code.INTERNAL}
        connection.closed()

    run(body())


async def test_an_error_names_the_request_it_answers(services: Services) -> None:
    connection, socket = await signed_in(services)
    await connection.on_frame('{"t":"history","rid":7,"ch":"conv:nothing"}')
    await connection.on_frame('{"t":"append","id":"aaaaaaaaaaaaaaaaaaaaaa","ch":"conv:x","kind":"message","body":{}}')
    await connection.on_frame('{"t":"append","id":"bbbbbbbbbbbbbbbbbbbbbb","ch":5}')
    connection.flush()
    errors = [frame for frame in socket.frames() if frame["t"] == "error"]
    assert [(e["code"], e.get("rid"), e.get("id")) for e in errors] == [
        ("not_found", 7, None),
        ("not_found", None, "aaaaaaaaaaaaaaaaaaaaaa"),
        ("malformed", None, "bbbbbbbbbbbbbbbbbbbbbb"),
    ]
    connection.closed()


async def test_a_client_that_talks_nonsense_is_closed_after_a_while(services: Services) -> None:
    connection, socket = await signed_in(services)
    for _ in range(30):
        await connection.on_frame("nonsense")
    assert socket.closed == (p.Close.MALFORMED, "malformed")


async def test_a_flood_is_first_refused_then_closed_with_a_resumable_code(services: Services) -> None:
    connection, socket = await signed_in(services)
    for n in range(int(connection_module.FRAMES_BURST * 3)):
        await connection.on_frame(f'{{"t":"ping","rid":{n}}}')
    connection.flush()
    answers = [frame["t"] for frame in socket.frames()]
    assert answers.count("pong") >= connection_module.FRAMES_BURST - 2
    assert "error" in answers
    assert socket.closed == (p.Close.FLOOD, "flood")


async def test_a_reader_that_does_not_read_is_closed_at_the_limit(services: Services) -> None:
    connection, socket = await signed_in(services)
    connection.flush()
    socket.stuck = True
    for _ in range(MAX_BACKLOG // 50_000 + 2):
        connection.send(b"x" * 50_000)
        connection.flush()
    assert socket.closed == (p.Close.SLOW_CONSUMER, "slow_consumer")


async def test_a_small_backlog_that_never_shrinks_is_closed_too(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "MAX_BACKLOG_SECONDS", 0.0)
    connection, socket = await signed_in(services)
    connection.flush()
    socket.stuck = True
    connection.say(p.Pong(1, 1))
    connection.flush()
    connection.beat()
    assert socket.closed == (p.Close.SLOW_CONSUMER, "slow_consumer")


async def test_two_heartbeats_without_an_answer_end_the_connection(services: Services) -> None:
    connection, socket = await signed_in(services)
    connection.beat()
    connection.missed = 0  # a pong
    for _ in range(2):
        connection.beat()
        assert socket.closed is None
    connection.beat()
    assert socket.closed == (p.Close.NO_HEARTBEAT, "no_heartbeat")
    assert socket.aborted


async def test_one_person_may_have_many_connections_but_not_any_number(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    from server.realtime import roster

    monkeypatch.setattr(roster, "MAX_CONNECTIONS_EACH", 3)
    opened = [await signed_in(services) for _ in range(4)]
    assert [socket.closed for _, socket in opened] == [None, None, None, (4006, "too_many_connections")]
    for connection, _ in opened:
        connection.closed()


async def test_frames_of_one_tick_leave_in_one_write(services: Services) -> None:
    connection, socket = await signed_in(services)
    writes: list[bytes] = []
    socket.write = writes.append  # type: ignore[method-assign, assignment]
    for n in range(5):
        connection.say(p.Pong(n, 1))
    assert writes == []
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(writes) == 1
    connection.closed()


async def test_a_forgotten_session_is_noticed_by_the_check(services: Services) -> None:
    connection, socket = await signed_in(services)
    connection.principal = Principal(Kind.PERSON, id=PERSON.id, session="s_" + "0" * 20)  # in no database
    await services.hub._heartbeat._check([connection])
    assert socket.closed == (p.Close.SIGNED_OUT, "signed_out")
