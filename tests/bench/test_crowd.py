from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from scripts.benchmarks.crowd import Crowd, Line, LoadError, Opening, Tally
from scripts.benchmarks.frames import client_frame
from server.realtime.frames import text_frame

UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
ENTRY = text_frame(b'{"t":"entry","n":1}')
BEGINS = b'{"t":"entry"'

Play = Callable[[socket.socket], None]


@pytest.fixture
def stage() -> Iterator[Callable[[Play], int]]:
    """`stage(play)` is the port of a server that has `play` with the first who connects."""
    threads: list[threading.Thread] = []

    def begin(play: Play) -> int:
        listening = socket.create_server(("127.0.0.1", 0))

        def run() -> None:
            with closing(listening), closing(listening.accept()[0]) as connection:
                connection.settimeout(10)
                request = b""
                while not request.endswith(b"\r\n\r\n"):
                    request += connection.recv(4096)
                play(connection)

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        port: int = listening.getsockname()[1]
        return port

    yield begin
    for thread in threads:
        thread.join(10)


def test_deliveries_are_counted_once_whole(stage: Callable[[Play], int]) -> None:
    counted = threading.Event()

    def play(connection: socket.socket) -> None:
        connection.sendall(UPGRADED + ENTRY[:-3])
        counted.wait(10)
        connection.sendall(ENTRY[-3:] + ENTRY + ENTRY)
        connection.recv(1)

    tally = Tally(BEGINS)
    with Crowd(stage(play)) as crowd:
        crowd.open([Opening()], tally)
        counted.set()
        crowd.until(lambda: tally.count == 3, "three deliveries")
        crowd.check()


def test_the_same_bytes_are_counted_for_every_line() -> None:
    tally = Tally(BEGINS)
    with Crowd(1) as crowd, socket.socket() as idle:
        lines = [Line(crowd, idle, tally) for _ in range(3)]
        for line in lines:
            tally(line, ENTRY * 2)
        assert tally.count == 6
        tally(lines[0], ENTRY[:5])
        tally(lines[1], ENTRY * 2)
        tally(lines[0], ENTRY[5:])
        assert tally.count == 9


def test_pings_are_answered(stage: Callable[[Play], int]) -> None:
    heard: list[bytes] = []
    wanted = client_frame(b"you", 10) + client_frame(b"3")

    def play(connection: socket.socket) -> None:
        connection.sendall(UPGRADED + b"\x89\x03you" + text_frame(b"2") + ENTRY)
        data = b""
        while len(data) < len(wanted):
            data += connection.recv(4096)
        heard.append(data)
        connection.sendall(ENTRY)

    tally = Tally(BEGINS)
    with Crowd(stage(play), ping_text=b"2", pong_text=b"3") as crowd:
        crowd.open([Opening(answer=BEGINS, answers=1)], tally)
        crowd.until(lambda: tally.count == 1, "the second entry")
    assert heard == [wanted]


def test_a_refused_upgrade_is_an_error(stage: Callable[[Play], int]) -> None:
    port = stage(lambda connection: connection.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n"))
    with Crowd(port) as crowd, pytest.raises(LoadError, match="403 Forbidden"):
        crowd.open([Opening()], Tally(BEGINS))


def test_a_refusal_is_an_error(stage: Callable[[Play], int]) -> None:
    answer = text_frame(b'{"t":"error","code":"too_often"}')
    with Crowd(stage(lambda c: c.sendall(UPGRADED + answer))) as crowd, pytest.raises(LoadError, match="too_often"):
        crowd.open([Opening(answers=1)], Tally(BEGINS))


def test_an_ended_connection_is_an_error(stage: Callable[[Play], int]) -> None:
    with Crowd(stage(lambda c: c.sendall(UPGRADED + b"\x88\x02\x0f\xa1"))) as crowd:
        crowd.open([Opening()], Tally(BEGINS))
        with pytest.raises(LoadError, match=r"ended 1 connections .* 4001"):
            crowd.until(lambda: False, "what will not come")
        with pytest.raises(LoadError):
            crowd.check()


def test_what_does_not_come_is_said(stage: Callable[[Play], int]) -> None:
    def play(connection: socket.socket) -> None:
        connection.sendall(UPGRADED)
        connection.recv(1)

    with Crowd(stage(play)) as crowd:
        crowd.open([Opening()], Tally(BEGINS))
        with pytest.raises(LoadError, match="in vain for a miracle"):
            crowd.until(lambda: False, "a miracle", seconds=0.1)
