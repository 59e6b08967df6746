"""The listening socket: a few with each turn, so that a crowd at the door keeps nobody inside waiting."""

from __future__ import annotations

import socket
from contextlib import ExitStack

from server.door import AT_ONCE, Door


def turn(door: Door, stack: ExitStack) -> int:
    """What a server does with one turn of its loop: accepts until nobody is left, as it is told."""
    let_in = 0
    while True:
        try:
            connection, _ = door.accept()
        except BlockingIOError:
            return let_in
        stack.enter_context(connection)
        let_in += 1


def test_a_crowd_is_let_in_a_few_at_a_time_and_nobody_is_forgotten() -> None:
    with ExitStack() as stack:
        listening = socket.create_server(("127.0.0.1", 0), backlog=4 * AT_ONCE)
        address = listening.getsockname()
        door = stack.enter_context(Door(listening))
        for _ in range(2 * AT_ONCE + 3):
            stack.enter_context(socket.create_connection(address))
        assert [turn(door, stack) for _ in range(4)] == [AT_ONCE, AT_ONCE, 3, 0]
        stack.enter_context(socket.create_connection(address))
        assert turn(door, stack) == 1
